//! Setting properties of one node of somebody else's tree.

use super::FdtError;
use super::tokens::{BEGIN_NODE, END, END_NODE, Fdt, PROP, Token};

/// Header size of version 17, which is what gets written.
const HEADER_SIZE: u32 = 40;

/// `blob` with `properties` set in the child `node` of the root, which is made if it is not there.
/// Properties of that name go away; everything else stays as it is.
pub fn set_properties(
    blob: &[u8],
    node: &str,
    properties: &[(&str, Vec<u8>)],
) -> Result<Vec<u8>, FdtError> {
    let fdt = Fdt::new(blob)?;
    let mut patch = Patch {
        structure: Vec::new(),
        strings: fdt.blob[fdt.strings.clone()].into(),
    };
    let mut tokens = fdt.tokens();
    let mut depth = 0;
    let (mut inside, mut found) = (false, false);
    loop {
        let start = tokens.position();
        let Some(token) = tokens.next() else { break };
        let mut keep = true;
        match token? {
            Token::BeginNode { name } => {
                depth += 1;
                if depth == 2 && name == node && !found {
                    (inside, found) = (true, true);
                    patch.structure.extend(&fdt.blob[start..tokens.position()]);
                    patch.properties(properties)?;
                    keep = false;
                }
            }
            Token::Property { name, .. } => {
                let ours = properties.iter().any(|(set, _)| *set == name);
                keep = !(inside && depth == 2 && ours);
            }
            Token::EndNode => {
                depth -= 1;
                inside &= depth >= 2;
                if depth == 0 && !found {
                    patch.node(node, properties)?;
                }
            }
        }
        if keep {
            patch.structure.extend(&fdt.blob[start..tokens.position()]);
        }
    }
    patch.structure.extend(END.to_be_bytes());
    patch.finish(&fdt)
}

/// The blocks that change.
struct Patch {
    structure: Vec<u8>,
    strings: Vec<u8>,
}

impl Patch {
    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure
            .resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn properties(&mut self, properties: &[(&str, Vec<u8>)]) -> Result<(), FdtError> {
        for (name, value) in properties {
            let offset = size(self.strings.len())?;
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            self.word(PROP);
            self.word(size(value.len())?);
            self.word(offset);
            self.bytes(value);
        }
        Ok(())
    }

    fn node(&mut self, name: &str, properties: &[(&str, Vec<u8>)]) -> Result<(), FdtError> {
        self.word(BEGIN_NODE);
        self.bytes(&[name.as_bytes(), &[0]].concat());
        self.properties(properties)?;
        self.word(END_NODE);
        Ok(())
    }

    /// Header, reservations, structure and strings, in the usual order.
    fn finish(self, fdt: &Fdt<'_>) -> Result<Vec<u8>, FdtError> {
        let reservations = &fdt.blob[fdt.reservations.clone()];
        let structure_at = HEADER_SIZE as usize + reservations.len();
        let strings_at = structure_at + self.structure.len();
        let total = size(strings_at + self.strings.len())?;
        let header = [
            0xd00d_feed,
            total,
            structure_at as u32,
            strings_at as u32,
            HEADER_SIZE,
            17,
            16,
            fdt.boot_cpuid,
            self.strings.len() as u32,
            self.structure.len() as u32,
        ];
        let mut blob: Vec<u8> = header.into_iter().flat_map(u32::to_be_bytes).collect();
        blob.extend(reservations);
        blob.extend(self.structure);
        blob.extend(self.strings);
        Ok(blob)
    }
}

fn size(size: usize) -> Result<u32, FdtError> {
    u32::try_from(size).map_err(|_| FdtError::Size)
}
