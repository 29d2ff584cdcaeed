//! From a control-flow graph to structured control flow, which is all that WebAssembly has.
//!
//! A loop with several ways in (an irreducible part) first gets a *dispatch node* in front of it,
//! that all edges to these nodes lead through; a variable says where to go on. Then every node's
//! code stands inside the blocks of the nodes that it dominates, in reverse postorder, so that each
//! forward edge is a `br` out of a block, and each back edge one to the start of a loop (after
//! Ramsey, "Beyond Relooper for WebAssembly", ICFP 2022).

/// What is to be written, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Starts a loop around the code of the node: a `br` to it goes to the node.
    Loop(usize),
    /// Starts a block in front of the node: a `br` to it goes to the node.
    Block(usize),
    /// The code of a node, with all its edges.
    Code(usize),
    /// Ends the innermost loop or block.
    Close,
}

/// A graph in an order in which it can be written. Nodes from the number of nodes given on are
/// dispatch nodes.
#[derive(Clone, Debug)]
pub struct Structure {
    pub events: Vec<Event>,
    /// By dispatch node: the nodes that it goes to, by the value of the variable.
    pub dispatch: Vec<Vec<usize>>,
    /// By node: the dispatch node that edges to it go through.
    through: Vec<Option<usize>>,
    /// By node: its place in reverse postorder.
    order: Vec<usize>,
    nodes: usize,
}

impl Structure {
    /// Where an edge to `to` branches to, and the value of the variable if that is a dispatch node.
    pub fn target(&self, to: usize) -> (usize, Option<u32>) {
        match self.through[to] {
            None => (to, None),
            Some(dispatch) => {
                let value = self.dispatch[dispatch - self.nodes]
                    .iter()
                    .position(|&n| n == to);
                (dispatch, value.map(|value| value as u32))
            }
        }
    }

    /// Whether a branch from one node to another (as [`Structure::target`] gives it) goes back.
    pub fn is_back(&self, from: usize, to: usize) -> bool {
        self.order[to] <= self.order[from]
    }
}

/// Structures the graph whose nodes have these successors; node 0 is the root, from which all
/// others can be reached.
pub fn structure(successors: &[Vec<usize>]) -> Structure {
    let mut graph = Graph::new(successors);
    graph.make_reducible();
    let order = graph.reverse_postorder();
    let events = graph.events(&order);
    let mut places = vec![0; graph.successors.len()];
    for (place, &node) in order.iter().enumerate() {
        places[node] = place;
    }
    Structure {
        events,
        dispatch: graph.successors.split_off(successors.len()),
        through: graph.through,
        order: places,
        nodes: successors.len(),
    }
}

struct Graph {
    successors: Vec<Vec<usize>>,
    through: Vec<Option<usize>>,
}

impl Graph {
    fn new(successors: &[Vec<usize>]) -> Self {
        Self {
            successors: successors.to_vec(),
            through: vec![None; successors.len()],
        }
    }

    /// Gives each loop one way in.
    fn make_reducible(&mut self) {
        let mut work = vec![(0..self.successors.len()).collect::<Vec<usize>>()];
        while let Some(nodes) = work.pop() {
            for component in self.components(&nodes) {
                let mut entered = self.entered(&component);
                if entered.len() > 1 {
                    self.dispatch(&entered);
                    work.push(component);
                    continue;
                }
                // Without its header, the inner loops are left.
                let header = entered.pop();
                let inner: Vec<usize> = component
                    .into_iter()
                    .filter(|n| Some(*n) != header)
                    .collect();
                if !inner.is_empty() && header.is_some() {
                    work.push(inner);
                }
            }
        }
    }

    /// Nodes of a component that edges from elsewhere lead to.
    fn entered(&self, component: &[usize]) -> Vec<usize> {
        let mut inside = vec![false; self.successors.len()];
        component.iter().for_each(|&n| inside[n] = true);
        let mut entered = vec![false; self.successors.len()];
        for (from, to) in self.successors.iter().enumerate() {
            if !inside[from] {
                to.iter().for_each(|&to| entered[to] = true);
            }
        }
        entered[0] = true;
        component.iter().copied().filter(|&n| entered[n]).collect()
    }

    /// Leads all edges to these nodes through a new one.
    fn dispatch(&mut self, entered: &[usize]) {
        let new = self.successors.len();
        for to in self.successors.iter_mut().flatten() {
            if entered.contains(to) {
                *to = new;
            }
        }
        for &node in entered {
            self.through[node] = Some(new);
        }
        for successors in &mut self.successors {
            let mut seen = false;
            successors.retain(|&to| to != new || !std::mem::replace(&mut seen, true));
        }
        self.successors.push(entered.to_vec());
        self.through.push(None);
    }

    /// The strongly connected components, among these nodes, that have a cycle (Tarjan).
    fn components(&self, nodes: &[usize]) -> Vec<Vec<usize>> {
        let mut search = Tarjan::new(self, nodes);
        for &node in nodes {
            if search.number[node] == 0 {
                search.visit(node);
            }
        }
        search.found
    }

    fn reverse_postorder(&self) -> Vec<usize> {
        let mut seen = vec![false; self.successors.len()];
        let mut order = Vec::with_capacity(self.successors.len());
        let mut stack = vec![(0, 0)];
        seen[0] = true;
        while let Some((node, next)) = stack.pop() {
            let successors = &self.successors[node];
            // The first successor comes last in postorder's reverse: next to its predecessor.
            let Some(at) = successors.len().checked_sub(next + 1) else {
                order.push(node);
                continue;
            };
            stack.push((node, next + 1));
            let to = successors[at];
            if !std::mem::replace(&mut seen[to], true) {
                stack.push((to, 0));
            }
        }
        order.reverse();
        order
    }

    /// The nodes that each node immediately dominates, in the order given (Cooper, Harvey and
    /// Kennedy, "A Simple, Fast Dominance Algorithm").
    fn dominated(&self, order: &[usize]) -> Vec<Vec<usize>> {
        let mut place = vec![usize::MAX; self.successors.len()];
        let mut predecessors = vec![Vec::new(); self.successors.len()];
        for (at, &node) in order.iter().enumerate() {
            place[node] = at;
            for &to in &self.successors[node] {
                predecessors[to].push(node);
            }
        }
        let mut dominator = vec![usize::MAX; self.successors.len()];
        dominator[0] = 0;
        let mut changed = true;
        while changed {
            changed = false;
            for &node in &order[1..] {
                let known = predecessors[node]
                    .iter()
                    .filter(|&&p| dominator[p] != usize::MAX);
                let best = known.copied().reduce(|mut a, mut b| {
                    while a != b {
                        while place[a] > place[b] {
                            a = dominator[a];
                        }
                        while place[b] > place[a] {
                            b = dominator[b];
                        }
                    }
                    a
                });
                if let Some(best) = best.filter(|&best| best != dominator[node]) {
                    dominator[node] = best;
                    changed = true;
                }
            }
        }
        let mut children = vec![Vec::new(); self.successors.len()];
        for &node in &order[1..] {
            children[dominator[node]].push(node);
        }
        children
    }

    fn events(&self, order: &[usize]) -> Vec<Event> {
        let mut place = vec![0; self.successors.len()];
        for (at, &node) in order.iter().enumerate() {
            place[node] = at;
        }
        let mut is_header = vec![false; self.successors.len()];
        for &node in order {
            for &to in self.successors[node]
                .iter()
                .filter(|&&to| place[to] <= place[node])
            {
                is_header[to] = true;
            }
        }
        let children = self.dominated(order);
        let mut events = Vec::new();
        // None closes what is innermost.
        let mut work = vec![Some(0)];
        while let Some(item) = work.pop() {
            let Some(node) = item else {
                events.push(Event::Close);
                continue;
            };
            if is_header[node] {
                events.push(Event::Loop(node));
                work.push(None);
            }
            for &child in children[node].iter().rev() {
                events.push(Event::Block(child));
                work.push(Some(child));
                work.push(None);
            }
            events.push(Event::Code(node));
        }
        events
    }
}

/// Tarjan's search, without recursion.
struct Tarjan<'a> {
    graph: &'a Graph,
    among: Vec<bool>,
    number: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    count: u32,
    found: Vec<Vec<usize>>,
}

impl<'a> Tarjan<'a> {
    fn new(graph: &'a Graph, nodes: &[usize]) -> Self {
        let size = graph.successors.len();
        let mut among = vec![false; size];
        nodes.iter().for_each(|&n| among[n] = true);
        Self {
            graph,
            among,
            number: vec![0; size],
            low: vec![0; size],
            on_stack: vec![false; size],
            stack: Vec::new(),
            count: 0,
            found: Vec::new(),
        }
    }

    fn visit(&mut self, root: usize) {
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((node, next)) = path.pop() {
            if let Some(&to) = self.graph.successors[node].get(next) {
                path.push((node, next + 1));
                if !self.among[to] {
                    continue;
                }
                if self.number[to] == 0 {
                    self.enter(to);
                    path.push((to, 0));
                } else if self.on_stack[to] {
                    self.low[node] = self.low[node].min(self.number[to]);
                }
                continue;
            }
            self.leave(node);
            if let Some(&(parent, _)) = path.last() {
                self.low[parent] = self.low[parent].min(self.low[node]);
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.count += 1;
        self.number[node] = self.count;
        self.low[node] = self.count;
        self.on_stack[node] = true;
        self.stack.push(node);
    }

    fn leave(&mut self, node: usize) {
        if self.low[node] != self.number[node] {
            return;
        }
        let at = self.stack.iter().rposition(|&n| n == node).unwrap_or(0);
        let component = self.stack.split_off(at);
        component.iter().for_each(|&n| self.on_stack[n] = false);
        let is_cycle = component.len() > 1 || self.graph.successors[node].contains(&node);
        if is_cycle {
            self.found.push(component);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 20) as usize % limit
        }
    }

    /// A graph all of whose nodes can be reached from node 0.
    fn random_graph(r: &mut Random) -> Vec<Vec<usize>> {
        let size = 1 + r.below(24);
        let mut graph = vec![Vec::new(); size];
        for node in 1..size {
            let from = r.below(node);
            graph[from].push(node);
        }
        for _ in 0..r.below(2 * size) {
            let (from, to) = (r.below(size), r.below(size));
            if !graph[from].contains(&to) && to != 0 {
                graph[from].push(to);
            }
        }
        graph
    }

    /// Where the frames are that events open: the event at which a `br` goes on.
    fn frames(events: &[Event]) -> Vec<Vec<(usize, usize)>> {
        let mut closes = vec![0; events.len()];
        let mut open = Vec::new();
        for (at, event) in events.iter().enumerate() {
            match event {
                Event::Loop(_) | Event::Block(_) => open.push(at),
                Event::Close => closes[open.pop().expect("something is open")] = at,
                Event::Code(_) => (),
            }
        }
        assert!(open.is_empty());
        let mut inside: Vec<(usize, usize)> = Vec::new();
        let mut all = Vec::new();
        for (at, event) in events.iter().enumerate() {
            match *event {
                Event::Loop(node) => inside.push((node, at)),
                Event::Block(node) => inside.push((node, closes[at])),
                Event::Close => _ = inside.pop(),
                Event::Code(_) => (),
            }
            all.push(inside.clone());
        }
        all
    }

    /// Every edge of the graph must be a branch that leads to the code of its node.
    fn check(graph: &[Vec<usize>]) {
        let made = structure(graph);
        let frames = frames(&made.events);
        let code = |from: usize| {
            let rest = made.events.iter().enumerate().skip(from);
            let codes = rest.filter_map(|(_, event)| match event {
                Event::Code(node) => Some(*node),
                _ => None,
            });
            codes.take(1).next()
        };
        for (at, event) in made.events.iter().enumerate() {
            let Event::Code(node) = *event else { continue };
            let edges = match graph.get(node) {
                Some(edges) => edges.iter().map(|&to| (to, made.target(to).0)).collect(),
                None => made.dispatch[node - graph.len()]
                    .iter()
                    .map(|&to| (to, to))
                    .collect::<Vec<_>>(),
            };
            for (to, branch) in edges {
                let frame = frames[at].iter().rev().find(|(n, _)| *n == branch);
                let (_, lands) = frame.unwrap_or_else(|| panic!("{node} to {to}: {graph:?}"));
                assert_eq!(code(*lands), Some(branch), "{node} to {to}: {graph:?}");
                assert_eq!(made.is_back(node, branch), *lands < at);
                if let (_, Some(value)) = made.target(to)
                    && branch != to
                {
                    assert_eq!(made.dispatch[branch - graph.len()][value as usize], to);
                }
            }
        }
        let codes = made
            .events
            .iter()
            .filter(|e| matches!(e, Event::Code(_)))
            .count();
        assert_eq!(codes, graph.len() + made.dispatch.len());
    }

    #[test]
    fn every_edge_has_its_branch() {
        for seed in 1..3000u32 {
            let mut r = Random((seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            check(&random_graph(&mut r));
        }
    }

    #[test]
    fn a_loop_with_two_ways_in_gets_a_dispatch_node() {
        let graph = [vec![1, 2], vec![2], vec![1]];
        check(&graph);
        assert_eq!(structure(&graph).dispatch, [vec![1, 2]]);
    }

    #[test]
    fn reducible_graphs_have_none() {
        let nested = [vec![1], vec![2], vec![2, 3], vec![1, 4], vec![]];
        check(&nested);
        assert!(structure(&nested).dispatch.is_empty());
    }
}
