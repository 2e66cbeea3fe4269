//! How the cells of each runtime are told from other memory.
#![forbid(unsafe_code)]

/// Cells of one kind.
#[derive(Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Row {
    /// What [`CellSite::runtime`](super::CellSite::runtime) says.
    pub runtime: &'static str,
    /// The versions that tests have checked this with.
    pub verified: &'static str,
    /// The functions whose own allocation is the cell: paths without type arguments. Inlined methods have only the path of their
    /// module.
    pub makes: &'static [&'static str],
    /// One of these is on the way from the spawn site too; none: whatever way.
    pub through: &'static [&'static str],
    /// Where the future's type stands in names: the first type after this text.
    pub type_after: &'static [&'static str],
    /// Crates on the way that spawn for their callers: the spawn site is beyond them.
    pub passes: &'static [&'static str],
    /// The runtime's count of living tasks includes these.
    pub is_counted: bool,
}

const TOKIO: Row = Row {
    runtime: "tokio",
    verified: "1.41.1, 1.54.1",
    makes: &[
        "tokio::runtime::task::core::Cell::new",
        "tokio::runtime::task::core::new",
        "tokio::runtime::task::raw::RawTask::new",
        "tokio::runtime::task::raw::new",
        "tokio::runtime::task::new_task",
    ],
    through: &[],
    type_after: &[
        "task::core::Cell<",
        "raw::RawTask::new::<",
        "raw::new<",
        "task::new_task<",
        "task::new_task::<",
        "task::spawn::spawn<",
        "task::spawn::spawn::<",
    ],
    passes: &["tokio", "tokio_util", "tracing", "heapsite"],
    is_counted: true,
};

/// Every kind of cell that is known; the first row that fits counts.
pub const TABLE: &[Row] = &[
    Row {
        runtime: "tokio blocking",
        through: &["tokio::runtime::blocking"],
        is_counted: false,
        ..TOKIO
    },
    Row {
        runtime: "tokio LocalSet",
        through: &["tokio::task::local"],
        is_counted: false,
        ..TOKIO
    },
    TOKIO,
    // async-executor, smol, async-std, blocking: all of them make their tasks with async-task.
    Row {
        runtime: "async-task",
        verified: "4.7.1",
        makes: &[
            "async_task::raw::RawTask::allocate",
            "async_task::raw::allocate",
        ],
        through: &[],
        type_after: &[
            "raw::RawTask<",
            "raw::allocate<",
            "runnable::spawn_unchecked<",
            "Builder<M>::spawn_unchecked::<",
        ],
        passes: &[
            "async_task",
            "async_executor",
            "async_global_executor",
            "async_std",
            "blocking",
            "smol",
        ],
        is_counted: true,
    },
    // A task of LocalPool and ThreadPool is boxed where it is spawned; the pool puts it into a FuturesUnordered of its own.
    Row {
        runtime: "futures pool",
        verified: "0.3.34",
        makes: &[
            "futures_util::task::spawn::SpawnExt::spawn",
            "futures_util::task::spawn::LocalSpawnExt::spawn_local",
            "futures_util::task::spawn::spawn",
            "futures_util::task::spawn::spawn_local",
        ],
        through: &[],
        // Of the box: the functions have the spawner's type first.
        type_after: &["boxed::new<", "boxed::Box<"],
        passes: &["futures_util", "futures_executor", "futures_task"],
        is_counted: true,
    },
    Row {
        runtime: FUTURES_UNORDERED,
        verified: "0.3.34",
        makes: &[
            "futures_util::stream::futures_unordered::FuturesUnordered::push",
            "futures_util::stream::futures_unordered::push",
        ],
        through: &[],
        type_after: &["futures_unordered::task::Task<", "futures_unordered::push<"],
        passes: &["futures_util", "futures"],
        is_counted: false,
    },
];

pub(super) const FUTURES_UNORDERED: &str = "FuturesUnordered";

/// A pool of futures' own set, whose cells are counted where they were spawned.
pub(super) const NOT_BELOW: &[&str] = &["futures_executor::local_pool"];

/// What tokio allocates for each task of a `JoinSet`, beside its cell.
pub(super) const JOIN_SET: &[&str] = &[
    "tokio::util::idle_notified_set::IdleNotifiedSet::insert_idle",
    "tokio::util::idle_notified_set::insert_idle",
];
