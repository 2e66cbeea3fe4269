//! The verdict on two dumps and their difference, as `heapsite leaks` and `heapsite diff` print them, next to what the demo
//! planted.

use std::fs::{self, File};
use std::path::Path;

use heapsite::format::{self, Format};
use heapsite::view::growth::{Sum, growth};
use heapsite::view::table::Paint;
use heapsite::view::top::Layout;
use heapsite::view::{self, Blame, By};
use heapsite::{Profile, verdict};
use serde_json::json;

use crate::Result;

/// The leak between the two dumps, as the demo counted it.
pub(crate) struct Planted {
    /// The line of `MetricsCache::record` that allocates.
    pub(crate) line: u32,
    /// Live bytes more than before.
    pub(crate) bytes: u64,
    /// Live allocations more than before.
    pub(crate) objects: u64,
}

/// Prints the report and, as the last line, the same as JSON.
pub(crate) fn print(before: &Path, after: &Path, planted: Planted) -> Result<()> {
    let both = [read(before)?, read(after)?];
    println!(
        "\n$ heapsite leaks {} {}",
        before.display(),
        after.display()
    );
    let verdict = verdict::judge(&both, &verdict::Options::default())?;
    verdict.write_answer(&verdict::Layout::default(), &mut std::io::stdout())?;

    let [base, new] = &both;
    let growth = growth(
        base,
        new,
        Some("inuse_space"),
        By::Line,
        Blame::Application,
        Sum::Flat,
    )?;
    println!(
        "\n$ heapsite diff {} {} -n 5",
        before.display(),
        after.display()
    );
    let layout = Layout {
        rows: 5,
        width: usize::MAX,
        paint: Paint::default(),
    };
    view::change::write(&growth, &layout, &mut std::io::stdout())?;

    let first = growth.rows.first().ok_or("nothing grew")?;
    let frame = first
        .key
        .frame()
        .ok_or("the first row is not a line of code")?;
    let error = first.change.standard_error();

    println!(
        "\nplanted at metrics.rs:{}: {} bytes in {} allocations",
        planted.line, planted.bytes, planted.objects
    );
    println!(
        "found   at {}:{}: {} ± {error:.0} bytes",
        frame.file, frame.line, first.change.growth
    );

    let viewable = after.with_extension("pb.gz");
    Format::Pprof.write(new, &mut File::create(&viewable)?)?;
    println!("\nlook for yourself:");
    println!(
        "  cargo run --release --features cli -- top {}",
        after.display()
    );
    println!("  go tool pprof -http=: {}", viewable.display());

    let line = json!({
        "planted": {
            "function": "demo::metrics::MetricsCache::record",
            "file": concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo/metrics.rs"),
            "line": planted.line,
            "bytes": planted.bytes,
            "objects": planted.objects,
        },
        "found": {
            "function": frame.function,
            "file": frame.file,
            "line": frame.line,
            "bytes": first.change.growth,
            "error_bytes": error.ceil(),
        },
        "files": [before, after, &viewable],
    });
    println!("{line}");
    Ok(())
}

fn read(path: &Path) -> Result<Profile> {
    Ok(format::read(&fs::read(path)?)?)
}
