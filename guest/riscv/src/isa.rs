//! Extensions, CPU models and their properties (`-cpu`), and the ISA string for the device tree.
//!
//! One table states every extension: its name in the order of the ISA string (Unprivileged
//! manual, chapter "ISA Extension Naming Conventions"), and the models that have it.

use std::fmt::Write;

macro_rules! extensions {
    ($($variant:ident $name:literal $rv64:literal $rva22:literal $max:literal;)*) => {
        /// An extension that this guest implements (or, for named features, guarantees).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Ext { $($variant,)* }

        /// Every row: extension, name, on in `rv64`, in `rva22s64`, in `max`.
        const TABLE: &[Row] = &[
            $(Row {
                ext: Ext::$variant, name: $name,
                rv64: $rv64 == 1, rva22: $rva22 == 1, max: $max == 1,
            },)*
        ];
    };
}

struct Row {
    ext: Ext,
    name: &'static str,
    rv64: bool,
    rva22: bool,
    max: bool,
}

extensions! {
    I "i" 1 1 1;
    M "m" 1 1 1;
    A "a" 1 1 1;
    F "f" 1 1 1;
    D "d" 1 1 1;
    C "c" 1 1 1;
    Zic64b "zic64b" 1 1 1;
    Zicbom "zicbom" 1 1 1;
    Zicbop "zicbop" 1 1 1;
    Zicboz "zicboz" 1 1 1;
    Ziccamoa "ziccamoa" 1 1 1;
    Ziccif "ziccif" 1 1 1;
    Zicclsm "zicclsm" 1 1 1;
    Ziccrse "ziccrse" 1 1 1;
    Zicond "zicond" 0 0 1;
    Zicntr "zicntr" 1 1 1;
    Zicsr "zicsr" 1 1 1;
    Zifencei "zifencei" 1 1 1;
    Zihintntl "zihintntl" 1 1 1;
    Zihintpause "zihintpause" 1 1 1;
    Zihpm "zihpm" 1 1 1;
    Zimop "zimop" 0 0 1;
    Za64rs "za64rs" 1 1 1;
    Zaamo "zaamo" 1 1 1;
    Zabha "zabha" 0 0 1;
    Zacas "zacas" 0 0 1;
    Zalrsc "zalrsc" 1 1 1;
    Zawrs "zawrs" 1 0 1;
    Zfa "zfa" 1 0 1;
    Zfh "zfh" 0 0 1;
    Zfhmin "zfhmin" 0 1 1;
    Zca "zca" 1 1 1;
    Zcb "zcb" 0 0 1;
    Zcd "zcd" 1 1 1;
    Zcmop "zcmop" 0 0 1;
    Zba "zba" 1 1 1;
    Zbb "zbb" 1 1 1;
    Zbc "zbc" 1 0 1;
    Zbkb "zbkb" 0 0 1;
    Zbs "zbs" 1 1 1;
    Zkt "zkt" 0 1 0;
    Smstateen "smstateen" 0 0 1;
    Ssccptr "ssccptr" 1 1 1;
    Sscofpmf "sscofpmf" 0 0 1;
    Sscounterenw "sscounterenw" 1 1 1;
    Sstc "sstc" 1 0 1;
    Sstvala "sstvala" 1 1 1;
    Sstvecd "sstvecd" 1 1 1;
    Svade "svade" 0 1 0;
    Svadu "svadu" 1 0 1;
    Svinval "svinval" 0 1 1;
    Svnapot "svnapot" 0 0 1;
    Svpbmt "svpbmt" 0 1 1;
}

/// What one extension needs: (extension, needs).
const NEEDS: &[(Ext, Ext)] = &[
    (Ext::D, Ext::F),
    (Ext::F, Ext::Zicsr),
    (Ext::Zfhmin, Ext::F),
    (Ext::Zfh, Ext::F),
    (Ext::Zfa, Ext::F),
    (Ext::Zacas, Ext::Zaamo),
    (Ext::Zabha, Ext::Zaamo),
    (Ext::Zawrs, Ext::Zalrsc),
    (Ext::Zcb, Ext::Zca),
    (Ext::Zcd, Ext::D),
    (Ext::Zcmop, Ext::Zca),
    (Ext::Zicntr, Ext::Zicsr),
    (Ext::Zihpm, Ext::Zicsr),
];

/// What switching one extension on or off switches along: (extension, part of it).
const PARTS: &[(Ext, Ext)] = &[
    (Ext::A, Ext::Zaamo),
    (Ext::A, Ext::Zalrsc),
    (Ext::C, Ext::Zca),
    (Ext::C, Ext::Zcd),
    (Ext::Zfh, Ext::Zfhmin),
];

/// A set of extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtSet(u128);

impl ExtSet {
    pub fn has(self, ext: Ext) -> bool {
        self.0 >> ext as u32 & 1 != 0
    }

    pub fn set(&mut self, ext: Ext, on: bool) {
        let bit = 1u128 << ext as u32;
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }
}

/// The largest paging mode, as `satp.MODE` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PagingMode {
    Bare = 0,
    Sv39 = 8,
    Sv48 = 9,
    Sv57 = 10,
}

/// A CPU as `-cpu` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isa {
    pub extensions: ExtSet,
    pub paging: PagingMode,
    /// Physical memory protection with 16 regions.
    pub pmp: bool,
    /// Bytes of a cache block for `cbo.*` (a power of two; `cbo.zero` writes words of 8).
    pub cbom_blocksize: u64,
    pub cboz_blocksize: u64,
    pub cbop_blocksize: u64,
    pub mvendorid: u64,
    pub marchid: u64,
    pub mimpid: u64,
}

/// A `-cpu` argument that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IsaError {
    #[error("-cpu {0}: no such CPU model; there are: {list}", list = MODELS.join(", "))]
    Model(String),
    #[error("-cpu: no property '{0}' (extensions by name, sv39, sv48, sv57, mmu, pmp, ...)")]
    Property(String),
    #[error("-cpu: property '{0}' takes on or off, not '{1}'")]
    Switch(String, String),
    #[error("-cpu: property '{0}' takes a number, not '{1}'")]
    Number(String, String),
    #[error("-cpu: {0}={1}: block sizes are powers of two from 8 to 4096")]
    BlockSize(String, u64),
    #[error("-cpu: extension {0} needs {1}")]
    Needs(&'static str, &'static str),
}

/// The models that `-cpu` takes.
pub const MODELS: &[&str] = &["rv64", "max", "rva22s64"];

fn name_of(ext: Ext) -> &'static str {
    TABLE[ext as usize].name
}

impl Isa {
    /// The model called `name`, before properties.
    pub fn model(name: &str) -> Result<Self, IsaError> {
        let chosen: fn(&Row) -> bool = match name {
            "rv64" => |row| row.rv64,
            "rva22s64" => |row| row.rva22,
            "max" => |row| row.max,
            _ => return Err(IsaError::Model(name.to_string())),
        };
        let mut extensions = ExtSet::default();
        for row in TABLE {
            extensions.set(row.ext, chosen(row));
        }
        let paging = if name == "rva22s64" {
            PagingMode::Sv39
        } else {
            PagingMode::Sv57
        };
        Ok(Self {
            extensions,
            paging,
            pmp: true,
            cbom_blocksize: 64,
            cboz_blocksize: 64,
            cbop_blocksize: 64,
            mvendorid: 0,
            marchid: 0,
            mimpid: 0,
        })
    }

    /// The model with its properties in the order given, checked.
    pub fn parse(model: &str, properties: &[(String, String)]) -> Result<Self, IsaError> {
        let mut isa = Self::model(model)?;
        for (name, value) in properties {
            isa.set_property(name, value)?;
        }
        isa.check()?;
        Ok(isa)
    }

    /// True when the CPU has `ext`.
    pub fn has(&self, ext: Ext) -> bool {
        self.extensions.has(ext)
    }

    fn set_property(&mut self, name: &str, value: &str) -> Result<(), IsaError> {
        match name {
            "sv39" => self.set_paging(PagingMode::Sv39, switch(name, value)?),
            "sv48" => self.set_paging(PagingMode::Sv48, switch(name, value)?),
            "sv57" => self.set_paging(PagingMode::Sv57, switch(name, value)?),
            "mmu" => self.set_paging(PagingMode::Sv39, switch(name, value)?),
            "pmp" => self.pmp = switch(name, value)?,
            "cbom_blocksize" => self.cbom_blocksize = block_size(name, value)?,
            "cboz_blocksize" => self.cboz_blocksize = block_size(name, value)?,
            "cbop_blocksize" => self.cbop_blocksize = block_size(name, value)?,
            "mvendorid" => self.mvendorid = number(name, value)?,
            "marchid" => self.marchid = number(name, value)?,
            "mimpid" => self.mimpid = number(name, value)?,
            _ => {
                let row = TABLE.iter().find(|row| row.name == name);
                let row = row.ok_or_else(|| IsaError::Property(name.to_string()))?;
                self.set_extension(row.ext, switch(name, value)?);
            }
        }
        Ok(())
    }

    fn set_extension(&mut self, ext: Ext, on: bool) {
        self.extensions.set(ext, on);
        for (whole, part) in PARTS {
            if *whole == ext {
                self.extensions
                    .set(*part, on && (*part != Ext::Zcd || self.has(Ext::D)));
            }
        }
        if ext == Ext::D {
            let compressed = self.has(Ext::C);
            self.extensions.set(Ext::Zcd, on && compressed);
        }
    }

    /// Switching a mode on raises the largest mode to it; off lowers it below.
    fn set_paging(&mut self, mode: PagingMode, on: bool) {
        let below = match mode {
            PagingMode::Sv57 => PagingMode::Sv48,
            PagingMode::Sv48 => PagingMode::Sv39,
            PagingMode::Sv39 | PagingMode::Bare => PagingMode::Bare,
        };
        self.paging = if on {
            self.paging.max(mode)
        } else {
            self.paging.min(below)
        };
    }

    fn check(&self) -> Result<(), IsaError> {
        for (ext, needs) in NEEDS {
            if self.has(*ext) && !self.has(*needs) {
                return Err(IsaError::Needs(name_of(*ext), name_of(*needs)));
            }
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        TABLE
            .iter()
            .filter(|row| self.has(row.ext))
            .map(|row| row.name)
    }

    /// The `riscv,isa` property: `rv64imafdc_zicbom_...`.
    pub fn isa_string(&self) -> String {
        let mut text = String::from("rv64");
        for name in self.names() {
            if name.len() == 1 {
                text.push_str(name);
            } else {
                let _ = write!(text, "_{name}");
            }
        }
        text
    }

    /// The `riscv,isa-extensions` property.
    pub fn isa_extensions(&self) -> Vec<String> {
        self.names().map(str::to_string).collect()
    }

    /// The `mmu-type` property; `None` without an MMU.
    pub fn mmu_type(&self) -> &'static str {
        match self.paging {
            PagingMode::Bare => "riscv,none",
            PagingMode::Sv39 => "riscv,sv39",
            PagingMode::Sv48 => "riscv,sv48",
            PagingMode::Sv57 => "riscv,sv57",
        }
    }

    /// The `misa` CSR: MXL = 2, a bit for each single-letter extension, S and U.
    pub fn misa(&self) -> u64 {
        let letters = self.names().filter(|name| name.len() == 1);
        let bit = |c: u8| 1u64 << (c - b'a');
        let exts = letters.fold(0, |bits, name| bits | bit(name.as_bytes()[0]));
        2 << 62 | exts | bit(b's') | bit(b'u')
    }
}

fn switch(name: &str, value: &str) -> Result<bool, IsaError> {
    match value {
        "on" | "true" | "yes" | "y" => Ok(true),
        "off" | "false" | "no" | "n" => Ok(false),
        _ => Err(IsaError::Switch(name.to_string(), value.to_string())),
    }
}

fn number(name: &str, value: &str) -> Result<u64, IsaError> {
    let parsed = match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => value.parse(),
    };
    parsed.map_err(|_| IsaError::Number(name.to_string(), value.to_string()))
}

fn block_size(name: &str, value: &str) -> Result<u64, IsaError> {
    let size = number(name, value)?;
    if size.is_power_of_two() && (8..=4096).contains(&size) {
        Ok(size)
    } else {
        Err(IsaError::BlockSize(name.to_string(), size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(model: &str, properties: &[(&str, &str)]) -> Result<Isa, IsaError> {
        let owned: Vec<_> = properties
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        Isa::parse(model, &owned)
    }

    #[test]
    fn table_is_in_the_order_of_the_enum() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.ext as usize, index, "{}", row.name);
        }
    }

    #[test]
    fn models_and_properties() {
        let isa = parse("rv64", &[]).unwrap();
        assert!(
            isa.isa_string()
                .starts_with("rv64imafdc_zic64b_zicbom_zicbop_zicboz_")
        );
        assert_eq!(isa.misa(), 0x8000_0000_0014_112d);
        assert_eq!(isa.mmu_type(), "riscv,sv57");
        let isa = parse("rv64", &[("sv57", "off"), ("c", "off"), ("zba", "off")]).unwrap();
        assert_eq!(isa.paging, PagingMode::Sv48);
        assert!(!isa.has(Ext::Zca) && !isa.has(Ext::Zcd) && !isa.has(Ext::Zba));
        assert_eq!(parse("rva22s64", &[]).unwrap().paging, PagingMode::Sv39);
    }

    #[test]
    fn refusals_are_sentences() {
        let check = |model: &str, properties: &[(&str, &str)], text: &str| {
            let error = parse(model, properties).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        check("rv128", &[], "no such CPU model");
        check("rv64", &[("zfoo", "on")], "no property 'zfoo'");
        check("rv64", &[("zba", "maybe")], "takes on or off");
        check("rv64", &[("f", "off")], "extension d needs f");
        check("rv64", &[("cbom_blocksize", "65")], "powers of two");
        check("rv64", &[("cboz_blocksize", "4")], "powers of two");
        check("rv64", &[("mvendorid", "x")], "takes a number");
    }
}
