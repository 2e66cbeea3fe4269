//! Samples, straight from the file's bytes: they are nearly all of a profile, and a message of prost's for each would be
//! made only to be taken apart. What a sample may hold is [`proto::Sample`]; one that is not plain goes that way.
#![forbid(unsafe_code)]

use prost::Message;

use super::ids::{Ids, Small};
use super::{grow, proto, read, scan};
use crate::error::{Error, Result};
use crate::format::budget::Budget;
use crate::profile::{Label, LabelValue, LocationId, Sample};

/// Samples as they are in the profile, but for what they refer to.
#[derive(Default)]
pub(super) struct Samples {
    /// With ids for locations, and without labels.
    pub(super) list: Vec<Sample>,
    labels: Labels,
    raw: proto::Sample,
}

impl Samples {
    /// Adds the sample that this message holds.
    ///
    /// # Errors
    /// The message is damaged, or there is no room for its ids.
    pub(super) fn add(&mut self, message: &[u8], small: &mut Small, budget: &Budget) -> Result<()> {
        let raw = &mut self.raw;
        if plain(message, raw).is_none() {
            *raw = proto::Sample::decode(message).map_err(read::no_profile)?;
        }
        let mut locations = Vec::with_capacity(raw.location_id.len());
        for &id in &raw.location_id {
            locations.push(LocationId(small.put(id, budget)?));
        }
        self.labels.add(self.list.len(), &raw.label);
        grow(&mut self.list, 1);
        self.list.push(Sample {
            locations,
            values: raw.value.to_vec(),
            labels: Vec::new(),
            detail: None,
        });
        Ok(())
    }

    /// Puts indexes in the place of ids, and texts in that of labels.
    ///
    /// # Errors
    /// A sample has not one value per sample type, or refers to something that is not there.
    pub(super) fn finish(
        mut self,
        types: usize,
        location_ids: &Ids,
        small: &Small,
        text: &impl Fn(&str, i64) -> Result<String>,
    ) -> Result<Vec<Sample>> {
        self.list.shrink_to_fit();
        let mut labels = self.labels.iter();
        for (index, sample) in self.list.iter_mut().enumerate() {
            finish(sample, types, location_ids, small)
                .and_then(|()| {
                    sample.labels = labels.of(index, text)?;
                    Ok(())
                })
                .map_err(|error| error.context(format_args!("sample {index}")))?;
        }
        Ok(self.list)
    }
}

fn finish(sample: &mut Sample, types: usize, location_ids: &Ids, small: &Small) -> Result<()> {
    if sample.values.len() != types {
        return Err(Error::input(format!(
            "it has {} values, but the profile has {types} sample types",
            sample.values.len(),
        )));
    }
    if let Ids::InOrder(_, len) = location_ids
        && sample
            .locations
            .iter()
            .all(|id| (id.0.wrapping_sub(1) as usize) < *len)
    {
        for id in &mut sample.locations {
            id.0 -= 1;
        }
        return Ok(());
    }
    for id in &mut sample.locations {
        id.0 = location_ids.index(small.get(id.0))?;
    }
    Ok(())
}

/// Labels whose texts have not come yet, as packed as they are in the file: for each sample that has any its distance from
/// the one before, their number, and four numbers for each.
#[derive(Default)]
struct Labels {
    packed: Vec<u8>,
    last: usize,
}

impl Labels {
    fn add(&mut self, sample: usize, labels: &[proto::Label]) {
        if labels.is_empty() {
            return;
        }
        self.number((sample - self.last) as u64);
        self.last = sample;
        self.number(labels.len() as u64);
        for label in labels {
            for number in [label.key, label.str, label.num, label.num_unit] {
                self.number(number as u64);
            }
        }
    }

    fn number(&mut self, mut number: u64) {
        grow(&mut self.packed, 10);
        while number >= 0x80 {
            self.packed.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.packed.push(number as u8);
    }

    fn iter(&self) -> LabelsIter<'_> {
        let mut iter = LabelsIter {
            rest: &self.packed,
            next: 0,
        };
        iter.next = scan::varint(&mut iter.rest)
            .map(|first| first as usize)
            .unwrap_or(usize::MAX);
        iter
    }
}

struct LabelsIter<'a> {
    rest: &'a [u8],
    /// The next sample that has labels.
    next: usize,
}

impl LabelsIter<'_> {
    /// The labels of a sample; samples come in order.
    fn of(
        &mut self,
        sample: usize,
        text: &impl Fn(&str, i64) -> Result<String>,
    ) -> Result<Vec<Label>> {
        if sample != self.next {
            return Ok(Vec::new());
        }
        // What was packed is there.
        let mut number = || scan::varint(&mut self.rest).unwrap_or_default() as i64;
        let count = number();
        let mut labels = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let [key, str, num, num_unit] = [(); 4].map(|()| number());
            labels.push(label(
                &proto::Label {
                    key,
                    str,
                    num,
                    num_unit,
                },
                text,
            )?);
        }
        self.next = match scan::varint(&mut self.rest) {
            Some(distance) => sample + distance as usize,
            None => usize::MAX,
        };
        Ok(labels)
    }
}

fn label(raw: &proto::Label, text: &impl Fn(&str, i64) -> Result<String>) -> Result<Label> {
    let value = match raw.str {
        0 => LabelValue::Num(raw.num, text("label num_unit", raw.num_unit)?),
        str => LabelValue::Str(text("label str", str)?),
    };
    Ok(Label {
        key: text("label key", raw.key)?,
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
