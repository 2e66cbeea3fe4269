//! Names for the addresses of this process: against the `backtrace` crate, offline against in-process, and the
//! blamed line in a real axum stack.

use std::collections::BTreeMap;
use std::sync::Mutex;

use heapsite::format::json;
use heapsite::profile::addresses::Builder;
use heapsite::symbolize::{self, Options, blame, mappings};
use heapsite::view;
use heapsite::{Heapsite, Profile};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(1024);

/// Addresses of stacks, leaf first, callers' minus one.
fn capture() -> Vec<u64> {
    let mut stack = Vec::new();
    backtrace::trace(|frame| {
        // The last frame's caller may be 0.
        stack.extend((frame.ip() as u64).checked_sub(1));
        true
    });
    stack
}

fn profile_of(stacks: &[Vec<u64>]) -> Profile {
    let mut builder = Builder::new(Vec::new(), mappings::current());
    for stack in stacks {
        builder.sample(stack, Vec::new(), Vec::new(), None);
    }
    builder.finish()
}

/// `(name, file, line)` of the frames at each address, innermost first.
type Frames = BTreeMap<u64, Vec<(String, String, i64)>>;

fn frames_of(profile: &Profile) -> Frames {
    let frame = |line: &heapsite::profile::Line| {
        let function = &profile.functions[line.function.0 as usize];
        (function.name.clone(), function.filename.clone(), line.line)
    };
    profile
        .locations
        .iter()
        .map(|l| (l.address, l.lines.iter().map(frame).collect()))
        .collect()
}

/// Stacks through generics, trait objects, closures, recursion, inlined functions and the standard library.
fn many_stacks() -> Vec<Vec<u64>> {
    static STACKS: Mutex<Vec<Vec<u64>>> = Mutex::new(Vec::new());
    // Two tests come here, each for its own stacks.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock();
    fn note() {
        let stack = capture();
        STACKS.lock().unwrap().push(stack);
    }
    #[inline(always)]
    fn inlined(n: usize) -> usize {
        note();
        n + 1
    }
    fn generic<T: Clone + Send + 'static>(value: T, depth: usize) -> Vec<T> {
        inlined(depth);
        if depth > 0 {
            let mut all = generic(value.clone(), depth - 1);
            all.push(value);
            return all;
        }
        vec![value; 1]
    }
    struct Noting(u32);
    impl Clone for Noting {
        fn clone(&self) -> Noting {
            note();
            Noting(self.0)
        }
    }
    impl std::fmt::Display for Noting {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            note();
            write!(f, "{}", self.0)
        }
    }
    impl PartialEq for Noting {
        fn eq(&self, other: &Noting) -> bool {
            note();
            self.0 == other.0
        }
    }
    impl Eq for Noting {}
    impl PartialOrd for Noting {
        fn partial_cmp(&self, other: &Noting) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Noting {
        fn cmp(&self, other: &Noting) -> std::cmp::Ordering {
            note();
            self.0.cmp(&other.0)
        }
    }
    impl std::hash::Hash for Noting {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            note();
            self.0.hash(state);
        }
    }
    generic(1u8, 3);
    generic("text", 2);
    generic(Noting(7), 2);
    let boxed: Box<dyn Fn(usize) -> usize> = Box::new(|n| (0..n).map(inlined).sum());
    boxed(3);
    let mut sorted: Vec<Noting> = (0..40).rev().map(Noting).collect();
    sorted.sort();
    let set: std::collections::BTreeSet<Noting> = sorted.iter().cloned().collect();
    let map: std::collections::HashMap<Noting, String> = sorted
        .iter()
        .cloned()
        .map(|n| {
            let text = format!("{n:>3} {n}");
            (n, text)
        })
        .collect();
    assert_eq!(set.len(), map.len());
    let mut heap: std::collections::BinaryHeap<Noting> = sorted.into_iter().collect();
    while heap.pop().is_some() {}
    std::thread::spawn(|| std::iter::repeat_n(Noting(2), 3).collect::<Vec<_>>())
        .join()
        .unwrap();
    std::panic::catch_unwind(note).unwrap();
    std::mem::take(&mut *STACKS.lock().unwrap())
}

/// Where the functions of this program begin, by readable name.
fn starts_of_symbols() -> BTreeMap<String, Vec<u64>> {
    use object::{Object, ObjectSymbol};
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let mut starts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for symbol in file.symbols() {
        let name = symbol.name().unwrap();
        let name = symbolize::names::demangle(name).unwrap_or(name.to_owned());
        starts.entry(name).or_default().push(symbol.address());
    }
    starts
}

#[test]
fn same_names_and_lines_as_the_backtrace_crate() {
    let mut stacks = many_stacks();
    // Stacks visit little of a program: take the code itself, in steps that fall anywhere in instructions.
    let main = mappings::current().swap_remove(0);
    stacks.push(
        (main.start..main.limit)
            .step_by((main.limit - main.start) as usize / 3000)
            .collect(),
    );
    let mut profile = profile_of(&stacks);
    let report = symbolize::symbolize(&mut profile, &Options::in_process());
    let count = profile.locations.len();
    let symbols = starts_of_symbols();
    assert!(count >= 3000, "only {count} addresses");
    let (mut compared, mut inlined, mut lines) = (0, 0, 0);
    for (address, ours) in frames_of(&profile) {
        let mut theirs = Vec::new();
        // `resolve` takes a return address, and looks one byte before it.
        backtrace::resolve((address + 1) as *mut _, |symbol| {
            let name = symbol
                .name()
                .map(|name| format!("{name:#}"))
                .unwrap_or_default();
            let file = symbol
                .filename()
                .map(|f| f.display().to_string())
                .unwrap_or_default();
            theirs.push((name, file, symbol.lineno().map_or(0, i64::from)));
        });
        if theirs.is_empty() {
            continue;
        }
        // Theirs names an address after whatever symbol precedes it, ours only inside of the symbol.
        let without_symbol = ours.len() == 1 && ours[0].0.contains("+0x");
        if without_symbol {
            continue;
        }
        compared += 1;
        inlined += usize::from(ours.len() > 1);
        lines += usize::from(ours[0].2 > 0);
        // Merged functions have several symbols, and each is right.
        let symbol_alone = |frames: &[(String, String, i64)]| frames.len() == 1 && frames[0].2 == 0;
        if ours != theirs && symbol_alone(&ours) && symbol_alone(&theirs) {
            let starts = |name: &str| symbols.get(name).cloned().unwrap_or_default();
            let (ours, theirs) = (&ours[0].0, &theirs[0].0);
            assert!(
                starts(ours)
                    .iter()
                    .any(|start| starts(theirs).contains(start)),
                "at {address:#x}: {ours} and {theirs}"
            );
            continue;
        }
        assert_eq!(ours, theirs, "at {address:#x}");
    }
    assert!(
        compared * 100 >= count * 95,
        "{compared} of {count} compared: {report}"
    );
    assert!(
        inlined >= 3 && lines >= 100,
        "{inlined} inlined, {lines} with lines"
    );
    let main = &profile.mappings[0];
    assert!(
        main.has_functions && main.has_filenames && main.has_line_numbers && main.has_inline_frames
    );
    for function in &profile.functions {
        assert_ne!(function.name, function.system_name);
        assert!(!function.name.is_empty());
        assert!(
            function.filename.is_empty() || function.filename.starts_with(['/', '.']),
            "{function:?}"
        );
    }
}

#[test]
fn offline_gives_the_same_names() {
    let addresses = profile_of(&many_stacks());
    let (mut in_process, mut offline) = (addresses.clone(), addresses);
    let report = symbolize::symbolize(&mut in_process, &Options::in_process());
    let same = symbolize::offline(&mut offline, &Options::offline()).unwrap();
    assert!(report.named > 100, "{report}");
    assert_eq!(
        (report.named, report.with_lines),
        (same.named, same.with_lines)
    );
    assert_eq!(in_process, offline);
    // A second time there is nothing to do but what has no names.
    let again = symbolize::symbolize(&mut in_process, &Options::in_process());
    assert_eq!(
        (again.addresses, again.named),
        (report.addresses - report.named, 0),
        "{again}"
    );
    assert_eq!(in_process, offline);
}

/// A dump of addresses, carried elsewhere and named there, against the names that the process itself gives.
#[test]
fn a_dump_named_elsewhere_is_the_same_profile() {
    let kept = many_stacks();
    let snapshot = heapsite::snapshot();
    drop(kept);
    let mut file = Vec::new();
    json::write(&snapshot.to_address_profile(), &mut file).unwrap();
    let mut offline = json::read(&file).unwrap();
    let report = symbolize::offline(&mut offline, &Options::offline()).unwrap();
    let is_own = |profile: &Profile| {
        profile
            .functions
            .iter()
            .any(|function| symbolize::names::is_internal(&function.name))
    };
    assert!(is_own(&offline), "the recorder's frames are in the dump");
    let offline = symbolize::finish(offline, &report);
    let leaves = offline.samples.iter().filter_map(|sample| {
        let leaf = &offline.locations[sample.locations.first()?.0 as usize];
        Some(&offline.functions[leaf.lines.first()?.function.0 as usize].name)
    });
    for leaf in leaves {
        assert!(!symbolize::names::is_internal(leaf), "{leaf}");
    }
    assert_eq!(snapshot.to_profile(), offline);

    // The dump as it was, against the named one: every stack finds itself.
    let addresses = snapshot.to_address_profile();
    let (by, blame) = (view::By::Site, view::Blame::Application);
    let flat = view::growth::Sum::Flat;
    let growth = view::growth(&addresses, &offline, Some("alloc_space"), by, blame, flat).unwrap();
    assert!(growth.rows.len() > 10, "{} rows", growth.rows.len());
    for row in &growth.rows {
        assert_eq!(row.change.growth, 0, "{row:?}");
    }
}

/// Stacks captured where a real server's tasks run: in a handler, in what a handler calls through generic code
/// of others, and in a spawned task.
mod served {
    use super::capture;
    use std::sync::Mutex;

    pub(super) static STACKS: Mutex<Vec<(&str, Vec<u64>)>> = Mutex::new(Vec::new());

    /// Stands for an allocation: notes where it is called from, without the frames of this function.
    struct Allocating(&'static str);
    impl Iterator for Allocating {
        type Item = u8;
        fn next(&mut self) -> Option<u8> {
            let stack = capture();
            STACKS
                .lock()
                .unwrap()
                .push((std::mem::take(&mut self.0), stack));
            None
        }
    }

    pub(super) async fn place_order() -> String {
        tokio::task::yield_now().await;
        let order: Vec<u8> = Allocating("place_order").collect();
        price(order.len()).await;
        tokio::spawn(background_job()).await.unwrap();
        "placed".to_owned()
    }

    async fn price(items: usize) -> usize {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        items + Allocating("price").map(usize::from).sum::<usize>()
    }

    async fn background_job() {
        tokio::task::yield_now().await;
        Allocating("background_job").for_each(drop);
    }
}

#[test]
fn the_handler_of_a_real_server_is_blamed() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().route("/", axum::routing::post(served::place_order));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("placed"), "{answer}");
        server.abort();
    });
    let stacks = std::mem::take(&mut *served::STACKS.lock().unwrap());
    let mut profile = profile_of(
        &stacks
            .iter()
            .map(|(_, stack)| stack.clone())
            .collect::<Vec<_>>(),
    );
    symbolize::symbolize(&mut profile, &Options::in_process());
    let blamer = blame::Blamer::new(&profile);
    let name_at = |sample: &heapsite::profile::Sample, location: usize, line: usize| {
        let location = &profile.locations[sample.locations[location].0 as usize];
        profile.functions[location.lines[line].function.0 as usize]
            .name
            .as_str()
    };
    for ((wanted, _), sample) in stacks.iter().zip(&profile.samples) {
        // Below the stand-in for the allocation, which is application code itself.
        let own = (0..sample.locations.len())
            .rfind(|&at| name_at(sample, at, 0).contains("Allocating as"));
        let mut sample = sample.clone();
        sample.locations.drain(..=own.unwrap());
        let blamed = blamer.blame(&sample).unwrap();
        let name = name_at(&sample, blamed.location, blamed.line);
        assert_eq!(
            name,
            format!("symbolize::served::{wanted}::{{{{closure}}}}")
        );
    }
    let whos: Vec<_> = stacks.iter().map(|(wanted, _)| *wanted).collect();
    assert_eq!(whos, ["place_order", "price", "background_job"]);
}
