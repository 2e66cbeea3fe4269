//! Go's texts of goroutines and threads: `debug=1`, which counts stacks, and `debug=2`, a block for each goroutine (what a panic
//! prints as well). They are read as the profile that Go would have made of the same.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::budget::Budget;
use crate::error::{Error, Result};
use crate::profile::named::NamedBuilder;
use crate::profile::{Function, Label, Line, Location, LocationId, Profile, Sample};

/// How `debug=1` begins, by what is counted. heapsite's server writes it in the same shape.
const COUNTS: [(&str, &str); 2] = [
    ("goroutine profile: total ", "goroutine"),
    ("threadcreate profile: total ", "threadcreate"),
];
/// How a block of `debug=2` begins; a number comes next.
const BLOCK: &str = "goroutine ";

/// Whether the bytes begin as one of the two does.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    let starts = |start: &str| bytes.starts_with(start.as_bytes());
    let block = bytes.strip_prefix(BLOCK.as_bytes());
    COUNTS.iter().any(|(start, _)| starts(start))
        || block.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

/// Reads either.
///
/// # Errors
/// A line is not what it should be (the error has its number), the counts of `debug=1` do not add up to its total, or the
/// profile would take more memory than is accepted.
pub(super) fn read(bytes: &[u8]) -> Result<Profile> {
    let text = String::from_utf8_lossy(bytes);
    let counts = COUNTS
        .iter()
        .find_map(|(start, kind)| Some((*kind, text.strip_prefix(start)?)));
    match counts {
        Some((kind, rest)) => read_counts(kind, rest, Budget::new(bytes.len())),
        None => read_blocks(&text, Budget::new(bytes.len())),
    }
}

fn read_counts(kind: &str, text: &str, budget: Budget) -> Result<Profile> {
    let mut lines = text.lines().zip(1usize..);
    let (total, _) = lines.next().unwrap_or_default();
    let total: u64 = number(total, 1)?;
    let mut all = All::new(kind, budget);
    let mut open = Stack::default();
    for (line, place) in lines {
        if let Some(labels) = line.strip_prefix("# labels: ") {
            // What is no JSON, for one of Go's escapes, is told by nobody else: a stack without labels is still one.
            let labels: BTreeMap<String, String> = serde_json::from_str(labels).unwrap_or_default();
            let labels = labels.into_iter().filter(|(key, _)| !key.is_empty());
            open.labels
                .extend(labels.map(|(key, text)| Label::text(&*key, text)));
        } else if let Some(frame) = line.strip_prefix('#') {
            let mut words = frame.split('\t').map(str::trim).filter(|it| !it.is_empty());
            // A frame without a name is told by its address alone.
            if let (Some(_), Some(function), Some(at)) = (words.next(), words.next(), words.next())
            {
                let function = function
                    .rsplit_once("+0x")
                    .map_or(function, |(name, _)| name);
                all.frame(&mut open, function, at)?;
            }
        } else if let Some((count, addresses)) = line.split_once('@') {
            all.close(std::mem::take(&mut open))?;
            open.count = number(count, place)?;
            open.addresses = addresses.split_whitespace().map(str::to_owned).collect();
        } else if !line.trim().is_empty() {
            return Err(expected(line, "`count @ addresses` or `# frame`", place));
        }
    }
    all.close(open)?;
    if all.total != total {
        return Err(Error::input(format!(
            "it has {} of a total of {total}: is it whole?",
            all.total
        )));
    }
    Ok(all.finish())
}

fn read_blocks(text: &str, budget: Budget) -> Result<Profile> {
    let mut all = All::new("goroutine", budget);
    let mut open = Stack::default();
    // A function; its place is in the next line.
    let mut function: Option<(&str, bool)> = None;
    for (line, place) in text.lines().zip(1usize..) {
        if let Some(head) = line.strip_prefix(BLOCK) {
            all.close(std::mem::take(&mut open))?;
            let told = head
                .split_once('[')
                .and_then(|(_, rest)| rest.split_once(']'));
            let (state, _) = told.ok_or_else(|| expected(line, "`goroutine N [state]:`", place))?;
            // After a comma: for how long, and whether it has a thread of its own.
            let state = state.split(',').next().unwrap_or(state);
            open.count = 1;
            open.labels.push(Label::text("state", state));
        } else if let Some(at) = line.strip_prefix('\t') {
            let (name, made) = function
                .take()
                .ok_or_else(|| expected(line, "a function before its place", place))?;
            let at = at.rsplit_once(" +0x").map_or(at, |(at, _)| at);
            match made {
                true => open
                    .labels
                    .push(Label::text("created_at", format!("{name} {at}"))),
                false => all.frame(&mut open, name, at)?,
            }
        } else if let Some(maker) = line.strip_prefix("created by ") {
            let maker = maker.split_once(" in goroutine ");
            function = Some((
                maker.map_or_else(|| &line["created by ".len()..], |(name, _)| name),
                true,
            ));
        } else if let (Some((name, _)), true) = (line.rsplit_once('('), open.count > 0) {
            function = Some((name, false));
        } else if !line.trim().is_empty() && !line.starts_with("...") {
            return Err(expected(
                line,
                "`goroutine N [state]:`, a function or its place",
                place,
            ));
        }
    }
    all.close(open)?;
    Ok(all.finish())
}

/// A stack while its lines are read.
#[derive(Default)]
struct Stack {
    /// 0: none has begun.
    count: u64,
    frames: Vec<LocationId>,
    /// Names for frames where no other are told.
    addresses: Vec<String>,
    labels: Vec<Label>,
}

/// Stacks that have been read, those that are alike together.
struct All {
    builder: NamedBuilder,
    budget: Budget,
    places: HashMap<(Vec<LocationId>, Vec<Label>), usize>,
    /// By place.
    counts: Vec<u64>,
    total: u64,
}

impl All {
    fn new(kind: &str, budget: Budget) -> All {
        All {
            builder: NamedBuilder::counting(kind),
            budget,
            places: HashMap::new(),
            counts: Vec::new(),
            total: 0,
        }
    }

    /// The next frame towards the root; `at` is `file:line`.
    fn frame(&mut self, open: &mut Stack, function: &str, at: &str) -> Result<()> {
        let (file, line) = at.rsplit_once(':').unwrap_or((at, "0"));
        let size = size_of::<(Function, Line, Location, [u64; 4])>() + function.len() + file.len();
        self.budget.take(1, size)?;
        let line = line.parse().unwrap_or(0);
        open.frames
            .push(self.builder.location(function, file, line));
        Ok(())
    }

    fn close(&mut self, mut stack: Stack) -> Result<()> {
        if stack.count == 0 {
            return Ok(());
        }
        if stack.frames.is_empty() {
            for address in &stack.addresses {
                self.budget
                    .take(1, size_of::<(Function, Line, Location, [u64; 4])>())?;
                stack.frames.push(self.builder.location(address, "", 0));
            }
        }
        self.budget.take(1, size_of::<(Sample, [u64; 8])>())?;
        self.total = self.total.saturating_add(stack.count);
        let next = self.counts.len();
        let place = *self
            .places
            .entry((stack.frames, stack.labels))
            .or_insert(next);
        match self.counts.get_mut(place) {
            Some(count) => *count = count.saturating_add(stack.count),
            None => self.counts.push(stack.count),
        }
        Ok(())
    }

    fn finish(mut self) -> Profile {
        let mut stacks: Vec<_> = self.places.into_iter().collect();
        stacks.sort_unstable_by_key(|&(_, place)| place);
        for (((frames, labels), _), count) in stacks.into_iter().zip(self.counts) {
            self.builder.sample(frames, count, labels);
        }
        self.builder.finish()
    }
}

fn number(text: &str, place: usize) -> Result<u64> {
    let number = text.trim().parse();
    number.map_err(|_| expected(text, "a count", place))
}

#[cold]
fn expected(found: &str, what: &str, place: usize) -> Error {
    let start: String = found.chars().take(60).collect();
    Error::input(format!(
        "line {place}: list of goroutines: \"{start}\" where {what} is expected"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go 1.27 writes it.
    const COUNTED: &str = "goroutine profile: total 5
3 @ 0x46b2c8 0x4060a5 0x4b4d0c
# labels: {\"queue\":\"mail\"}
#\t0x4b4d0b\tmain.(*Pool).work+0x2b\t/src/shop/pool.go:15
#\t0x4b4d0b\tmain.start.func1+0x1\t\t/src/shop/pool.go:9

1 @ 0x46b2c8
#\t0x0

1 @ 0x46b2c8 0x4060a5 0x4b4d0c
#\t0x4b4d0b\tmain.main+0x2b\t/src/shop/main.go:15
";

    const BLOCKS: &str = "goroutine 1 [chan receive, 5 minutes]:
main.(*Pool).work(0xc000012345, {0x1, 0x2})
\t/src/shop/pool.go:15 +0x1d
main.main()
\t/src/shop/main.go:7 +0x1d

goroutine 18 gp=0xc00 m=nil [select, locked to thread]:
main.wait(...)
\t/src/shop/wait.go:3
...2 frames elided...
created by main.start in goroutine 1
\t/src/shop/main.go:10 +0x30

goroutine 19 [select]:
main.wait(...)
\t/src/shop/wait.go:3
created by main.start
\t/src/shop/main.go:10 +0x30
";

    /// Count, functions, labels.
    fn told(profile: &Profile) -> Vec<(i64, String, Vec<Label>)> {
        profile.check().unwrap();
        let name = |id: &LocationId| {
            let line = profile.locations[id.0 as usize].lines[0];
            let function = &profile.functions[line.function.0 as usize];
            format!("{} {}:{}", function.name, function.filename, line.line)
        };
        let samples = profile.samples.iter().map(|sample| {
            let stack: Vec<String> = sample.locations.iter().map(name).collect();
            (sample.values[0], stack.join(" < "), sample.labels.clone())
        });
        samples.collect()
    }

    #[test]
    fn stacks_with_their_counts() {
        let profile = crate::format::read(COUNTED.as_bytes()).unwrap();
        assert_eq!(profile.sample_types[0].kind, "goroutine");
        assert_eq!(profile.period, 1);
        let work = "main.(*Pool).work /src/shop/pool.go:15 < main.start.func1 /src/shop/pool.go:9";
        assert_eq!(
            told(&profile),
            [
                (3, work.to_owned(), vec![Label::text("queue", "mail")]),
                (1, "0x46b2c8 :0".to_owned(), vec![]),
                (1, "main.main /src/shop/main.go:15".to_owned(), vec![]),
            ]
        );
        let threads = COUNTED.replace("goroutine profile", "threadcreate profile");
        let profile = crate::format::read(threads.as_bytes()).unwrap();
        assert_eq!(profile.sample_types[0].kind, "threadcreate");
    }

    #[test]
    fn blocks_that_are_alike_are_one_stack() {
        let profile = crate::format::read(BLOCKS.as_bytes()).unwrap();
        let pool = "main.(*Pool).work /src/shop/pool.go:15 < main.main /src/shop/main.go:7";
        let made = Label::text("created_at", "main.start /src/shop/main.go:10");
        assert_eq!(
            told(&profile),
            [
                (
                    1,
                    pool.to_owned(),
                    vec![Label::text("state", "chan receive")]
                ),
                (
                    2,
                    "main.wait /src/shop/wait.go:3".to_owned(),
                    vec![Label::text("state", "select"), made]
                ),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_line() {
        for (from, to, said) in [
            (
                "total 5",
                "total many",
                "line 1: list of goroutines: \"many\"",
            ),
            ("total 5", "total 9", "5 of a total of 9"),
            ("1 @ ", "x @ ", "line 7: list of goroutines: \"x \""),
            ("#\t0x0", "noise", "line 8: list of goroutines: \"noise\""),
        ] {
            let error = crate::format::read(COUNTED.replacen(from, to, 1).as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        for (from, to, said) in [
            ("[chan receive, 5 minutes]", "lost", "line 1: "),
            ("main.main()\n", "", "line 4: "),
        ] {
            let error = crate::format::read(BLOCKS.replacen(from, to, 1).as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
