//! Bounded runs of all fuzz targets.

#[test]
fn elf() {
    fuzz::run("elf", fuzz::fuzz_elf);
}

#[test]
fn image() {
    fuzz::run("image", fuzz::fuzz_image);
}

#[test]
fn fdt() {
    fuzz::run("fdt", fuzz::fuzz_fdt);
}

#[test]
fn cmdline() {
    fuzz::run("cmdline", fuzz::fuzz_cmdline);
}

#[test]
fn virtio() {
    fuzz::run_virtio();
}
