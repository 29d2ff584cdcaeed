//! Numbers as QEMU's command line spells them: C prefixes (`0x`, leading `0`), size suffixes.

/// Parses an unsigned number in C notation: `0x1f`, `017`, `15`.
pub fn parse_u64(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // `from_str_radix` would accept a sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Parses a size: a number, perhaps with a decimal fraction, and a suffix `B K M G T P E` (powers
/// of 1024, either case). Without a suffix the number counts `unit` bytes.
pub fn parse_size(text: &str, unit: u64) -> Option<u64> {
    let (number, scale) = match text.char_indices().next_back()? {
        (_, '0'..='9') => (text, unit),
        // A hexadecimal number has no suffix: `0x1e` would be ambiguous.
        _ if text.starts_with("0x") || text.starts_with("0X") => (text, 1),
        (end, suffix) => (&text[..end], suffix_scale(suffix)?),
    };
    let scale = if text.starts_with("0x") || text.starts_with("0X") {
        unit
    } else {
        scale
    };
    match number.split_once('.') {
        None if number.starts_with("0x") || number.starts_with("0X") => {
            parse_u64(number)?.checked_mul(scale)
        }
        None => parse_decimal(number)?.checked_mul(scale),
        Some((whole, fraction)) => {
            let bytes = parse_decimal(whole)?.checked_mul(scale)?;
            bytes.checked_add(parse_fraction(fraction, scale)?)
        }
    }
}

fn suffix_scale(suffix: char) -> Option<u64> {
    let power = "bkmgtpe".find(suffix.to_ascii_lowercase())?;
    Some(1 << (10 * power))
}

fn parse_decimal(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// `fraction` are the digits after the point; at most 15 of them matter to a u64 of bytes.
fn parse_fraction(fraction: &str, scale: u64) -> Option<u64> {
    parse_decimal(fraction)?;
    let digits = &fraction[..fraction.len().min(15)];
    let numerator = u128::from(parse_decimal(digits)?);
    let denominator = 10u128.pow(digits.len() as u32);
    u64::try_from(numerator * u128::from(scale) / denominator).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_c_prefixes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("15", Some(15)),
            ("0x1F", Some(31)),
            ("017", Some(15)),
            ("09", None),
            ("", None),
            ("0x", None),
            ("+1", None),
            ("-1", None),
            ("0x+1", None),
            ("1k", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(parse_u64(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_have_suffixes() {
        for (text, expected) in [
            ("512", Some(512 << 20)),
            ("512M", Some(512 << 20)),
            ("1g", Some(1 << 30)),
            ("1.5G", Some(3 << 29)),
            ("4096b", Some(4096)),
            ("0x10", Some(16 << 20)),
            ("", None),
            ("M", None),
            (".5G", None),
            ("1.G", None),
            ("1.5.5G", None),
            ("-5M", None),
            ("12Q", None),
            ("99999999999E", None),
            ("1\u{e9}", None),
        ] {
            assert_eq!(parse_size(text, 1 << 20), expected, "{text}");
        }
    }
}
