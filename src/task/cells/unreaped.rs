//! Tasks that have ended and still have their cells.
#![forbid(unsafe_code)]

use std::fmt;

use super::odds::{bound, least};
use super::table::FUTURES_UNORDERED;
use super::{CellSite, TaskCells};
use crate::task::Tasks;
use crate::view::key::Frame;
use crate::view::measure::Measure;

/// Cells and tasks are not counted in the same instant, and a task that has just ended is about to be awaited: so many left over
/// mean nothing,
const SLACK: f64 = 16.0;
/// nor does this share of the living ones.
const SLACK_SHARE: f64 = 0.1;
/// `tokio::spawn(` may stand so many lines above the `task::track(` inside.
const LINES_APART: i64 = 5;

/// How many tasks are alive; exact.
#[derive(Clone, Copy, Debug)]
pub enum Alive<'a> {
    /// Tracked tasks, each compared with the cells of its own line.
    Tasks(&'a Tasks),
    /// All tasks of the program's runtimes, such as the sum of tokio's `num_alive_tasks`; compared with all cells where
    /// [`CellSite::is_counted`].
    Counted(u64),
}

/// Cells and living tasks at about the same time.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// From the heap.
    pub cells: &'a TaskCells,
    /// Listed or counted.
    pub alive: Alive<'a>,
}

/// Tasks of a line that have ended, and whose cells are still there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unreaped {
    /// The cells.
    pub site: CellSite,
    /// Tasks that are alive: of the line, or where `of_all` says so, of the runtimes.
    pub alive: u64,
    /// The number of living tasks was known for all lines together only: the left-over cells are those of all lines, of which
    /// this is one that has many.
    pub of_all: bool,
    /// Cells without a living task. An estimate unless the cells are exact.
    pub left_over: i64,
    /// There are so many of them at least (for the maths see [`guide::task_cells`](crate::guide::task_cells)).
    pub at_least: i64,
    /// How many more there are than at the earlier moment; `None`: there was one moment only.
    pub growth: Option<i64>,
}

/// Tasks that have ended and are still kept, at one moment: what a program has not got round to yet is among them.
/// Better ask twice, with [`piling_up`].
pub fn unreaped(now: Moment<'_>) -> Vec<Unreaped> {
    let mut found: Vec<Unreaped> = match now.alive {
        Alive::Tasks(tasks) => {
            let lines = lines(tasks, now.cells);
            let lines = lines.iter().filter_map(|line| {
                let cells = line.cells.iter().map(|&at| &now.cells.sites[at]);
                let excess = Excess::of(cells.clone(), line.alive, now.cells.is_exact());
                let most = cells.max_by_key(|site| site.live.value)?;
                excess.finding(most, false)
            });
            lines.collect()
        }
        Alive::Counted(alive) => {
            let counted = || now.cells.sites.iter().filter(|site| site.is_counted);
            let exact = now.cells.is_exact();
            let one = counted().filter_map(|site| {
                Excess::of([site].into_iter(), alive, exact).finding(site, false)
            });
            // A line that has more cells than there are tasks at all.
            let mut found: Vec<Unreaped> = one.collect();
            if found.is_empty() {
                let all = Excess::of(counted(), alive, exact);
                let most = counted().max_by_key(|site| site.live.value);
                found.extend(most.and_then(|most| all.finding(most, true)));
            }
            found
        }
    };
    found.sort_by_key(|it| std::cmp::Reverse(it.left_over));
    found
}

/// Tasks that have ended and are kept, and more of them than before: cells that grow while the tasks that are alive do not.
pub fn piling_up(before: Moment<'_>, now: Moment<'_>) -> Vec<Unreaped> {
    let found = unreaped(now).into_iter();
    let mut found: Vec<Unreaped> = found.filter_map(|it| it.since(before, now)).collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.growth));
    found
}

impl Unreaped {
    /// The same with its growth, if there is any.
    fn since(mut self, before: Moment<'_>, now: Moment<'_>) -> Option<Unreaped> {
        let is_meant = |site: &CellSite| match self.of_all {
            true => site.is_counted,
            false => is_same(site, &self.site),
        };
        let (then, new) = (
            Sums::of(before.cells, is_meant),
            Sums::of(now.cells, is_meant),
        );
        let alive_then = match before.alive {
            Alive::Counted(alive) => alive,
            Alive::Tasks(tasks) => {
                let sites = &before.cells.sites;
                let is_its = |&at: &usize| is_same(&sites[at], &self.site);
                let lines = lines(tasks, before.cells);
                let line = lines.iter().find(|line| line.cells.iter().any(is_its));
                line.map_or(0, |line| line.alive)
            }
        };
        let growth = new.live.value - then.live.value - (self.alive as i64 - alive_then as i64);
        let bound = match now.cells.is_exact() && before.cells.is_exact() {
            true => 0.0,
            false => {
                let in_process = now.cells.pid.is_some() && now.cells.pid == before.cells.pid;
                bound(new.variance_since(&then, in_process), self.site.weight)
            }
        };
        if (growth as f64) < bound.max(SLACK) {
            return None;
        }
        // Of all lines together: the one that grew, not the largest.
        if self.of_all {
            self.site = grew_most(before.cells, now.cells)?;
        }
        // A line with many that does not grow: others do.
        let own = |cells: &TaskCells| Sums::of(cells, |site| is_same(site, &self.site)).live.value;
        if own(now.cells) <= own(before.cells) {
            return None;
        }
        self.growth = Some(growth);
        Some(self)
    }
}

#[derive(Default)]
struct Sums {
    live: Measure,
    allocated: Measure,
}

impl Sums {
    fn of(cells: &TaskCells, is_meant: impl Fn(&CellSite) -> bool) -> Sums {
        let mut sums = Sums::default();
        for site in cells.sites.iter().filter(|site| is_meant(site)) {
            sums.live.add(site.live);
            sums.allocated.add(site.allocated);
        }
        sums
    }

    /// Of the growth of what is live. In one process, what was live at both times cancels: see [`crate::profile::growth`].
    fn variance_since(&self, then: &Sums, in_process: bool) -> f64 {
        let apart = self.live.variance + then.live.variance;
        let freed = |sums: &Sums| sums.allocated.variance - sums.live.variance;
        let between = self.allocated.variance - then.allocated.variance + freed(self) - freed(then);
        match in_process && between >= 0.0 {
            true => apart.min(between),
            false => apart,
        }
    }
}

fn grew_most(before: &TaskCells, now: &TaskCells) -> Option<CellSite> {
    let counted = now.sites.iter().filter(|site| site.is_counted);
    let grown = counted.map(|site| {
        let then = before.sites.iter().filter(|other| is_same(other, site));
        let then: i64 = then.map(|other| other.live.value).sum();
        (site.live.value - then, site)
    });
    grown
        .max_by_key(|(grown, _)| *grown)
        .map(|(_, site)| site.clone())
}

fn is_same(a: &CellSite, b: &CellSite) -> bool {
    (a.runtime, &a.spawned_at, &a.library, &a.future)
        == (b.runtime, &b.spawned_at, &b.library, &b.future)
}

struct Excess {
    cells: i64,
    alive: u64,
    /// So many cells there are at least, but for the odds.
    least: f64,
}

impl Excess {
    fn of<'a>(sites: impl Iterator<Item = &'a CellSite>, alive: u64, is_exact: bool) -> Excess {
        let (mut cells, mut weight) = (0, 1.0f64);
        for site in sites {
            cells += site.live.value;
            weight = weight.max(site.weight);
        }
        let least = match is_exact {
            true => cells as f64,
            false => least(cells as f64, weight),
        };
        Excess {
            cells,
            alive,
            least,
        }
    }

    fn finding(&self, site: &CellSite, of_all: bool) -> Option<Unreaped> {
        let alive = self.alive as f64;
        let left_over = self.cells - self.alive as i64;
        let is_much = left_over as f64 >= SLACK.max(SLACK_SHARE * alive);
        (is_much && self.least > alive).then(|| Unreaped {
            site: site.clone(),
            alive: self.alive,
            of_all,
            left_over,
            at_least: (self.least - alive).ceil() as i64,
            growth: None,
        })
    }
}

/// A line that tracks tasks, and the cells that are theirs.
struct Line {
    alive: u64,
    cells: Vec<usize>,
}

fn lines(tasks: &Tasks, cells: &TaskCells) -> Vec<Line> {
    let mut lines: Vec<(&str, i64, Line)> = Vec::new();
    for site in &tasks.spawn_sites {
        let number = i64::from(site.line);
        match (lines.iter_mut()).find(|(file, line, _)| (*file, *line) == (&site.file, number)) {
            Some((_, _, line)) => line.alive += site.alive,
            None if site.file.is_empty() => {}
            None => {
                let alive = site.alive;
                let cells = Vec::new();
                lines.push((&site.file, number, Line { alive, cells }));
            }
        }
    }
    for (at, cell) in cells.sites.iter().enumerate() {
        let Frame { file, line, .. } = &cell.spawned_at;
        // The set's tasks are futures of others, or handles of tasks that have cells themselves.
        if cell.runtime == FUTURES_UNORDERED && cell.future.contains("JoinHandle") {
            continue;
        }
        let near = lines.iter_mut().filter(|(tracked, tracks, _)| {
            is_same_file(file, tracked) && (0..=LINES_APART).contains(&(tracks - line))
        });
        if let Some((_, _, line)) = near.min_by_key(|(_, tracks, _)| tracks - line) {
            line.cells.push(at);
        }
    }
    let lines = lines.into_iter().map(|(_, _, line)| line);
    lines.filter(|line| !line.cells.is_empty()).collect()
}

/// Debug information has whole paths; the compiler is told them as they are seen from the package.
fn is_same_file(whole: &str, tracked: &str) -> bool {
    let tracked = tracked.trim_start_matches("./");
    let rest = whole.strip_suffix(tracked);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

impl fmt::Display for Unreaped {
    /// The finding in a paragraph, with advice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::text::paragraph(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::measure::Quality;

    #[test]
    fn files_agree_by_whole_components() {
        assert!(is_same_file("/home/me/shop/src/a.rs", "src/a.rs"));
        assert!(is_same_file("src/a.rs", "src/a.rs"));
        assert!(is_same_file("/home/me/shop/src/a.rs", "./src/a.rs"));
        assert!(!is_same_file("/home/me/shop/src/aa.rs", "a.rs"));
        assert!(!is_same_file("/home/me/shop/src/a.rs", "src/b.rs"));
    }

    fn cells(lines: &[(i64, i64)]) -> TaskCells {
        let site = |&(line, live): &(i64, i64)| CellSite {
            runtime: "tokio",
            is_counted: true,
            spawned_at: Frame {
                function: "shop::serve".into(),
                file: "/home/me/shop/src/serve.rs".into(),
                line,
            },
            library: None,
            future: String::new(),
            live: Measure {
                value: live,
                ..Measure::default()
            },
            live_bytes: Measure::default(),
            allocated: Measure::default(),
            weight: 1.0,
            held: Vec::new(),
        };
        TaskCells {
            sites: lines.iter().map(site).collect(),
            quality: Quality::Exact,
            time_nanos: 0,
            pid: None,
        }
    }

    fn counted(cells: &TaskCells, alive: u64) -> Moment<'_> {
        let alive = Alive::Counted(alive);
        Moment { cells, alive }
    }

    #[test]
    fn a_count_of_all_tasks_accuses_the_line_that_grew() {
        // Line 1 has as many as ever, and they live.
        let (before, now) = (cells(&[(1, 500), (2, 100)]), cells(&[(1, 500), (2, 300)]));
        let found = unreaped(counted(&now, 510));
        assert_eq!((found.len(), found[0].of_all), (1, true));
        assert_eq!(found[0].left_over, 290);
        let found = piling_up(counted(&before, 510), counted(&now, 510));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].site.spawned_at.line, 2);
        assert_eq!(found[0].growth, Some(200));
        // More tasks, and their cells: nothing is left over that was not before.
        assert!(piling_up(counted(&before, 510), counted(&now, 710)).is_empty());
        // Left over, but no more than before.
        assert!(piling_up(counted(&now, 510), counted(&now, 510)).is_empty());
        // Few, and what may have happened between the two counts.
        assert!(unreaped(counted(&now, 785)).is_empty());
        assert!(unreaped(counted(&now, 730)).is_empty());
    }

    #[test]
    fn a_line_with_more_cells_than_there_are_tasks_is_named_for_certain() {
        let now = cells(&[(1, 500), (2, 40)]);
        let found = unreaped(counted(&now, 60));
        assert_eq!((found.len(), found[0].of_all), (1, false));
        assert_eq!((found[0].left_over, found[0].at_least), (440, 440));
        let text = found[0].to_string();
        assert!(text.contains("/home/me/shop/src/serve.rs:1."), "{text}");
    }

    #[test]
    fn tracked_tasks_are_those_of_their_line_and_a_few_above() {
        let site = |line, alive| crate::task::SpawnSite {
            file: "src/serve.rs".into(),
            line,
            alive,
            ..Default::default()
        };
        let tasks = Tasks {
            spawn_sites: vec![site(1, 500), site(12, 0), site(30, 0)],
            ..Tasks::default()
        };
        let now = cells(&[(1, 500), (10, 300), (24, 90)]);
        let alive = Alive::Tasks(&tasks);
        let found = unreaped(Moment { cells: &now, alive });
        assert_eq!(found.len(), 1, "line 24 is too far above 30");
        assert_eq!(
            (found[0].site.spawned_at.line, found[0].left_over),
            (10, 300)
        );
    }
}
