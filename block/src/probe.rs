//! What an image's first bytes say about its format.

/// How many bytes are looked at.
pub const BYTES: usize = 512;

/// Formats by their magic bytes: name, offset, bytes. The ones that are not there yet are known so
/// that nobody takes them for raw.
const MAGICS: &[(&str, usize, &[u8])] = &[
    ("qcow2", 0, b"QFI\xfb\0\0\0\x02"),
    ("qcow2", 0, b"QFI\xfb\0\0\0\x03"),
    ("chunked", 0, b"TINCHUNK"),
    ("qcow", 0, b"QFI\xfb\0\0\0\x01"),
    ("qed", 0, b"QED\0"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"COWD"),
    ("vdi", 0x40, b"\x7f\x10\xda\xbe"),
    ("vhdx", 0, b"vhdxfile"),
    ("vpc", 0, b"conectix"),
    ("luks", 0, b"LUKS\xba\xbe"),
    ("parallels", 0, b"WithoutFreeSpace"),
    ("parallels", 0, b"WithouFreSpacExt"),
    ("bochs", 0, b"Bochs Virtual HD Image"),
];

/// The format, if it is another one than raw.
pub fn format(start: &[u8]) -> Option<&'static str> {
    let fits = |&&(_, offset, magic): &&(&str, usize, &[u8])| {
        start.get(offset..offset + magic.len()) == Some(magic)
    };
    MAGICS.iter().find(fits).map(|(name, ..)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let with = |offset: usize, magic: &[u8]| {
            let mut start = vec![0; BYTES];
            start[offset..offset + magic.len()].copy_from_slice(magic);
            format(&start)
        };
        assert_eq!(with(0, b""), None);
        assert_eq!(with(0, b"QFI\xfb\0\0\0\x03"), Some("qcow2"));
        assert_eq!(with(1, b"QFI\xfb\0\0\0\x03"), None);
        assert_eq!(with(0x40, b"\x7f\x10\xda\xbe"), Some("vdi"));
        assert_eq!(format(b"QFI"), None);
        assert_eq!(format(b""), None);
    }
}
