//! JSON objects in options (RFC 8259): read into the `key=value` pairs that mean the same, as QEMU's
//! `qdict_flatten` does: `{"a": {"b": 1}}` is `a.b=1`.

/// Deeper ones are refused, so that no text takes the stack.
const DEPTH_MAX: usize = 16;

/// The pairs of an object; the error is a sentence.
pub fn flatten(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parser = Parser {
        text,
        at: 0,
        pairs: Vec::new(),
    };
    parser.object("", 0)?;
    parser.skip_space();
    match parser.at == text.len() {
        true => Ok(parser.pairs),
        false => Err(parser.bad("the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    pairs: Vec<(String, String)>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn bad(&self, expected: &str) -> String {
        let at = self.at;
        format!("it is no JSON: {expected} is missing at byte {at}")
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at += space;
    }

    /// Goes past `token`, if it is next.
    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let found = self.eat(token);
        found.then_some(()).ok_or_else(|| self.bad(token))
    }

    fn object(&mut self, prefix: &str, depth: usize) -> Result<(), String> {
        if depth == DEPTH_MAX {
            return Err(format!("its JSON is more than {DEPTH_MAX} objects deep"));
        }
        self.expect("{")?;
        if self.eat("}") {
            return Ok(());
        }
        loop {
            self.skip_space();
            let key = format!("{prefix}{}", self.string()?);
            self.expect(":")?;
            self.value(key, depth)?;
            if !self.eat(",") {
                return self.expect("}");
            }
        }
    }

    fn value(&mut self, key: String, depth: usize) -> Result<(), String> {
        self.skip_space();
        let value = match self.rest().chars().next() {
            Some('{') => return self.object(&format!("{key}."), depth + 1),
            Some('"') => self.string()?,
            _ if self.eat("true") => "on".into(),
            _ if self.eat("false") => "off".into(),
            _ => self.number()?,
        };
        if self.pairs.iter().any(|(other, _)| *other == key) {
            return Err(format!("'{key}' stands in its JSON twice"));
        }
        self.pairs.push((key, value));
        Ok(())
    }

    fn number(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Err(self.bad("a string, a number, true, false or an object"));
        }
        let number = rest[..digits].to_string();
        self.at += digits;
        Ok(number)
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut string = String::new();
        loop {
            let next = self.rest().chars().next();
            let Some(c) = next.filter(|c| *c >= ' ') else {
                return Err(self.bad("the end of a string"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(string),
                '\\' => string.push(self.escape()?),
                c => string.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        const PLAIN: &[(char, char)] = &[
            ('"', '"'),
            ('\\', '\\'),
            ('/', '/'),
            ('b', '\u{8}'),
            ('f', '\u{c}'),
            ('n', '\n'),
            ('r', '\r'),
            ('t', '\t'),
        ];
        let kind = self.rest().chars().next().unwrap_or_default();
        if let Some((_, c)) = PLAIN.iter().find(|(name, _)| *name == kind) {
            self.at += 1;
            return Ok(*c);
        }
        let first = self.unit()?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with('\\') {
            self.at += 1;
            units.push(self.unit()?);
        }
        match char::decode_utf16(units)
            .collect::<Result<Vec<_>, _>>()
            .as_deref()
        {
            Ok([c]) => Ok(*c),
            _ => Err(self.bad("a character")),
        }
    }

    /// The `uXXXX` of an escape.
    fn unit(&mut self) -> Result<u16, String> {
        let digits = self.rest().strip_prefix('u').and_then(|rest| rest.get(..4));
        let digits = digits.filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.bad("an escape"))?;
        self.at += 5;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let pairs = flatten(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(pairs, expected, "{text}");
    }

    #[test]
    fn objects_become_pairs() {
        check("{}", &[]);
        check(
            r#" { "a" : "b" , "c":true,"d":false, "e": 12 } "#,
            &[("a", "b"), ("c", "on"), ("d", "off"), ("e", "12")],
        );
        check(
            r#"{"a":{"b":{"c":"x,y=z"},"d":""}}"#,
            &[("a.b.c", "x,y=z"), ("a.d", "")],
        );
        check(
            r#"{"a":"\u00e9\ud83d\ude00\n\"\\é"}"#,
            &[("a", "é😀\n\"\\é")],
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = r#"{"a":"#.repeat(100_000);
        for text in [
            "",
            "{",
            "[]",
            "1",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "{a:1}",
            "{\"a\":\"",
            "{\"a\":\"\\",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\u+123\"}",
            "{\"a\":-1}",
            "{\"a\":[1]}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\é\"}",
            &deep,
        ] {
            assert!(flatten(text).is_err(), "{text:.60}");
        }
    }
}
