//! Command lines: good ones, bad ones with their sentences, and mutated ones.

use super::*;

fn parse_words(line: &str) -> Result<Options, Stop> {
    let args: Vec<String> = line.split_whitespace().map(str::to_string).collect();
    parse(&args)
}

/// Parses, and looks at the result.
fn good(line: &str, holds: impl Fn(&Options) -> bool) {
    match parse_words(line) {
        Ok(options) => assert!(holds(&options), "{line}: {options:?}"),
        Err(stop) => panic!("{line}: {stop:?}"),
    }
}

/// Must be refused with exactly this sentence.
fn bad(line: &str, sentence: &str) {
    assert_eq!(
        parse_words(line),
        Err(Stop::Refuse(sentence.to_string())),
        "{line}"
    );
}

fn smp_of(line: &str) -> Option<(u32, u32, u32, u32, u32)> {
    let smp = parse_words(line).ok()?.smp;
    Some((smp.cpus, smp.sockets, smp.cores, smp.threads, smp.max_cpus))
}

#[test]
fn nothing_given_is_the_default() {
    good("", |o| *o == Options::default());
}

#[test]
fn a_whole_command_line() {
    let line = "-M virt -m 512M -smp 2 -cpu rv64,zba=off,+zbb,-c -accel tcg,thread=single \
        -kernel Image -initrd initrd.gz -append console=ttyS0 -nographic -no-reboot -d int,exec \
        -D log -dfilter 0x80000000..0x80001000 -bios none --serial mon:stdio";
    good(line, |o| {
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        o.ram_bytes == Some(512 << 20)
            && o.smp.cpus == 2
            && o.cpu.as_ref().is_some_and(|cpu| {
                let properties = [pair("zba", "off"), pair("zbb", "on"), pair("c", "off")];
                cpu.name == "rv64" && cpu.properties == properties
            })
            && o.accel.multi_thread == Some(false)
            && o.kernel == Some("Image".into())
            && o.append.as_deref() == Some("console=ttyS0")
            && o.nographic
            && o.actions.reset_is_shutdown
            && o.log_items == [Item::Int, Item::Exec]
            && o.log_filter == [(0x8000_0000, 0x8000_1000)]
            && o.bios == Bios::None
            && o.serials.len() == 1
    });
}

#[test]
fn single_options() {
    good("-m 512", |o| o.ram_bytes == Some(512 << 20));
    good("-m size=1G", |o| o.ram_bytes == Some(1 << 30));
    good("-m 0", |o| o.ram_bytes.is_none());
    good("-m 4097k", |o| o.ram_bytes == Some(4104 << 10));
    good("-m 1 -m 2", |o| o.ram_bytes == Some(2 << 20));
    good("-machine type=virt,dumpdtb=a,,b", |o| {
        o.machine.dump_dtb == Some("a,b".into())
    });
    good("-M virt,aclint=off,acpi=off,accel=kvm:tcg", |o| {
        o.machine == Machine::default()
    });
    good("-bios default", |o| o.bios == Bios::Default);
    good("-bios fw.bin", |o| o.bios == Bios::File("fw.bin".into()));
    good(
        "-accel tcg,backend=tci,one-insn-per-tb=on,tb-size=32",
        |o| o.accel.one_insn_per_tb && o.accel.tb_size == Some(32 << 20),
    );
    good(
        "-accel tcg,backend=wasm32,threshold=1,max-instances=8",
        |o| {
            let accel = &o.accel;
            (accel.backend, accel.threshold, accel.max_instances)
                == (Backend::Wasm32, Some(1), Some(8))
        },
    );
    good("-one-insn-per-tb", |o| o.accel.one_insn_per_tb);
    good("-icount 3", |o| {
        o.icount
            == Some(Icount {
                shift: 3,
                sleep: true,
            })
    });
    good("-icount shift=0,sleep=off,align=off", |o| {
        o.icount
            == Some(Icount {
                shift: 0,
                sleep: false,
            })
    });
}

#[test]
fn more_single_options() {
    good("-rtc base=localtime,clock=vm", |o| {
        o.rtc.base == RtcBase::LocalTime
    });
    good("-rtc base=2006-06-17T16:01:21", |o| {
        o.rtc.base == RtcBase::Date(1_150_560_081)
    });
    good("-rtc base=2000-02-29", |o| {
        o.rtc.base == RtcBase::Date(951_782_400)
    });
    good("-rtc base=1970-01-01", |o| o.rtc.base == RtcBase::Date(0));
    good("-action reboot=shutdown,shutdown=pause,panic=none", |o| {
        o.actions
            == Actions {
                reset_is_shutdown: true,
                shutdown_is_pause: true,
                panic: OnPanic::None,
            }
    });
    good("-no-shutdown -S", |o| {
        o.actions.shutdown_is_pause && o.start_paused
    });
    good(
        "-device virtio-rng-device,rng=r0 -object rng-random,id=r0,filename=f",
        |o| {
            o.devices[0].properties == [("rng".to_string(), "r0".to_string())]
                && o.objects.rngs[0].file == Some("f".into())
        },
    );
    good(
        "-M virt,memory-backend=m -object memory-backend-file,id=m,size=64M,mem-path=f,share=on",
        |o| {
            let memory = o.objects.memory("m").unwrap();
            let file = memory.file.as_ref().unwrap();
            o.machine.memory_backend.as_deref() == Some("m")
                && memory.bytes == 64 << 20
                && (file.share, file.readonly, file.offset) == (true, false, 0)
        },
    );
    good("-name guest=x", |o| o.name.as_deref() == Some("x"));
    good("-echr 0x14", |o| o.escape == Some(0x14));
    good("-L a -L b", |o| o.data_dirs.len() == 2);
    good(
        "-display none -vga none -net none -parallel none -nodefaults -no-user-config",
        |o| o.no_display && o.no_defaults,
    );
    good(
        "-chardev stdio,id=c,mux=on -serial chardev:c -monitor chardev:c",
        |o| o.chardevs.len() == 1 && o.monitors == o.serials,
    );
}

#[test]
fn topologies() {
    for (text, expected) in [
        ("4", (4, 1, 4, 1, 4)),
        ("cpus=4", (4, 1, 4, 1, 4)),
        ("4,sockets=2", (4, 2, 2, 1, 4)),
        ("8,cores=2", (8, 4, 2, 1, 8)),
        ("8,cores=2,sockets=2", (8, 2, 2, 2, 8)),
        ("sockets=2,cores=2,threads=2", (8, 2, 2, 2, 8)),
        ("2,maxcpus=4", (2, 1, 4, 1, 4)),
        ("threads=2", (2, 1, 1, 2, 2)),
    ] {
        assert_eq!(smp_of(&format!("-smp {text}")), Some(expected), "{text}");
    }
    for text in [
        "0",
        "",
        "x",
        "3,sockets=2",
        "4,maxcpus=2",
        "-1",
        "1025",
        "2,dies=2",
        "cores=",
    ] {
        let args = ["-smp".to_string(), text.to_string()];
        // An empty argument is the default of one hart.
        assert_eq!(parse(&args).is_err(), !text.is_empty(), "{text}");
    }
}

#[test]
fn refusals_are_sentences() {
    bad("-foo", "-foo: invalid option");
    bad("--foo", "--foo: invalid option");
    bad("-", "-: invalid option");
    bad("-kernel", "-kernel: requires an argument");
    bad("-m 5Q", "-m 5Q: '5Q' is no size (such as 512, 512M or 2G)");
    bad(
        "-m 1G,slots=2",
        "-m 1G,slots=2: 'slots' (memory hot-plug) is not there yet in Tinamou",
    );
    bad(
        "-M pc",
        "-M pc: there is no machine 'pc' (try '-machine help')",
    );
    bad(
        "-M virt,foo=1",
        "-M virt,foo=1: there is no parameter 'foo'",
    );
    bad(
        "-machine virt,memory-encryption=m",
        "-machine virt,memory-encryption=m: the machine property \
         'memory-encryption' is not there yet in Tinamou",
    );
}

#[test]
fn more_refusals() {
    bad(
        "-M virt,aia=aplic",
        "-M virt,aia=aplic: 'aia' can only be 'none' yet in Tinamou",
    );
    bad(
        "-accel kvm",
        "-accel kvm: there is no accelerator 'kvm' here, only tcg",
    );
    bad(
        "-accel tcg,foo=1",
        "-accel tcg,foo=1: there is no parameter 'foo'",
    );
    bad(
        "-accel tcg,backend=x86",
        "-accel tcg,backend=x86: 'backend' is 'auto', 'tci' or 'wasm32', not 'x86'",
    );
    bad(
        "-accel tcg,threshold=0",
        "-accel tcg,threshold=0: 'threshold' is 1 to 1000000000, not '0'",
    );
    bad(
        "-accel tcg,max-instances=many",
        "-accel tcg,max-instances=many: 'max-instances' is 1 to 12000, not 'many'",
    );
    bad(
        "-accel tcg,thread=2",
        "-accel tcg,thread=2: 'thread' is 'single' or 'multi', not '2'",
    );
    bad(
        "-icount auto",
        "-icount auto: 'shift=auto' is not there yet in Tinamou, only shift=N",
    );
    bad(
        "-icount 11",
        "-icount 11: 'shift' is a number from 0 to 10, not '11'",
    );
    bad(
        "-d foo",
        "-d foo: there is no log item 'foo' (try '-d help')",
    );
}

#[test]
fn refusals_of_devices() {
    bad(
        "-serial vc",
        "-serial vc: the character device 'vc' is not there yet in Tinamou \
         (there are null, stdio, file, js)",
    );
    bad(
        "-initrd x",
        "-initrd: is only allowed with the option -kernel",
    );
    bad(
        "-display gtk",
        "-display gtk: there is no display yet in Tinamou, so it can only be \
         'none'",
    );
    bad(
        "-device virtio-rng-device,rng=x",
        "-device virtio-rng-device: there is no object 'x'",
    );
    bad(
        "-object memory-backend-ram,id=m",
        "-object memory-backend-ram,id=m: the parameter 'size' is missing",
    );
    bad(
        "-object memory-backend-epc,id=m",
        "-object memory-backend-epc,id=m: the object 'memory-backend-epc' is not there yet in \
         Tinamou",
    );
    bad(
        "-object memory-backend-file,id=m,size=1M,mem-path=f,offset=1K",
        "-object memory-backend-file,id=m,size=1M,mem-path=f,offset=1K: 'offset=1K' is no \
         multiple of 64 KiB",
    );
    bad(
        "-object rng-builtin,id=m -object memory-backend-ram,id=m,size=1M",
        "-object memory-backend-ram,id=m,size=1M: there is an object 'm' already",
    );
    bad(
        "-M virt,memory-backend=m",
        "-machine memory-backend=m: there is no memory backend with this id",
    );
    bad(
        "-m 2M -M virt,memory-backend=m -object memory-backend-ram,id=m,size=1M",
        "-machine memory-backend=m: it has 1024 KiB, and -m says 2048 KiB",
    );
    bad(
        "-action reboot=explode",
        "-action reboot=explode: 'reboot' has no action 'explode'",
    );
    bad(
        "-rtc base=2006-02-30",
        "-rtc base=2006-02-30: 'base' is utc, localtime or a date such as \
         2006-06-17T16:01:21, not '2006-02-30'",
    );
    bad(
        "-icount 1 -accel tcg,thread=multi",
        "-icount: needs one thread, so -accel tcg,thread=multi cannot be",
    );
}

#[test]
fn lists_stop_the_parsing() {
    for (line, topic) in [
        ("-h -foo", Topic::Options),
        ("--help", Topic::Options),
        ("-version", Topic::Version),
        ("-M help", Topic::Machines),
        ("-cpu help", Topic::Cpus),
        ("-device help", Topic::Devices),
        ("-L help", Topic::DataDirs),
    ] {
        assert_eq!(parse_words(line), Err(Stop::Help(topic)), "{line}");
    }
    for line in ["-d help", "-accel help", "-chardev help"] {
        assert!(matches!(parse_words(line), Err(Stop::Print(_))), "{line}");
    }
    for line in [
        "-device virtio-rng-device,help",
        "-device virtio-rng-device,rng=x,?",
    ] {
        let Err(Stop::Print(list)) = parse_words(line) else {
            panic!("{line}: no list");
        };
        let starts = list.starts_with("virtio-rng-device options:\n  any_layout=<bool>");
        assert!(
            starts && list.contains("\n  rng=<link<rng-backend>>\n"),
            "{list}"
        );
    }
    bad(
        "-device foo,help",
        "-device foo,help: there is no such device; '-device help' lists them",
    );
}

/// xorshift64: the fuzz test below must be the same on each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Words that mean something somewhere, to be glued and cut at random.
const WORDS: &[&str] = &[
    "-m",
    "-smp",
    "-M",
    "-machine",
    "-cpu",
    "-accel",
    "-icount",
    "-rtc",
    "-d",
    "-dfilter",
    "-D",
    "-serial",
    "-monitor",
    "-chardev",
    "-device",
    "-object",
    "-action",
    "-echr",
    "-name",
    "--m",
    "-display",
    "-kernel",
    "-append",
    "virt",
    "tcg",
    "rv64",
    "on",
    "off",
    "=",
    ",",
    ",,",
    "..",
    "+",
    "-",
    ":",
    "T",
    "0x",
    "0",
    "1",
    "4096",
    "18446744073709551615",
    "1.5",
    "G",
    "M",
    "shift",
    "size",
    "cpus",
    "cores",
    "sockets",
    "threads",
    "maxcpus",
    "base",
    "2024-02-29",
    "stdio",
    "id",
    "mux",
    "file",
    "path",
    "mon:",
    "chardev:",
    "rng-random",
    "memory-backend-file",
    "size=",
    "mem-path",
    "\u{e9}",
    "\u{1f9a4}",
    "\0",
    "",
];

#[test]
fn mutated_command_lines_never_panic() {
    let mut random = Random(0x7141_4d0b_5eed);
    let mut refused = 0;
    for _ in 0..20_000 {
        let args: Vec<String> = (0..1 + random.below(5))
            .map(|_| {
                (0..1 + random.below(6))
                    .map(|_| random.pick(WORDS))
                    .collect()
            })
            .collect();
        refused += usize::from(parse(&args).is_err());
    }
    // One option with a mangled argument gets deeper than glued words do.
    let options = [
        "-m", "-smp", "-M", "-accel", "-icount", "-rtc", "-dfilter", "-chardev", "-object",
    ];
    for _ in 0..40_000 {
        let value: String = (0..1 + random.below(6))
            .map(|_| random.pick(WORDS))
            .collect();
        refused += usize::from(parse(&[random.pick(&options).to_string(), value]).is_err());
    }
    assert!(
        (1..60_000).contains(&refused),
        "{refused} of 60000 were refused"
    );
}

#[test]
fn globals_are_properties_of_devices_or_of_the_slots() {
    good("-global virtio-mmio.force-legacy=false", |o| {
        !o.virtio_mmio.force_legacy && o.globals.is_empty()
    });
    let packed = |o: &Options| {
        let [(driver, property, value)] = &o.globals[..] else {
            return false;
        };
        [driver, property, value] == ["virtio-blk-device", "packed", "on"]
    };
    good("-global virtio-blk-device.packed=on", packed);
    good(
        "-global driver=virtio-blk-device,property=packed,value=on",
        packed,
    );
    bad(
        "-global foo.bar=1",
        "-global foo.bar=1: there is no property bar of 'foo' yet",
    );
    bad(
        "-global virtio-mmio.force-legacy",
        "-global virtio-mmio.force-legacy: 'virtio-mmio.force-legacy' is not driver.property=value",
    );
}
