//! Modules of several regions.

use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, EntityType, ExportKind, ExportSection, FunctionSection,
    ImportSection, MemoryType, RefType, TableType, TypeSection, ValType,
};

use super::imports::{
    ARGUMENTS_MAX, CHAIN, CHAIN_TYPE, FUNCTION_TYPE, Imports, MEMORY, MODULE, TABLE,
};
use super::{Options, Region, RegionError, TailCalls, region};

/// Pages of the memory that a 32-bit address reaches; a shared memory must declare a maximum of at
/// least what it has.
const MEMORY_PAGES_MAX: u64 = 1 << 16;

/// A finished module. It exports its functions as "0", "1", ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub bytes: Vec<u8>,
    /// Pointers of the main module's functions that it imports, under their numbers.
    pub functions: Vec<usize>,
    /// How many functions it exports.
    pub count: usize,
}

/// Gathers regions.
pub struct ModuleBuilder<'a> {
    options: Options<'a>,
    imports: Imports,
    bodies: Vec<(Vec<u8>, Vec<BranchHint>)>,
}

impl<'a> ModuleBuilder<'a> {
    pub fn new(options: Options<'a>) -> Self {
        Self {
            imports: Imports::new(options.tail_calls),
            options,
            bodies: Vec::new(),
        }
    }

    /// Compiles a region; returns the number of its function.
    pub fn add(&mut self, region: &Region<'_>) -> Result<usize, RegionError> {
        let body = region::emit(region, &self.options, &mut self.imports)?;
        self.bodies.push(body);
        Ok(self.bodies.len() - 1)
    }

    pub fn finish(self) -> Module {
        let functions = self.imports.functions();
        let mut exports = ExportSection::new();
        let mut declared = FunctionSection::new();
        let mut code = CodeSection::new();
        let mut hints = BranchHints::new();
        let count = self.bodies.len();
        for (number, (body, of_body)) in self.bodies.into_iter().enumerate() {
            let index = self.imports.count() + number as u32;
            hints.function_hints(index, of_body);
            declared.function(FUNCTION_TYPE);
            exports.export(&number.to_string(), ExportKind::Func, index);
            code.raw(&body);
        }
        let mut module = wasm_encoder::Module::new();
        module
            .section(&types())
            .section(&imports(functions, self.options.tail_calls))
            .section(&declared)
            .section(&exports)
            .section(&hints)
            .section(&code);
        Module {
            bytes: module.finish(),
            functions: functions.iter().map(|(pointer, _)| *pointer).collect(),
            count,
        }
    }
}

/// See `imports.rs`.
fn types() -> TypeSection {
    let mut types = TypeSection::new();
    for nargs in 0..=ARGUMENTS_MAX {
        let arguments = [ValType::I64; ARGUMENTS_MAX];
        let parameters = [&[ValType::I32], &arguments[..nargs]].concat();
        types.ty().function(parameters, [ValType::I64]);
    }
    types.ty().function([ValType::I32; 2], [ValType::I32]);
    types.ty().function([ValType::I32; 3], [ValType::I32]);
    types
}

fn imports(functions: &[(usize, u8)], tail_calls: TailCalls) -> ImportSection {
    let mut imports = ImportSection::new();
    let memory = MemoryType {
        minimum: 0,
        maximum: Some(MEMORY_PAGES_MAX),
        memory64: false,
        shared: true,
        page_size_log2: None,
    };
    let table = TableType {
        element_type: RefType::FUNCREF,
        minimum: 0,
        maximum: None,
        table64: false,
        shared: false,
    };
    imports.import(MODULE, MEMORY, memory);
    match tail_calls {
        TailCalls::None => &mut imports,
        TailCalls::Table => imports.import(MODULE, TABLE, table),
        TailCalls::Chain => imports.import(MODULE, CHAIN, EntityType::Function(CHAIN_TYPE)),
    };
    for (pointer, nargs) in functions {
        let ty = EntityType::Function((*nargs).into());
        imports.import(MODULE, &pointer.to_string(), ty);
    }
    imports
}
