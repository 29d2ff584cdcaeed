//! Whole machines: what is on the bus and in RAM, which wire leads where, and what is refused.

mod common;

use std::sync::Arc;

use common::{Mip, NoHost, NoTime, RAM_BASE, Ram, RunState, entropy};
use hw::core::device_tree::{Node, parse};
use hw::core::loader::Blob;
use hw::rtc::goldfish_rtc::RtcConfig;
use hw::virtio::drivers::DeviceOption;
use hw::virtio::virtio_mmio::VirtioMmioConfig;
use hw_riscv::virt::memory_map::{CLINT, PLIC, RTC, TEST, UART0, VIRT_MEMORY_MAP, VIRTIO};
use hw_riscv::{IsaDescription, Machine, MachineWiring, VirtConfig, build};
use include::{AccessSize, ClockType, IrqSink};

const MIB: usize = 1 << 20;

struct Host {
    ram: Arc<Ram>,
    runstate: Arc<RunState>,
    harts: Vec<Arc<Mip>>,
    wiring: MachineWiring,
}

impl Host {
    fn new(harts: usize) -> Self {
        let (ram, runstate) = (Ram::new(64 * MIB), Arc::new(RunState::default()));
        let harts: Vec<Arc<Mip>> = (0..harts).map(|_| Arc::default()).collect();
        let wiring = MachineWiring {
            memory: ram.clone(),
            timers: Arc::new(NoTime),
            runstate: runstate.clone(),
            serials: Vec::new(),
            cpu_irqs: harts
                .iter()
                .map(|hart| hart.clone() as Arc<dyn IrqSink>)
                .collect(),
            entropy: entropy(),
            host: Arc::new(NoHost),
        };
        Self {
            ram,
            runstate,
            harts,
            wiring,
        }
    }

    fn mip(&self, hart: usize) -> u64 {
        *self.harts[hart].0.lock()
    }
}

fn config() -> VirtConfig {
    VirtConfig {
        ram_size: 64 << 20,
        harts: 1,
        isa: IsaDescription {
            isa: "rv64imac".into(),
            isa_base: "rv64i".into(),
            mmu_type: "riscv,sv39".into(),
            ..IsaDescription::default()
        },
        bios: Some(Blob::new("-bios", "fw.bin", vec![0xf0; 100])),
        kernel: None,
        initrd: None,
        append: None,
        dtb: None,
        devices: Vec::new(),
        virtio_mmio: VirtioMmioConfig::default(),
        rtc: RtcConfig {
            clock: ClockType::Host,
            offset_ns: 0,
        },
    }
}

fn linux() -> VirtConfig {
    VirtConfig {
        kernel: Some(Blob::new("-kernel", "Image", vec![0xaa; 1000])),
        initrd: Some(Blob::new("-initrd", "initrd.gz", vec![0xbb; 2000])),
        append: Some("console=ttyS0".into()),
        ..config()
    }
}

fn device(text: &str) -> DeviceOption {
    let mut words = text.split(',');
    let driver = words.next().unwrap().into();
    let pair = |word: &str| {
        word.split_once('=')
            .map(|(k, v)| (k.into(), v.into()))
            .unwrap()
    };
    DeviceOption {
        driver,
        properties: words.map(pair).collect(),
    }
}

/// The window at `base`.
fn write(machine: &Machine, base: u64, offset: u64, size: AccessSize, value: u64) {
    let mapping = machine
        .mappings
        .iter()
        .find(|m| m.base.0 == base)
        .expect("a window");
    mapping.device.lock().write(offset, size, value);
}

fn read(machine: &Machine, base: u64, offset: u64, size: AccessSize) -> u64 {
    let mapping = machine
        .mappings
        .iter()
        .find(|m| m.base.0 == base)
        .expect("a window");
    mapping.device.lock().read(offset, size)
}

fn chosen(machine: &Machine, ram: &Ram) -> Node {
    let fdt = ram.bytes(machine.fdt_addr.0, machine.fdt.len());
    parse(&fdt)
        .expect("a tree in RAM")
        .node("chosen")
        .expect("/chosen")
        .clone()
}

#[test]
fn windows_are_the_rows_of_the_table() {
    let host = Host::new(2);
    let machine = build(
        &VirtConfig {
            harts: 2,
            ..config()
        },
        &host.wiring,
    )
    .unwrap();
    let mut windows: Vec<_> = machine
        .mappings
        .iter()
        .map(|m| (m.base.0, m.size))
        .collect();
    windows.sort();
    assert!(
        windows
            .windows(2)
            .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
    );
    let in_row = |base| VIRT_MEMORY_MAP.iter().any(|row| row.span().contains(&base));
    assert!(
        windows
            .iter()
            .all(|(base, size)| in_row(*base) && in_row(base + size - 1))
    );
    // As QEMU's `info mtree -f` shows them; it splits fw_cfg's registers.
    let expected = [
        (0x10_0000, 0x1000),
        (0x10_1000, 0x24),
        (0x200_0000, 0x4000),
        (0x200_4000, 0x8000),
        (0xc00_0000, 0x60_0000),
        (0x1000_0000, 8),
        (0x1000_1000, 0x200),
        (0x1000_2000, 0x200),
        (0x1000_3000, 0x200),
        (0x1000_4000, 0x200),
        (0x1000_5000, 0x200),
        (0x1000_6000, 0x200),
        (0x1000_7000, 0x200),
        (0x1000_8000, 0x200),
        (0x1010_0000, 0x18),
    ];
    assert_eq!(windows, expected);
    assert_eq!(machine.ram, RAM_BASE..RAM_BASE + (64 << 20));
    assert_eq!((machine.mrom.base.0, machine.mrom.size), (0x1000, 0xf000));
    assert_eq!(machine.reset_pc.0, 0x1000);
    assert_eq!(machine.time.frequency_hz(), 10_000_000);
}

#[test]
fn reset_brings_all_images_back() {
    let host = Host::new(1);
    let machine = build(&linux(), &host.wiring).unwrap();
    for _ in 0..2 {
        machine.reset(&*host.ram).unwrap();
        assert_eq!(
            host.ram.bytes(RAM_BASE, 101),
            [&[0xf0; 100][..], &[0]].concat()
        );
        assert_eq!(
            host.ram.bytes(0x8020_0000, 1001),
            [&[0xaa; 1000][..], &[0]].concat()
        );
        assert_eq!(host.ram.bytes(0x8220_0000, 2000), [0xbb; 2000]);
        host.wiring
            .memory
            .write(include::PhysAddr(0x8020_0000), &[0; 1000])
            .unwrap();
    }
    let chosen = chosen(&machine, &host.ram);
    assert_eq!(chosen.property("bootargs"), Some(&b"console=ttyS0\0"[..]));
    assert_eq!(
        chosen.property("linux,initrd-start"),
        Some(&0x8220_0000u64.to_be_bytes()[..])
    );
    assert_eq!(
        chosen.property("linux,initrd-end"),
        Some(&0x8220_07d0u64.to_be_bytes()[..])
    );
}

#[test]
fn every_boot_has_another_seed() {
    let host = Host::new(1);
    let machine = build(&config(), &host.wiring).unwrap();
    let seed = || {
        machine.reset(&*host.ram).unwrap();
        chosen(&machine, &host.ram)
            .property("rng-seed")
            .unwrap()
            .to_vec()
    };
    let seeds = [seed(), seed()];
    assert_eq!(seeds[0].len(), 32);
    assert_ne!(seeds[0], seeds[1]);
}

/// The addresses in the reset vector: firmware, device tree, next stage.
fn check_vector(config: &VirtConfig, expected: [u64; 3]) {
    let host = Host::new(1);
    let machine = build(config, &host.wiring).unwrap();
    let words: Vec<u64> = machine.mrom.bytes[24..]
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    assert_eq!([words[0], words[1], words[4]], expected);
    assert_eq!(machine.fdt_addr.0, expected[1]);
}

#[test]
fn harts_start_in_firmware_or_kernel() {
    let fdt = 0x83e0_0000;
    check_vector(&linux(), [0x8000_0000, fdt, 0x8020_0000]);
    check_vector(&config(), [0x8000_0000, fdt, 0]);
    check_vector(
        &VirtConfig {
            bios: None,
            ..linux()
        },
        [0x8000_0000, fdt, 0x8000_0000],
    );
    check_vector(
        &VirtConfig {
            bios: None,
            ..config()
        },
        [0x8000_0000, fdt, 0],
    );
}

#[test]
fn a_users_tree_replaces_ours() {
    let host = Host::new(1);
    let ours = build(&config(), &host.wiring).unwrap().fdt;
    let dtb = Some(Blob::new("-dtb", "my.dtb", ours.to_vec()));
    let machine = build(
        &VirtConfig {
            harts: 2,
            dtb,
            ..linux()
        },
        &Host::new(2).wiring,
    )
    .unwrap();
    let tree = parse(&machine.fdt).unwrap();
    assert!(tree.node("cpus/cpu@0").is_some() && tree.node("cpus/cpu@1").is_none());
    let bootargs = tree.node("chosen").unwrap().property("bootargs");
    assert_eq!(bootargs, Some(&b"console=ttyS0\0"[..]));
}

#[test]
fn software_interrupts_reach_their_hart() {
    let host = Host::new(2);
    let machine = build(
        &VirtConfig {
            harts: 2,
            ..config()
        },
        &host.wiring,
    )
    .unwrap();
    machine.reset(&*host.ram).unwrap();
    write(&machine, CLINT.base, 4, AccessSize::Word, 1);
    assert_eq!((host.mip(0), host.mip(1)), (0, 1 << 3));
    machine.reset(&*host.ram).unwrap();
    assert_eq!((host.mip(0), host.mip(1)), (0, 0));
}

#[test]
fn the_uart_interrupts_through_the_plic() {
    let host = Host::new(2);
    let machine = build(
        &VirtConfig {
            harts: 2,
            ..config()
        },
        &host.wiring,
    )
    .unwrap();
    machine.reset(&*host.ram).unwrap();
    let source = u64::from(UART0.irq);
    write(&machine, PLIC.base, 4 * source, AccessSize::Word, 1);
    // Context 3 is hart 1 in S-mode.
    write(
        &machine,
        PLIC.base,
        0x2000 + 3 * 0x80,
        AccessSize::Word,
        1 << source,
    );
    assert_eq!((host.mip(0), host.mip(1)), (0, 0));
    // IER: transmitter empty.
    write(&machine, UART0.base, 1, AccessSize::Byte, 2);
    assert_eq!((host.mip(0), host.mip(1)), (0, 1 << 9));
    assert_eq!(
        read(
            &machine,
            PLIC.base,
            0x20_0004 + 3 * 0x1000,
            AccessSize::Word
        ),
        source
    );
    assert_eq!(host.mip(1), 0);
}

#[test]
fn the_finisher_reaches_the_run_state() {
    let host = Host::new(1);
    let machine = build(&config(), &host.wiring).unwrap();
    write(&machine, TEST.base, 0, AccessSize::Word, 0x7777);
    assert_eq!(*host.runstate.0.lock(), ["reset"]);
    assert_ne!(RTC.irq, 0);
}

#[test]
fn devices_fill_slots_from_the_top() {
    let host = Host::new(1);
    let names = [
        "virtio-rng-device",
        "virtio-rng-device,bus=virtio-mmio-bus.3,id=r,period=0x10",
    ];
    let devices = names.map(device).to_vec();
    let machine = build(
        &VirtConfig {
            devices,
            ..config()
        },
        &host.wiring,
    )
    .unwrap();
    // Register DeviceID: 4 is entropy, 0 an empty slot.
    let ids: Vec<u64> = (0..VIRTIO.count)
        .map(|slot| read(&machine, VIRTIO.base_of(slot), 8, AccessSize::Word))
        .collect();
    assert_eq!(ids, [0, 0, 0, 4, 0, 0, 0, 4]);
}

fn check_refused(config: VirtConfig, expected: &str) {
    let host = Host::new(config.harts);
    let error = build(&config, &host.wiring)
        .err()
        .expect("the machine must be refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn wrong_machines_are_refused() {
    let harts = "the machine virt has 1 to 8 harts";
    check_refused(
        VirtConfig {
            harts: 0,
            ..config()
        },
        &format!("-smp 0: {harts}"),
    );
    check_refused(
        VirtConfig {
            harts: 9,
            ..config()
        },
        &format!("-smp 9: {harts}"),
    );
    let ram = "bytes of RAM are not a size that the machine virt can have";
    check_refused(
        VirtConfig {
            ram_size: 0,
            ..config()
        },
        &format!("-m: 0 {ram}"),
    );
    check_refused(
        VirtConfig {
            ram_size: 4097,
            ..config()
        },
        &format!("-m: 4097 {ram}"),
    );
    let alone = VirtConfig {
        kernel: None,
        ..linux()
    };
    check_refused(
        alone.clone(),
        "-initrd is only allowed with the option -kernel",
    );
    let alone = VirtConfig {
        initrd: None,
        ..alone
    };
    check_refused(alone, "-append is only allowed with the option -kernel");
    let small = VirtConfig {
        ram_size: 8 << 20,
        ..linux()
    };
    let kernel = Some(Blob::new("-kernel", "Image", vec![0; 5 * MIB]));
    let room = "-m: 8388608 bytes of RAM leave no room for the device tree after firmware, \
                kernel and initrd";
    check_refused(
        VirtConfig {
            kernel,
            initrd: None,
            ..small
        },
        room,
    );
    let dtb = Some(Blob::new("-dtb", "my.dtb", vec![0; 100]));
    let expected = "-dtb my.dtb: this is not a flattened device tree: its magic number is missing";
    check_refused(VirtConfig { dtb, ..config() }, expected);
    let bios = Some(Blob::new("-bios", "fw.elf", b"\x7fELF".to_vec()));
    check_refused(
        VirtConfig { bios, ..config() },
        "-bios fw.elf: this ELF file is truncated",
    );
}

#[test]
fn wrong_devices_are_refused() {
    let check = |options: &[&str], expected: &str| {
        let devices = options.iter().map(|option| device(option)).collect();
        check_refused(
            VirtConfig {
                devices,
                ..config()
            },
            &format!("-device {expected}"),
        );
    };
    let known: Vec<&str> = hw::virtio::drivers::drivers().collect();
    let known = format!(
        "this device is not there yet; there are {}",
        known.join(", ")
    );
    check(
        &["virtio-gpu-device"],
        &format!("virtio-gpu-device: {known}"),
    );
    let rng = "virtio-rng-device";
    check(
        &["virtio-rng-device,in_order=on"],
        &format!("{rng}: the property in_order is not there yet"),
    );
    check(
        &["virtio-rng-device,packed=maybe"],
        &format!("{rng}: packed=maybe is not on or off"),
    );
    let period = "period=0 is not a number of milliseconds from 1 to 4294967295";
    check(&["virtio-rng-device,period=0"], &format!("{rng}: {period}"));
    let bus = "is not virtio-mmio-bus.0 to virtio-mmio-bus.7";
    check(
        &["virtio-rng-device,bus=pci.0"],
        &format!("{rng}: bus=pci.0 {bus}"),
    );
    let bus8 = "virtio-rng-device,bus=virtio-mmio-bus.8";
    check(&[bus8], &format!("{rng}: bus=virtio-mmio-bus.8 {bus}"));
    let bus1 = "virtio-rng-device,bus=virtio-mmio-bus.1";
    check(
        &[bus1, bus1],
        &format!("{rng}: virtio-mmio-bus.1 has a device already"),
    );
    let id = "virtio-rng-device,id=a";
    check(
        &[id, id],
        &format!("{rng}: there is another device with the id a"),
    );
    check(&[rng; 9], &format!("{rng}: all 8 virtio slots are taken"));
}

#[test]
fn ports_find_their_device() {
    let check = |options: &[&str], expected: Option<&str>| {
        let devices = options.iter().map(|option| device(option)).collect();
        let config = VirtConfig {
            devices,
            ..config()
        };
        match expected {
            Some(sentence) => check_refused(config, &format!("-device {sentence}")),
            None => assert!(build(&config, &Host::new(1).wiring).is_ok(), "{options:?}"),
        }
    };
    let serial = "virtio-serial-device,id=s,max_ports=2,packed=on";
    let none = "there is no virtio-serial-device with room for it";
    check(
        &[serial, "virtconsole", "virtserialport,bus=s.0,name=x"],
        None,
    );
    check(
        &[
            "virtio-serial-device",
            "virtconsole,bus=virtio-serial-bus.0",
        ],
        None,
    );
    check(
        &["virtconsole", serial],
        Some(&format!("virtconsole: {none}")),
    );
    check(
        &[serial, "virtconsole", "virtconsole", "virtconsole"],
        Some(&format!("virtconsole: {none}")),
    );
    check(
        &[serial, "virtconsole,bus=t.0"],
        Some("virtconsole: bus=t.0 is not the bus of a virtio-serial-device before it (id.0)"),
    );
    check(
        &[serial, "virtserialport,chardev=c"],
        Some("virtserialport: there is no chardev"),
    );
    check(
        &["virtio-serial-device,max_ports=512"],
        Some("virtio-serial-device: max_ports=512 is not a number from 1 to 511"),
    );
}
