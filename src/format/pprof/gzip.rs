//! Unpacking that neither trusts the sender nor hides what is wrong.
#![forbid(unsafe_code)]

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

/// The most that a file may unpack to. A profile of 50,000 stacks takes about 10 MB.
pub(in crate::format) const LIMIT: u64 = 1 << 30;

/// Whether the bytes start as gzip does.
pub(in crate::format) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// How long the contents are, as the file's end says (RFC 1952: `ISIZE`, modulo 2³²), and one byte more, in which reading
/// finds the end. Nobody has checked it: it bounds what is set aside in advance, no more. Deflate shrinks at most 1032-fold.
fn told_len(bytes: &[u8]) -> usize {
    let told = bytes
        .last_chunk()
        .map_or(0, |&told| u32::from_le_bytes(told));
    (told as usize + 1).min(bytes.len().saturating_mul(1032))
}

/// Unpacks gzip of at most `limit` bytes.
pub(in crate::format) fn unpack(bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(told_len(bytes).min(64 << 20));
    let read = MultiGzDecoder::new(bytes)
        .take(limit + 1)
        .read_to_end(&mut plain);
    if plain.len() as u64 > limit {
        return Err(Error::input(format!(
            "the gzip file ({} bytes) unpacks to more than {limit} bytes, which is more than is accepted",
            bytes.len()
        )));
    }
    match read {
        Ok(_) => Ok(plain),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Error::input(format!(
                "the gzip file is cut short: it ends after {} bytes ({} unpacked) without its check sum",
                bytes.len(),
                plain.len()
            )))
        }
        Err(error) => Err(Error::input(format!(
            "the gzip file is damaged, after {} unpacked bytes",
            plain.len()
        ))
        .caused_by(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn stops_at_the_limit() {
        let bomb = pack(&vec![0; 100_000]);
        assert_eq!(unpack(&bomb, 100_000).unwrap().len(), 100_000);
        let error = unpack(&bomb, 99_999).unwrap_err();
        assert!(error.is_input());
        assert!(
            error.to_string().contains("more than 99999 bytes"),
            "{error}"
        );
    }

    #[test]
    fn says_whether_it_is_cut_or_damaged() {
        let whole = pack(b"some bytes of no consequence");
        for len in 2..whole.len() {
            let error = unpack(&whole[..len], 1000).unwrap_err().to_string();
            assert!(error.contains("cut short"), "{len}: {error}");
        }
        let mut damaged = whole.clone();
        let crc = damaged.len() - 8;
        damaged[crc] ^= 1;
        let error = unpack(&damaged, 1000).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
    }
}
