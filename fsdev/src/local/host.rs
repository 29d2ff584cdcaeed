//! Flags, times and attribute names, from the guest's to the host's.

use include::Errno;
use include::fsdev::{OpenFlags, SetTime, StatFs, XATTR_CREATE, XATTR_REPLACE};
use util::host_fs::{self, XattrSet};

use super::NAME_MAX;
use crate::options::Security;

type HostFlags = host_fs::OpenFlags;

/// How to open a file on the host.
pub struct Flags {
    pub opening: HostFlags,
    /// The same for a file that was open before.
    pub again: HostFlags,
}

pub fn host_flags(flags: OpenFlags, sync_writes: bool) -> Flags {
    let mut again = match flags.0 & OpenFlags::ACCESS {
        OpenFlags::READ_ONLY => HostFlags::READ,
        OpenFlags::WRITE_ONLY => HostFlags::WRITE,
        _ => HostFlags::READ_WRITE,
    };
    let mut add = |wanted, flag| {
        if wanted {
            again = again | flag;
        }
    };
    add(flags.has(OpenFlags::APPEND), HostFlags::APPEND);
    add(flags.has(OpenFlags::DSYNC), HostFlags::DSYNC);
    add(flags.has(OpenFlags::SYNC), HostFlags::SYNC);
    add(sync_writes && flags.writes(), HostFlags::DSYNC);
    let opening = match flags.has(OpenFlags::TRUNCATE) {
        true => again | HostFlags::TRUNCATE,
        false => again,
    };
    Flags { opening, again }
}

pub fn host_time(time: Option<SetTime>) -> host_fs::SetTime {
    match time {
        None => host_fs::SetTime::Omit,
        Some(SetTime::Now) => host_fs::SetTime::Now,
        Some(SetTime::To(time)) => host_fs::SetTime::To(host_fs::FileTime {
            sec: time.seconds,
            nsec: time.nanoseconds,
        }),
    }
}

pub fn stat_fs(stat: &host_fs::StatFs) -> StatFs {
    StatFs {
        block_size: stat.bsize,
        blocks: stat.blocks,
        blocks_free: stat.bfree,
        blocks_available: stat.bavail,
        files: stat.files,
        files_free: stat.ffree,
        id: stat.fsid,
        name_length_max: match stat.namelen {
            0 => NAME_MAX as u32,
            length => length,
        },
    }
}

pub fn xattr_how(flags: u32) -> XattrSet {
    match flags {
        _ if flags & XATTR_CREATE != 0 => XattrSet::Create,
        _ if flags & XATTR_REPLACE != 0 => XattrSet::Replace,
        _ => XattrSet::Either,
    }
}

const USER: &[u8] = b"user.";
const ACL: &[u8] = b"system.posix_acl_";
/// What the model mapped-xattr keeps for itself; the guest's access lists among it.
const OWN: &[u8] = b"user.virtfs.";
const OWN_ACL: &[u8] = b"user.virtfs.system.posix_acl_";

/// The host's name of an attribute: `None` if the share does not have such, ENODATA if the guest
/// must not know of it. As in QEMU: users' attributes and access lists.
pub fn xattr_name(security: Security, name: &[u8]) -> Option<Result<Vec<u8>, Errno>> {
    let mapped = security == Security::MappedXattr;
    match security {
        Security::None => None,
        _ if mapped && name.starts_with(OWN) => Some(Err(Errno::ENODATA)),
        _ if name.starts_with(USER) => Some(Ok(name.to_vec())),
        _ if mapped && name.starts_with(ACL) => Some(Ok([b"user.virtfs.", name].concat())),
        _ if name.starts_with(ACL) => Some(Ok(name.to_vec())),
        _ => None,
    }
}

/// The guest's names of the host's, each ended by NUL.
pub fn visible_xattrs(security: Security, names: &[u8]) -> Vec<u8> {
    let mut visible = Vec::new();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let shown = match security {
            Security::None => None,
            Security::MappedXattr if name.starts_with(OWN_ACL) => name.strip_prefix(OWN),
            Security::MappedXattr if name.starts_with(OWN) || name.starts_with(ACL) => None,
            _ if name.starts_with(USER) || name.starts_with(ACL) => Some(name),
            _ => None,
        };
        visible.extend_from_slice(shown.unwrap_or(b""));
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_the_share_are_hidden() {
        use Security::{MappedFile, MappedXattr, None as Plain, Passthrough};
        let name = |security, name: &[u8]| xattr_name(security, name);
        assert_eq!(
            name(MappedXattr, b"user.virtfs.uid"),
            Some(Err(Errno::ENODATA))
        );
        assert_eq!(
            name(Passthrough, b"user.virtfs.uid"),
            Some(Ok(b"user.virtfs.uid".to_vec()))
        );
        assert_eq!(name(MappedFile, b"trusted.x"), None);
        assert_eq!(name(Plain, b"user.x"), None);
        let acl = name(MappedXattr, b"system.posix_acl_access");
        assert_eq!(
            acl,
            Some(Ok(b"user.virtfs.system.posix_acl_access".to_vec()))
        );
        let all = b"user.a\0user.virtfs.uid\0user.virtfs.system.posix_acl_access\0trusted.x\0";
        assert_eq!(
            visible_xattrs(MappedXattr, all),
            b"user.a\0system.posix_acl_access\0"
        );
        assert_eq!(visible_xattrs(Plain, all), b"");
        assert_eq!(
            visible_xattrs(Passthrough, b"user.a\0security.x\0"),
            b"user.a\0"
        );
    }
}
