//! Changes to files as fuzzers make them, but the same ones each time.
#![forbid(unsafe_code)]

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

    /// From 0 to `limit` − 1; 0 if there is nothing to choose from.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len);
        // Short ones often: they hit fields, not halves of files.
        let most = (len - start).min(1 << self.below(12));
        start..start + self.below(most + 1)
    }
}

/// Numbers at the edges of what fields hold.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Bytes that mean something in some format.
const WORDS: [&[u8]; 16] = [
    b"\n",
    b"\r\n\r\n",
    b",",
    b"[",
    b"{",
    b"\"",
    b"-1",
    b"99999999999999999999",
    b"0x",
    b"@",
    b": ",
    b"\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xc3",
    b"%",
    b"=",
];

/// A copy with one to five changes; `other` is a file of the same kind to take parts from.
pub(crate) fn mutate(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(5) {
        change(&mut bytes, other, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(9) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
        2 => {
            let number = EDGES[random.below(EDGES.len())].to_le_bytes();
            let width = 1 << random.below(4);
            let end = bytes.len().min(at + width);
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        3 => drop(bytes.drain(random.range(bytes.len()))),
        4 => {
            let part = bytes[random.range(bytes.len())].to_vec();
            bytes.splice(at..at, part.repeat(1 + random.below(4)));
        }
        5 => drop(bytes.splice(at..at, other[random.range(other.len())].to_vec())),
        6 => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        7 => bytes.truncate(at),
        _ => {
            let (from, to) = (random.range(bytes.len()), at);
            let part = bytes[from].to_vec();
            let end = bytes.len().min(to + part.len());
            bytes[to..end].copy_from_slice(&part[..end - to]);
        }
    }
}
