//! Two snapshots and their difference, without a file. `cargo run --example diff`
use heapsite::Heapsite;
use heapsite::view::growth::{Sum, growth};
use heapsite::view::{Blame, By};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

fn main() -> Result<(), heapsite::Error> {
    let before = heapsite::snapshot().to_profile();
    let leak: Vec<String> = (0..200_000).map(|_| "never read".repeat(40)).collect();
    let after = heapsite::snapshot().to_profile();

    let (kind, blame) = (Some("inuse_space"), Blame::Application);
    let growth = growth(&before, &after, kind, By::Line, blame, Sum::Flat)?;
    for row in growth.rows.iter().take(3) {
        let (bytes, error) = (row.change.growth, row.change.standard_error());
        let (file, line) = row.key.frame().map_or(("", 0), |at| (&*at.file, at.line));
        println!("{bytes:>+12} ± {error:.0} bytes  {file}:{line}");
    }
    drop(leak);
    Ok(())
}
