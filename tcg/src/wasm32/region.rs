//! The function of a region.
//!
//! It looks at exit requests, loads the guest registers that are live, and goes to the block asked
//! for. Loops count a budget down and leave through the function table when it is used up: the
//! engine, which replaces no code on the stack, gets a call at which it can enter better code, and
//! requests are looked at again.

mod jumps;

use std::collections::HashMap;
use std::mem::offset_of;

use wasm_encoder::{BlockType, BranchHint, ValType};

use super::body::{Body, CPU, Frame, Local, TB};
use super::flow::{BasicBlock, End, Flow, Slots};
use super::groups::Groups;
use super::imports::{FUNCTION_TYPE, Imports};
use super::ops::{self, Context, FaultExit, Locals, at, value_type};
use super::structure::{Event, Structure, structure};
use super::{Leave, Options, Region, RegionBlock, RegionError, TailCalls};
use crate::cpu_state::{CpuState, SLOTS};
use crate::ir::*;
use crate::tb::TbHeader;

/// Rounds of loops before the function is left once.
const LOOP_BUDGET: u32 = 4000;
/// A body that is larger is given up: engines take too long over it.
const BODY_BYTES_MAX: usize = 128 << 10;
/// The root of the control-flow graph, which chooses the entry; basic blocks follow it.
const ROOT: usize = 0;

/// Makes the body of a region's function.
pub fn emit(
    region: &Region<'_>,
    options: &Options<'_>,
    imports: &mut Imports,
) -> Result<(Vec<u8>, Vec<BranchHint>), RegionError> {
    let flow = Flow::new(region, options);
    let reachable = flow.reachable(region);
    let (nodes, graph) = graph(region, &flow, &reachable);
    let structure = structure(&graph);
    let mut emitter = Emitter::new(region, options, imports, &flow);
    emitter.nodes = nodes;
    emitter.function(&structure, &graph)
}

/// The nodes' basic blocks (the root has none), and the graph that they are.
fn graph(region: &Region<'_>, flow: &Flow, reachable: &[bool]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let nodes: Vec<usize> = (0..flow.blocks.len()).filter(|&b| reachable[b]).collect();
    let mut node_of = vec![ROOT; flow.blocks.len()];
    for (node, &block) in nodes.iter().enumerate() {
        node_of[block] = node + 1;
    }
    let mut graph = vec![
        region
            .entries
            .iter()
            .map(|&e| node_of[flow.starts[e]])
            .collect(),
    ];
    for &block in &nodes {
        let successors = flow.blocks[block].end.successors().into_iter();
        let mut to: Vec<usize> = successors.map(|to| node_of[to]).collect();
        let mut seen = Vec::new();
        to.retain(|node| {
            !seen.contains(node) && {
                seen.push(*node);
                true
            }
        });
        graph.push(to);
    }
    (nodes, graph)
}

/// Locals that all blocks share.
struct Pool {
    /// By slot: the guest registers that the region uses.
    globals: Vec<Option<(Local, Type)>>,
    /// By type (I32, I64): the locals that blocks use for their temps.
    temps: [Vec<Local>; 2],
    scratch: [Vec<Local>; 2],
}

impl Pool {
    fn global(&self, slot: u8) -> Local {
        let global = self.globals[usize::from(slot)];
        global.expect("all that the region uses have locals").0
    }
}

/// The locals of one block: [`Pool`] and which temp is where.
struct BlockLocals<'a> {
    pool: &'a mut Pool,
    places: &'a mut Places,
    temps: &'a [crate::builder::TempInfo],
}

/// Where the temps of a block are.
#[derive(Default)]
struct Places {
    /// By temp.
    local: Vec<Option<Local>>,
    used: [usize; 2],
}

fn nth(locals: &mut Vec<Local>, body: &mut Body, ty: Type, index: usize) -> Local {
    while locals.len() <= index {
        locals.push(body.new_local(value_type(ty)));
    }
    locals[index]
}

impl Locals for BlockLocals<'_> {
    fn local(&mut self, body: &mut Body, temp: Temp) -> Local {
        let info = self.temps[usize::from(temp.0)];
        if let TempKind::Global { slot } = info.kind {
            return self.pool.global(slot);
        }
        let number = usize::from(temp.0);
        if self.places.local.len() <= number {
            self.places
                .local
                .resize(self.temps.len().max(number + 1), None);
        }
        if let Some(local) = self.places.local[number] {
            return local;
        }
        let kind = info.ty as usize;
        let index = self.places.used[kind];
        self.places.used[kind] += 1;
        let local = nth(&mut self.pool.temps[kind], body, info.ty, index);
        self.places.local[number] = Some(local);
        local
    }

    fn scratch32(&mut self, body: &mut Body, index: usize) -> Local {
        nth(&mut self.pool.scratch[0], body, Type::I32, index)
    }

    fn scratch64(&mut self, body: &mut Body, index: usize) -> Local {
        nth(&mut self.pool.scratch[1], body, Type::I64, index)
    }
}

/// Locals of the function's own.
struct Own {
    /// Rounds that loops may still make.
    budget: Local,
    /// What a fault leaves with.
    leave: Local,
    insn: Local,
    /// A header's address, for a moment.
    header: Local,
    /// An index or an address, for a moment.
    index: Local,
    /// Where a dispatch node goes.
    label: Local,
}

/// An open loop or block, and the node that a branch to it leads to.
struct Open {
    node: usize,
    frame: Frame,
    is_block: bool,
}

struct Emitter<'a> {
    region: &'a Region<'a>,
    options: &'a Options<'a>,
    imports: &'a mut Imports,
    flow: &'a Flow,
    body: Body,
    pool: Pool,
    own: Own,
    /// By block of the region.
    places: Vec<Places>,
    groups: Vec<Groups>,
    /// By node but the root: its basic block.
    nodes: Vec<usize>,
    /// Landing places of faults, by set.
    faults: Vec<Frame>,
    open: Vec<Open>,
}

impl<'a> Emitter<'a> {
    fn new(
        region: &'a Region<'a>,
        options: &'a Options<'a>,
        imports: &'a mut Imports,
        flow: &'a Flow,
    ) -> Self {
        let mut body = Body::default();
        let mut new = || body.new_local(ValType::I32);
        let own = Own {
            budget: new(),
            leave: new(),
            insn: new(),
            header: new(),
            index: new(),
            label: new(),
        };
        let groups = |block: &super::RegionBlock<'_>| Groups::of(block.function, options.helpers);
        Self {
            places: region.blocks.iter().map(|_| Places::default()).collect(),
            groups: region.blocks.iter().map(groups).collect(),
            pool: Pool {
                globals: vec![None; SLOTS],
                temps: Default::default(),
                scratch: Default::default(),
            },
            region,
            options,
            imports,
            flow,
            body,
            own,
            nodes: Vec::new(),
            faults: Vec::new(),
            open: Vec::new(),
        }
    }

    fn function(
        mut self,
        structure: &Structure,
        graph: &[Vec<usize>],
    ) -> Result<(Vec<u8>, Vec<BranchHint>), RegionError> {
        self.make_globals();
        self.prologue();
        let sets = self.flow.fault_sets.len();
        // The first set's block is the innermost.
        let mut frames: Vec<Frame> = (0..sets)
            .map(|_| self.body.open_block(BlockType::Empty))
            .collect();
        frames.reverse();
        self.faults = frames;
        for (number, &event) in structure.events.iter().enumerate() {
            match event {
                Event::Loop(node) => {
                    let frame = self.body.open_loop(BlockType::Empty);
                    self.open.push(Open {
                        node,
                        frame,
                        is_block: false,
                    });
                }
                Event::Block(node) => {
                    let frame = self.body.open_block(BlockType::Empty);
                    self.open.push(Open {
                        node,
                        frame,
                        is_block: true,
                    });
                }
                Event::Close => {
                    self.body.close();
                    self.open.pop();
                }
                Event::Code(node) => {
                    let next = self.falls_to(&structure.events[number + 1..]);
                    self.node(structure, graph, node, next);
                }
            }
            if self.body.len() > BODY_BYTES_MAX {
                return Err(RegionError::TooLarge);
            }
        }
        self.body.sink().unreachable();
        for set in 0..sets {
            self.body.close();
            self.landing(self.flow.fault_sets[set]);
        }
        // The last landing has left; the function's end wants a result on the stack.
        self.body.sink().unreachable();
        Ok(self.body.finish_with_hints())
    }

    /// The node whose code follows if that of the one in front just ends.
    fn falls_to(&self, events: &[Event]) -> Option<usize> {
        let open = self.open.last()?;
        (events.first() == Some(&Event::Close) && open.is_block).then_some(open.node)
    }

    /// A guest register is in the low half of its slot if it is an I32.
    fn make_globals(&mut self) {
        let mut used = self.flow.used;
        used.insert(self.options.pc_slot);
        let temps = self
            .region
            .blocks
            .iter()
            .flat_map(|block| &block.function.temps);
        for info in temps {
            if let TempKind::Global { slot } = info.kind
                && used.contains(slot)
                && self.pool.globals[usize::from(slot)].is_none()
            {
                let local = self.body.new_local(value_type(info.ty));
                self.pool.globals[usize::from(slot)] = Some((local, info.ty));
            }
        }
    }

    fn prologue(&mut self) {
        self.push_request();
        self.body.open_hinted_if(BlockType::Empty, false);
        self.body.get(TB);
        self.body.i32_const(Leave::Request as u32);
        self.body.sink().i32_or().return_();
        self.body.close();
        self.body.i32_const(LOOP_BUDGET);
        self.body.set(self.own.budget);
    }

    /// Whether somebody wants the CPU out of the function.
    fn push_request(&mut self) {
        self.body.get(CPU);
        self.body
            .sink()
            .i32_load(at(offset_of!(CpuState, exit_request) as u64));
        self.body.sink().i32_load(at(0));
    }

    fn slot_offset(slot: u8) -> u64 {
        (offset_of!(CpuState, slots) + usize::from(slot) * size_of::<u64>()) as u64
    }

    fn load(&mut self, slots: Slots) {
        for slot in slots.intersection(self.flow.used).iter() {
            let Some((local, ty)) = self.pool.globals[usize::from(slot)] else {
                continue;
            };
            self.body.get(CPU);
            match ty {
                Type::I32 => self.body.sink().i32_load(at(Self::slot_offset(slot))),
                Type::I64 => self.body.sink().i64_load(at(Self::slot_offset(slot))),
            };
            self.body.set(local);
        }
    }

    fn write_back(&mut self, slots: Slots) {
        for slot in slots.iter() {
            let Some((local, ty)) = self.pool.globals[usize::from(slot)] else {
                continue;
            };
            self.body.get(CPU);
            self.body.get(local);
            if ty == Type::I32 {
                self.body.sink().i64_extend_i32_u();
            }
            self.body.sink().i64_store(at(Self::slot_offset(slot)));
        }
    }

    /// Where faults that write this set back arrive.
    fn landing(&mut self, set: Slots) {
        self.write_back(set);
        self.body.get(CPU);
        self.body.get(self.own.insn);
        self.body
            .sink()
            .i32_store(at(offset_of!(CpuState, fault_insn) as u64));
        self.body.get(self.own.leave);
        self.body.sink().return_();
    }

    /// The code of a node; `next` is the node whose code follows at once.
    fn node(
        &mut self,
        structure: &Structure,
        graph: &[Vec<usize>],
        node: usize,
        next: Option<usize>,
    ) {
        let edges = Edges {
            structure,
            node,
            next,
        };
        if node == ROOT {
            self.choose_entry(&edges, &graph[ROOT]);
        } else if node >= graph.len() {
            let targets = &structure.dispatch[node - graph.len()];
            let frames: Vec<Frame> = targets.iter().map(|&to| self.frame_of(to)).collect();
            self.body.get(self.own.label);
            self.body.br_table(&frames, frames[0]);
        } else {
            let number = self.nodes[node - 1];
            let block = self.flow.blocks[number].clone();
            self.basic_block(&edges, number, &block);
        }
    }

    /// Goes to the block asked for, with the guest registers that it wants. The first is what it is
    /// if it is none of the others.
    fn choose_entry(&mut self, edges: &Edges<'_>, nodes: &[usize]) {
        let inside = Edges {
            next: None,
            ..*edges
        };
        let entries: Vec<usize> = self.region.entries.clone();
        for (&entry, &node) in entries.iter().zip(nodes).skip(1) {
            self.body.get(TB);
            self.body.i32_const(self.region.blocks[entry].tb);
            self.body.sink().i32_eq();
            self.body.open_if(BlockType::Empty);
            self.enter(&inside, entry, node);
            self.body.close();
        }
        self.enter(edges, entries[0], nodes[0]);
    }

    fn enter(&mut self, edges: &Edges<'_>, entry: usize, node: usize) {
        self.load(self.flow.live[self.flow.starts[entry]]);
        self.branch(edges, node);
    }

    /// The innermost frame that leads to a node.
    fn frame_of(&self, node: usize) -> Frame {
        let found = self.open.iter().rev().find(|open| open.node == node);
        found.expect("every edge has its frame").frame
    }

    /// Goes to a node.
    fn branch(&mut self, edges: &Edges<'_>, to: usize) {
        let (to, label) = edges.structure.target(to);
        if let Some(label) = label {
            self.body.i32_const(label);
            self.body.set(self.own.label);
        }
        if edges.next != Some(to) {
            let frame = self.frame_of(to);
            self.body.br(frame);
        }
    }

    /// Goes to a node if the number on the stack is not 0.
    fn branch_if(&mut self, edges: &Edges<'_>, to: usize) {
        let (target, label) = edges.structure.target(to);
        if label.is_none() {
            let frame = self.frame_of(target);
            return self.body.br_if(frame);
        }
        self.body.open_if(BlockType::Empty);
        let inside = Edges {
            next: None,
            ..*edges
        };
        self.branch(&inside, to);
        self.body.close();
    }

    fn node_of(&self, block: usize) -> usize {
        // Nodes are in the order of their blocks.
        self.nodes.binary_search(&block).map_or(ROOT, |at| at + 1)
    }

    /// Whether an edge is one of a loop of blocks, which must not run for ever.
    fn is_counted(&self, edges: &Edges<'_>, to: usize) -> bool {
        let (target, _) = edges.structure.target(self.node_of(to));
        self.flow.blocks[to].is_start && edges.structure.is_back(edges.node, target)
    }

    /// Goes to a basic block. `dirty` is what may be.
    fn edge(&mut self, edges: &Edges<'_>, to: usize, dirty: Slots) {
        if self.is_counted(edges, to) {
            self.count_down(to, dirty);
        }
        self.branch(edges, self.node_of(to));
    }

    /// Goes to a basic block if the number on the stack is not 0.
    fn edge_if(&mut self, edges: &Edges<'_>, to: usize, dirty: Slots) {
        if !self.is_counted(edges, to) {
            return self.branch_if(edges, self.node_of(to));
        }
        self.body.open_if(BlockType::Empty);
        let inside = Edges {
            next: None,
            ..*edges
        };
        self.edge(&inside, to, dirty);
        self.body.close();
    }

    /// Leaves for the block when the loops' budget is used up.
    fn count_down(&mut self, to: usize, dirty: Slots) {
        self.body.get(self.own.budget);
        self.body.i32_const(1);
        self.body.sink().i32_sub();
        self.body.tee(self.own.budget);
        self.body.sink().i32_eqz();
        self.body.open_hinted_if(BlockType::Empty, false);
        let tb = self.region.blocks[self.flow.blocks[to].block].tb;
        self.body.i32_const(tb);
        self.body.set(self.own.header);
        self.go_to_header(dirty, Leave::Loop);
        self.body.close();
    }

    /// Leaves for the block whose header's address is in `header`, with `otherwise` if it has no
    /// instance in this thread.
    fn go_to_header(&mut self, dirty: Slots, otherwise: Leave) {
        self.write_back(dirty);
        if self.options.tail_calls != TailCalls::None {
            let instance = at(offset_of!(CpuState, tb_instance_offset) as u64);
            self.body.get(self.own.header);
            self.body.get(CPU);
            self.body
                .sink()
                .i32_load(instance)
                .i32_add()
                .i32_load(at(0));
            self.body.tee(self.own.index);
            self.body.open_if(BlockType::Empty);
            self.body.get(CPU);
            self.body.get(self.own.header);
            self.body.get(self.own.index);
            match self.options.tail_calls {
                TailCalls::Chain => self.body.sink().return_call(0),
                _ => self.body.sink().return_call_indirect(0, FUNCTION_TYPE),
            };
            self.body.close();
        }
        self.body.get(self.own.header);
        if otherwise != Leave::Next {
            self.body.i32_const(otherwise as u32);
            self.body.sink().i32_or();
        }
        self.body.sink().return_();
    }

    fn leave(&mut self, value: u32, dirty: Slots) {
        self.write_back(dirty);
        self.body.i32_const(value);
        self.body.sink().return_();
    }

    fn basic_block(&mut self, edges: &Edges<'_>, number: usize, block: &BasicBlock) {
        let mut dirty = self.flow.dirty[number];
        if block.is_start {
            self.take_count(block.block, dirty);
        }
        let mut live = HashMap::new();
        let infos = &self.flow.ops[block.block];
        if infos[block.ops.clone()].iter().any(|op| op.effects.reload) {
            let behind = self.flow.live_behind(number);
            let note = |op, after| _ = live.insert(op, after);
            self.flow.live_through(number, behind, note);
        }
        let mut insns = block.insns;
        let function = self.region.blocks[block.block].function;
        for index in block.ops.clone() {
            let (op, info) = (function.ops[index], infos[index]);
            if info.effects.write_back {
                self.write_back(dirty);
            }
            let before = info.dirty_before(dirty);
            match op.kind {
                OpKind::InsnStart { .. } => insns += 1,
                OpKind::GotoTb { slot } => self.goto_tb(block.block, slot),
                OpKind::ExitTb { exit } => self.exit_tb(block.block, exit, insns, before),
                OpKind::GotoPtr {} => self.goto_ptr(edges, block, before),
                _ => self.op(block.block, index, insns, before),
            }
            dirty = info.dirty(dirty);
            if info.effects.reload {
                let needed = live.get(&index).copied().unwrap_or_default();
                // Its own result is newer than what memory has.
                self.load(needed.difference(info.written));
            }
        }
        match block.end {
            End::Goto(to) => self.edge(edges, to, dirty),
            End::Branch(taken, next) => {
                self.edge_if(edges, taken, dirty);
                self.edge(edges, next, dirty);
            }
            End::Leave | End::Computed(_) => {}
        }
    }

    /// `-icount`: takes a block's instructions off the budget, or leaves in front of it.
    fn take_count(&mut self, block: usize, dirty: Slots) {
        let block = &self.region.blocks[block];
        let Some(count) = block.icount else { return };
        let budget = at(offset_of!(CpuState, icount_left) as u64);
        let left = nth(&mut self.pool.scratch[1], &mut self.body, Type::I64, 0);
        self.body.get(CPU);
        self.body
            .sink()
            .i64_load(budget)
            .i64_const(count.into())
            .i64_sub();
        self.body.tee(left);
        self.body.sink().i64_const(0).i64_lt_s();
        self.body.open_hinted_if(BlockType::Empty, false);
        self.leave(block.tb | Leave::Request as u32, dirty);
        self.body.close();
        self.body.get(CPU);
        self.body.get(left);
        self.body.sink().i64_store(budget);
    }

    /// An op that does not branch, or the condition of one that does.
    fn op(&mut self, block: usize, index: usize, insns: u32, dirty: Slots) {
        let RegionBlock { function, tb, .. } = self.region.blocks[block];
        let frame = self.faults.get(self.flow.fault_set(dirty));
        let mut locals = BlockLocals {
            pool: &mut self.pool,
            places: &mut self.places[block],
            temps: &function.temps,
        };
        let mut context = Context {
            fault: FaultExit {
                // An op that cannot fault does not use it.
                frame: frame.copied().unwrap_or(Frame::FUNCTION),
                leave: self.own.leave,
                insn: self.own.insn,
                leave_value: tb | Leave::Exception as u32,
                insn_index: insns.saturating_sub(1),
            },
            body: &mut self.body,
            locals: &mut locals,
            imports: self.imports,
            options: self.options,
            function,
            member: self.groups[block].member(index),
        };
        let op = function.ops[index];
        match op.kind {
            OpKind::Brcond { a, b, cond, .. } => {
                ops::condition(&mut context, op.ty, cond, a, b);
            }
            _ => ops::emit(&mut context, &op),
        }
    }

    fn exit_tb(&mut self, block: usize, exit: TbExit, insns: u32, dirty: Slots) {
        let tb = self.region.blocks[block].tb;
        let value = match exit {
            TbExit::Slot(0) => tb | Leave::Slot0 as u32,
            TbExit::Slot(_) => tb | Leave::Slot1 as u32,
            TbExit::Main => Leave::Main as u32,
            TbExit::Exception => {
                self.body.i32_const(tb | Leave::Exception as u32);
                self.body.set(self.own.leave);
                self.body.i32_const(insns.saturating_sub(1));
                self.body.set(self.own.insn);
                let frame = self.faults[self.flow.fault_set(dirty)];
                return self.body.br(frame);
            }
        };
        self.leave(value, dirty);
    }

    /// An edge out of the region: to what the exit is linked to, if it is.
    fn goto_tb(&mut self, block: usize, slot: u8) {
        let link = offset_of!(TbHeader, jmp_target) + usize::from(slot & 1) * size_of::<usize>();
        self.body
            .i32_const(self.region.blocks[block].tb + link as u32);
        self.body.sink().i32_load(at(0));
        self.body.tee(self.own.header);
        self.body.open_if(BlockType::Empty);
        self.go_to_header(Slots::default(), Leave::Next);
        self.body.close();
    }
}

/// The way from a node to others.
#[derive(Clone, Copy)]
struct Edges<'a> {
    structure: &'a Structure,
    node: usize,
    /// The node whose code follows.
    next: Option<usize>,
}
