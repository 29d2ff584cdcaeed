//! The header and the token stream of the structure block.

use std::ops::Range;

const MAGIC: u32 = 0xd00d_feed;
/// Versions that this reader understands: 16 has no `size_dt_struct`, 17 is the last.
const OLDEST_VERSION: u32 = 16;
const NEWEST_VERSION: u32 = 17;
const HEADER_SIZE: usize = 36;
/// Deepest nesting; Linux and `vm-fdt` have the same limit.
pub const DEPTH_MAX: usize = 64;

pub const BEGIN_NODE: u32 = 1;
pub const END_NODE: u32 = 2;
pub const PROP: u32 = 3;
const NOP: u32 = 4;
pub const END: u32 = 9;

/// Why a blob is not a device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FdtError {
    #[error("its magic number is missing")]
    Magic,
    #[error("it is truncated")]
    Truncated,
    #[error("its version {0} is not supported")]
    Version(u32),
    #[error("a block is outside the tree")]
    Block,
    #[error("the token {0:#x} is unknown")]
    Token(u32),
    #[error("a name is not text")]
    Name,
    #[error("its nodes are nested too deeply")]
    Depth,
    #[error("its nodes do not form one tree")]
    Nesting,
    #[error("it is too large")]
    Size,
}

/// A blob whose header was checked.
pub struct Fdt<'a> {
    /// The tree, without what follows it in the file.
    pub blob: &'a [u8],
    /// `totalsize`.
    pub total_size: usize,
    /// `boot_cpuid_phys`.
    pub boot_cpuid: u32,
    /// The structure block.
    pub structure: Range<usize>,
    /// The strings block.
    pub strings: Range<usize>,
    /// The memory reservations, with the closing pair of zeros.
    pub reservations: Range<usize>,
}

/// One token; ranges count from the start of the blob.
pub enum Token<'a> {
    BeginNode { name: &'a str },
    Property { name: &'a str, value: Range<usize> },
    EndNode,
}

impl<'a> Fdt<'a> {
    /// Checks the header.
    pub fn new(blob: &'a [u8]) -> Result<Self, FdtError> {
        let word = |index: usize| word_at(blob, index * 4).ok_or(FdtError::Truncated);
        if word(0)? != MAGIC {
            return Err(FdtError::Magic);
        }
        if blob.len() < HEADER_SIZE {
            return Err(FdtError::Truncated);
        }
        let total_size = word(1)? as usize;
        let (version, compatible) = (word(5)?, word(6)?);
        if version < OLDEST_VERSION || compatible > NEWEST_VERSION {
            return Err(FdtError::Version(version));
        }
        let blob = blob.get(..total_size).ok_or(FdtError::Truncated)?;
        let structure_size = match version {
            OLDEST_VERSION => (total_size as u32)
                .checked_sub(word(2)?)
                .ok_or(FdtError::Block)?,
            _ => word(9)?,
        };
        let mut fdt = Self {
            blob,
            total_size,
            boot_cpuid: word(7)?,
            structure: block(word(2)?, structure_size, total_size)?,
            strings: block(word(3)?, word(8)?, total_size)?,
            reservations: block(word(4)?, 0, total_size)?,
        };
        fdt.reservations.end = fdt.end_of_reservations()?;
        Ok(fdt)
    }

    fn end_of_reservations(&self) -> Result<usize, FdtError> {
        let pairs = self.blob[self.reservations.start..].chunks_exact(16);
        let count = pairs
            .take_while(|pair| pair.iter().any(|byte| *byte != 0))
            .count();
        let end = self.reservations.start + 16 * (count + 1);
        if end > self.total_size {
            Err(FdtError::Block)
        } else {
            Ok(end)
        }
    }

    /// The tokens of the one tree in the structure block.
    pub fn tokens(&self) -> Tokens<'a, '_> {
        Tokens {
            fdt: self,
            at: self.structure.start,
            depth: 0,
            done: false,
        }
    }

    /// The string that ends before the first NUL of `range`.
    fn string(&self, range: Range<usize>) -> Result<&'a str, FdtError> {
        let bytes = self.blob.get(range).ok_or(FdtError::Block)?;
        let len = bytes
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(FdtError::Name)?;
        str::from_utf8(&bytes[..len]).map_err(|_| FdtError::Name)
    }
}

fn block(offset: u32, size: u32, total: usize) -> Result<Range<usize>, FdtError> {
    let end = offset.checked_add(size).ok_or(FdtError::Block)?;
    if end as usize > total {
        Err(FdtError::Block)
    } else {
        Ok(offset as usize..end as usize)
    }
}

fn word_at(blob: &[u8], offset: usize) -> Option<u32> {
    let bytes = blob.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

/// Walks the structure block. Ends after the root node was closed, or after the first error.
pub struct Tokens<'a, 'f> {
    fdt: &'f Fdt<'a>,
    /// Offset of the next token, a multiple of 4 from the start of the block.
    at: usize,
    depth: usize,
    done: bool,
}

impl<'a> Tokens<'a, '_> {
    /// Where the next token starts.
    pub fn position(&self) -> usize {
        self.at
    }

    fn word(&mut self) -> Result<u32, FdtError> {
        let block = &self.fdt.blob[..self.fdt.structure.end];
        let word = word_at(block, self.at).ok_or(FdtError::Truncated)?;
        self.at += 4;
        Ok(word)
    }

    /// Takes `len` bytes and the padding after them.
    fn take(&mut self, len: usize) -> Result<Range<usize>, FdtError> {
        let range = self.at..self.at.checked_add(len).ok_or(FdtError::Truncated)?;
        let from_block = range.end - self.fdt.structure.start;
        let padded = from_block
            .checked_next_multiple_of(4)
            .ok_or(FdtError::Truncated)?;
        let next = self
            .fdt
            .structure
            .start
            .checked_add(padded)
            .ok_or(FdtError::Truncated)?;
        self.at = next;
        if next > self.fdt.structure.end {
            Err(FdtError::Truncated)
        } else {
            Ok(range)
        }
    }

    fn begin_node(&mut self) -> Result<Token<'a>, FdtError> {
        if self.depth == DEPTH_MAX {
            return Err(FdtError::Depth);
        }
        self.depth += 1;
        let name = self.fdt.string(self.at..self.fdt.structure.end)?;
        self.take(name.len() + 1)?;
        Ok(Token::BeginNode { name })
    }

    fn property(&mut self) -> Result<Token<'a>, FdtError> {
        if self.depth == 0 {
            return Err(FdtError::Nesting);
        }
        let len = self.word()? as usize;
        let name = self.word()? as usize;
        let Range { start, end } = self.fdt.strings;
        let name = start
            .checked_add(name)
            .filter(|at| *at < end)
            .ok_or(FdtError::Block)?;
        Ok(Token::Property {
            name: self.fdt.string(name..end)?,
            value: self.take(len)?,
        })
    }

    fn end_node(&mut self) -> Result<Token<'a>, FdtError> {
        self.depth = self.depth.checked_sub(1).ok_or(FdtError::Nesting)?;
        self.done = self.depth == 0;
        Ok(Token::EndNode)
    }

    fn token(&mut self) -> Result<Token<'a>, FdtError> {
        loop {
            match self.word()? {
                NOP => {}
                BEGIN_NODE => return self.begin_node(),
                PROP => return self.property(),
                END_NODE => return self.end_node(),
                END => return Err(FdtError::Nesting),
                other => return Err(FdtError::Token(other)),
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a, '_> {
    type Item = Result<Token<'a>, FdtError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let token = self.token();
        self.done |= token.is_err();
        Some(token)
    }
}
