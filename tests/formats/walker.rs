//! A protobuf walker by hand, so that what we write is not judged by the code that wrote it.
#![forbid(unsafe_code)]

use std::io::{Read, Write};

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message in their order. Panics on anything but varints and length-delimited fields, which is
/// all that profile.proto has.
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let len = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(len);
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            wire => panic!("wire type {wire}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

/// All messages (or texts) in one field.
pub(crate) fn all(fields: &[(u64, Value)], number: u64) -> Vec<Vec<u8>> {
    let bytes = |(field, value): &(u64, Value)| match value {
        Value::Bytes(bytes) if *field == number => Some(bytes.clone()),
        _ => None,
    };
    fields.iter().filter_map(bytes).collect()
}

/// A number that comes at most once; 0 if it does not come.
pub(crate) fn number(fields: &[(u64, Value)], number: u64) -> u64 {
    let mut found = fields.iter().filter(|(field, _)| *field == number);
    let value = match found.next() {
        Some((_, Value::Number(value))) => *value,
        Some((_, Value::Bytes(_))) => panic!("field {number} is not a number"),
        None => 0,
    };
    assert!(found.next().is_none(), "field {number} comes twice");
    value
}

/// Repeated numbers, packed or not.
pub(crate) fn numbers(fields: &[(u64, Value)], number: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for (_, value) in fields.iter().filter(|(field, _)| *field == number) {
        match value {
            Value::Number(value) => numbers.push(*value),
            Value::Bytes(bytes) => {
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    numbers.push(varint(&mut rest));
                }
            }
        }
    }
    numbers
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a varint breaks off");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a varint has more than ten bytes")
}

pub(crate) fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}
