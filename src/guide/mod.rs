//! The long texts: how it works, why, and how to read what it says.
#![forbid(unsafe_code)]

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("sampling.md")]
pub mod sampling {}

#[doc = include_str!("performance.md")]
#[doc = include_str!("scaling-sites.svg")]
#[doc = ""]
#[doc = include_str!("scaling-live-samples.svg")]
#[doc = ""]
#[doc = include_str!("scaling-threads.svg")]
pub mod performance {}

#[doc = include_str!("memory.md")]
pub mod memory {}

#[doc = include_str!("formats.md")]
pub mod formats {}

#[doc = include_str!("triggers.md")]
pub mod triggers {}

#[doc = include_str!("http.md")]
pub mod http {}

#[doc = include_str!("metrics.md")]
pub mod metrics {}

#[doc = include_str!("tasks.md")]
pub mod tasks {}

#[doc = include_str!("task_cells.md")]
pub mod task_cells {}

#[doc = include_str!("threads.md")]
pub mod threads {}

#[doc = include_str!("fleets.md")]
pub mod fleets {}

#[doc = include_str!("leak_checks.md")]
pub mod leak_checks {}

#[doc = include_str!("leaks.md")]
pub mod leaks {}

#[doc = include_str!("verdict.md")]
pub mod verdict {}
#[doc = include_str!("leak_watch.md")]
pub mod leak_watch {}

#[doc = include_str!("cli.md")]
pub mod cli {}

#[doc = include_str!("reports.md")]
pub mod reports {}

#[doc = include_str!("patterns/overview.md")]
pub mod patterns {
    #[doc = include_str!("patterns/endless_tasks.md")]
    pub mod endless_tasks {}

    #[doc = include_str!("patterns/unread_bodies.md")]
    pub mod unread_bodies {}

    #[doc = include_str!("patterns/pinned_buffers.md")]
    pub mod pinned_buffers {}

    #[doc = include_str!("patterns/unbounded_maps.md")]
    pub mod unbounded_maps {}

    #[doc = include_str!("patterns/timers.md")]
    pub mod timers {}

    #[doc = include_str!("patterns/held_to_the_end.md")]
    pub mod held_to_the_end {}

    #[doc = include_str!("patterns/conversions.md")]
    pub mod conversions {}
}

#[doc = include_str!("changelog.md")]
pub mod changelog {}
