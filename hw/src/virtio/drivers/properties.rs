//! What each driver of `-device` can be told, for `-device DRIVER,help`. A driver that takes a
//! property which is not in its table is stopped by an assertion in `drivers.rs`; a test finds
//! properties that are not named there.

use std::fmt::Write;

use super::super::virtio_bus::COMMON_FEATURES;

/// A property: its name, its type as QEMU writes it, and what it is without it, if that says
/// something.
pub type Property = (&'static str, &'static str, &'static str);

pub const BLK: &[Property] = &[
    ("bootindex", "int32", ""),
    ("config-wce", "bool", "on"),
    ("discard", "bool", "on"),
    ("drive", "str", ""),
    ("logical_block_size", "size", "512"),
    ("max-discard-sectors", "uint32", "4194303"),
    ("max-write-zeroes-sectors", "uint32", "4194303"),
    ("min_io_size", "size", "0"),
    ("num-queues", "uint16", "1"),
    ("opt_io_size", "size", "0"),
    ("physical_block_size", "size", "512"),
    ("queue-size", "uint16", "256"),
    ("request-merging", "bool", "off"),
    ("seg-max-adjust", "bool", "on"),
    ("serial", "str", ""),
    ("write-cache", "bool", "on"),
    ("write-zeroes", "bool", "on"),
];

pub const NINE_P: &[Property] = &[("fsdev", "str", ""), ("mount_tag", "str", "")];

pub const RNG: &[Property] = &[
    ("max-bytes", "uint64", "9223372036854775807"),
    ("period", "uint32", "65536"),
    ("rng", "link<rng-backend>", ""),
];

pub const SERIAL: &[Property] = &[("max_ports", "uint32", "31")];

pub const PORT: &[Property] = &[
    ("chardev", "str", ""),
    ("name", "str", ""),
    ("nr", "uint32", ""),
];

/// Those that every device has; `bus` and `id` are not listed, as in QEMU.
pub const OF_ALL: &[&str] = &["bus", "id"];

/// The list of a driver's properties, by name. `features` are those of the virtio bus.
pub fn list(driver: &str, properties: &[Property], features: bool) -> String {
    let mut rows = properties.to_vec();
    if features {
        let on = |on: bool| if on { "on" } else { "off" };
        let of_bus = COMMON_FEATURES.iter();
        rows.extend(of_bus.map(|(name, _, default)| (*name, "bool", on(*default))));
    }
    rows.sort_unstable();
    let mut text = format!("{driver} options:\n");
    for (name, kind, default) in rows {
        let option = format!("{name}=<{kind}>");
        let default = match default {
            "" => String::new(),
            default => format!(" - (default: {default})"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}", format!("{option:<40}{default}").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_taken() {
        let source = include_str!("../drivers.rs");
        for (name, ..) in [BLK, NINE_P, RNG, SERIAL, PORT].concat() {
            let taken = format!("(\"{name}\"");
            assert!(source.contains(&taken), "{name} is listed, but not taken");
        }
    }

    #[test]
    fn lists_are_sorted_and_have_the_features_of_the_bus() {
        let text = list("x", NINE_P, true);
        let names: Vec<_> = text
            .lines()
            .skip(1)
            .map(|line| line.trim().split('=').next())
            .collect();
        assert!(
            names.is_sorted() && names.contains(&Some("packed")),
            "{text}"
        );
        assert!(!list("x", PORT, false).contains("packed"));
    }
}
