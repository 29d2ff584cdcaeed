//! The guests that images can be for: a table, since nothing else here may know one of them.

pub struct Guest {
    /// As images have it.
    pub arch: &'static str,
    /// The emulator's program; under Node with `.js` behind it.
    pub emulator: &'static str,
    pub machine: &'static str,
    /// The kernel's console on that machine.
    pub console: &'static str,
    /// Whether the kit's firmware is needed.
    pub firmware: Option<&'static str>,
}

pub const GUESTS: &[Guest] = &[Guest {
    arch: "riscv64",
    emulator: "tinamou-system-riscv64",
    machine: "virt",
    console: "ttyS0",
    firmware: Some("fw_dynamic.bin"),
}];

pub fn find(arch: &str) -> Result<&'static Guest, String> {
    let guest = GUESTS.iter().find(|guest| guest.arch == arch);
    guest.ok_or_else(|| {
        let known: Vec<&str> = GUESTS.iter().map(|guest| guest.arch).collect();
        format!(
            "guests of '{arch}' are not there yet (there is {})",
            known.join(", ")
        )
    })
}
