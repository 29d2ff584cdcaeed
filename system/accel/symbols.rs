//! Names of guest addresses, for `-d perf`: from a `System.map` or an ELF file.

use std::path::Path;

use object::{Object, ObjectSymbol};

/// Addresses in ascending order.
#[derive(Default)]
pub struct Symbols(Vec<(u64, String)>);

impl Symbols {
    /// Reads a file; the error is a sentence.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
        let found = if bytes.starts_with(b"\x7fELF") {
            Self::of_elf(&bytes).map_err(|error| format!("{shown}: {error}"))?
        } else {
            Self::of_map(&bytes)
        };
        if found.is_empty() {
            return Err(format!("{shown}: there is no symbol in it"));
        }
        Ok(Self::sorted(found))
    }

    fn of_elf(bytes: &[u8]) -> Result<Vec<(u64, String)>, object::Error> {
        let file = object::File::parse(bytes)?;
        let named = |symbol: object::Symbol<'_, '_>| {
            let name = symbol.name().ok().filter(|name| !name.is_empty())?;
            symbol
                .is_definition()
                .then(|| (symbol.address(), name.to_string()))
        };
        Ok(file.symbols().filter_map(named).collect())
    }

    /// Lines such as `ffffffff80000000 T _start`.
    fn of_map(bytes: &[u8]) -> Vec<(u64, String)> {
        let text = String::from_utf8_lossy(bytes);
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let kind = words.next()?;
            (kind.len() == 1).then_some((address, words.next()?.to_string()))
        };
        text.lines().filter_map(line).collect()
    }

    fn sorted(mut symbols: Vec<(u64, String)>) -> Self {
        symbols.sort();
        Self(symbols)
    }

    /// The symbol at or in front of an address: `name+0x10`.
    pub fn name(&self, address: u64) -> Option<String> {
        let behind = self.0.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.0.get(behind.checked_sub(1)?)?;
        Some(match address - start {
            0 => name.clone(),
            offset => format!("{name}+{offset:#x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_symbol_in_front_of_them() {
        let map = b"ffffffff80000010 t memcpy\nffffffff80000000 T _start\nnonsense\n";
        let symbols = Symbols::sorted(Symbols::of_map(map));
        let check = |address, expected: Option<&str>| {
            assert_eq!(symbols.name(address).as_deref(), expected);
        };
        check(0xffff_ffff_8000_0000, Some("_start"));
        check(0xffff_ffff_8000_000f, Some("_start+0xf"));
        check(0xffff_ffff_8000_0014, Some("memcpy+0x4"));
        check(0x8000_0000, None);
    }
}
