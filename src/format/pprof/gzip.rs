//! Unpacking that neither trusts the sender nor hides what is wrong.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

/// The most that a file may unpack to. A profile of 50,000 stacks takes about 10 MB.
pub(in crate::format) const LIMIT: u64 = 1 << 30;

/// Whether the bytes start as gzip does.
pub(in crate::format) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The contents of a gzip file as they come. Its errors are [`Error`]s inside of [`io::Error`]s, and say what is wrong.
pub(in crate::format) struct Unpacked<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    limit: u64,
    /// Bytes that have come out.
    len: u64,
    failed: bool,
}

impl<R: BufRead> Unpacked<R> {
    /// Of at most `limit` bytes.
    pub(in crate::format) fn new(packed: R, limit: u64) -> Unpacked<R> {
        Unpacked {
            decoder: MultiGzDecoder::new(Counted { packed, len: 0 }),
            limit,
            len: 0,
            failed: false,
        }
    }

    /// Hands the contents to `read`. What it finds wrong with them is told only if the file itself is sound: damage is found
    /// at the check sum in the end, and what was read until then may look like anything.
    ///
    /// # Errors
    /// The file is cut short, damaged or too large, or else those of `read`.
    pub(in crate::format) fn read_whole<T>(
        mut self,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let done = read(&mut self);
        if self.failed {
            return done;
        }
        match io::copy(&mut self, &mut io::sink()) {
            Err(error) if done.is_err() => match error.downcast::<Error>() {
                // That there is more than is accepted is no reason for what was found before.
                Ok(_) if self.len > self.limit => done,
                Ok(damage) => Err(damage),
                Err(_) => done,
            },
            Err(error) => Err(ours(error)),
            Ok(_) => done,
        }
    }

    /// Nothing has come out so far.
    pub(in crate::format) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[cold]
    fn why(&self, error: io::Error) -> Error {
        let (packed, len) = (self.decoder.get_ref().len, self.len);
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::input(format!(
                "the gzip file is cut short: it ends after {packed} bytes ({len} unpacked) without its check sum"
            )),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Error::input(format!(
                "the gzip file is damaged, after {len} unpacked bytes"
            ))
            .caused_by(error),
            _ => Error::io("cannot read the gzip file", error),
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(into) {
            Ok(read) => {
                self.len += read as u64;
                if self.len <= self.limit {
                    return Ok(read);
                }
                self.failed = true;
                let (packed, limit) = (self.decoder.get_ref().len, self.limit);
                Err(io::Error::other(Error::input(format!(
                    "the gzip file unpacks to more than {limit} bytes ({packed} bytes of it do), which is more than is accepted"
                ))))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = true;
                Err(io::Error::other(self.why(error)))
            }
        }
    }
}

/// An error that a source made, or what the system says.
#[cold]
pub(in crate::format) fn ours(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::io("cannot read the profile", error),
    }
}

/// Counts what is taken of a file.
struct Counted<R> {
    packed: R,
    len: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.packed.read(into)?;
        self.len += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.packed.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.len += amount as u64;
        self.packed.consume(amount);
    }
}

/// A source that is an error beyond `limit` bytes.
pub(in crate::format) struct Limited<R> {
    source: R,
    limit: u64,
    len: u64,
}

impl<R: Read> Limited<R> {
    pub(in crate::format) fn new(source: R, limit: u64) -> Limited<R> {
        Limited {
            source,
            limit,
            len: 0,
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        self.len += read as u64;
        match self.len > self.limit {
            true => Err(io::Error::other(Error::input(format!(
                "the profile has more than {} bytes, which is more than is accepted",
                self.limit
            )))),
            false => Ok(read),
        }
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

    fn unpack(packed: &[u8], limit: u64) -> Result<Vec<u8>> {
        Unpacked::new(packed, limit).read_whole(|plain| {
            let mut bytes = Vec::new();
            plain.read_to_end(&mut bytes).map_err(ours)?;
            Ok(bytes)
        })
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

    /// A reader that gives up early has seen what may be damaged.
    #[test]
    fn damage_is_told_rather_than_what_it_looks_like() {
        let look = |packed: &[u8]| {
            let looks_wrong = |_: &mut _| Err::<(), _>(Error::input("looks wrong"));
            Unpacked::new(packed, 100)
                .read_whole(looks_wrong)
                .unwrap_err()
                .to_string()
        };
        let mut packed = pack(b"some bytes of no consequence");
        assert_eq!(look(&packed), "looks wrong");
        assert_eq!(look(&pack(&[0; 200])), "looks wrong");
        let crc = packed.len() - 8;
        packed[crc] ^= 1;
        assert!(look(&packed).contains("damaged"));
    }
}
