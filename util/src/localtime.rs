//! The host's time zone.
#![expect(unsafe_code, reason = "only the C library knows the time zone")]
// A `long` of the host is 64 bits here and 32 bits there.
#![allow(clippy::useless_conversion)]

/// Seconds that local time is ahead of UTC, at `utc_s` seconds since 1970; 0 if nobody knows.
pub fn utc_offset_s(utc_s: i64) -> i64 {
    let time: libc::time_t = utc_s;
    let mut fields = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to live values; the call writes all of the second or fails.
    let done = unsafe { libc::localtime_r(&raw const time, fields.as_mut_ptr()) };
    if done.is_null() {
        return 0;
    }
    // SAFETY: `localtime_r` succeeded, so it filled the fields in.
    i64::from(unsafe { fields.assume_init() }.tm_gmtoff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_zone_is_farther_than_a_day() {
        for time in [0, 1_150_560_081, 1 << 33] {
            assert!(utc_offset_s(time).abs() <= 24 * 3600);
            assert_eq!(utc_offset_s(time) % 60, 0);
        }
    }
}
