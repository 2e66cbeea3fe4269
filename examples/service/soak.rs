//! Load, cut connections, and quiet again: does everything return to its baseline?

use std::sync::atomic::Ordering;
use std::time::Duration;

use heapsite::Snapshot;
use heapsite::view::growth::{Sum, growth};
use heapsite::view::table::Paint;
use heapsite::view::top::Layout;
use heapsite::view::{Blame, By, change};
use tokio::time::{Instant, sleep};

use crate::Result;
use crate::lifecycle::{Service, Settings};
use crate::load;
use crate::upstream::Remote;
use crate::vitals::Vitals;

/// Clients at the same time.
const CLIENTS: u64 = 16;
/// Load before the baseline: pools, tables and the runtime's own memory reach their sizes.
const WARM_UP: Duration = Duration::from_secs(5);
/// Bytes of live heap by which the end may differ from the baseline: tables that grow by doubling (connections, timers) may
/// be a step further. After half a minute at some 30,000 requests a second a byte lost per request is ten times this.
const SLACK: f64 = 64.0 * 1024.0;

/// Soaks for `time`; an error says what did not come back.
pub(crate) async fn run(time: Duration) -> Result<()> {
    // Every allocation, so that the baseline is a number and not an estimate.
    heapsite::set_sample_interval(1);
    let remote = Remote::start().await?;
    let service = Service::start(Settings::to(remote.address)).await?;

    load::send(service.address, CLIENTS, Instant::now() + WARM_UP).await?;
    let before = idle(&service, None).await;
    let from = heapsite::snapshot();
    let sent = load::send(service.address, CLIENTS, Instant::now() + time).await?;
    let after = idle(&service, Some(&before)).await;
    let to = heapsite::snapshot();

    println!(
        "{} requests answered, {} connections cut",
        sent.answered.load(Ordering::Relaxed),
        sent.cut.load(Ordering::Relaxed)
    );
    println!("baseline: {before:?}\nafter:    {after:?}");
    let back = is_back(&before, &after);
    if !back {
        report(&from, &to)?;
    }
    service.stop().await?;
    remote.stop().await?;
    match back {
        true => {
            println!("back at the baseline");
            Ok(())
        }
        false => Err("not back at the baseline".into()),
    }
}

/// Waits until nothing changes any more, at most half a minute: quotes get old, idle connections are closed. With a
/// baseline, until it is reached.
async fn idle(service: &Service, baseline: Option<&Vitals>) -> Vitals {
    let end = Instant::now() + Duration::from_secs(30);
    let mut last = Vitals::now();
    let mut unchanged = 0;
    loop {
        sleep(Duration::from_millis(500)).await;
        service.app.quotes.forget_the_old().await;
        let now = Vitals::now();
        let same = (now.tasks, now.threads, now.fds) == (last.tasks, last.threads, last.fds)
            && (now.heap_bytes - last.heap_bytes).abs() < 4096.0;
        unchanged = if same { unchanged + 1 } else { 0 };
        last = now;
        // Longer than quotes and idle connections live.
        let settled = unchanged >= 8;
        if Instant::now() > end || settled && baseline.is_none_or(|before| is_back(before, &now)) {
            return now;
        }
    }
}

fn is_back(before: &Vitals, after: &Vitals) -> bool {
    after.heap_bytes <= before.heap_bytes + SLACK
        && after.tasks <= before.tasks
        && after.threads <= before.threads
        && after.fds <= before.fds
}

/// What grew, by line.
fn report(from: &Snapshot, to: &Snapshot) -> Result<()> {
    let (from, to) = (from.to_profile(), to.to_profile());
    let kind = Some("inuse_space");
    let growth = growth(&from, &to, kind, By::Line, Blame::Application, Sum::Flat)?;
    let layout = Layout {
        rows: 10,
        width: 120,
        paint: Paint::default(),
    };
    change::write(&growth, &layout, &mut std::io::stdout())?;
    Ok(())
}
