//! What a module imports: the memory, what its tail calls need, and functions of the main module.
//!
//! Functions are imported under the decimal number of their function pointer, so that whoever
//! instantiates the module knows what to give. All take `(cpu: i32, i64 × nargs)` and return i64.

use super::TailCalls;

/// The module that imports come from, in the text format's sense.
pub const MODULE: &str = "e";
/// The names of the memory, the table, and the function `(cpu, tb, index)` that tail-calls entry
/// `index` of the table with the others.
pub const MEMORY: &str = "m";
pub const TABLE: &str = "t";
pub const CHAIN: &str = "c";
/// Most arguments of an imported function, beside the CPU.
pub const ARGUMENTS_MAX: usize = 4;
/// Type index of generated functions; the imported functions' types `0..=4` precede it.
pub const FUNCTION_TYPE: u32 = ARGUMENTS_MAX as u32 + 1;
/// Type index of [`CHAIN`], whose function index is 0 where it is imported.
pub const CHAIN_TYPE: u32 = FUNCTION_TYPE + 1;

/// The functions that a module imports, in the order of their function indices.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    /// [`CHAIN`] precedes them.
    is_chained: bool,
    functions: Vec<(usize, u8)>,
}

impl Imports {
    pub fn new(tail_calls: TailCalls) -> Self {
        Self {
            is_chained: tail_calls == TailCalls::Chain,
            functions: Vec::new(),
        }
    }

    /// How many functions are imported: the index of the first one that is not.
    pub fn count(&self) -> u32 {
        self.functions.len() as u32 + u32::from(self.is_chained)
    }

    /// The function index of `pointer`, a function with `nargs` arguments beside the CPU.
    pub fn index(&mut self, pointer: usize, nargs: u8) -> u32 {
        let wanted = (pointer, nargs);
        let found = self.functions.iter().position(|f| *f == wanted);
        let at = found.unwrap_or_else(|| {
            self.functions.push(wanted);
            self.functions.len() - 1
        });
        at as u32 + u32::from(self.is_chained)
    }

    /// Function pointers and their numbers of arguments.
    pub fn functions(&self) -> &[(usize, u8)] {
        &self.functions
    }
}
