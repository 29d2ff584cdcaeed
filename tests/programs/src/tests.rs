//! The tests, in one table. The answers are those of native QEMU.

/// What makes a test pass, besides status 0.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Is(&'static str),
    Has(&'static str),
}

pub struct Test {
    pub name: &'static str,
    /// For the guest's shell, in /tmp, where `data` has a million fixed bytes.
    pub command: &'static str,
    pub answer: Answer,
    /// Time limit on a calm machine.
    pub seconds: u64,
}

/// What all tests need.
pub const SETUP: &str = "mkdir -p /run /var/tmp /dev/shm; mount -t tmpfs shm /dev/shm; cd /tmp; \
     bench data 1000000 > data";

const fn test(name: &'static str, command: &'static str, answer: Answer) -> Test {
    Test {
        name,
        command,
        answer,
        seconds: 60,
    }
}

/// Classes of `stress-ng --verify`, two workers each.
const fn stress(name: &'static str, command: &'static str) -> Test {
    test(name, command, Answer::Has("successful run completed"))
}

macro_rules! stress {
    ($($name:literal)*) => {
        [$(stress(
            concat!("stress-ng ", $name),
            concat!("stress-ng --verify --timeout 2 --", $name, " 2 2>&1"),
        )),*]
    };
}

const PLAIN: [Test; 13] = [
    test(
        "openssl sha256",
        "openssl dgst -sha256 data",
        Answer::Has("9544b08333f09daaa18ec32a78a8dbb2fbc922980d744b90650915ea222fb412"),
    ),
    test(
        "openssl sha3",
        "openssl dgst -sha3-256 data",
        Answer::Has("1dcfb553910b2064d36fc89e138080d823893553e081e78a00f4850568d2cbd4"),
    ),
    test(
        "openssl aes",
        "openssl enc -aes-256-ctr -iv 00 -in data -out e \
         -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 2>/dev/null; \
         md5sum < e",
        Answer::Is("17e3e935741d0f69e2deb354ed9760af  -"),
    ),
    test(
        "openssl chacha20",
        "openssl enc -chacha20 -iv 00112233445566778899aabbccddeeff -in data -out e \
         -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff; md5sum < e",
        Answer::Is("3649c3b2f3a496b31b65b94dde34c198  -"),
    ),
    test(
        "openssl rsa",
        "openssl genrsa -out k 1024 2>/dev/null; openssl rsa -in k -pubout -out p 2>/dev/null; \
         openssl dgst -sha256 -sign k -out s data; \
         openssl dgst -sha256 -verify p -signature s data",
        Answer::Is("Verified OK"),
    ),
    test(
        "openssl ecdsa",
        "openssl ecparam -name prime256v1 -genkey -out k; \
         openssl ec -in k -pubout -out p 2>/dev/null; \
         openssl dgst -sha256 -sign k -out s data; \
         openssl dgst -sha256 -verify p -signature s data",
        Answer::Is("Verified OK"),
    ),
    test(
        "openssl speed",
        "openssl speed -seconds 1 -bytes 4096 sha256 2>/dev/null | tail -n 1",
        Answer::Has("sha256"),
    ),
    test(
        "openssl speed ecdsa",
        "openssl speed -seconds 1 ecdsap256 2>/dev/null | tail -n 1",
        Answer::Has("nistp256"),
    ),
    test(
        "7zr",
        "rm -f o.7z; 7zr a -t7z -mx=3 -mmt=4 -bd o.7z data >/dev/null; \
         7zr t -bd o.7z | grep Ok; 7zr e -so o.7z | cmp - data",
        Answer::Is("Everything is Ok"),
    ),
    Test {
        seconds: 300,
        ..test(
            "7zr b",
            "7zr b 1 -mmt2 -md18 | grep Tot",
            Answer::Has("Tot:"),
        )
    },
    test(
        "gzip",
        "gzip -9 -n -c data | gzip -dc | cmp - data && echo same",
        Answer::Is("same"),
    ),
    test(
        "sort",
        "bench lines 20000 > lines; sort lines > sorted; sort -r lines | sort -c 2>/dev/null; \
         LC_ALL=C sort -c sorted && wc -l < sorted",
        Answer::Is("20000"),
    ),
    test(
        "python3",
        "python3 -S /lib/work.py 1 2>/dev/null",
        Answer::Is(
            "checksum ([('w27d', 8), ('w1a9', 7), ('w1bd', 7)], \
             (-0.73579455542145, 0.24856204915008356), (465, 194), 669, 566576)",
        ),
    ),
];

const STRESS: [Test; 33] = stress![
    "cpu" "vm" "matrix" "atomic" "futex" "mutex" "pipe" "fork" "vfork" "signal" "mprotect" "mmap"
    "qsort" "bsearch" "hash" "crypt" "fp" "fma" "longjmp" "icache" "stack" "str" "memcpy" "trig"
    "prime" "funccall" "far-branch" "sigsegv" "cacheline" "membarrier" "tree" "switch" "sem"
];

pub const TESTS: [&[Test]; 2] = [&PLAIN, &STRESS];
