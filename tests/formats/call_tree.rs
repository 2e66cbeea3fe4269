//! Large profiles that look like those of a service: stacks that share their callers, over one program. The same numbers
//! make the same profile everywhere. Shared with `benches/formats.rs`.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use heapsite::profile::*;

/// How large a profile is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Stacks, no two alike.
    pub(crate) samples: usize,
    /// Frames of each stack, at least 2.
    pub(crate) depth: usize,
    /// Addresses in the program, a quarter of them with inlined calls; half as many functions.
    pub(crate) locations: u32,
}

impl Shape {
    /// 36 frames over 20,000 addresses.
    pub(crate) fn of(samples: usize) -> Shape {
        Shape {
            samples,
            depth: 36,
            locations: 20_000,
        }
    }
}

/// Two snapshots of one program: half of each one's stacks are in the other too, with other values.
pub(crate) fn pair(shape: Shape) -> (Profile, Profile) {
    let mut stacks = Stacks::new(shape);
    let (half, rest) = (shape.samples / 2, shape.samples.div_ceil(2));
    let gone: Vec<_> = stacks.by_ref().take(half).collect();
    let both: Vec<_> = stacks.by_ref().take(rest).collect();
    let come: Vec<_> = stacks.take(half).collect();
    let base = profile(shape, both.iter().chain(&gone), 1);
    let new = profile(shape, both.iter().chain(&come), 2);
    (base, new)
}

/// One snapshot.
pub(crate) fn one(shape: Shape) -> Profile {
    let stacks: Vec<_> = Stacks::new(shape).take(shape.samples).collect();
    profile(shape, stacks.iter(), 1)
}

/// The same without symbols, as a recorder has it before `symbolize`.
#[allow(dead_code)] // The benchmark's.
pub(crate) fn addresses(shape: Shape) -> Profile {
    let mut profile = one(shape);
    profile.functions.clear();
    for location in &mut profile.locations {
        location.lines.clear();
    }
    profile
}

fn profile<'a>(shape: Shape, stacks: impl Iterator<Item = &'a Stack>, round: u64) -> Profile {
    let mut profile = program(shape.locations);
    for (number, stack) in (0..).zip(stacks) {
        let mut random = Random(number * 3 + round);
        // Sizes and counts over many magnitudes, the small ones often.
        let size = 16 << random.skewed(12);
        let allocated = (1 + random.below(200)) << random.skewed(10);
        let live = allocated / (1 + random.below(8));
        let mut sample = Sample::default();
        sample.locations = stack.iter().copied().map(LocationId).collect();
        sample.values = [allocated, allocated * size, live, live * size]
            .map(|value| value as i64)
            .to_vec();
        profile.samples.push(sample);
    }
    profile
}

/// Location numbers, leaf first.
type Stack = Vec<u32>;

/// Different stacks without end. Each is a walk from the root: three of five call sites lead to one place, the others to
/// four, of which one is much the most frequent; the last frame is an allocator's.
struct Stacks {
    shape: Shape,
    random: Random,
    known: HashSet<Stack>,
}

impl Stacks {
    fn new(shape: Shape) -> Stacks {
        Stacks {
            shape,
            random: Random(0x5eed),
            known: HashSet::new(),
        }
    }
}

/// Locations below this are in functions of the allocator.
const LEAVES: u64 = 16;

impl Iterator for Stacks {
    type Item = Stack;

    fn next(&mut self) -> Option<Stack> {
        loop {
            let mut stack: Stack = Vec::with_capacity(self.shape.depth);
            let mut at = LEAVES;
            for _ in 1..self.shape.depth {
                stack.push(at as u32);
                let choice = match at % 5 {
                    0 | 1 => self.random.skewed(3),
                    _ => 0,
                };
                let callee = Random(at * 4 + choice).next();
                at = LEAVES + callee % (u64::from(self.shape.locations) - LEAVES);
            }
            stack.push(self.random.below(LEAVES) as u32);
            stack.reverse();
            if self.known.insert(stack.clone()) {
                return Some(stack);
            }
        }
    }
}

/// A profile without samples: a heap profile's types, one mapping, its locations and their functions.
fn program(locations: u32) -> Profile {
    let mut profile = Profile::default();
    let kind = |kind: &str, unit: &str| ValueType {
        kind: kind.into(),
        unit: unit.into(),
    };
    profile.sample_types = vec![
        kind("alloc_objects", "count"),
        kind("alloc_space", "bytes"),
        kind("inuse_objects", "count"),
        kind("inuse_space", "bytes"),
    ];
    profile.default_sample_type = "inuse_space".into();
    profile.period_type = Some(kind("space", "bytes"));
    profile.period = 524_288;
    let mut mapping = Mapping::default();
    (mapping.start, mapping.limit) = (0x5555_5555_4000, 0x5555_5955_4000);
    (mapping.file, mapping.build_id) = ("/usr/bin/shop".into(), "6f1d0cafe5".into());
    profile.mappings.push(mapping);

    let functions = locations / 2;
    profile.functions = (0..functions).map(function).collect();
    for number in 0..locations {
        let mut location = Location::default();
        location.mapping = Some(MappingId(0));
        location.address = 0x5555_5555_5000 + u64::from(number) * 93;
        let lines = match number % 16 {
            0 => 3,
            4 | 8 | 12 => 2,
            _ => 1,
        };
        location.lines = (0..lines)
            .map(|inlined| Line {
                function: FunctionId((number / 2 + inlined * 7) % functions),
                line: i64::from(10 + number % 900),
                column: 0,
            })
            .collect();
        profile.locations.push(location);
    }
    profile
}

/// One in ten is the standard library's, three are a dependency's.
fn function(number: u32) -> Function {
    let (name, filename) = match number {
        0..8 => (
            format!("alloc::raw_vec::RawVecInner<A>::grow_{number}"),
            "/rustc/59807616e1/library/alloc/src/raw_vec/mod.rs".into(),
        ),
        _ if number.is_multiple_of(10) => (
            format!(
                "<core::iter::adapters::map::Map<I,F> as core::iter::traits::iterator::Iterator>::fold_{number}"
            ),
            format!(
                "/rustc/59807616e1/library/core/src/iter/adapters/map_{}.rs",
                number % 70
            ),
        ),
        _ if number % 10 < 4 => (
            format!("codec::frame::Decoder<T>::decode_{number}::{{{{closure}}}}"),
            format!(
                "/home/dev/.cargo/registry/src/index-1949cf8c6b5b557f/codec-1.2.3/src/frame_{}.rs",
                number % 90
            ),
        ),
        _ => (
            format!(
                "shop::orders::service_{}::Handler::call_{number}",
                number % 40
            ),
            format!("/home/dev/shop/src/orders/service_{}.rs", number % 300),
        ),
    };
    let mut function = Function::default();
    (function.name, function.filename) = (name, filename);
    function.start_line = i64::from(number % 900);
    function
}

/// Steele, Lea and Flood's SplitMix64, 2014.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit` − 1.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// From 0 to `most`, each half as often as the one before.
    fn skewed(&mut self, most: u32) -> u64 {
        u64::from(self.next().trailing_zeros().min(most))
    }
}
