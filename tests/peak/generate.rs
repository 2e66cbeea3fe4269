//! Large pprof files, written as they are made: no more of them is in memory than a sample.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use prost::encoding::{WireType, encode_key, encode_varint};

/// What a file's samples look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// As heapsite's own of a large service: 36 frames over 20,000 addresses.
    Deep,
    /// As Go writes them: 12 frames over 4,000 addresses, and a label with the size of the blocks.
    Labelled,
}

impl Kind {
    fn depth(self) -> u64 {
        match self {
            Kind::Deep => 36,
            Kind::Labelled => 12,
        }
    }

    fn locations(self) -> u64 {
        match self {
            Kind::Deep => 20_000,
            Kind::Labelled => 4_000,
        }
    }
}

/// Writes a profile of at least `bytes`, unpacked, and returns how many it has. The same `seed` makes the same file, half
/// of whose stacks are those of every other seed.
pub(crate) fn write(kind: Kind, seed: u64, bytes: u64, out: impl Write) -> io::Result<u64> {
    let mut out = Fields {
        gz: GzEncoder::new(out, Compression::fast()),
        len: 0,
    };
    for value_type in [[1, 2], [3, 4], [5, 2], [6, 4]] {
        out.message(1, |it| {
            number(1, value_type[0], it);
            number(2, value_type[1], it);
        })?;
    }
    let mut random = Random(0);
    let mut index = 0;
    while out.len < bytes {
        random.0 = index + if index % 2 == 0 { 0 } else { seed << 40 };
        index += 1;
        out.message(2, |it| sample(kind, &mut random, it))?;
    }
    out.message(3, |it| {
        for (field, value) in [(1, 1), (2, 0x40_0000), (3, 0x4000_0000), (5, 8), (6, 9)] {
            number(field, value, it);
        }
    })?;
    let functions = kind.locations() / 2;
    for id in 1..=kind.locations() {
        out.message(4, |it| {
            for (field, value) in [(1, id), (2, 1), (3, 0x40_1000 + id * 93)] {
                number(field, value, it);
            }
            let mut line = Vec::new();
            number(1, 1 + id % functions, &mut line);
            number(2, 10 + id % 900, &mut line);
            delimited(4, &line, it);
        })?;
    }
    for id in 1..=functions {
        out.message(5, |it| {
            for (field, value) in [(1, id), (2, TEXTS.len() as u64 + id - 1), (4, 10)] {
                number(field, value, it);
            }
        })?;
    }
    for text in TEXTS {
        out.message(6, |it| it.extend_from_slice(text.as_bytes()))?;
    }
    for id in 1..=functions {
        let name = format!("shop::orders::service_{}::Handler::call_{id}", id % 40);
        out.message(6, |it| it.extend_from_slice(name.as_bytes()))?;
    }
    let mut period = Vec::new();
    number(1, 11, &mut period);
    number(2, 4, &mut period);
    out.message(11, |it| it.extend_from_slice(&period))?;
    let mut rest = Vec::new();
    number(12, 512 << 10, &mut rest);
    out.raw(&rest)?;
    out.gz.finish()?;
    Ok(out.len)
}

const TEXTS: [&str; 12] = [
    "",
    "alloc_objects",
    "count",
    "alloc_space",
    "bytes",
    "inuse_objects",
    "inuse_space",
    "unused",
    "/usr/bin/shop",
    "6f1d0cafe5",
    "/home/dev/shop/src/orders.rs",
    "space",
];

fn sample(kind: Kind, random: &mut Random, out: &mut Vec<u8>) {
    let mut ids = Vec::new();
    for _ in 0..kind.depth() {
        encode_varint(1 + random.below(kind.locations()), &mut ids);
    }
    delimited(1, &ids, out);
    let size = 16 << random.skewed(12);
    let allocated = (1 + random.below(200)) << random.skewed(10);
    let live = allocated / (1 + random.below(8));
    let mut values = Vec::new();
    for value in [allocated, allocated * size, live, live * size] {
        encode_varint(value, &mut values);
    }
    delimited(2, &values, out);
    if kind == Kind::Labelled {
        let mut label = Vec::new();
        for (field, value) in [(1, 4), (3, size), (4, 4)] {
            number(field, value, &mut label);
        }
        delimited(3, &label, out);
    }
}

fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(field, WireType::Varint, out);
    encode_varint(value, out);
}

fn delimited(field: u32, contents: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(contents.len() as u64, out);
    out.extend_from_slice(contents);
}

struct Fields<W: Write> {
    gz: GzEncoder<W>,
    len: u64,
}

impl<W: Write> Fields<W> {
    fn message(&mut self, field: u32, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let (mut contents, mut whole) = (Vec::new(), Vec::new());
        fill(&mut contents);
        delimited(field, &contents, &mut whole);
        self.raw(&whole)
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        self.gz.write_all(bytes)
    }
}

/// Steele, Lea and Flood's SplitMix64, 2014.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
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
