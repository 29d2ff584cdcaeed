//! From text to [`Model`]: lines, words, declarations; patterns with their formats merged in.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ArgSet, Item, Model, Pattern, Segment, Source};
use crate::{Error, Table};

/// A logical line: number of its first physical line, and its words.
type Line<'a> = (usize, Vec<&'a str>);

/// What a format or a pattern says, before names are resolved.
#[derive(Clone, Debug, Default)]
struct Body {
    /// Fixed bits, their values, bits marked `.`, bits marked `-`.
    mask: u32,
    bits: u32,
    dots: u32,
    ignored: u32,
    width: u32,
    set: Option<String>,
    format: Option<String>,
    members: Vec<(String, Source)>,
}

struct Parser<'a> {
    model: Model,
    earlier: &'a [Model],
    fields: BTreeMap<String, (usize, Source)>,
    formats: BTreeMap<String, (usize, Body)>,
    /// Names with their sigil that something refers to.
    used: BTreeSet<String>,
    /// Open groups: line, overlap, items so far of the group around.
    open: Vec<(usize, bool, Vec<Item>)>,
    line: usize,
}

/// Parses one table; `earlier` tables lend their argument sets to `!extern`.
pub fn parse(table: &Table<'_>, earlier: &[Model]) -> Result<Model, Error> {
    let mut parser = Parser {
        model: Model {
            path: table.path.to_string(),
            name: table.name.to_string(),
            width: table.width,
            sets: Vec::new(),
            patterns: Vec::new(),
            root: Vec::new(),
        },
        earlier,
        fields: BTreeMap::new(),
        formats: BTreeMap::new(),
        used: BTreeSet::new(),
        open: Vec::new(),
        line: 0,
    };
    for (line, words) in lines(table.text) {
        parser.line = line;
        parser.line(&words)?;
    }
    parser.finish()
}

/// Logical lines that are not empty.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut result: Vec<Line<'_>> = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim_end();
        let (line, more) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        if !continued {
            result.push((index + 1, Vec::new()));
        }
        if let Some((_, words)) = result.last_mut() {
            words.extend(line.split_whitespace());
        }
        continued = more;
    }
    result.retain(|(_, words)| !words.is_empty());
    result
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn number(text: &str) -> Option<i32> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    i32::try_from(if negative { -value } else { value }).ok()
}

/// `len` or `slen`.
fn length(text: &str) -> Option<(u32, bool)> {
    let (signed, digits) = match text.strip_prefix('s') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    Some((digits.parse().ok()?, signed))
}

impl Parser<'_> {
    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        Err(self.model.error(self.line, message.into()))
    }

    fn line(&mut self, words: &[&str]) -> Result<(), Error> {
        let (first, rest) = (words[0], &words[1..]);
        match first.as_bytes()[0] {
            b'%' => self.field(&first[1..], rest),
            b'&' => self.set(&first[1..], rest),
            b'@' => self.format(&first[1..], rest),
            b'{' | b'[' | b'}' | b']' => self.group(first, rest),
            _ => self.pattern(first, rest),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), Error> {
        if is_name(name) {
            Ok(())
        } else {
            self.fail(format!("'{name}' is not a name"))
        }
    }

    fn field(&mut self, name: &str, words: &[&str]) -> Result<(), Error> {
        self.check_name(name)?;
        let (mut segments, mut function) = (Vec::new(), None);
        for word in words {
            if let Some(name) = word.strip_prefix("!function=") {
                self.check_name(name)?;
                function = Some(name.to_string());
            } else {
                let segment = self.segment(word)?;
                if segment.signed && !segments.is_empty() {
                    return self.fail("only the first run of bits can be signed");
                }
                segments.push(segment);
            }
        }
        let bits: u32 = segments.iter().map(|s: &Segment| s.len).sum();
        if bits == 0 || bits > 32 {
            return self.fail(format!("field %{name} has {bits} bits, not 1 to 32"));
        }
        let source = Source::Bits {
            segments,
            function,
            field: Some(name.to_string()),
        };
        if self
            .fields
            .insert(name.to_string(), (self.line, source))
            .is_some()
        {
            return self.fail(format!("field %{name} is declared twice"));
        }
        Ok(())
    }

    fn segment(&self, word: &str) -> Result<Segment, Error> {
        let parsed = word.split_once(':').and_then(|(pos, len)| {
            let (len, signed) = length(len)?;
            Some(Segment {
                pos: pos.parse().ok()?,
                len,
                signed,
            })
        });
        match parsed {
            Some(s)
                if s.len > 0 && s.pos < 32 && s.len <= self.model.width.saturating_sub(s.pos) =>
            {
                Ok(s)
            }
            Some(_) => self.fail(format!("'{word}' lies outside the instruction")),
            None => self.fail(format!(
                "'{word}' is not pos:len, pos:slen or !function=name"
            )),
        }
    }

    fn set(&mut self, name: &str, words: &[&str]) -> Result<(), Error> {
        self.check_name(name)?;
        let mut set = ArgSet {
            name: name.into(),
            members: Vec::new(),
            external: false,
            line: self.line,
        };
        for word in words {
            if *word == "!extern" {
                set.external = true;
                continue;
            }
            let (member, ty) = match word.split_once(':') {
                Some((member, ty)) => (member, Some(ty)),
                None => (*word, None),
            };
            self.check_name(member)?;
            ty.map_or(Ok(()), |ty| self.check_name(ty))?;
            if set.members.iter().any(|(other, _)| other == member) {
                return self.fail(format!("member {member} is there twice"));
            }
            set.members
                .push((member.to_string(), ty.map(str::to_string)));
        }
        if self.model.sets.iter().any(|other| other.name == name) {
            return self.fail(format!("argument set &{name} is declared twice"));
        }
        let home = self
            .earlier
            .iter()
            .flat_map(|m| &m.sets)
            .find(|other| other.name == name);
        match (home, set.external) {
            (None, true) => return self.fail(format!("no earlier table declares &{name}")),
            (Some(_), false) => return self.fail(format!("&{name} needs !extern here")),
            (Some(home), true) if home.members != set.members => {
                return self.fail(format!("&{name} has other members in its own table"));
            }
            _ => {}
        }
        self.model.sets.push(set);
        Ok(())
    }

    fn format(&mut self, name: &str, words: &[&str]) -> Result<(), Error> {
        self.check_name(name)?;
        let body = self.body(words)?;
        if body.format.is_some() {
            return self.fail("a format cannot use a format");
        }
        if self
            .formats
            .insert(name.to_string(), (self.line, body))
            .is_some()
        {
            return self.fail(format!("format @{name} is declared twice"));
        }
        Ok(())
    }

    fn group(&mut self, first: &str, rest: &[&str]) -> Result<(), Error> {
        if !rest.is_empty() || first.len() != 1 {
            return self.fail("a bracket stands alone on its line");
        }
        let overlap = matches!(first, "{" | "}");
        if matches!(first, "{" | "[") {
            let around = std::mem::take(&mut self.model.root);
            self.open.push((self.line, overlap, around));
            return Ok(());
        }
        match self.open.pop() {
            Some((_, opened, around)) if opened == overlap => {
                let items = std::mem::replace(&mut self.model.root, around);
                if items.is_empty() {
                    return self.fail("the group is empty");
                }
                self.model.root.push(Item::Group { overlap, items });
                Ok(())
            }
            _ => self.fail(format!("'{first}' closes nothing")),
        }
    }

    /// The words of a format or pattern after its name.
    fn body(&mut self, words: &[&str]) -> Result<Body, Error> {
        let mut body = Body::default();
        for word in words {
            if let Some(name) = word.strip_prefix('&') {
                self.used.insert(word.to_string());
                if body.set.replace(name.to_string()).is_some() {
                    return self.fail("more than one argument set");
                }
            } else if let Some(name) = word.strip_prefix('@') {
                self.used.insert(word.to_string());
                if body.format.replace(name.to_string()).is_some() {
                    return self.fail("more than one format");
                }
            } else if let Some(name) = word.strip_prefix('%') {
                self.member(&mut body, name, word)?;
            } else if let Some((name, value)) = word.split_once('=') {
                self.member(&mut body, name, value)?;
            } else if let Some((name, len)) = word.split_once(':') {
                self.inline_field(&mut body, name, len)?;
            } else {
                self.bits(&mut body, word)?;
            }
        }
        if body.width > 0 && body.width < self.model.width {
            return self.fail(self.wrong_width(body.width));
        }
        Ok(body)
    }

    fn wrong_width(&self, width: u32) -> String {
        format!("{width} bits, but an instruction has {}", self.model.width)
    }

    /// `%field` or a number, as member `name`.
    fn member(&mut self, body: &mut Body, name: &str, value: &str) -> Result<(), Error> {
        self.check_name(name)?;
        let source = if let Some(field) = value.strip_prefix('%') {
            self.used.insert(value.to_string());
            match self.fields.get(field) {
                Some((_, source)) => source.clone(),
                None => return self.fail(format!("field %{field} is not declared")),
            }
        } else {
            match number(value) {
                Some(value) => Source::Const(value),
                None => return self.fail(format!("'{value}' is neither a field nor a number")),
            }
        };
        self.add_member(body, name, source)
    }

    fn add_member(&self, body: &mut Body, name: &str, source: Source) -> Result<(), Error> {
        if body.members.iter().any(|(other, _)| other == name) {
            return self.fail(format!("member {name} is given twice"));
        }
        body.members.push((name.to_string(), source));
        Ok(())
    }

    /// Makes room for `len` more bits, the lowest so far.
    fn shift(&self, body: &mut Body, len: u32) -> Result<(), Error> {
        body.width = body.width.saturating_add(len);
        if body.width > self.model.width {
            return self.fail(self.wrong_width(body.width));
        }
        Ok(())
    }

    fn inline_field(&mut self, body: &mut Body, name: &str, len: &str) -> Result<(), Error> {
        self.check_name(name)?;
        let (len, signed) = match length(len) {
            Some((len, signed)) if len > 0 => (len, signed),
            _ => return self.fail(format!("'{len}' is not a length")),
        };
        self.shift(body, len)?;
        let pos = self.model.width - body.width;
        let segments = vec![Segment { pos, len, signed }];
        self.add_member(
            body,
            name,
            Source::Bits {
                segments,
                function: None,
                field: None,
            },
        )
    }

    fn bits(&mut self, body: &mut Body, word: &str) -> Result<(), Error> {
        for c in word.chars() {
            self.shift(body, 1)?;
            let bit = 1 << (self.model.width - body.width);
            match c {
                '0' => body.mask |= bit,
                '1' => (body.mask, body.bits) = (body.mask | bit, body.bits | bit),
                '.' => body.dots |= bit,
                '-' => body.ignored |= bit,
                _ => return self.fail(format!("do not understand '{word}'")),
            }
        }
        Ok(())
    }

    fn pattern(&mut self, name: &str, words: &[&str]) -> Result<(), Error> {
        self.check_name(name)?;
        let mut body = self.body(words)?;
        if let Some(format) = body.format.take() {
            let Some((_, format)) = self.formats.get(&format) else {
                return self.fail(format!("format @{format} is not declared"));
            };
            body = self.merge(body, format.clone())?;
        }
        if body.width != self.model.width {
            return self.fail(self.wrong_width(body.width));
        }
        self.check_bits(&body)?;
        let members = self.members(&mut body)?;
        let set = body.set.expect("checked by members()");
        let index = self.model.patterns.len();
        let (mask, bits, line) = (body.mask, body.bits, self.line);
        self.model.patterns.push(Pattern {
            name: name.into(),
            mask,
            bits,
            set,
            members,
            line,
        });
        self.model.root.push(Item::Pattern(index));
        Ok(())
    }

    fn merge(&self, mut body: Body, format: Body) -> Result<Body, Error> {
        if (body.bits ^ format.bits) & body.mask & format.mask != 0 {
            return self.fail("fixed bits differ from the format's");
        }
        body.mask |= format.mask;
        body.bits |= format.bits;
        body.dots = (body.dots | format.dots) & !body.mask;
        body.ignored = (body.ignored | format.ignored) & !body.mask;
        body.width = body.width.max(format.width);
        if body.set.is_some() && format.set.is_some() {
            return self.fail("the format has an argument set already");
        }
        body.set = body.set.or(format.set);
        for (name, source) in format.members {
            self.add_member(&mut body, &name, source)?;
        }
        Ok(body)
    }

    /// A `.` belongs to a field; a field in place does not lie over fixed bits.
    fn check_bits(&self, body: &Body) -> Result<(), Error> {
        let fields = body
            .members
            .iter()
            .fold(0, |m, (_, source)| m | source.mask());
        let lost = body.dots & !fields & !body.ignored;
        if lost != 0 {
            return self.fail(format!("bits {lost:#x} are neither fixed nor in a field"));
        }
        for (name, source) in &body.members {
            let over = source.mask() & body.mask;
            if over != 0 && matches!(source, Source::Bits { field: None, .. }) {
                return self.fail(format!("{name} lies over fixed bits {over:#x}"));
            }
        }
        Ok(())
    }

    /// The members in the order of the argument set.
    fn members(&self, body: &mut Body) -> Result<Vec<(String, Source)>, Error> {
        let Some(name) = &body.set else {
            return self.fail("no argument set");
        };
        let Some(set) = self.model.sets.iter().find(|set| set.name == *name) else {
            return self.fail(format!("argument set &{name} is not declared"));
        };
        let mut members = Vec::new();
        for (member, _) in &set.members {
            match body.members.iter().position(|(other, _)| other == member) {
                Some(at) => members.push(body.members.swap_remove(at)),
                None => return self.fail(format!("member {member} of &{name} is missing")),
            }
        }
        match body.members.first() {
            Some((extra, _)) => self.fail(format!("{extra} is no member of &{name}")),
            None => Ok(members),
        }
    }

    fn finish(mut self) -> Result<Model, Error> {
        if let Some((line, ..)) = self.open.pop() {
            return Err(self.model.error(line, "the group is not closed".into()));
        }
        let fields = self
            .fields
            .iter()
            .map(|(name, (line, _))| (format!("%{name}"), *line));
        let formats = self
            .formats
            .iter()
            .map(|(name, (line, _))| (format!("@{name}"), *line));
        let sets = self
            .model
            .sets
            .iter()
            .map(|set| (format!("&{}", set.name), set.line));
        let declared = fields.chain(formats).chain(sets);
        let unused = declared.filter(|(name, _)| !self.used.contains(name));
        if let Some((name, line)) = unused.min_by_key(|(_, line)| *line) {
            return Err(self.model.error(line, format!("{name} is not used")));
        }
        Ok(self.model)
    }
}
