//! Async tasks seen through the heap: a runtime keeps each task in a block of its own, its *cell*, whose stack tells who
//! spawned it. So tasks that nobody wrapped are seen as well, those of libraries for instance, in any heap profile with names,
//! a file's as well as this process's.
//!
//! ```
//! let profile = heapsite::snapshot().to_profile();
//! let cells = heapsite::task::cells::of_profile(&profile)?;
//! for site in &cells.sites {
//!     println!("{} {} at {}", site.live.value, site.future, site.place());
//! }
//! # Ok::<(), heapsite::Error>(())
//! ```
//!
//! A cell lives until its last handle goes, which may be long after its task has ended: a `JoinSet` that nobody drains, a
//! list of `JoinHandle`s. [`unreaped()`] and [`piling_up()`] compare cells with the tasks that are alive.
#![forbid(unsafe_code)]

mod held;
mod odds;
mod of_stacks;
mod recognise;
mod table;
mod text;
mod unreaped;

use hashbrown::HashMap;

use crate::Result;
use crate::profile::Profile;
use crate::view::key::Frame;
use crate::view::measure::{Measure, Quality, Value};
use recognise::Recogniser;

pub use held::Held;
pub(crate) use of_stacks::{Cell, of_stacks};
pub use table::{Row, TABLE};
pub use unreaped::{Alive, Moment, Unreaped, piling_up, unreaped};

/// The cells of a profile. Counts are exact where `quality` says so, and otherwise estimates with a variance.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskCells {
    /// By spawn site, the one with most live cells first.
    pub sites: Vec<CellSite>,
    /// Whether counts are exact, and if not, where their errors come from.
    pub quality: Quality,
    /// When the profile was taken, nanoseconds since the Unix epoch; 0: unknown.
    pub time_nanos: i64,
    /// The process; `None`: unknown.
    pub pid: Option<u32>,
}

/// Cells of one kind from one place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CellSite {
    /// Whose cells: `tokio`, `tokio LocalSet`, `tokio blocking`, `async-task`, … as in [`TABLE`].
    pub runtime: &'static str,
    /// The runtime's tasks that are alive include these: `num_alive_tasks` of tokio counts neither a `LocalSet`'s nor
    /// blocking ones.
    pub is_counted: bool,
    /// The application's frame that spawned, or if there is none, the library's, or the runtime's own.
    pub spawned_at: Frame,
    /// A library that spawned on the application's behalf: its frame next to the runtime.
    pub library: Option<Frame>,
    /// The type of the future or closure, as far as the frames tell it; empty: they do not. Without optimisation and with
    /// the older mangling they never do.
    pub future: String,
    /// Cells that are there.
    pub live: Measure,
    /// Their bytes: with the future in them, without what it points to.
    pub live_bytes: Measure,
    /// Cells made since recording began.
    pub allocated: Measure,
    /// The most that one recorded cell stands for; 1: every cell was recorded.
    pub weight: f64,
    /// What in the profile looks as if it held the handles.
    pub held: Vec<Held>,
}

impl CellSite {
    /// Cells made and gone; an estimate like the numbers it is made of.
    pub fn freed(&self) -> i64 {
        self.allocated.value - self.live.value
    }

    /// `file:line` of `spawned_at`, or its function where the file is unknown.
    pub fn place(&self) -> String {
        let Frame {
            function,
            file,
            line,
        } = &self.spawned_at;
        match file.is_empty() {
            true => function.clone(),
            false => format!("{file}:{line}"),
        }
    }
}

impl TaskCells {
    /// Every cell was recorded.
    pub fn is_exact(&self) -> bool {
        self.quality == Quality::Exact
    }

    /// Cells that are there.
    pub fn live(&self) -> Measure {
        let mut all = Measure::default();
        self.sites.iter().for_each(|site| all.add(site.live));
        all
    }
}

/// Finds the cells in a heap profile.
///
/// # Errors
/// Input error if the profile counts no objects, allocated and in use.
pub fn of_profile(profile: &Profile) -> Result<TaskCells> {
    let live = Value::find(profile, Some("inuse_objects"))?;
    let live_bytes = Value::find(profile, Some("inuse_space"))?;
    let allocated = Value::find(profile, Some("alloc_objects"))?;
    let mut recogniser = Recogniser::new(profile);
    let mut sites: Vec<CellSite> = Vec::new();
    let mut places = HashMap::new();
    let mut holders = Vec::new();
    for sample in &profile.samples {
        let Some(found) = recogniser.recognise(sample) else {
            if let Some(holder) = recogniser.holder(sample) {
                holders.push((holder, live.of(sample), live_bytes.of(sample)));
            }
            continue;
        };
        let next = sites.len();
        let at = *places.entry(found).or_insert_with_key(|found| {
            sites.push(CellSite {
                runtime: found.row.runtime,
                is_counted: found.row.is_counted,
                spawned_at: found.spawned_at.clone(),
                library: found.library.clone(),
                future: found.future.clone(),
                live: Measure::default(),
                live_bytes: Measure::default(),
                allocated: Measure::default(),
                weight: 1.0,
                held: Vec::new(),
            });
            next
        });
        let (site, one) = (&mut sites[at], live.of(sample));
        site.live.add(one);
        site.live_bytes.add(live_bytes.of(sample));
        site.allocated.add(allocated.of(sample));
        if one.sampled > 0.0 && !matches!(live.quality, Quality::Exact) {
            site.weight = site.weight.max(one.value as f64 / one.sampled);
        }
    }
    Held::tell(&mut sites, &holders);
    sites.sort_by(|a, b| {
        let order = |site: &CellSite| std::cmp::Reverse((site.live.value, site.allocated.value));
        order(a)
            .cmp(&order(b))
            .then_with(|| a.spawned_at.cmp(&b.spawned_at))
    });
    Ok(TaskCells {
        sites,
        quality: live.quality,
        time_nanos: profile.time_nanos,
        pid: profile.pid(),
    })
}
