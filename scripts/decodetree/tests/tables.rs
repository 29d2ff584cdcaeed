//! Runs the tables of tests/decode: `good_*` must be accepted, `bad_*` refused with the error that
//! their first line states as `# error: LINE: MESSAGE`. Good tables may state examples:
//! `#= INSN NAME member=value ...`, or `#= INSN -` when no pattern takes it; `#! NAME` makes that
//! pattern refuse what it gets from there on. Every good table's tree is compared with a linear
//! search, too.

use std::fs;
use std::path::PathBuf;

use decodetree::{Interpreter, Table, generate};

fn tables(prefix: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/decode");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("tests/decode") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name.starts_with(prefix) && name.ends_with(".decode") {
            found.push((name, fs::read_to_string(&path).expect("a text file")));
        }
    }
    assert!(!found.is_empty(), "no tables {prefix}*");
    found.sort();
    found
}

/// Tables are 32 bits wide, 16 if their name says so.
fn table<'a>(name: &'a str, text: &'a str) -> Table<'a> {
    let width = if name.contains("16") { 16 } else { 32 };
    Table {
        path: name,
        text,
        name: "insn",
        width,
    }
}

#[test]
fn bad_tables_are_refused() {
    for (name, text) in tables("bad_") {
        let first = text.lines().next().unwrap_or("");
        let expected = first
            .strip_prefix("# error: ")
            .expect("'# error: LINE: MESSAGE'");
        let error = match generate("Decode", &[table(&name, &text)]) {
            Ok(_) => panic!("{name} was accepted"),
            Err(error) => error,
        };
        assert_eq!(
            format!("{}: {}", error.line, error.message),
            expected,
            "{name}"
        );
        assert_eq!(error.to_string(), format!("{name}:{expected}"));
    }
}

fn describe(found: Option<(String, Vec<(String, i32)>)>) -> String {
    let Some((name, members)) = found else {
        return "-".into();
    };
    members.iter().fold(name, |text, (member, value)| {
        format!("{text} {member}={value}")
    })
}

#[test]
fn good_tables_decode_their_examples() {
    for (name, text) in tables("good_") {
        let decoder = Interpreter::new(&[table(&name, &text)]).expect("a good table");
        let (mut refuse, mut examples) = (Vec::new(), 0);
        for line in text.lines() {
            if let Some(pattern) = line.strip_prefix("#! ") {
                refuse.push(pattern);
            } else if let Some(example) = line.strip_prefix("#= ") {
                let (insn, expected) = example.split_once(' ').expect("INSN NAME");
                let insn = u32::from_str_radix(insn, 16).expect("hexadecimal");
                assert_eq!(
                    describe(decoder.decode(insn, &refuse)),
                    expected,
                    "{name}: {line}"
                );
                examples += 1;
            }
        }
        assert!(examples > 0, "{name} has no examples");
    }
}

/// xorshift32
fn next(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

#[test]
fn trees_agree_with_linear_search() {
    let mut state = 1;
    for (name, text) in tables("good_") {
        let table = table(&name, &text);
        let decoder = Interpreter::new(&[table]).expect("a good table");
        for _ in 0..20_000 {
            let insn = next(&mut state) >> (32 - table.width);
            let expected = decoder.matching(insn).first().map(|name| name.to_string());
            let found = decoder.decode(insn, &[]).map(|(name, _)| name);
            assert_eq!(found, expected, "{name}: {insn:#x}");
        }
    }
}

#[test]
fn tables_share_methods() {
    let wide = "&u rd imm\n@u imm:20 rd:5 ....... &u\nlui @u ------------------------- 0110111\n";
    let check = |narrow: &str, expected: &str| {
        let tables = [
            Table {
                path: "wide",
                text: wide,
                name: "wide",
                width: 32,
            },
            Table {
                path: "narrow",
                text: narrow,
                name: "narrow",
                width: 16,
            },
        ];
        let result = match generate("Decode", &tables) {
            Ok(source) => {
                assert_eq!(source.matches("fn trans_lui").count(), 1);
                assert!(source.contains("pub fn decode_wide<T: Decode>"));
                assert!(source.contains("t.trans_lui(&U { rd: extract(insn, 7, 5), imm: 3 })"));
                "good".to_string()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(result, expected);
    };
    check(
        "&u rd imm !extern\nlui 0110 rd:5 0000000 &u imm=3\n",
        "good",
    );
    check(
        "&u rd !extern\n",
        "narrow:1: &u has other members in its own table",
    );
    check("&u rd imm\n", "narrow:1: &u needs !extern here");
    let other = "&v rd\nlui 0110 rd:5 0000000 &v\n";
    check(
        other,
        "narrow:2: 'lui' has argument set &v, but &u at wide:3",
    );
}
