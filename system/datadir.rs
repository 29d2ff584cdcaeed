//! Where firmware is looked for (QEMU's `system/datadir.c`).

use std::path::{Path, PathBuf};

use crate::options::Bios;

/// The names of the default firmware: in QEMU's folder, and in Debian's package `opensbi`.
const FIRMWARE: &[&str] = &["opensbi-riscv64-generic-fw_dynamic.bin", "fw_dynamic.bin"];

/// Folders beside the program, from its own folder.
const NEAR: &[&str] = &["pc-bios", "../share/tinamou", "."];

/// Folders of the host's packages.
const PACKAGES: &[&str] = &[
    "/usr/share/tinamou",
    "/usr/share/qemu",
    "/usr/lib/riscv64-linux-gnu/opensbi/generic",
];

/// All folders, `-L`'s first.
pub fn folders(asked: &[PathBuf]) -> Vec<PathBuf> {
    let program = std::env::current_exe().ok();
    let own = program.as_deref().and_then(Path::parent);
    let near = own
        .into_iter()
        .flat_map(|own| NEAR.iter().map(|folder| own.join(folder)));
    asked
        .iter()
        .cloned()
        .chain(near)
        .chain(PACKAGES.iter().map(PathBuf::from))
        .collect()
}

/// The file that `-bios` means; `None` for none.
pub fn firmware(bios: &Bios, folders: &[PathBuf]) -> Result<Option<PathBuf>, String> {
    let find = |name: &str| {
        folders
            .iter()
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
    };
    match bios {
        Bios::None => Ok(None),
        // A file that is not there is reported by whoever reads it.
        Bios::File(name) if Path::new(name).exists() => Ok(Some(name.into())),
        Bios::File(name) => Ok(Some(find(name).unwrap_or_else(|| name.into()))),
        Bios::Default => match FIRMWARE.iter().find_map(|name| find(name)) {
            Some(path) => Ok(Some(path)),
            None => Err(format!(
                "-bios default: there is no {} in any folder of '-L help' (name one with -L, or \
                 use -bios FILE or -bios none)",
                FIRMWARE.join(" or ")
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_is_found_along_the_folders() {
        let dir = std::env::temp_dir().join(format!("tinamou-datadir-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("fw_dynamic.bin");
        std::fs::write(&file, b"x").unwrap();
        let folders = [dir.join("nothing"), dir.clone()];
        let found = |bios: Bios| firmware(&bios, &folders);
        assert_eq!(found(Bios::Default), Ok(Some(file.clone())));
        assert_eq!(
            found(Bios::File("fw_dynamic.bin".into())),
            Ok(Some(file.clone()))
        );
        assert_eq!(
            found(Bios::File("missing".into())),
            Ok(Some("missing".into()))
        );
        assert_eq!(found(Bios::None), Ok(None));
        assert!(
            firmware(&Bios::Default, &folders[..1])
                .unwrap_err()
                .starts_with("-bios default")
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
