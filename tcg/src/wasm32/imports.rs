//! What a module imports: the memory, the function table, and functions of the main module.
//!
//! Functions are imported under the decimal number of their function pointer, so that whoever
//! instantiates the module knows what to give. All take `(cpu: i32, i64 × nargs)` and return i64.

/// The module that imports come from, in the text format's sense.
pub const MODULE: &str = "e";
/// The names of the memory and the table in it.
pub const MEMORY: &str = "m";
pub const TABLE: &str = "t";
/// Most arguments of an imported function, beside the CPU.
pub const ARGUMENTS_MAX: usize = 4;
/// Type index of generated functions; the imported functions' types `0..=4` precede it.
pub const FUNCTION_TYPE: u32 = ARGUMENTS_MAX as u32 + 1;

/// The functions that a module imports, in the order of their function indices.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    functions: Vec<(usize, u8)>,
}

impl Imports {
    /// The function index of `pointer`, a function with `nargs` arguments beside the CPU.
    pub fn index(&mut self, pointer: usize, nargs: u8) -> u32 {
        let wanted = (pointer, nargs);
        let found = self.functions.iter().position(|f| *f == wanted);
        found.unwrap_or_else(|| {
            self.functions.push(wanted);
            self.functions.len() - 1
        }) as u32
    }

    /// Function pointers and their numbers of arguments.
    pub fn functions(&self) -> &[(usize, u8)] {
        &self.functions
    }
}
