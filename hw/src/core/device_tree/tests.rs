//! Trees written by `vm-fdt`, read back, damaged and patched.

use vm_fdt::{FdtReserveEntry, FdtWriter};

use super::*;

fn sample() -> Vec<u8> {
    let reserved = FdtReserveEntry::new(0x8000_0000, 0x1000).unwrap();
    let mut fdt = FdtWriter::new_with_mem_reserv(&[reserved]).unwrap();
    let root = fdt.begin_node("").unwrap();
    fdt.property_u32("#address-cells", 2).unwrap();
    let chosen = fdt.begin_node("chosen").unwrap();
    fdt.property_string("bootargs", "old").unwrap();
    fdt.property_string("stdout-path", "/soc").unwrap();
    let inner = fdt.begin_node("chosen").unwrap();
    fdt.property_string("bootargs", "deep").unwrap();
    fdt.end_node(inner).unwrap();
    fdt.end_node(chosen).unwrap();
    let soc = fdt.begin_node("soc").unwrap();
    fdt.property_null("ranges").unwrap();
    fdt.property("odd", &[1, 2, 3, 4, 5]).unwrap();
    fdt.end_node(soc).unwrap();
    fdt.end_node(root).unwrap();
    fdt.finish().unwrap()
}

/// Compares a tree with its source; the expectation is indented by spaces for the reader.
fn check(blob: &[u8], expected: &str) {
    let text = parse(blob).map_or_else(|error| error.to_string(), |tree| tree.to_string());
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(lines(&text), lines(expected));
}

#[test]
fn a_tree_reads_back() {
    check(
        &sample(),
        r#"/ {
            #address-cells = <0x2>;
            chosen {
                bootargs = "old";
                stdout-path = "/soc";
                chosen {
                    bootargs = "deep";
                };
            };
            soc {
                ranges;
                odd = [01 02 03 04 05];
            };
        };"#,
    );
    let tree = parse(&sample()).unwrap();
    assert_eq!(
        tree.node("/chosen/chosen").unwrap().property("bootargs"),
        Some(&b"deep\0"[..])
    );
    assert_eq!(tree.node("/none"), None);
}

#[test]
fn properties_are_replaced_and_added() {
    let properties = [
        ("bootargs", b"new\0".to_vec()),
        ("linux,initrd-end", vec![0; 8]),
    ];
    let blob = set_properties(&sample(), "chosen", &properties).unwrap();
    check(
        &blob,
        r#"/ {
            #address-cells = <0x2>;
            chosen {
                bootargs = "new";
                linux,initrd-end = <0x0 0x0>;
                stdout-path = "/soc";
                chosen {
                    bootargs = "deep";
                };
            };
            soc {
                ranges;
                odd = [01 02 03 04 05];
            };
        };"#,
    );
    let reservation = |blob: &[u8]| blob[40..72].to_vec();
    assert_eq!(reservation(&blob), reservation(&sample()));
    assert_eq!(total_size(&blob), Ok(blob.len()));
}

#[test]
fn a_missing_node_is_made() {
    let blob = set_properties(&sample(), "aliases", &[("serial0", b"/soc\0".to_vec())]).unwrap();
    let tree = parse(&blob).unwrap();
    assert_eq!(
        tree.node("aliases").unwrap().property("serial0"),
        Some(&b"/soc\0"[..])
    );
    assert_eq!(tree.children.len(), 3);
}

#[test]
fn values_are_found_in_place() {
    let blob = sample();
    let values = property_values(&blob, "bootargs").unwrap();
    let values: Vec<&[u8]> = values.into_iter().map(|range| &blob[range]).collect();
    assert_eq!(values, [&b"old\0"[..], b"deep\0"]);
}

#[test]
fn trailing_bytes_are_no_part_of_the_tree() {
    let mut blob = sample();
    let expected = parse(&blob).unwrap();
    blob.extend([0xff; 100]);
    assert_eq!(parse(&blob), Ok(expected));
}

#[test]
fn every_truncation_is_noticed() {
    let blob = sample();
    for len in 4..blob.len() {
        check(&blob[..len], "it is truncated");
    }
    check(b"MZ\0\0MZ\0\0", "its magic number is missing");
    check(b"MZ", "it is truncated");
}

#[test]
fn no_damaged_byte_panics() {
    for offset in 0..sample().len() {
        for value in [0, 1, 2, 3, 4, 9, 0x7f, 0x80, 0xff] {
            let mut blob = sample();
            blob[offset] = value;
            let _ = parse(&blob);
            let properties = [("bootargs", vec![])];
            if let Ok(patched) = set_properties(&blob, "chosen", &properties) {
                assert!(parse(&patched).is_ok(), "{offset} {value}");
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut blob: Vec<u8> = sample()[..40].to_vec();
    blob.extend([0; 16]);
    let structure = blob.len() as u32;
    for _ in 0..=tokens::DEPTH_MAX {
        blob.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    }
    let total = blob.len() as u32;
    for (index, word) in [(1, total), (2, structure), (3, total), (4, 40), (8, 0)] {
        blob[index * 4..index * 4 + 4].copy_from_slice(&u32::to_be_bytes(word));
    }
    blob[36..40].copy_from_slice(&(total - structure).to_be_bytes());
    check(&blob, "its nodes are nested too deeply");
}
