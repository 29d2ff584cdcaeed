//! A line of typed text: echo, backspace, Ctrl-U, Ctrl-W, and a history on the arrow keys.

const LINE_MAX: usize = 1024;
const HISTORY_MAX: usize = 64;

const CTRL_C: u8 = 3;
const CTRL_H: u8 = 8;
const CTRL_N: u8 = 14;
const CTRL_P: u8 = 16;
const CTRL_U: u8 = 21;
const CTRL_W: u8 = 23;
const ESCAPE: u8 = 27;
const DELETE: u8 = 127;

/// What a typed byte did.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Show this.
    Echo(String),
    /// A line is complete.
    Line(String),
}

/// How much of an arrow key's three bytes came.
#[derive(Default)]
enum Sequence {
    #[default]
    None,
    Escape,
    Bracket,
}

/// See the module's head.
#[derive(Default)]
pub struct Readline {
    line: String,
    sequence: Sequence,
    history: Vec<String>,
    /// Where in the history the line comes from; its length for a new line.
    at: usize,
}

impl Readline {
    /// What is typed so far.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Takes a byte.
    pub fn feed(&mut self, byte: u8) -> Typed {
        match std::mem::take(&mut self.sequence) {
            Sequence::Escape if matches!(byte, b'[' | b'O') => {
                self.sequence = Sequence::Bracket;
                return Typed::Echo(String::new());
            }
            Sequence::Bracket => return Typed::Echo(self.arrow(byte)),
            Sequence::None | Sequence::Escape => (),
        }
        Typed::Echo(match byte {
            b'\r' | b'\n' => return Typed::Line(self.finish()),
            b' '..=b'~' if self.line.len() < LINE_MAX => {
                self.line.push(char::from(byte));
                char::from(byte).to_string()
            }
            CTRL_H | DELETE => self.erase(1),
            CTRL_U | CTRL_C => self.erase(self.line.len()),
            CTRL_W => {
                let trimmed = self.line.trim_end();
                let keep = trimmed.rfind(' ').map_or(0, |space| space + 1);
                self.erase(self.line.len() - keep)
            }
            CTRL_P => self.arrow(b'A'),
            CTRL_N => self.arrow(b'B'),
            ESCAPE => {
                self.sequence = Sequence::Escape;
                String::new()
            }
            _ => String::new(),
        })
    }

    fn finish(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        if !line.trim().is_empty() && self.history.last() != Some(&line) {
            self.history.push(line.clone());
            if self.history.len() > HISTORY_MAX {
                self.history.remove(0);
            }
        }
        self.at = self.history.len();
        line
    }

    /// Removes the last `count` bytes (all ASCII).
    fn erase(&mut self, count: usize) -> String {
        let count = count.min(self.line.len());
        self.line.truncate(self.line.len() - count);
        "\x08 \x08".repeat(count)
    }

    fn arrow(&mut self, key: u8) -> String {
        self.at = match key {
            b'A' => self.at.saturating_sub(1),
            b'B' => (self.at + 1).min(self.history.len()),
            _ => return String::new(),
        };
        let line = self.history.get(self.at).cloned().unwrap_or_default();
        let erased = self.erase(self.line.len());
        self.line.clone_from(&line);
        erased + &line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &[u8], expected: &[&str]) {
        let mut readline = Readline::default();
        let lines = typed.iter().filter_map(|byte| match readline.feed(*byte) {
            Typed::Line(line) => Some(line),
            Typed::Echo(_) => None,
        });
        assert_eq!(lines.collect::<Vec<_>>(), expected, "{typed:?}");
    }

    #[test]
    fn editing() {
        check(b"stop\r", &["stop"]);
        check(b"stpo\x7f\x08op\r", &["stop"]);
        check(b"info cpus\x15quit\n", &["quit"]);
        check(b"info cpus\x17mtree\r", &["info mtree"]);
        check(b"\x08\x15\x17\r", &[""]);
        check("caf\u{e9}\r".as_bytes(), &["caf"]);
    }

    #[test]
    fn history() {
        check(b"one\rtwo\r\x1b[A\r", &["one", "two", "two"]);
        check(b"one\rtwo\r\x1b[A\x1b[A\r", &["one", "two", "one"]);
        check(b"one\r\x1b[A\x1b[Bnew\r", &["one", "new"]);
        check(b"\x1b[A\x1b[B\x1b[C\x10\x0ex\r", &["x"]);
    }

    #[test]
    fn echo_erases_what_it_showed() {
        let mut readline = Readline::default();
        assert_eq!(readline.feed(b'a'), Typed::Echo("a".into()));
        assert_eq!(readline.feed(DELETE), Typed::Echo("\x08 \x08".into()));
        assert_eq!(readline.feed(DELETE), Typed::Echo(String::new()));
    }
}
