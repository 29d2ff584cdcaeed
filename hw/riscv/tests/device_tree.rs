//! The generated device tree, compared with golden files and with QEMU's own.
//!
//! The golden files are our output, reviewed against QEMU 11.1.2 `-M virt,dumpdtb=`;
//! `BLESS=1 cargo test -p hw-riscv` writes them anew. The comparison with QEMU itself runs where
//! `TINAMOU_ORACLE` names a `qemu-system-riscv64` of version 11 (a program, or a script that runs
//! it), and says so where it does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use hw::core::device_tree::{Node, parse};
use hw_riscv::IsaDescription;
use hw_riscv::virt::fdt::{FdtConfig, generate};

/// Nodes of QEMU's tree that stand for devices that this machine does not have. The test fails if
/// QEMU does not have them either.
const ABSENT: &[(&str, &str)] = &[
    ("", "platform-bus@4000000"),
    ("", "flash@20000000"),
    ("soc", "pci@30000000"),
];

fn isa() -> IsaDescription {
    IsaDescription {
        isa: "rv64imafdc_zicntr_zicsr_zifencei_zihpm_zba_zbb_zbs_sstc".into(),
        isa_base: "rv64i".into(),
        extensions: ["i", "m", "a", "f", "d", "c", "zicsr"]
            .map(String::from)
            .into(),
        mmu_type: "riscv,sv57".into(),
        cbom_block_size: Some(64),
        cboz_block_size: Some(64),
        cbop_block_size: Some(64),
        hpm_counters: 0x7_fff8,
    }
}

fn config(isa: &IsaDescription) -> FdtConfig<'_> {
    FdtConfig {
        ram_size: 512 << 20,
        harts: 1,
        isa,
        initrd: None,
        bootargs: None,
        rng_seed: std::array::from_fn(|i| i as u8),
    }
}

fn tree(config: &FdtConfig<'_>) -> Node {
    parse(&generate(config).expect("the tree can be written")).expect("the tree can be read")
}

/// Compares a tree with `data/NAME.dts`.
fn check_golden(name: &str, config: &FdtConfig<'_>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let text = tree(config).to_string();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    assert_eq!(text, golden, "{name} differs; BLESS=1 accepts it");
}

#[test]
fn one_hart() {
    check_golden("virt-smp1.dts", &config(&isa()));
}

#[test]
fn three_harts_and_linux() {
    let isa = IsaDescription {
        hpm_counters: 0,
        cbop_block_size: None,
        ..isa()
    };
    let linux = FdtConfig {
        ram_size: 3 << 30,
        harts: 3,
        initrd: Some((0x8_9020_0000, 0x8_904d_c6c0)),
        bootargs: Some("console=ttyS0 root=/dev/vda"),
        ..config(&isa)
    };
    check_golden("virt-smp3-linux.dts", &linux);
}

#[test]
fn an_empty_command_line_is_none() {
    let isa = isa();
    let empty = FdtConfig {
        bootargs: Some(""),
        ..config(&isa)
    };
    assert_eq!(tree(&empty), tree(&config(&isa)));
}

/// A folder for files of this test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tinamou-fdt-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a scratch folder can be made");
        Self(folder)
    }

    fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, vec![0x13; size]).expect("a scratch file can be written");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// QEMU's tree for `args`.
fn oracle_tree(oracle: &str, scratch: &Scratch, args: &[&str]) -> Node {
    let dtb = scratch.0.join("oracle.dtb");
    let machine = format!("virt,dumpdtb={}", dtb.display());
    let bios = scratch.file("bios", 0x4_3d68);
    let mut qemu = Command::new(oracle);
    qemu.args([
        "-display", "none", "-serial", "none", "-M", &machine, "-bios",
    ])
    .arg(bios);
    let output = qemu.args(args).output().expect("QEMU starts");
    assert!(dtb.exists(), "{}", String::from_utf8_lossy(&output.stderr));
    parse(&std::fs::read(dtb).expect("QEMU's tree")).expect("QEMU's tree can be read")
}

/// The description of harts that QEMU's tree gives.
fn isa_of(tree: &Node) -> IsaDescription {
    let cpu = tree.node("cpus/cpu@0").expect("a first hart");
    let text = |name| {
        let value = cpu.property(name).expect(name);
        String::from_utf8(value[..value.len() - 1].to_vec()).expect(name)
    };
    let cell = |name| {
        let value = cpu.property(name)?.first_chunk()?;
        Some(u32::from_be_bytes(*value))
    };
    let events = tree
        .node("pmu")
        .and_then(|pmu| pmu.property("riscv,event-to-mhpmcounters"));
    // The last row is an event of the programmable counters only.
    let counters = events.and_then(|events| events.last_chunk()).copied();
    IsaDescription {
        isa: text("riscv,isa"),
        isa_base: text("riscv,isa-base"),
        extensions: text("riscv,isa-extensions")
            .split('\0')
            .map(String::from)
            .collect(),
        mmu_type: text("mmu-type"),
        cbom_block_size: cell("riscv,cbom-block-size"),
        cboz_block_size: cell("riscv,cboz-block-size"),
        cbop_block_size: cell("riscv,cbop-block-size"),
        hpm_counters: counters.map_or(0, u32::from_be_bytes),
    }
}

/// Our tree for the same machine must have the same text, but for the absent nodes.
fn check_oracle(mut theirs: Node, ours: FdtConfig<'_>) {
    for (parent, name) in ABSENT {
        let parent = match *parent {
            "" => &mut theirs,
            parent => theirs
                .children
                .iter_mut()
                .find(|node| node.name == parent)
                .expect(parent),
        };
        let before = parent.children.len();
        parent.retain_children(|child| child != *name);
        assert_eq!(
            parent.children.len() + 1,
            before,
            "QEMU has no {name} either"
        );
    }
    let seed = theirs
        .node("chosen")
        .and_then(|chosen| chosen.property("rng-seed"));
    let rng_seed = seed
        .expect("a seed")
        .try_into()
        .expect("a seed of 32 bytes");
    let isa = isa_of(&theirs);
    let ours = tree(&FdtConfig {
        isa: &isa,
        rng_seed,
        ..ours
    });
    assert_eq!(ours.to_string(), theirs.to_string());
}

#[test]
fn the_tree_is_qemus() {
    let Ok(oracle) = std::env::var("TINAMOU_ORACLE") else {
        eprintln!("skipped: TINAMOU_ORACLE is not set");
        return;
    };
    let scratch = Scratch::new();
    let isa = isa();
    let theirs = oracle_tree(&oracle, &scratch, &["-m", "512M"]);
    check_oracle(theirs, config(&isa));

    let kernel = scratch.file("kernel", 5_000_000).display().to_string();
    let initrd = scratch.file("initrd", 3_000_000).display().to_string();
    let bootargs = Some("console=ttyS0");
    let args = [
        "-m", "2G", "-smp", "4", "-kernel", &kernel, "-initrd", &initrd, "-append",
    ];
    let theirs = oracle_tree(&oracle, &scratch, &[&args[..], &["console=ttyS0"]].concat());
    let initrd = Some((0xa020_0000, 0xa020_0000 + 3_000_000));
    let ours = FdtConfig {
        ram_size: 2 << 30,
        harts: 4,
        initrd,
        bootargs,
        ..config(&isa)
    };
    check_oracle(theirs, ours);
}
