//! Locks on disk images: those that QEMU takes (its manual, "Disk image file locking"), so that an
//! image which QEMU, qemu-img or another Tinamou has in use is refused, and ours by them.
//!
//! An image has a byte for each thing that one may do with it, and a byte for each thing that one
//! may forbid others to do. Who does or forbids holds a shared lock on the byte; who wants to do or
//! to forbid looks first whether anybody holds the byte against it. The locks belong to the open
//! file, so they end with it.

/// How an image is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing is held, and nothing is asked.
    Unlocked,
    /// Reads; others may read too.
    Shared,
    /// Reads and writes; others must neither write nor rely on what they read.
    Exclusive,
    /// Reads and writes, and so may others (`share-rw=on`).
    SharedWriter,
}

/// What one may do: QEMU's permissions, each one bit.
const READ: u8 = 1 << 0;
const WRITE: u8 = 1 << 1;
const RESIZE: u8 = 1 << 3;
const BITS: u64 = 4;

/// The byte of the first permission that is in use, and of the first that is forbidden to others.
const USED: u64 = 100;
const FORBIDDEN: u64 = 200;

impl Lock {
    /// What is done with the image, and what others must not do.
    fn permissions(self) -> (u8, u8) {
        match self {
            Self::Unlocked => (0, 0),
            Self::Shared => (READ, WRITE | RESIZE),
            Self::Exclusive => (READ | WRITE | RESIZE, WRITE | RESIZE),
            Self::SharedWriter => (READ | WRITE, RESIZE),
        }
    }

    /// The bytes to hold a shared lock on.
    pub(super) fn held(self) -> impl Iterator<Item = u64> {
        let (used, forbidden) = self.permissions();
        bytes(used, USED).chain(bytes(forbidden, FORBIDDEN))
    }

    /// The bytes that nobody else may hold.
    pub(super) fn refused(self) -> impl Iterator<Item = u64> {
        let (used, forbidden) = self.permissions();
        bytes(forbidden, USED).chain(bytes(used, FORBIDDEN))
    }
}

fn bytes(permissions: u8, first: u64) -> impl Iterator<Item = u64> {
    (0..BITS)
        .filter(move |bit| permissions >> bit & 1 != 0)
        .map(move |bit| first + bit)
}
