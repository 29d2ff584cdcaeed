//! What the caller gives to build a `virt` machine.

use std::sync::Arc;

use hw::core::loader::Blob;
use hw::rtc::goldfish_rtc::RtcConfig;
use hw::virtio::drivers::{DeviceOption, Host};
use hw::virtio::virtio_mmio::VirtioMmioConfig;
use include::{AddressSpace, CharBackend, IrqSink, RunStateControl, TimerService};

/// Where random bytes come from: fills the buffer, or says what failed. Callable from any thread.
pub type Entropy = Arc<dyn Fn(&mut [u8]) -> std::io::Result<()> + Send + Sync>;

/// The host side of the machine.
pub struct MachineWiring {
    /// Guest memory, for devices.
    pub memory: Arc<dyn AddressSpace>,
    /// Clocks and timers.
    pub timers: Arc<dyn TimerService>,
    /// Who turns the machine off.
    pub runstate: Arc<dyn RunStateControl>,
    /// `-serial`, in order; `virt` has one.
    pub serials: Vec<Arc<dyn CharBackend>>,
    /// One per hart; the number of an input is its bit in `mip`.
    pub cpu_irqs: Vec<Arc<dyn IrqSink>>,
    /// Randomness for `rng-seed`.
    pub entropy: Entropy,
    /// What devices of `-device` get from the host.
    pub host: Arc<dyn Host>,
}

/// What the options say.
#[derive(Clone, Debug)]
pub struct VirtConfig {
    /// `-m`, in bytes: a multiple of 4096.
    pub ram_size: u64,
    /// `-smp`.
    pub harts: usize,
    /// `-cpu`, as the device tree shows it.
    pub isa: IsaDescription,
    /// `-bios`; `None` for `-bios none`. The caller finds the file of `-bios default`.
    pub bios: Option<Blob>,
    /// `-kernel`.
    pub kernel: Option<Blob>,
    /// `-initrd`, only with a kernel.
    pub initrd: Option<Blob>,
    /// `-append`, only with a kernel.
    pub append: Option<String>,
    /// `-dtb`, instead of the generated tree.
    pub dtb: Option<Blob>,
    /// `-device`, in order.
    pub devices: Vec<DeviceOption>,
    /// The slots that they go into.
    pub virtio_mmio: VirtioMmioConfig,
    /// `-rtc`.
    pub rtc: RtcConfig,
}

/// A hart, as the device tree describes it. `guest-riscv` fills this in from the CPU's extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IsaDescription {
    /// `riscv,isa`: `rv64imafdc_zicntr_...`.
    pub isa: String,
    /// `riscv,isa-base`: `rv64i`.
    pub isa_base: String,
    /// `riscv,isa-extensions`: `i`, `m`, ..., in canonical order.
    pub extensions: Vec<String>,
    /// `mmu-type`: `riscv,sv57`.
    pub mmu_type: String,
    /// `riscv,cbom-block-size`, if there is Zicbom.
    pub cbom_block_size: Option<u32>,
    /// `riscv,cboz-block-size`, if there is Zicboz.
    pub cboz_block_size: Option<u32>,
    /// `riscv,cbop-block-size`, if there is Zicbop.
    pub cbop_block_size: Option<u32>,
    /// A bit for each `mhpmcounterN` that can count (QEMU's default: bits 3 to 18); 0 leaves the
    /// `pmu` node out.
    pub hpm_counters: u32,
}
