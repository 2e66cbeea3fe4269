//! From what is left of a scope to what leaked.
//!
//! ```text
//! live blocks of the scope ─┬─ held by a static or a thread-local ─▶ a note (or a leak, if asked for)
//!                           ├─ held by a thread of the scope ──────▶ that thread's
//!                           ├─ noise, or ignored ──────────────────▶ a note
//!                           └─ everything else ────────────────────▶ a leak
//! threads of the scope ─────┬─ ignored, or of a pool that goes on ─▶ a note
//!                           └─ everything else ────────────────────▶ a leak
//! tracked tasks of the scope ─ those not ignored ──────────────────▶ leaks, with what they hold
//! new descriptors ──────────┬─ nobody else could have opened them ─▶ leaks
//!                           └─ somebody could ─────────────────────▶ a note
//! ```
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap, HashSet};

use super::before::Before;
use super::evidence::{all_roots, evidence, is_held_for_good};
use super::fds::{self, Fds};
use super::noise;
use super::options::Options;
use super::reach::Holder;
use super::report::{LeakReport, LeakedFd, LeakedSite, LeakedThread, amount, plural};
use super::stacks::{self, Stack};
use super::statics;
use super::tasks::{self, Places};
use super::threads::{self, Alive};
use crate::record;
use crate::record::scopes::{self, Ticket};
use crate::snapshot::scope::Block;
use crate::sys::roots::{Root, RootKind};
use crate::task;

/// What was found, and the blocks that it is about.
pub(super) struct Findings {
    pub(super) report: LeakReport,
    pub(super) leaked: Vec<Block>,
}

/// A check's question.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) scope: Ticket,
    /// New threads inherit the scope.
    pub(super) is_followed: bool,
    pub(super) before: &'a Before,
    pub(super) options: &'a Options,
    /// The process is about to end: what is on the stacks of threads is in use, and all descriptors are its own. The stack
    /// pointer of the calling thread.
    pub(super) at_exit: Option<u64>,
}

impl Question<'_> {
    /// Nothing is left that could be a leak. Quick, and without waiting for anybody.
    pub(super) fn is_clean(&self) -> bool {
        let no_memory = match self.before.forgiven.is_empty() {
            true => scopes::counts(self.scope).live_objects == 0,
            false => self.own_blocks().is_empty(),
        };
        let judges_fds =
            self.before.is_alone || self.options.fds.is_some() || self.at_exit.is_some();
        no_memory
            && self.alive().is_empty()
            && self.tasks().is_empty()
            && (!judges_fds || self.new_fds().is_empty())
    }

    pub(super) fn own_blocks(&self) -> Vec<Block> {
        let mut own = crate::snapshot::scope::blocks_of(self.scope);
        own.retain(|block| !self.before.forgives(block));
        own
    }

    fn alive(&self) -> Vec<Alive> {
        let mut alive = threads::alive(self.scope);
        alive.retain(|thread| !self.before.threads.contains(&thread.id));
        alive
    }

    /// Tracked tasks that have not ended.
    fn tasks(&self) -> Vec<task::Alive> {
        if !self.options.tasks {
            return Vec::new();
        }
        let mut tasks = task::of_scope(self.scope);
        tasks.retain(|task| !self.before.tasks.contains(&task.id()));
        tasks
    }

    fn new_fds(&self) -> Vec<(i32, String)> {
        match self.options.fds {
            Some(false) => Vec::new(),
            _ => Fds::now().since(&self.before.fds),
        }
    }

    /// Nobody but the scope's threads has run since its start.
    fn is_alone(&self) -> bool {
        let own: HashSet<u32> = threads::alive(self.scope).iter().map(|t| t.id).collect();
        let others = threads::ids().into_iter().filter(|id| !own.contains(id));
        self.before.is_alone
            && self.before.strangers_began(self.scope) == 0
            && threads::strangers(others).is_empty()
    }

    /// Looks at everything that is left. Takes as long as reading debug information does, if there is anything to name.
    pub(super) fn judge(&self) -> Findings {
        let mut case = Case::new(self);
        case.judge_threads();
        case.judge_tasks();
        let leaked = case.judge_heap();
        case.judge_fds();
        case.note_what_is_not_seen();
        Findings {
            report: case.report,
            leaked,
        }
    }
}

/// Evidence and report while a question is answered.
struct Case<'a> {
    question: &'a Question<'a>,
    /// The scope's live blocks, each with what holds it.
    own: Vec<(Block, Option<Holder>)>,
    roots: Vec<Root>,
    alive: Vec<Alive>,
    tasks: Vec<task::Alive>,
    stacks: HashMap<u32, Stack>,
    /// Threads that are no leak.
    excused: HashSet<u32>,
    /// Tasks that have leaked.
    leaked_tasks: HashSet<u64>,
    report: LeakReport,
}

impl<'a> Case<'a> {
    fn new(question: &'a Question<'a>) -> Case<'a> {
        let mut report = LeakReport::default();
        let alive = question.alive();
        let tasks = question.tasks();
        // They are read below, where holders are looked for.
        let places = Places::of(&tasks);
        let roots = all_roots(question, &alive, &places);
        let own = evidence(question, &roots).unwrap_or_else(|error| {
            let note = format!(
                "this process's memory cannot be read ({error}): what statics hold counts as leaked"
            );
            report.notes.push(note);
            question
                .own_blocks()
                .into_iter()
                .map(|block| (block, None))
                .collect()
        });
        // Names cost a second: only for what may be shown, or tells about threads and descriptors.
        let is_static = |holder: &Option<Holder>| is_held_for_good(&roots, holder);
        let all = !alive.is_empty() || question.options.statics || !question.new_fds().is_empty();
        let mut sites: Vec<u32> = own
            .iter()
            .filter(|(_, holder)| all || !is_static(holder))
            .map(|(block, _)| block.site)
            .chain(alive.iter().filter_map(|thread| thread.made_at))
            .collect();
        sites.sort_unstable();
        sites.dedup();
        Case {
            question,
            own,
            roots,
            alive,
            tasks,
            stacks: stacks::of(&sites),
            excused: HashSet::new(),
            leaked_tasks: HashSet::new(),
            report,
        }
    }

    fn stack(&self, site: u32) -> Stack {
        self.stacks.get(&site).cloned().unwrap_or_default()
    }

    fn judge_threads(&mut self) {
        let mut leaked = Vec::new();
        for thread in std::mem::take(&mut self.alive) {
            let started = thread.made_at.and_then(|site| self.stacks.get(&site));
            let why = if self.is_ignored_thread(&thread.name, started) {
                Some("ignored")
            } else if self.belongs_to_a_pool_that_goes_on(&thread.name, started) {
                Some("an idle thread of a pool")
            } else {
                None
            };
            if let Some(why) = why {
                self.excused.insert(thread.id);
                let note = format!("thread `{}` is still there: {why}", thread.name);
                self.report.notes.push(note);
                continue;
            }
            let held = self.own.iter().filter(|(_, holder)| {
                holder.is_some_and(|holder| {
                    self.roots[holder.root].kind == RootKind::Stack(thread.id)
                })
            });
            let (holds_objects, holds_bytes) = held.fold((0, 0), |(objects, bytes), (block, _)| {
                (objects + 1, bytes + block.bytes)
            });
            leaked.push(LeakedThread {
                started: started.map(Stack::blamed),
                stack: started.map(Stack::application).unwrap_or_default(),
                name: thread.name,
                id: thread.id,
                holds_objects,
                holds_bytes,
            });
        }
        self.report.threads = leaked.into();
    }

    fn judge_tasks(&mut self) {
        let mut held: HashMap<u64, (u64, u64)> = HashMap::new();
        for (block, holder) in &self.own {
            if let Some(RootKind::Task(id)) = holder.map(|holder| &self.roots[holder.root].kind) {
                add_to(held.entry(*id).or_default(), (1, block.bytes));
            }
        }
        let tasks = std::mem::take(&mut self.tasks);
        let judged = tasks::judge(tasks, self.question.options, &held);
        self.leaked_tasks.extend(judged.ids);
        self.report.tasks = judged.leaked.into();
        self.report.notes.extend(judged.notes);
    }

    fn is_ignored_thread(&self, name: &str, started: Option<&Stack>) -> bool {
        let options = self.question.options;
        let by_name = options.ignored_threads.iter();
        by_name.into_iter().any(|start| name.starts_with(start))
            || started.is_some_and(|stack| self.is_ignored(stack))
    }

    fn is_ignored(&self, stack: &Stack) -> bool {
        let paths = &self.question.options.ignored_paths;
        paths.iter().any(|path| stack.passes(path))
    }

    /// The pool was there before the check, or a static holds it. A pool that the check made and nothing holds has
    /// leaked, with its threads.
    fn belongs_to_a_pool_that_goes_on(&self, name: &str, started: Option<&Stack>) -> bool {
        let Some(pool) = noise::pool(name, started) else {
            return false;
        };
        let mut parts = self.own.iter().filter(|(block, _)| {
            let stack = self.stacks.get(&block.site);
            stack.is_some_and(|stack| stack.passes(pool.made_by))
        });
        let is_held = |holder: &Option<Holder>| is_held_for_good(&self.roots, holder);
        let mut is_made_here = false;
        let is_kept = parts.any(|(_, holder)| {
            is_made_here = true;
            is_held(holder)
        });
        is_kept || !is_made_here
    }

    /// What leaked; the report gets it by site.
    fn judge_heap(&mut self) -> Vec<Block> {
        let options = self.question.options;
        let mut leaked: BTreeMap<(u32, Option<Holder>), Vec<Block>> = BTreeMap::new();
        let mut kept: BTreeMap<Holder, (u64, u64)> = BTreeMap::new();
        let mut locals = (0, 0);
        let mut left_out: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let mut of_others = Vec::new();
        for (block, holder) in std::mem::take(&mut self.own) {
            let add = |sum: &mut (u64, u64)| *sum = (sum.0 + 1, sum.1 + block.bytes);
            let stack = self.stacks.get(&block.site);
            let why = match stack {
                Some(stack) if self.is_ignored(stack) => Some("ignored"),
                Some(stack) => noise::of_heap(stack),
                None => None,
            };
            if let Some(why) = why {
                add(left_out.entry(why).or_default());
                continue;
            }
            match holder.map(|holder| (holder, &self.roots[holder.root].kind)) {
                Some((holder, RootKind::Data { .. })) if options.statics => {
                    let key = (block.site, Some(holder));
                    leaked.entry(key).or_default().push(block);
                }
                Some((holder, RootKind::Data { .. })) => add(kept.entry(holder).or_default()),
                Some((_, RootKind::Locals)) => add(&mut locals),
                Some((_, RootKind::Stack(id))) => {
                    // A leaked thread's memory is told with it.
                    if self.report.threads.iter().any(|thread| thread.id == *id) {
                        of_others.push(block);
                    }
                }
                Some((_, RootKind::Task(id))) => {
                    if self.leaked_tasks.contains(id) {
                        of_others.push(block);
                    }
                }
                None => leaked.entry((block.site, None)).or_default().push(block),
            }
        }
        let mut all = of_others;
        for ((site, holder), blocks) in leaked {
            let objects = blocks.len() as u64;
            let bytes = blocks.iter().map(|block| block.bytes).sum();
            if objects < options.min_objects || bytes < options.min_bytes {
                add_to(
                    left_out.entry("below the minimum").or_default(),
                    (objects, bytes),
                );
                continue;
            }
            let stack = self.stack(site);
            self.report.heap.push(LeakedSite {
                blamed: stack.blamed(),
                stack: stack.application(),
                task: stack.task(),
                objects,
                bytes,
                held_by: holder.map(|holder| self.name_of(holder)),
            });
            all.extend(blocks);
        }
        self.report
            .heap
            .sort_by_key(|site| std::cmp::Reverse((site.bytes, site.objects)));
        self.note_kept(kept, locals);
        for (why, (objects, bytes)) in left_out {
            let note = format!("left out: {}: {why}", amount(objects, bytes));
            self.report.notes.push(note);
        }
        all
    }

    fn note_kept(&mut self, kept: BTreeMap<Holder, (u64, u64)>, locals: (u64, u64)) {
        // Names are looked up for a report that is read: one of leaks.
        let report = &self.report;
        if report.heap.is_empty() && report.threads.is_empty() && report.tasks.is_empty() {
            return;
        }
        let mut by_name: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (holder, sum) in kept {
            add_to(by_name.entry(self.name_of(holder)).or_default(), sum);
        }
        for (name, (objects, bytes)) in by_name {
            let note = format!("kept by {name}: {}", amount(objects, bytes));
            self.report.notes.push(note);
        }
        if locals.0 > 0 {
            let note = format!("kept by thread-locals: {}", amount(locals.0, locals.1));
            self.report.notes.push(note);
        }
    }

    fn name_of(&self, holder: Holder) -> String {
        let RootKind::Data { file, base } = &self.roots[holder.root].kind else {
            return "a thread".to_owned();
        };
        match statics::name(file, *base, holder.address) {
            Some(name) => format!("static {name}"),
            None if file.is_empty() => "a static".to_owned(),
            None => format!("a static of {file}"),
        }
    }

    fn judge_fds(&mut self) {
        let mut new = self.question.new_fds();
        if new.is_empty() {
            return;
        }
        let is_pool_kept = self.alive_pool_is_excused();
        new.retain(|(_, target)| !(is_pool_kept && is_of_a_runtime(target)));
        let is_certain = self.question.options.fds == Some(true) || self.question.at_exit.is_some();
        if is_certain || self.question.is_alone() {
            let new = new.into_iter().map(|(fd, target)| {
                let (kind, target) = fds::describe(&target);
                LeakedFd { fd, kind, target }
            });
            self.report.fds = new.collect();
            let note = "where a descriptor was opened is not known: neither the system nor heapsite keeps it";
            self.report.notes.push(note.to_owned());
        } else if !new.is_empty() {
            let list: Vec<String> = new
                .iter()
                .map(|(fd, target)| {
                    let (kind, target) = fds::describe(target);
                    format!("{fd} ({})", format!("{kind} {target}").trim_end())
                })
                .collect();
            let note = format!(
                "{} could not be judged, because other threads may have opened it: {}",
                plural(list.len() as u64, "new file descriptor"),
                list.join(", ")
            );
            self.report.notes.push(note);
        }
    }

    /// A runtime goes on, and with it what it waits with. Without one, the sockets of Tokio's signals stay nevertheless.
    fn alive_pool_is_excused(&self) -> bool {
        !self.excused.is_empty()
            || self
                .stacks
                .values()
                .any(|stack| stack.passes("tokio::signal::registry"))
    }

    fn note_what_is_not_seen(&mut self) {
        let question = self.question;
        let lost = question.before.losses_since();
        if lost > 0 {
            let note = format!("{} could not be recorded", plural(lost, "allocation"));
            self.report.notes.push(note);
        }
        if !question.is_followed {
            let note =
                "threads could not be followed: this kernel does not keep a thread's timer slack";
            self.report.notes.push(note.to_owned());
        }
        let joined = scopes::counts(question.scope).threads;
        let mut noted = 0;
        record::scoped_threads::of_scope(question.scope, |_| noted += 1);
        if noted < joined {
            let forgotten = plural(joined - noted, "thread");
            let note = format!("{forgotten} began too long ago to be told whether they ended");
            self.report.notes.push(note);
        }
        let unlisted = task::counts().map_or(0, |tasks| tasks.unlisted);
        if question.options.tasks && unlisted > 0 {
            let tasks = plural(unlisted, "task");
            let note = format!(
                "{tasks} of the process are in no list, for want of memory, and cannot be judged"
            );
            self.report.notes.push(note);
        }
        self.note_strangers();
    }

    /// Threads that began meanwhile and are in no check: made by C code and never in Rust. Where others are at work they
    /// are as likely a neighbour's, and not worth a line.
    fn note_strangers(&mut self) {
        let before = &self.question.before.all_threads;
        let mut elsewhere = HashSet::new();
        record::scoped_threads::of_any_scope(|thread| {
            elsewhere.insert(thread.id);
        });
        let new = threads::ids().into_iter().filter(|id| !before.contains(id));
        let strangers = threads::strangers(new.filter(|id| !elsewhere.contains(id)));
        let older = before.iter().copied();
        let workers = threads::strangers(older.filter(|id| !elsewhere.contains(id)));
        if self.question.before.is_alone && !strangers.is_empty() {
            let note = format!(
                "{} began meanwhile in no check of its creator's, and cannot be judged: {}",
                plural(strangers.len() as u64, "other thread"),
                names(&strangers)
            );
            self.report.notes.push(note);
        }
        let is_worker = |(_, name): &(u32, String)| noise::pool(name, None).is_some();
        let workers: Vec<_> = workers.into_iter().filter(is_worker).collect();
        if !workers.is_empty() {
            let note = format!(
                "{} of a runtime that was there before the check is not followed, nor what it allocates: put the \
                 check around the runtime",
                plural(workers.len() as u64, "worker thread")
            );
            self.report.notes.push(note);
        }
    }
}

fn names(threads: &[(u32, String)]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = threads
        .iter()
        .take(SHOWN)
        .map(|(_, name)| name.as_str())
        .collect();
    let more = if threads.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

fn add_to(sum: &mut (u64, u64), more: (u64, u64)) {
    *sum = (sum.0 + more.0, sum.1 + more.1);
}

/// What a runtime waits with.
fn is_of_a_runtime(target: &str) -> bool {
    matches!(target, "anon_inode:[eventpoll]" | "anon_inode:[eventfd]")
        || target.starts_with("socket:")
            && fds::describe(target) == ("unix socket".to_owned(), "unnamed".to_owned())
}
