//! Readers on bad input: never a panic, and an error that says what is wrong and where.
#![forbid(unsafe_code)]

use heapsite::format::{self, Format, json, pprof};
use proptest::prelude::*;

use crate::call_tree::{Shape, one};
use crate::generate::{by_hand, wild};
use crate::round_trip::written;
use crate::walker::{pack, unpack};

/// Overwrites, deletes or inserts a few bytes.
fn damage(mut bytes: Vec<u8>, edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (place, kind, value) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] = *value,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *value),
            _ => bytes[at] ^= 1 << (value % 8),
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..6)
}

/// Reads it every way there is; what is accepted must be whole and go out again in every format.
fn survives(bytes: &[u8]) {
    let _ = format::sniff(bytes);
    for result in [format::read(bytes), pprof::read(bytes), json::read(bytes)] {
        match result {
            Ok(profile) => {
                profile.check().unwrap();
                written(Format::Pprof, &profile);
                written(Format::Json, &profile);
                if !profile.sample_types.is_empty() {
                    written(Format::Folded, &profile);
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(crate::generate::cases(400))]

    #[test]
    fn damaged_files_never_panic(profile in wild(), edits in edits()) {
        let packed = written(Format::Pprof, &profile);
        survives(&damage(unpack(&packed), &edits));
        survives(&pack(&damage(unpack(&packed), &edits)));
        survives(&damage(packed, &edits));
        survives(&damage(written(Format::Json, &profile), &edits));
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
        survives(&pack(&bytes));
    }

    #[test]
    fn a_cut_file_is_an_error(profile in wild(), place in any::<prop::sample::Index>()) {
        let packed = written(Format::Pprof, &profile);
        prop_assert!(format::read(&packed[..place.index(packed.len())]).is_err());
        let text = written(Format::Json, &profile);
        let end = text.len() - 1; // without the line break
        prop_assert!(format::read(&text[..place.index(end)]).is_err());
    }
}

#[track_caller]
fn says(bytes: &[u8], parts: &[&str]) {
    let error = format::read(bytes).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "no {part:?} in {error:?}");
    }
}

#[test]
fn files_that_are_no_profile() {
    says(b"", &["empty", "pprof", "JSON"]);
    says(&pack(b""), &["gzip", "empty"]);
    says(b"hello, world", &["hello, world", "accepted"]);
    // Legacy texts are read.
    says(
        b"heap profile: 1: 2 [3: 4] @ heap_v3/524288\n",
        &["line 1", "heap_v3", "heap_v2"],
    );
    says(
        &pack(b"heap profile: 1: 2 @ heap/2*524288\n"),
        &["legacy", "line 1"],
    );
    says(
        b"heap_v2/524288\n  t*: 1: 2\n",
        &["line 2", "objects: bytes"],
    );
    says(b"main;work 12\n", &["folded", "not read"]);
    says(b"{\"dhatFileVersion\":2,\"mode\":\"rust-heap\"}", &["DHAT"]);
    says(b"{\"a\":1}", &["JSON", "schema"]);
    says(b"\x28\xb5\x2f\xfd....", &["zstd"]);
    says(b"\x7fELF\x02\x01", &["program"]);
    says(b"<!doctype html>", &["web page"]);
}

#[test]
fn compressed_files_that_are_cut_or_joined() {
    let packed = written(Format::Pprof, &by_hand());
    says(&packed[..packed.len() - 5], &["cut short"]);
    says(&packed[..40], &["cut short"]);
    says(
        &[packed.clone(), packed.clone()].concat(),
        &["several profiles in a row", "heapsite merge"],
    );
    let plain = unpack(&packed);
    says(
        &[plain.clone(), plain.clone()].concat(),
        &["several profiles in a row"],
    );
    // The last field breaks off: it is named, with its place.
    let last_string = &plain[..plain.len() - 40];
    let error = pprof::read(last_string).unwrap_err().to_string();
    assert!(
        error.contains("at byte") || error.contains("refers") || error.contains("string"),
        "{error}"
    );
}

/// Fields of profile.proto by hand: `(number, value)`.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let field =
        |(number, bytes): &(u8, &[u8])| [&[number << 3 | 2, bytes.len() as u8], *bytes].concat();
    fields.iter().flat_map(field).collect()
}

#[test]
fn profiles_that_contradict_themselves() {
    let strings: [(u8, &[u8]); 3] = [(6, b""), (6, b"inuse_space"), (6, b"bytes")];
    let value_type: (u8, &[u8]) = (1, &[8, 1, 16, 2]);
    let with = |more: &[(u8, &[u8])]| message(&[&[value_type], more, &strings].concat());
    assert_eq!(
        pprof::read(&with(&[])).unwrap().sample_types[0].kind,
        "inuse_space"
    );

    says(
        &with(&[(2, &[8, 7, 16, 1])]),
        &["sample 0", "location id 7", "not in the profile"],
    );
    says(
        &with(&[(2, &[8, 0, 16, 1])]),
        &["sample 0", "location id 0"],
    );
    says(
        &with(&[(2, &[])]),
        &["sample 0", "0 values", "1 sample types"],
    );
    // Taken for none, as Go does.
    let unknown = pprof::read(&with(&[(4, &[8, 1, 16, 9, 34, 4, 8, 0, 16, 5])])).unwrap();
    assert_eq!(unknown.locations[0].mapping, None);
    assert!(unknown.locations[0].lines.is_empty());
    says(
        &with(&[(4, &[8, 1, 34, 2, 8, 5])]),
        &["location 1", "function id 5"],
    );
    says(&with(&[(4, &[8, 0])]), &["location number 1", "id 0"]);
    says(
        &with(&[(3, &[8, 2]), (3, &[8, 2])]),
        &["mapping id 2", "twice"],
    );
    says(
        &with(&[(5, &[8, 1, 16, 99])]),
        &["function 1", "name is string 99", "3 entries"],
    );
    let unnamed = message(&[value_type, (6, b"x")]);
    says(&unnamed, &["string_table[0]", "\"x\""]);
    says(&message(&[(2, &[16, 1]), (6, b"")]), &["no sample_type"]);
    // A label's key out of range.
    says(
        &with(&[(2, &[16, 1, 26, 2, 8, 50])]),
        &["sample 0", "label key is string 50"],
    );
    // Any order of fields and any distinct ids will do.
    let mixed = with(&[(2, &[8, 7, 16, 1]), (4, &[8, 7, 24, 64])]);
    assert_eq!(pprof::read(&mixed).unwrap().locations[0].address, 64);
}

#[test]
fn json_that_does_not_fit() {
    let text = String::from_utf8(written(Format::Json, &by_hand())).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "no {from} in {text}");
        text.replacen(from, to, 1).into_bytes()
    };
    says(
        &changed("profile/1", "profile/2"),
        &["heapsite-profile/2", "newer heapsite", "heapsite-profile/1"],
    );
    let newer = b"{\"schema\":\"heapsite-profile/9\",\"samples\":\"elsewhere\"}";
    says(newer, &["heapsite-profile/9", "newer"]);
    says(
        &changed("profile/1", "profile/x"),
        &["heapsite-profile/x", "accepted"],
    );
    says(
        &changed("\"stack\":[0,1,2]", "\"stack\":[0,1,3]"),
        &["sample 0", "location 3", "there are 3"],
    );
    says(
        &changed("\"mapping\":1", "\"mapping\":5"),
        &["location 2", "mapping 5"],
    );
    says(
        &changed("[10,4096,0,0]", "[10,4096,0]"),
        &["sample 1", "3 values", "4 sample types"],
    );
    says(
        &changed("\"period\":524288", "\"period\":\"big\""),
        &["line 1 column", "big"],
    );
    says(
        &changed("\"key\":", "\"key\":100000,\"was\":"),
        &["sample 0", "string 100000"],
    );
    says(
        &text.as_bytes()[..text.len() / 2],
        &["EOF", "line 1 column"],
    );
    let error = json::read(b"{}").unwrap_err().to_string();
    assert!(error.contains("no key \"schema\""), "{error}");
    // Keys of later versions are ignored.
    assert_eq!(
        json::read(&changed("\"period\":", "\"colour\":\"red\",\"period\":")).unwrap(),
        by_hand()
    );
}

/// Small files that ask for much: none may get more than 32 times its unpacked size.
#[test]
fn entries_and_texts_are_counted_before_there_is_room_made_for_them() {
    const TOO_MUCH: &str = "KiB of memory";
    let types = message(&[(6, b""), (1, &[])]);
    // Two bytes each: samples, locations, functions, labels.
    for entry in [&[0x12u8, 0][..], &[0x22, 0], &[0x2a, 0]] {
        says(
            &pack(&[&types[..], &entry.repeat(8 << 20)].concat()),
            &[TOO_MUCH],
        );
    }
    let nested = |number: u8, entry: &[u8]| {
        let body = entry.repeat(4 << 20);
        let mut length = vec![number << 3 | 2];
        prost::encoding::encode_varint(body.len() as u64, &mut length);
        [length, body].concat()
    };
    let labels = nested(2, &[0x1a, 0]);
    says(&pack(&[&types[..], &labels].concat()), &[TOO_MUCH]);
    // One text of some megabytes, in two hundred places.
    let long = [nested(6, b""), nested(6, b"a"), message(&[(1, &[])])].concat();
    let functions: Vec<u8> = (1..=120u8)
        .flat_map(|id| message(&[(5, &[8, id, 16, 1, 32, 1])]))
        .collect();
    says(&pack(&[&long[..], &functions].concat()), &[TOO_MUCH]);

    let text = String::from_utf8(written(Format::Json, &by_hand())).unwrap();
    let place = text.find("\"functions\":[").expect("functions");
    let row = text[place..]
        .find("]")
        .map(|end| &text[place + 13..place + end + 1])
        .expect("a row");
    let rows = format!("{row},").repeat(100);
    let long = text
        .replacen("\"functions\":[", &format!("\"functions\":[{rows}"), 1)
        .replacen(
            "\"strings\":[\"",
            &format!("\"strings\":[\"{}", "a".repeat(8 << 20)),
            1,
        );
    says(&pack(long.as_bytes()), &[TOO_MUCH]);
}

/// A reader that is handed the file a few bytes at a time makes the same of it, and says the same.
#[test]
fn files_may_come_in_pieces() {
    struct Pieces<'a>(&'a [u8], usize);
    impl std::io::Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }
    }
    let packed = written(Format::Pprof, &one(Shape::of(300)));
    let plain = unpack(&packed);
    assert!(plain.len() > 1 << 17, "more than is read at a time");
    let json = written(Format::Json, &by_hand());
    let mut damaged = packed.clone();
    damaged[packed.len() / 2] ^= 0x55;
    let files: [&[u8]; 9] = [
        &packed,
        &plain,
        &json,
        &packed[..packed.len() / 2],
        &plain[..plain.len() - 7],
        &damaged,
        b"",
        b"hello, world",
        b"heap profile: 1: 2 [1: 2] @ heap_v2/1\n1: 2 [1: 2] @ 0x10\n",
    ];
    for (number, bytes) in files.into_iter().enumerate() {
        // Where damage is noticed depends on how much is unpacked at a time.
        let said = |error: heapsite::Error| {
            let text = error.to_string();
            text.split(", after").next().unwrap_or_default().to_owned()
        };
        let whole = format::read(bytes).map_err(said);
        for piece in [1, 7, 4096, 1 << 20] {
            let source = std::io::BufReader::new(Pieces(bytes, piece));
            let read = format::read_from(source).map_err(said);
            assert_eq!(read, whole, "file {number} in pieces of {piece}");
        }
    }
}

#[test]
fn bad_profiles_are_not_written() {
    let mut profile = by_hand();
    profile.samples[1].locations[0] = heapsite::profile::LocationId(3);
    for format in Format::ALL {
        let error = format.write(&profile, &mut Vec::new()).unwrap_err();
        assert!(
            error.is_input() && error.to_string().contains("sample 1"),
            "{error}"
        );
    }
    let error = Format::from_name("xml").unwrap_err().to_string();
    assert!(
        error.contains("\"xml\"") && error.contains("pprof, json, folded"),
        "{error}"
    );
}

#[test]
fn a_full_disk_is_an_io_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in Format::ALL {
        assert!(
            format.write(&by_hand(), &mut Full).unwrap_err().is_io(),
            "{format}"
        );
    }
}
