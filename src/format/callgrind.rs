//! Callgrind's text, for KCachegrind and `callgrind_annotate`: who calls whom, and what passed through each call.
//!
//! The format is described in Valgrind's manual, "Callgrind Format Specification". A heap profile knows stacks and not
//! calls, so the number of calls in the file is the number of stacks that go through a call.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use hashbrown::HashMap;

use super::columns::{Column, columns};
use super::frames::{Frames, plain};
use super::pprof::facts;
use crate::error::{Error, Result};
use crate::profile::{Profile, ValueType};

/// Valgrind's word for what is not known.
const UNKNOWN: &str = "???";
/// The function that calls every stack's root, so that each function has a caller: `callgrind_annotate` takes the sum of
/// the calls to a function for its inclusive cost, and would forget the stacks it is the root of.
const ROOT: &str = "[root]";

/// Writes all sample types as events, that which is shown first in front. Where something shrank, each becomes two: see
/// [`write_difference`].
///
/// Inlined functions are functions of their own. Functions of equal name and file are one. In recursion a stack counts
/// once for each function on it: what passed through a call is counted where the stack enters the called function
/// first, and further calls of it add nothing, so that the sum of the calls to a function is what passed through it.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), it has no sample types, or `out` fails.
pub fn write(profile: &Profile, out: &mut dyn Write) -> Result<()> {
    write_split(profile, false, out)
}

/// Writes a difference: of each sample type what grew, and what shrank, as two events, because costs are not negative.
///
/// # Errors
/// As for [`write()`].
pub fn write_difference(profile: &Profile, out: &mut dyn Write) -> Result<()> {
    write_split(profile, true, out)
}

fn write_split(profile: &Profile, is_difference: bool, out: &mut dyn Write) -> Result<()> {
    profile.check()?;
    let first = profile
        .sample_type_index(None)
        .map_err(|error| error.context("callgrind's format needs something to count"))?;
    let mut columns = columns(profile, is_difference);
    // Stable: the others stay in their order.
    columns.sort_by_key(|column| column.index != first);
    let costs = Costs::of(profile, &columns);
    let mut out = BufWriter::new(out);
    header(profile, &columns, &costs.total, &mut out)
        .and_then(|()| costs.write(&mut out))
        .and_then(|()| out.flush())
        .map_err(|error| Error::io("cannot write the callgrind file", error))
}

fn header(
    profile: &Profile,
    columns: &[Column],
    total: &[u64],
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "# callgrind format\nversion: 1")?;
    writeln!(out, "creator: heapsite {}", env!("CARGO_PKG_VERSION"))?;
    if let Some(pid) = profile.pid() {
        writeln!(out, "pid: {pid}")?;
    }
    let command = plain(facts::command(profile));
    if !is_blank(&command) {
        writeln!(out, "cmd: {command}")?;
    }
    writeln!(out, "part: 1")?;
    for comment in facts::comments(profile) {
        writeln!(out, "desc: Comment: {}", plain(&comment))?;
    }
    writeln!(out, "positions: line")?;
    let names = event_names(profile, columns);
    for (name, column) in names.iter().zip(columns) {
        let ValueType { kind, unit } = &profile.sample_types[column.index];
        let text = format!("{kind} {} ({unit})", column.suffix());
        let words: Vec<&str> = text.split_whitespace().collect();
        writeln!(out, "event: {name} : {}", plain(&words.join(" ")))?;
    }
    writeln!(
        out,
        "events: {}\nsummary:{}",
        names.join(" "),
        numbers(total)
    )
}

/// Names of letters, digits and `_`, as the format has them; each once.
fn event_names(profile: &Profile, columns: &[Column]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for column in columns {
        let text = format!(
            "{} {}",
            profile.sample_types[column.index].kind,
            column.suffix()
        );
        let is_word = |c: char| c.is_ascii_alphanumeric();
        let mut name: String = text.trim().replace(|c| !is_word(c), "_");
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert_str(0, "event_");
        }
        while names.contains(&name) {
            name.push('_');
        }
        names.push(name);
    }
    names
}

/// What each line of each function costs by itself, and what passed through each call.
struct Costs<'p> {
    functions: Functions<'p>,
    /// By function and line.
    own: Table<(u32, i64)>,
    /// By calling function, its line, and called function.
    calls: Table<(u32, i64, u32)>,
    total: Vec<u64>,
}

impl<'p> Costs<'p> {
    fn of(profile: &'p Profile, columns: &[Column]) -> Costs<'p> {
        let frames = Frames::new(profile);
        let mut costs = Costs {
            functions: Functions::of(&frames),
            own: Table::new(columns.len()),
            calls: Table::new(columns.len()),
            total: vec![0; columns.len()],
        };
        let mut values = Vec::with_capacity(columns.len());
        let nothing = vec![0; columns.len()];
        // For each function the last sample it was met in.
        let mut met = vec![u32::MAX; costs.functions.list.len()];
        for (number, sample) in (0u32..).zip(&profile.samples) {
            values.clear();
            values.extend(columns.iter().map(|column| column.value(sample)));
            if values.iter().all(|&value| value == 0) {
                continue;
            }
            add(&mut costs.total, &values);
            let (mut caller, mut line) = (Functions::ROOT, 0);
            for frame in frames.stack(sample).rev() {
                let called = costs.functions.of_frame[frame as usize];
                let is_first = std::mem::replace(&mut met[called as usize], number) != number;
                let passed = if is_first { &values } else { &nothing };
                costs.calls.add((caller, line, called), passed);
                (caller, line) = (called, frames.table[frame as usize].line);
            }
            costs.own.add((caller, line), &values);
        }
        costs
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (own, calls) = (self.own.sorted(), self.calls.sorted());
        let (mut own, mut calls) = (own.as_slice(), calls.as_slice());
        let mut names = Names::new(&self.functions);
        for id in 0..self.functions.list.len() as u32 {
            let (mine, others) =
                own.split_at(own.partition_point(|&((function, _), _)| function <= id));
            let (made, later) =
                calls.split_at(calls.partition_point(|&((function, ..), _)| function <= id));
            (own, calls) = (others, later);
            if mine.is_empty() && made.is_empty() {
                continue;
            }
            writeln!(out)?;
            names.write(id, ["ob", "fl", "fn"], out)?;
            for &((_, line), row) in mine {
                writeln!(out, "{line}{}", numbers(self.own.values(row)))?;
            }
            for &((_, line, called), row) in made {
                names.write(called, ["cob", "cfi", "cfn"], out)?;
                writeln!(out, "calls={} 0", self.calls.counts[row])?;
                writeln!(out, "{line}{}", numbers(self.calls.values(row)))?;
            }
        }
        writeln!(out, "\ntotals:{}", numbers(&self.total))
    }
}

/// Functions by name and file; each belongs to the program or library it was first met in.
struct Functions<'p> {
    list: Vec<Function<'p>>,
    files: Texts<'p>,
    objects: Texts<'p>,
    /// For each frame its function.
    of_frame: Vec<u32>,
}

struct Function<'p> {
    name: Cow<'p, str>,
    file: u32,
    object: u32,
}

impl<'p> Functions<'p> {
    const ROOT: u32 = 0;

    fn of(frames: &Frames<'p>) -> Functions<'p> {
        let mut functions = Functions {
            list: Vec::new(),
            files: Texts::default(),
            objects: Texts::default(),
            of_frame: Vec::with_capacity(frames.table.len()),
        };
        let mut known: HashMap<(Cow<'p, str>, u32), u32> = HashMap::new();
        functions.add(ROOT.into(), "", "", &mut known);
        for (frame, object) in frames.table.iter().zip(&frames.objects) {
            let name = match &frame.name {
                Cow::Borrowed(name) => plain(name),
                Cow::Owned(name) => plain(name).into_owned().into(),
            };
            let id = functions.add(name, frame.file, object, &mut known);
            functions.of_frame.push(id);
        }
        functions
    }

    fn add(
        &mut self,
        name: Cow<'p, str>,
        file: &'p str,
        object: &'p str,
        known: &mut HashMap<(Cow<'p, str>, u32), u32>,
    ) -> u32 {
        let name = if is_blank(&name) {
            UNKNOWN.into()
        } else {
            name
        };
        let file = self.files.add(file);
        *known
            .entry((name, file))
            .or_insert_with_key(|(name, file)| {
                let object = self.objects.add(object);
                let (name, file) = (name.clone(), *file);
                self.list.push(Function { name, file, object });
                self.list.len() as u32 - 1
            })
    }
}

/// Texts, each once.
#[derive(Default)]
struct Texts<'p> {
    list: Vec<Cow<'p, str>>,
    known: HashMap<Cow<'p, str>, u32>,
}

impl<'p> Texts<'p> {
    fn add(&mut self, text: &'p str) -> u32 {
        let text = match plain(text) {
            text if is_blank(&text) => UNKNOWN.into(),
            text => text,
        };
        *self.known.entry(text).or_insert_with_key(|text| {
            self.list.push(text.clone());
            self.list.len() as u32 - 1
        })
    }
}

/// Names written so far: the second time it is a number. Readers know a function by its number, so that belongs to one
/// function, and not to a text as with files.
struct Names<'f, 'p> {
    functions: &'f Functions<'p>,
    written: [Vec<bool>; 3],
}

impl<'f, 'p> Names<'f, 'p> {
    fn new(functions: &'f Functions<'p>) -> Names<'f, 'p> {
        let lists = [
            functions.objects.list.len(),
            functions.files.list.len(),
            functions.list.len(),
        ];
        Names {
            functions,
            written: lists.map(|length| vec![false; length]),
        }
    }

    /// Object, file and name of a function, in lines of these keys.
    fn write(&mut self, id: u32, keys: [&str; 3], out: &mut impl Write) -> io::Result<()> {
        let function = &self.functions.list[id as usize];
        let texts = [
            (
                function.object,
                &self.functions.objects.list[function.object as usize],
            ),
            (
                function.file,
                &self.functions.files.list[function.file as usize],
            ),
            (id, &function.name),
        ];
        for ((key, written), (id, text)) in keys.iter().zip(&mut self.written).zip(texts) {
            match std::mem::replace(&mut written[id as usize], true) {
                true => writeln!(out, "{key}=({})", id + 1)?,
                false => writeln!(out, "{key}=({}) {text}", id + 1)?,
            }
        }
        Ok(())
    }
}

/// Rows of values by key.
struct Table<K> {
    rows: HashMap<K, usize>,
    values: Vec<u64>,
    /// How often each row was added to.
    counts: Vec<u64>,
    width: usize,
}

impl<K: Copy + Ord + std::hash::Hash> Table<K> {
    fn new(width: usize) -> Table<K> {
        Table {
            rows: HashMap::new(),
            values: Vec::new(),
            counts: Vec::new(),
            width,
        }
    }

    fn add(&mut self, key: K, values: &[u64]) {
        let row = *self.rows.entry(key).or_insert_with(|| {
            self.values.resize(self.values.len() + self.width, 0);
            self.counts.push(0);
            self.counts.len() - 1
        });
        self.counts[row] += 1;
        let at = row * self.width;
        add(&mut self.values[at..at + self.width], values);
    }

    fn values(&self, row: usize) -> &[u64] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    fn sorted(&self) -> Vec<(K, usize)> {
        let mut rows: Vec<(K, usize)> = self.rows.iter().map(|(&key, &row)| (key, row)).collect();
        rows.sort_unstable();
        rows
    }
}

fn add(sums: &mut [u64], values: &[u64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = sum.saturating_add(*value);
    }
}

/// Each with a space in front.
fn numbers(values: &[u64]) -> String {
    values.iter().map(|value| format!(" {value}")).collect()
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}
