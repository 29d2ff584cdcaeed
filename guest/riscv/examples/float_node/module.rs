//! The module: each function runs one call on a row of the table.

use tcg::builder::{Function, NO_TEMP, TempInfo};
use tcg::float::FloatHelper;
use tcg::ir::{HelperId, HelperInfo, Op, OpKind, Temp, TempKind, Type};
use tcg::wasm32::body::{Body, CPU, Local, TB};
use tcg::wasm32::imports::{ARGUMENTS_MAX, FUNCTION_TYPE, Imports, MEMORY, MODULE};
use tcg::wasm32::ops::{self, Context, FaultExit, Locals};
use tcg::wasm32::{Options, SlowPaths, TailCalls};

use accel_tcg::GuestCpu;
use guest_riscv::RiscvCpu;
use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, FunctionSection, ImportSection,
    MemArg, MemArgTarget, MemoryType, TypeSection, ValType,
};

use crate::Call;

pub struct ModuleOfCalls {
    helpers: Vec<HelperInfo>,
    imports: Imports,
    bodies: Vec<Vec<u8>>,
}

const SLOW_PATHS: SlowPaths = SlowPaths {
    load: 0,
    store: 0,
    load2: 0,
    store2: 0,
    cmpxchg: 0,
    cmpxchg2: 0,
    rmw: 0,
};

/// Temps of a call: operands, result.
const TEMPS: usize = 4;
const RESULT: u16 = 3;

/// A local for each temp.
struct PlainLocals([Local; TEMPS]);

impl Locals for PlainLocals {
    fn local(&mut self, _: &mut Body, temp: Temp) -> Local {
        self.0[usize::from(temp.0)]
    }
    fn scratch32(&mut self, body: &mut Body, _: usize) -> Local {
        body.new_local(ValType::I32)
    }
    fn scratch64(&mut self, body: &mut Body, _: usize) -> Local {
        body.new_local(ValType::I64)
    }
}

const fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 3,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

impl ModuleOfCalls {
    pub fn new() -> Self {
        Self {
            helpers: RiscvCpu::helpers().iter().map(|h| h.info()).collect(),
            imports: Imports::default(),
            bodies: Vec::new(),
        }
    }

    /// A function `(cpu, row) -> 0`: sets the flags, calls, stores the result and the flags.
    pub fn add(&mut self, call: &Call, float: &FloatHelper) {
        let flags = at(u64::from(float.rules.flags_slot) * 8);
        let mut body = Body::default();
        let locals = [0; TEMPS].map(|_| body.new_local(ValType::I64));
        for (index, local) in locals.iter().enumerate().take(TEMPS - 1) {
            body.get(TB);
            body.sink().i64_load(at(8 * index as u64));
            body.set(*local);
        }
        body.get(CPU);
        body.get(TB);
        body.sink().i64_load(at(24)).i64_store(flags);
        self.call(&mut body, call, float, locals);
        body.get(TB);
        body.get(locals[usize::from(RESULT)]);
        body.sink().i64_store(at(48));
        body.get(TB);
        body.get(CPU);
        body.sink().i64_load(flags).i64_store(at(56));
        body.i32_const(0);
        self.bodies.push(body.finish());
    }

    fn call(&mut self, body: &mut Body, call: &Call, float: &FloatHelper, locals: [Local; TEMPS]) {
        let local = TempInfo {
            kind: TempKind::Local,
            ty: Type::I64,
        };
        let mut function = Function {
            temps: vec![local; TEMPS],
            ..Function::default()
        };
        let control = call
            .control
            .map(|control| function.constant(Type::I64, control));
        let operands = (0..float.op.operands() as u16).map(Temp);
        let mut args = control.into_iter().chain(operands).chain([NO_TEMP; 4]);
        let mut arg = || args.next().expect("endless enough");
        let kind = OpKind::Call {
            d: Temp(RESULT),
            a0: arg(),
            a1: arg(),
            a2: arg(),
            a3: arg(),
            helper: HelperId(call.helper as u16),
        };
        let options = Options {
            helpers: &self.helpers,
            slow_paths: SLOW_PATHS,
            pc_slot: 0,
            tail_calls: TailCalls::Table,
        };
        let frame = body.open_block(BlockType::Empty);
        let fault = FaultExit {
            frame,
            leave: CPU,
            insn: CPU,
            leave_value: 0,
            insn_index: 0,
        };
        let mut cx = Context {
            body,
            locals: &mut PlainLocals(locals),
            imports: &mut self.imports,
            options: &options,
            function: &function,
            fault,
            member: None,
        };
        ops::emit(
            &mut cx,
            &Op {
                kind,
                ty: Type::I64,
            },
        );
        body.close();
    }

    pub fn finish(self) -> Vec<u8> {
        let mut types = TypeSection::new();
        for nargs in 0..=ARGUMENTS_MAX {
            let mut params = vec![ValType::I64; nargs + 1];
            params[0] = ValType::I32;
            types.ty().function(params, [ValType::I64]);
        }
        types.ty().function([ValType::I32; 2], [ValType::I32]);
        let mut imports = ImportSection::new();
        let memory = MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        imports.import(MODULE, MEMORY, memory);
        for &(pointer, nargs) in self.imports.functions() {
            imports.import(
                MODULE,
                &pointer.to_string(),
                EntityType::Function(nargs.into()),
            );
        }
        let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
        let mut code = CodeSection::new();
        let imported = self.imports.functions().len();
        for (index, body) in self.bodies.iter().enumerate() {
            functions.function(FUNCTION_TYPE);
            exports.export(
                &index.to_string(),
                ExportKind::Func,
                (imported + index) as u32,
            );
            code.raw(body);
        }
        let mut module = wasm_encoder::Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&exports).section(&code);
        let bytes = module.finish();
        wasmparser::validate(&bytes).expect("a valid module");
        bytes
    }
}
