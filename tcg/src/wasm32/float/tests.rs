//! That what is emitted is valid, and small. What it computes is the business of
//! `scripts/test.d/26-float-node`.

use wasm_encoder::{
    CodeSection, EntityType, FunctionSection, ImportSection, MemoryType, Module, TypeSection,
};

use super::*;
use crate::builder::Function;
use crate::float::FloatRules;
use crate::ir::{HelperFlags, HelperInfo, Type};
use crate::wasm32::imports::Imports;
use crate::wasm32::ops::{FaultExit, Locals};
use crate::wasm32::{Options, SlowPaths, TailCalls};

static RULES: FloatRules = FloatRules {
    flags_slot: 67,
    inexact: 1,
    nearest_even: 0,
    toward_zero: 1,
    down: 2,
    up: 3,
    negate_product: 8,
    negate_addend: 16,
};

const OPS: [FloatOp; 20] = {
    use FloatOp::*;
    [
        Add, Sub, Mul, Div, Sqrt, Fma, Eq, Lt, Le, Min, Max, ToI32, ToU32, ToI64, ToU64, FromI32,
        FromU32, FromI64, FromU64, Convert,
    ]
};

const SLOW_PATHS: SlowPaths = SlowPaths {
    load: 0,
    store: 0,
    load2: 0,
    store2: 0,
    cmpxchg: 0,
    cmpxchg2: 0,
    rmw: 0,
};

/// A local for each temp, made when it is asked for.
#[derive(Default)]
struct PlainLocals(Vec<(Temp, Local)>);

impl Locals for PlainLocals {
    fn local(&mut self, body: &mut Body, temp: Temp) -> Local {
        if let Some(&(_, local)) = self.0.iter().find(|(of, _)| *of == temp) {
            return local;
        }
        let local = body.new_local(ValType::I64);
        self.0.push((temp, local));
        local
    }
    fn scratch32(&mut self, body: &mut Body, _: usize) -> Local {
        body.new_local(ValType::I32)
    }
    fn scratch64(&mut self, body: &mut Body, _: usize) -> Local {
        body.new_local(ValType::I64)
    }
}

/// Emits a call with this rounding mode; `None` is one that is not known. The body's bytes before
/// it is finished, and what it imports; `None` if nothing was emitted.
fn body(op: FloatOp, format: FloatFormat, rm: Option<u64>) -> Option<(Body, Imports)> {
    let nargs = op.operands() + usize::from(op.rounds());
    let helpers = [HelperInfo {
        name: "helper",
        function: 77,
        nargs: nargs as u8,
        flags: HelperFlags::NO_GLOBALS,
        float: Some(FloatHelper {
            op,
            format,
            rules: &RULES,
        }),
    }];
    let options = Options {
        helpers: &helpers,
        slow_paths: SLOW_PATHS,
        pc_slot: 64,
        tail_calls: TailCalls::Table,
    };
    let mut function = Function::default();
    let mut args = [NO_TEMP; 4];
    for (index, arg) in args.iter_mut().enumerate().take(nargs) {
        *arg = Temp(index as u16 + 100);
    }
    if let (true, Some(rm)) = (op.rounds(), rm) {
        args[0] = function.constant(Type::I64, rm);
    }
    let (mut body, mut imports, mut locals) =
        (Body::default(), Imports::default(), PlainLocals::default());
    let fault = FaultExit {
        frame: body.open_block(BlockType::Empty),
        leave: Local(0),
        insn: Local(0),
        leave_value: 0,
        insn_index: 0,
    };
    let mut cx = Context {
        body: &mut body,
        locals: &mut locals,
        imports: &mut imports,
        options: &options,
        function: &function,
        fault,
        member: None,
    };
    let emitted = emit(&mut cx, Temp(99), args, HelperId(0));
    assert_eq!(emitted, imports.functions().len() == 1);
    body.close();
    emitted.then_some((body, imports))
}

fn validate(body: Body, nargs: u8) {
    let mut types = TypeSection::new();
    let mut params = vec![ValType::I64; usize::from(nargs) + 1];
    params[0] = ValType::I32;
    types.ty().function(params, [ValType::I64]);
    types.ty().function([ValType::I32, ValType::I32], []);
    let mut imports = ImportSection::new();
    let memory = MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    imports.import("e", "m", memory);
    imports.import("e", "77", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(1);
    let mut code = CodeSection::new();
    code.raw(&body.finish());
    let mut module = Module::new();
    module.section(&types).section(&imports);
    module.section(&functions).section(&code);
    wasmparser::validate(&module.finish()).expect("valid");
}

#[test]
fn valid_in_every_mode() {
    let mut inline = 0;
    for op in OPS {
        for format in [FloatFormat::Single, FloatFormat::Double] {
            for rm in 0..32 {
                if let Some((body, imports)) = body(op, format, Some(rm)) {
                    inline += 1;
                    validate(body, imports.functions()[0].1);
                }
            }
        }
    }
    assert!(inline > 300, "{inline}");
}

#[test]
fn only_modes_of_webassembly() {
    use FloatOp::*;
    let offered = |op, rm| body(op, FloatFormat::Double, rm).is_some();
    for op in [Add, Sub, Mul, Div, Sqrt, Fma] {
        assert!(offered(op, Some(0)));
        for rm in [Some(1), Some(2), Some(3), Some(4), None] {
            assert!(!offered(op, rm), "{op:?} {rm:?}");
        }
    }
    assert!(offered(ToI32, Some(3)) && !offered(ToI32, Some(4)) && !offered(ToI32, None));
    assert!(offered(Fma, Some(8 | 16)) && !offered(Fma, Some(8 | 1)));
    assert!(offered(Lt, None));
}

#[test]
fn small() {
    for op in OPS {
        for (format, most) in [(FloatFormat::Single, 110), (FloatFormat::Double, 90)] {
            let (body, _) = body(op, format, Some(0)).expect("offered");
            let most = match (op, format) {
                (FloatOp::Fma, FloatFormat::Double) => 230,
                (FloatOp::Fma, FloatFormat::Single) => 130,
                _ => most,
            };
            assert!(
                body.len() <= most,
                "{op:?} {format:?}: {} bytes",
                body.len()
            );
        }
    }
}
