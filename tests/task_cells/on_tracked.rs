//! Programs that track their tasks: heap profile and list of tasks side by side.

use std::hint::black_box;

use heapsite::task;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, yield_now};

use crate::told::{Program, Told};

const ROOM: usize = 2000;

async fn answer(forever: bool) -> [u8; ROOM] {
    let room = [2u8; ROOM];
    yield_now().await;
    if forever {
        std::future::pending::<()>().await;
    }
    black_box(room)
}

/// One line whose tasks live, and one whose tasks end in a set that nobody drains. All tracked.
fn tracked(many: u64, told: &mut Told) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let mut set = JoinSet::new();
    let (mut living, mut ending) = (0, 0);
    for moment in 1..=2 {
        runtime.block_on(async {
            for _ in 0..many {
                tokio::spawn(task::track(answer(true)));
            }
            living = line!() - 2;
            for _ in 0..many {
                // The call that spawns begins a line above the one that tracks.
                set.spawn(
                    task::track(answer(false)), //
                );
            }
            ending = line!() - 4;
            for _ in 0..10 + many / 10 {
                yield_now().await;
            }
        });
        told.tasks(&task::dump());
        told.dump(moment * many);
    }
    told.planted("ending", "tokio", ending, 2 * many, 0);
    told.planted("living", "tokio", living, 2 * many, 0);
    black_box(&set);
    std::process::exit(0);
}

pub(crate) const PROGRAMS: &[Program] = &[("tracked", tracked)];
