//! Error numbers as Linux has them (`asm-generic/errno-base.h`, `asm-generic/errno.h`): what
//! 9P2000.L sends, and what host back ends say whatever their host's own numbers are.

use std::fmt;

/// A Linux error number; never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub u16);

/// The table: name, number, sentence. Constants, names and sentences come from it.
macro_rules! errnos {
    ($(($name:ident, $number:literal, $sentence:literal),)*) => {
        #[allow(missing_docs, reason = "the sentence is in the table")]
        impl Errno {
            $(pub const $name: Errno = Errno($number);)*
        }
        /// Every number that has a name: (name, number, sentence).
        pub const ERRNOS: &[(&str, u16, &str)] = &[$((stringify!($name), $number, $sentence),)*];
    };
}

errnos! {
    (EPERM, 1, "Operation not permitted"),
    (ENOENT, 2, "No such file or directory"),
    (EINTR, 4, "Interrupted system call"),
    (EIO, 5, "Input/output error"),
    (ENXIO, 6, "No such device or address"),
    (E2BIG, 7, "Argument list too long"),
    (EBADF, 9, "Bad file descriptor"),
    (EAGAIN, 11, "Resource temporarily unavailable"),
    (ENOMEM, 12, "Cannot allocate memory"),
    (EACCES, 13, "Permission denied"),
    (EFAULT, 14, "Bad address"),
    (EBUSY, 16, "Device or resource busy"),
    (EEXIST, 17, "File exists"),
    (EXDEV, 18, "Invalid cross-device link"),
    (ENODEV, 19, "No such device"),
    (ENOTDIR, 20, "Not a directory"),
    (EISDIR, 21, "Is a directory"),
    (EINVAL, 22, "Invalid argument"),
    (ENFILE, 23, "Too many open files in system"),
    (EMFILE, 24, "Too many open files"),
    (ENOTTY, 25, "Inappropriate ioctl for device"),
    (ETXTBSY, 26, "Text file busy"),
    (EFBIG, 27, "File too large"),
    (ENOSPC, 28, "No space left on device"),
    (ESPIPE, 29, "Illegal seek"),
    (EROFS, 30, "Read-only file system"),
    (EMLINK, 31, "Too many links"),
    (EPIPE, 32, "Broken pipe"),
    (ERANGE, 34, "Numerical result out of range"),
    (EDEADLK, 35, "Resource deadlock avoided"),
    (ENAMETOOLONG, 36, "File name too long"),
    (ENOLCK, 37, "No locks available"),
    (ENOSYS, 38, "Function not implemented"),
    (ENOTEMPTY, 39, "Directory not empty"),
    (ELOOP, 40, "Too many levels of symbolic links"),
    (ENODATA, 61, "No data available"),
    (EPROTO, 71, "Protocol error"),
    (EOVERFLOW, 75, "Value too large for defined data type"),
    (EMSGSIZE, 90, "Message too long"),
    (EOPNOTSUPP, 95, "Operation not supported"),
    (ENOBUFS, 105, "No buffer space available"),
    (ETIMEDOUT, 110, "Connection timed out"),
    (ECONNREFUSED, 111, "Connection refused"),
    (ESTALE, 116, "Stale file handle"),
    (EDQUOT, 122, "Disk quota exceeded"),
}

impl Errno {
    /// The number called `name`, as Node's `error.code` has it.
    pub fn from_name(name: &str) -> Option<Self> {
        let row = ERRNOS.iter().find(|row| row.0 == name)?;
        Some(Self(row.1))
    }

    fn row(self) -> Option<&'static (&'static str, u16, &'static str)> {
        ERRNOS.iter().find(|row| row.1 == self.0)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some((_, _, sentence)) => f.write_str(sentence),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some((name, _, _)) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_unique() {
        for (index, (name, number, _)) in ERRNOS.iter().enumerate() {
            assert_eq!(Errno::from_name(name), Some(Errno(*number)));
            let again = ERRNOS[index + 1..].iter().any(|row| row.1 == *number);
            assert!(!again, "{name}");
        }
        assert_eq!(Errno::ENOTEMPTY.to_string(), "Directory not empty");
        assert_eq!(format!("{:?}", Errno::ENOTEMPTY), "ENOTEMPTY");
        assert_eq!(format!("{:?}", Errno(4000)), "Errno(4000)");
    }
}
