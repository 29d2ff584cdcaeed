//! `x`, `xp` and `print`: formats, address expressions and memory dumps.

use util::cutils::parse_u64;

/// Bytes that one command shows at most.
const DUMP_MAX: u64 = 1 << 20;
/// Bytes on a line.
const LINE_BYTES: u64 = 16;

/// The part after `/`: a count, a letter for the notation and one for the size. What is left out
/// stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub count: u64,
    notation: char,
    /// Bytes of an item.
    size: u64,
}

impl Default for Format {
    fn default() -> Self {
        Self {
            count: 1,
            notation: 'x',
            size: 4,
        }
    }
}

impl Format {
    /// Parses `text` (without the slash); the count starts at 1 again.
    pub fn parse(self, text: &str) -> Result<Self, String> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (count, letters) = text.split_at(digits);
        let mut format = Self { count: 1, ..self };
        if !count.is_empty() {
            let parsed = count.parse().ok().filter(|count| *count <= DUMP_MAX / 8);
            format.count = parsed.ok_or_else(|| format!("{count} items are too many"))?;
        }
        for letter in letters.chars() {
            match letter {
                'x' | 'd' | 'u' | 'o' => format.notation = letter,
                'c' => (format.notation, format.size) = (letter, 1),
                'b' => format.size = 1,
                'h' => format.size = 2,
                'w' => format.size = 4,
                'g' => format.size = 8,
                'i' => return Err("instructions cannot be shown yet (try -d in_asm)".into()),
                other => return Err(format!("'{other}' is no format (x d u o c, b h w g)")),
            }
        }
        Ok(format)
    }

    /// One item.
    pub fn show(&self, value: u64) -> String {
        let (bytes, bits) = (self.size as usize, 8 * self.size as u32);
        let value = value & (u64::MAX >> (64 - bits));
        match self.notation {
            'd' => (((value << (64 - bits)) as i64) >> (64 - bits)).to_string(),
            'u' => value.to_string(),
            'o' => format!("0{value:0width$o}", width = (8 * bytes).div_ceil(3)),
            'c' => format!("'{}'", (value as u8).escape_ascii()),
            _ => format!("{value:#0width$x}", width = 2 + 2 * bytes),
        }
    }

    /// Items from `addr` on, read by `read`, which is false where there is no memory.
    pub fn dump(&self, addr: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> String {
        let mut text = String::new();
        let per_line = LINE_BYTES / self.size;
        for index in 0..self.count {
            let at = addr.wrapping_add(index * self.size);
            if index % per_line == 0 {
                text += &format!("{}{at:016x}:", if index == 0 { "" } else { "\n" });
            }
            let mut bytes = [0; 8];
            if !read(at, &mut bytes[..self.size as usize]) {
                return text + &format!("\nThere is no memory at {at:#x}\n");
            }
            text += &format!(" {}", self.show(u64::from_le_bytes(bytes)));
        }
        text + "\n"
    }
}

/// An address: numbers and registers (`$pc`) with + and -.
pub fn evaluate(text: &str, register: impl Fn(&str) -> Option<u64>) -> Result<u64, String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut rest = text.as_str();
    let (mut sum, mut minus) = (0u64, false);
    loop {
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let (term, after) = rest.split_at(end);
        let value = match term.strip_prefix('$') {
            Some(name) => register(name).ok_or_else(|| format!("there is no register '{name}'"))?,
            None => parse_u64(term).ok_or_else(|| format!("'{term}' is no number"))?,
        };
        sum = if minus {
            sum.wrapping_sub(value)
        } else {
            sum.wrapping_add(value)
        };
        match after.chars().next() {
            None => return Ok(sum),
            Some(sign) => (minus, rest) = (sign == '-', &after[1..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(format: &str, value: u64) -> String {
        Format::default().parse(format).unwrap().show(value)
    }

    #[test]
    fn notations() {
        assert_eq!(show("", 0x12), "0x00000012");
        assert_eq!(show("xg", 0x12), "0x0000000000000012");
        assert_eq!(show("db", 0xff), "-1");
        assert_eq!(show("uh", 0x1_ffff), "65535");
        assert_eq!(show("ob", 8), "0010");
        assert_eq!(show("c", b'a'.into()), "'a'");
        assert_eq!(show("c", 10), "'\\n'");
    }

    #[test]
    fn bad_formats() {
        for text in ["z", "4i", "99999999x", "-1", "\u{e9}"] {
            assert!(Format::default().parse(text).is_err(), "{text}");
        }
        assert_eq!(Format::default().parse("3gx").unwrap().count, 3);
    }

    #[test]
    fn expressions() {
        let pc = |name: &str| (name == "pc").then_some(0x1000);
        for (text, expected) in [
            ("0x10", Some(16)),
            ("$pc", Some(0x1000)),
            ("$pc + 4 - 0x8", Some(0xffc)),
            ("0-1", Some(u64::MAX)),
            ("", None),
            ("$zz", None),
            ("1+", None),
            ("-1", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(evaluate(text, pc).ok(), expected, "{text}");
        }
    }

    #[test]
    fn dumps_have_lines_of_16_bytes() {
        let read = |addr: u64, buf: &mut [u8]| {
            buf.fill(addr as u8);
            addr < 0x1020
        };
        let dump = |format: &str| Format::default().parse(format).unwrap().dump(0x1000, read);
        assert_eq!(dump("1xb"), "0000000000001000: 0x00\n");
        assert_eq!(dump("8w").lines().count(), 2);
        assert!(dump("20w").ends_with("\nThere is no memory at 0x1020\n"));
    }
}
