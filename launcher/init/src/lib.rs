//! Frames of the control port (`docs/agent.md`): what the host and the agent in the guest say to
//! each other over the virtio-serial port [`PORT_NAME`].
//!
//! A frame is a length (u32, of the payload alone), a kind (u8), an id (u32) and the payload;
//! numbers are little-endian. **What must hold:** neither side believes a length over
//! [`PAYLOAD_MAX`].

pub const PORT_NAME: &str = "org.tinamou.agent.0";
pub const PAYLOAD_MAX: usize = 65536;
pub const HEADER_BYTES: usize = 9;
/// The id of the program that the guest was started for.
pub const ENTRYPOINT: u32 = 0;

/// The table of kinds: generates an enum with its numbers.
macro_rules! kinds {
    ($($(#[$doc:meta])* $number:literal $name:ident;)*) => {
        /// What a frame is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Kind {
            pub fn of(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Host: JSON with argv, env, cwd, user, tty, rows, cols.
    1 Run;
    /// Host: bytes for a program's standard input.
    2 Stdin;
    /// Host: standard input is at its end.
    3 StdinEnd;
    /// Host: rows and columns (u16 each) of its terminal.
    4 Resize;
    /// Host: a signal's number (u8).
    5 Signal;
    /// Host: answer with a pong.
    6 Ping;
    /// Host: end everything and power off.
    7 PowerOff;
    /// Guest: JSON with version and hostname.
    64 Ready;
    /// Guest: a program's process (u32).
    65 Started;
    /// Guest: what a program wrote.
    66 Stdout;
    /// Guest: what a program wrote to standard error.
    67 Stderr;
    /// Guest: a program's exit code (i32; 128 + the signal that killed it).
    68 Exit;
    /// Guest: why something could not be done.
    69 Error;
    /// Guest: the answer to a ping.
    70 Pong;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub id: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: Kind, id: u32, payload: &[u8]) -> Self {
        let payload = payload[..payload.len().min(PAYLOAD_MAX)].to_vec();
        Self { kind, id, payload }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let length = self.payload.len() as u32;
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.push(self.kind as u8);
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// Puts frames together from pieces of a stream.
#[derive(Default)]
pub struct Parser {
    waiting: Vec<u8>,
}

impl Parser {
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
    }

    /// The next whole frame; frames of unknown kinds are passed over. The error is a sentence, and
    /// the stream is of no use behind it.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, String> {
        loop {
            let Some(header) = self.waiting.get(..HEADER_BYTES) else {
                return Ok(None);
            };
            let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|n| header[at + n]));
            let (length, kind, id) = (word(0) as usize, header[4], word(5));
            if length > PAYLOAD_MAX {
                return Err(format!("a frame of {length} bytes is too large"));
            }
            let end = HEADER_BYTES + length;
            if self.waiting.len() < end {
                return Ok(None);
            }
            let payload = self.waiting[HEADER_BYTES..end].to_vec();
            self.waiting.drain(..end);
            if let Some(kind) = Kind::of(kind) {
                return Ok(Some(Frame { kind, id, payload }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let frames = [
            Frame::new(Kind::Run, 7, b"{}"),
            Frame::new(Kind::Exit, ENTRYPOINT, &3i32.to_le_bytes()),
            Frame::new(Kind::Stdout, u32::MAX, &[9; PAYLOAD_MAX + 1]),
        ];
        let mut bytes: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
        // A kind that nobody knows yet.
        bytes.splice(0..0, [1, 0, 0, 0, 200, 0, 0, 0, 0, 0xff]);
        for step in [1, 7, 4096, bytes.len()] {
            let (mut parser, mut found) = (Parser::default(), Vec::new());
            for piece in bytes.chunks(step) {
                parser.push(piece);
                while let Some(frame) = parser.next_frame().expect("frames") {
                    found.push(frame);
                }
            }
            assert_eq!(found, frames);
        }
    }

    #[test]
    fn absurd_lengths_are_refused() {
        let mut parser = Parser::default();
        parser.push(&[0xff; 9]);
        assert!(parser.next_frame().is_err());
    }
}
