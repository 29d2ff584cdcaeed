//! What kernel images share: gzip, and magic numbers that tell formats apart.

use std::io::Read;

use flate2::read::GzDecoder;

use super::LoadProblem;

const GZIP: &str = "gzip file";

/// A format that its first bytes give away.
#[derive(Clone, Copy, Debug)]
pub struct Magic {
    /// Where the number is.
    pub offset: usize,
    /// The number.
    pub bytes: &'static [u8],
    /// What is wrong with loading such a file on this machine.
    pub problem: fn() -> LoadProblem,
}

/// Refuses a file that one of `rows` describes.
pub fn refuse_magic(data: &[u8], rows: &[Magic]) -> Result<(), LoadProblem> {
    let matches = |row: &&Magic| {
        let end = row.offset.checked_add(row.bytes.len());
        end.and_then(|end| data.get(row.offset..end)) == Some(row.bytes)
    };
    rows.iter()
        .find(matches)
        .map_or(Ok(()), |row| Err((row.problem)()))
}

/// Whether the file claims to be gzip (RFC 1952).
pub fn is_gzip(data: &[u8]) -> bool {
    data.starts_with(&[0x1f, 0x8b])
}

/// Unpacks the first member of a gzip file to at most `limit` bytes (the size of RAM).
pub fn gunzip(data: &[u8], limit: u64) -> Result<Vec<u8>, LoadProblem> {
    let mut unpacked = Vec::new();
    let mut decoder = GzDecoder::new(data).take(limit.saturating_add(1));
    decoder
        .read_to_end(&mut unpacked)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => LoadProblem::Truncated { format: GZIP },
            _ => LoadProblem::Broken {
                format: GZIP,
                detail: "it cannot be unpacked",
            },
        })?;
    match unpacked.len() as u64 {
        0 => Err(LoadProblem::Empty),
        size if size > limit => Err(LoadProblem::TooLarge { limit }),
        _ => Ok(unpacked),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gunzip_is_bounded() {
        let data = vec![7; 100_000];
        let packed = gzip(&data);
        assert!(is_gzip(&packed));
        assert_eq!(gunzip(&packed, 100_000), Ok(data));
        assert_eq!(
            gunzip(&packed, 99_999),
            Err(LoadProblem::TooLarge { limit: 99_999 })
        );
        assert_eq!(gunzip(&gzip(b""), 10), Err(LoadProblem::Empty));
    }

    #[test]
    fn broken_gzip_is_refused() {
        let packed = gzip(b"a kernel");
        for len in 0..packed.len() {
            let answer = gunzip(&packed[..len], 100);
            assert_eq!(
                answer,
                Err(LoadProblem::Truncated { format: GZIP }),
                "{len} bytes"
            );
        }
        let mut wrong = packed.clone();
        wrong[12] ^= 0x55;
        assert!(gunzip(&wrong, 100).is_err());
    }
}
