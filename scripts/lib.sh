# shellcheck shell=bash
# What the scripts share: where things are, messages, packages of the host, and private Debian roots.
#
# A private root is a folder with packages unpacked in it. apt resolves the packages and checks their
# signatures with files of its own (so nothing of the host changes and nobody has to be root), and
# dpkg-deb unpacks them. No maintainer script runs: what is used from a root must do without.

TINAMOU_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TINAMOU_BUILD=${TINAMOU_BUILD:-$TINAMOU_ROOT/build}
mkdir -p "$TINAMOU_BUILD"
TINAMOU_BUILD=$(cd "$TINAMOU_BUILD" && pwd)
export TINAMOU_ROOT TINAMOU_BUILD

# The Debian suite of the compilers and of the native QEMU, and that of the guest (which may be set).
export TOOLS_SUITE=forky
export GUEST_SUITE=${GUEST_SUITE:-trixie}
export EMSCRIPTEN_VERSION_MIN=4.0.0
# What scripts/setup-node is for; everything else runs on 20 too.
export NODE_VERSION_NEW=24
# The program that is built, and its name in Cargo.toml.
export PROGRAM=tinamou-system-riscv64

say() { printf '%s\n' "tinamou: $*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# at_least VERSION MINIMUM: true when VERSION is MINIMUM or newer.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# step TEXT COMMAND...: runs a long command with its output in a log; a dot every few seconds is the
# progress. On failure the end of the log is shown.
step() {
    local text=$1 log start status=0
    shift
    log="$TINAMOU_BUILD/log/$(printf '%s' "$text" | tr -c 'A-Za-z0-9\n' '-').log"
    mkdir -p "$TINAMOU_BUILD/log"
    start=$SECONDS
    printf 'tinamou: %s ' "$text" >&2
    "$@" >"$log" 2>&1 </dev/null &
    local pid=$! ticks=0
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        ticks=$((ticks + 1))
        [ $((ticks % 15)) -ne 0 ] || printf '.' >&2
    done
    wait "$pid" || status=$?
    if [ "$status" -eq 0 ]; then
        printf ' %ss\n' $((SECONDS - start)) >&2
    else
        printf ' failed\n' >&2
        tail -n 30 "$log" >&2
        die "'$text' failed; the whole log is in $log"
    fi
}

# need COMMAND PACKAGE ...: makes sure that commands of the host are there; installs the Debian
# packages that bring them when we are root, says what to install when we are not.
need() {
    local missing=()
    while [ $# -gt 0 ]; do
        have "$1" || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_packages() {
    have apt-get || die "please install: $*"
    if [ "$(id -u)" -eq 0 ]; then
        step "apt-get install $*" env DEBIAN_FRONTEND=noninteractive \
            bash -c 'apt-get update && apt-get install -y --no-install-recommends "$@"' - "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        step "sudo apt-get install $*" sudo DEBIAN_FRONTEND=noninteractive \
            bash -c 'apt-get update && apt-get install -y --no-install-recommends "$@"' - "$@"
    else
        die "please run 'apt-get install $*' as root, then this again"
    fi
}

# The Rust tool chain of rust-toolchain.toml and a linker for programs of the host.
need_rust() {
    have rustup || die "rustup is not there: install it from your distribution or from rustup.rs"
    need cc gcc ld binutils
    [ -e /usr/include/stdlib.h ] || install_packages libc6-dev
    cd "$TINAMOU_ROOT" || die "$TINAMOU_ROOT is gone"
    rustup which cargo >/dev/null 2>&1 && [ -d "$(rustc_src)" ] && return
    step "Rust tool chain of rust-toolchain.toml" rustup toolchain install
}

rustc_src() { printf '%s/lib/rustlib/src/rust/library' "$(rustc --print sysroot 2>/dev/null)"; }

need_node() {
    have node || die "node is not there: install Node.js 20 or newer"
    node_at_least node 20 || die "node is $(node --version), 20 or newer is needed"
}

# node_at_least NODE MINIMUM: true when the program NODE runs and is MINIMUM or newer.
node_at_least() {
    local version
    version=$("$1" --version 2>/dev/null) && at_least "${version#v}" "$2"
}

# bindgen loads libclang. The host's is used if there is one.
need_libclang() {
    local pattern
    [ -z "${LIBCLANG_PATH:-}" ] || return 0
    for pattern in '/usr/lib/llvm-*/lib' '/usr/lib/*' '/usr/lib*' /usr/local/lib; do
        ! compgen -G "$pattern/libclang*.so*" >/dev/null || return 0
    done
    install_packages libclang-dev
}

# The archive that the host's own apt takes Debian from.
debian_mirror() {
    local sites
    if [ -n "${TINAMOU_DEBIAN_MIRROR:-}" ]; then
        printf '%s\n' "$TINAMOU_DEBIAN_MIRROR"
        return
    fi
    have apt-get || die "no apt-get here: put a recent emcc on PATH, or use Debian"
    # Before the first 'apt-get update' the origin is not known yet; the name has to do.
    sites=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' || true)
    [ -n "$sites" ] || sites=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' |
        grep -E '/debian/?$' || true)
    [ -n "$sites" ] || die "apt's settings name no Debian archive: set TINAMOU_DEBIAN_MIRROR"
    printf '%s\n' "${sites%%$'\n'*}"
}

# private_apt DIR SUITE ARCH: writes DIR/apt.conf, an apt that knows only SUITE for ARCH and has
# nothing installed.
private_apt() {
    local dir=$1 suite=$2 arch=$3 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keyring" ] || install_packages debian-archive-keyring
    mirror=$(debian_mirror)
    mkdir -p "$dir"/{lists/partial,archives/partial}
    : >"$dir/status"
    printf 'deb [arch=%s signed-by=%s] %s %s main\n' "$arch" "$keyring" "$mirror" "$suite" \
        >"$dir/sources.list"
    cat >"$dir/apt.conf" <<END
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "$dir";
Dir::State::status "$dir/status";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir";
Dir::Cache::Archives "$dir/archives";
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
END
}

# debian_root DIR SUITE ARCH PACKAGE...: unpacks the packages into DIR, with all they depend on. When
# ARCH ends in '/alone': only the packages and, for a package that is a mere name for the newest
# kernel, that kernel. What is there already is left alone.
debian_root() {
    local dir=$1 suite=$2 arch=${3%/alone} how=$3 wanted
    shift 3
    wanted="$suite $how $*"
    [ "$(cat "$dir/.complete" 2>/dev/null)" != "$wanted" ] || return 0
    { have apt-get && have dpkg-deb; } || die "packages of Debian $suite are needed: no apt here"
    rm -rf "$dir" "$dir.apt"
    private_apt "$dir.apt" "$suite" "$arch"
    step "list of packages of Debian $suite $arch" \
        env APT_CONFIG="$dir.apt/apt.conf" apt-get update --error-on=any
    if [ "$how" = "$arch" ]; then
        step "download of $*" env APT_CONFIG="$dir.apt/apt.conf" \
            apt-get install -y --download-only "$@"
    else
        step "download of $*" download_alone "$dir.apt" "$@"
    fi
    step "unpacking of $*" unpack_debs "$dir.apt/archives" "$dir"
    rm -rf "$dir.apt"
    printf '%s' "$wanted" >"$dir/.complete"
}

download_alone() {
    local apt=$1 package kernel
    local -x APT_CONFIG=$apt/apt.conf
    shift
    for package in "$@"; do
        kernel=$(apt-cache depends "$package" | sed -n "s/.*Depends: \(linux-image-[0-9].*\)/\1/p")
        (cd "$apt/archives" && apt-get download "${kernel:-$package}") || return
    done
}

# unpack_debs ARCHIVES DIR. /bin, /lib and so on are made links first, as on any Debian of today:
# packages that still ship files there then land in /usr.
unpack_debs() {
    local name
    mkdir -p "$2"/usr/{bin,sbin,lib,lib64}
    for name in bin sbin lib lib64; do
        ln -sfn "usr/$name" "$2/$name"
    done
    # tar through the pipe keeps those links, dpkg-deb -x by itself does too only in new versions.
    find "$1" -maxdepth 1 -name '*.deb' -print0 | sort -z |
        xargs -0 -P "$(nproc)" -I{} sh -c \
            'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner' \
            - {} "$2"
}

# root_wrapper FILE ROOT PROGRAM [BWRAP OPTION...]: writes a script FILE that runs PROGRAM of a
# private root with that root's /usr over the host's, and all else of the host in view.
root_wrapper() {
    local file=$1 root=$2 program=$3 options
    shift 3
    options=$(printf '%q ' "$@")
    [ $# -gt 0 ] || options=
    mkdir -p "$(dirname "$file")"
    cat >"$file" <<END
#!/bin/sh
# Written by scripts/lib.sh: runs $program of a private Debian root.
keep=
for dir in /usr/local /usr/src $(printf %q "$TINAMOU_ROOT") $(printf %q "$TINAMOU_BUILD"); do
    case \$dir in /usr/*) [ ! -d "\$dir" ] || keep="\$keep --bind \$dir \$dir" ;; esac
done
[ ! -e /etc/ld.so.cache ] || keep="\$keep --ro-bind /dev/null /etc/ld.so.cache"
PATH=/usr/bin:/bin:\$PATH
exec $(bwrap_command) --die-with-parent --dev-bind / / --bind $(printf %q "$root/usr") /usr \$keep $options \\
    -- $program "\$@"
END
    chmod +x "$file"
}

bwrap_command() { command -v bwrap || die "bwrap is not there"; }

# together < COMMANDS: runs the lines, so many at a time as there are processors; their output goes to
# stderr. Prints `PASSED FAILED`.
together() {
    xargs -d '\n' -n 1 -P "$(nproc)" bash -c 'eval "$0" >&2 && echo passed || echo failed' |
        awk '{ count[$1]++ } END { print count["passed"] + 0, count["failed"] + 0 }'
}
