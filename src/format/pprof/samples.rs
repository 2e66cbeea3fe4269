//! Samples, straight from the file's bytes: they are nearly all of a profile, and a message of prost's for each would be
//! made only to be taken apart. What a sample may hold is [`proto::Sample`]; one that is not plain goes that way.
#![forbid(unsafe_code)]

use prost::Message;

use super::proto;
use super::read::{Ids, Strings};
use super::scan;
use crate::error::{Error, Result};
use crate::profile::{Label, LabelValue, Sample};

/// Reads one sample after the other.
pub(super) struct Samples<'a> {
    types: usize,
    location_ids: &'a Ids,
    strings: &'a Strings<'a>,
    raw: proto::Sample,
}

impl<'a> Samples<'a> {
    /// Of a profile with so many sample types.
    pub(super) fn new(
        types: usize,
        location_ids: &'a Ids,
        strings: &'a Strings<'a>,
    ) -> Samples<'a> {
        Samples {
            types,
            location_ids,
            strings,
            raw: proto::Sample::default(),
        }
    }

    /// The sample that this message holds.
    ///
    /// # Errors
    /// The message is damaged, has not one value per sample type, or refers to something that is not there.
    pub(super) fn read(&mut self, message: &[u8]) -> Result<Sample> {
        let raw = &mut self.raw;
        if plain(message, raw).is_none() {
            *raw = proto::Sample::decode(message)
                .map_err(|error| Error::input("not a pprof profile").caused_by(error))?;
        }
        if raw.value.len() != self.types {
            return Err(Error::input(format!(
                "it has {} values, but the profile has {} sample types",
                raw.value.len(),
                self.types
            )));
        }
        let mut labels = Vec::with_capacity(raw.label.len());
        for raw in &raw.label {
            labels.push(label(raw, self.strings)?);
        }
        Ok(Sample {
            locations: self.location_ids.stack(&raw.location_id)?,
            values: raw.value.to_vec(),
            labels,
            detail: None,
        })
    }
}

fn label(raw: &proto::Label, strings: &Strings<'_>) -> Result<Label> {
    let value = match raw.str {
        0 => LabelValue::Num(raw.num, strings.get("label num_unit", raw.num_unit)?),
        str => LabelValue::Str(strings.get("label str", str)?),
    };
    Ok(Label {
        key: strings.get("label key", raw.key)?,
        value,
    })
}

/// Reads a sample into `raw`, in place of what is there. `None`: it has other fields, or is damaged.
fn plain(mut message: &[u8], raw: &mut proto::Sample) -> Option<()> {
    const NUMBER: u64 = 0;
    const DELIMITED: u64 = 2;
    raw.location_id.clear();
    raw.value.clear();
    raw.label.clear();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, NUMBER) => raw.location_id.push(varint(&mut message)?),
            (2, NUMBER) => raw.value.push(varint(&mut message)? as i64),
            (number @ 1..=3, DELIMITED) => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                let (mut contents, rest) = message.split_at_checked(len)?;
                message = rest;
                if number == 3 {
                    raw.label.push(proto::Label::decode(contents).ok()?);
                }
                while number == 1 && !contents.is_empty() {
                    raw.location_id.push(varint(&mut contents)?);
                }
                while number == 2 && !contents.is_empty() {
                    raw.value.push(varint(&mut contents)? as i64);
                }
            }
            _ => return None,
        }
    }
    Some(())
}

/// Steps over a number of at most three bytes, as nearly all are, or of any length.
#[inline]
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let low = |byte: u8| u64::from(byte & 0x7f);
    let (number, after) = match **rest {
        [a, ref after @ ..] if a < 0x80 => (u64::from(a), after),
        [a, b, ref after @ ..] if b < 0x80 => (low(a) | low(b) << 7, after),
        [a, b, c, ref after @ ..] if c < 0x80 => (low(a) | low(b) << 7 | low(c) << 14, after),
        _ => return long(rest),
    };
    *rest = after;
    Some(number)
}

#[cold]
fn long(rest: &mut &[u8]) -> Option<u64> {
    let start = *rest;
    let number = scan::varint(rest)?;
    // More than 64 bits are no number.
    let whole = start.len() - rest.len() < 10 || start.get(9).is_some_and(|&last| last <= 1);
    whole.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: i64) -> proto::Sample {
        let number = |step: i64| (seed + step).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
        let label = proto::Label {
            key: 1,
            str: 0,
            num: number(3),
            num_unit: 2,
        };
        proto::Sample {
            // Of every length a number can have.
            location_id: (0..70)
                .map(|bits| (number(bits) as u64) >> (bits % 64))
                .collect(),
            value: (0..4).map(number).collect(),
            label: vec![label; seed as usize % 3],
        }
    }

    #[test]
    fn whole_samples_are_plain() {
        for seed in 0..100 {
            let mut read = proto::Sample::default();
            plain(&sample(seed).encode_to_vec(), &mut read).expect("plain");
            assert_eq!(read, sample(seed));
        }
        // Numbers one by one, as old writers have them.
        let mut read = sample(1);
        plain(&[8, 1, 16, 2, 8, 0xac, 0x02], &mut read).expect("plain");
        assert_eq!((read.location_id, read.value), (vec![1, 300], vec![2]));
        assert!(read.label.is_empty());
    }

    /// What is taken for plain is what prost makes of it, whatever it is.
    #[test]
    fn damaged_samples_are_read_as_prost_does_or_left_to_it() {
        let (mut same, mut read) = (0, proto::Sample::default());
        for seed in 0..20 {
            let whole = sample(seed).encode_to_vec();
            for at in 0..whole.len() {
                for change in [0x01, 0x02, 0x08, 0x7f, 0x80, 0xff] {
                    let mut message = whole.clone();
                    message[at] ^= change;
                    if plain(&message, &mut read).is_some() {
                        assert_eq!(
                            proto::Sample::decode(&*message).as_ref(),
                            Ok(&read),
                            "{at} {change}"
                        );
                        same += 1;
                    }
                }
                if plain(&whole[..at], &mut read).is_some() {
                    assert_eq!(
                        proto::Sample::decode(&whole[..at]).as_ref(),
                        Ok(&read),
                        "{at}"
                    );
                }
            }
        }
        assert!(same > 1000, "{same}");
    }
}
