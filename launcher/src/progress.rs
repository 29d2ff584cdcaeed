//! Progress bars, on a terminal only.

use std::io::Read;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub struct Progress {
    quiet: bool,
}

const BYTES: &str = "{prefix:>16} [{bar:30}] {bytes:>11} of {total_bytes} {eta:>4}";

impl Progress {
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// A bar of so many bytes.
    pub fn bytes(&self, text: &str, total: u64) -> ProgressBar {
        let target = match self.quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template(BYTES) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.with_prefix(text.to_string())
    }

    /// A reader whose bytes are counted.
    pub fn reader<'a>(&self, text: &str, total: u64, inner: impl Read + 'a) -> impl Read + 'a {
        self.bytes(text, total).wrap_read(inner)
    }
}
