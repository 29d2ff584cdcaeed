//! `key=value,key=value` arguments by QEMU's rules (its `util/keyval.c` and `qemu-option.c`):
//! `,,` is a comma inside a value, the first key may be implied, a key alone is switched on.

/// The parsed pairs. Take out what is known; what is left over at [`KeyVal::finish`] is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyVal {
    pairs: Vec<(String, String)>,
}

impl KeyVal {
    /// Parses `text`. A first part without `=` is the value of `implied`, if there is such a key.
    pub fn parse(text: &str, implied: Option<&str>) -> Result<Self, String> {
        let mut pairs = Vec::new();
        if text.is_empty() {
            return Ok(Self { pairs });
        }
        for (index, part) in split_commas(text).into_iter().enumerate() {
            pairs.push(match (part.split_once('='), implied) {
                (Some((key, value)), _) => (checked_key(key)?, value.to_string()),
                (None, Some(implied)) if index == 0 => (implied.to_string(), part),
                (None, _) => (checked_key(&part)?, "on".to_string()),
            });
        }
        Ok(Self { pairs })
    }

    /// The pairs of a JSON object.
    pub fn parse_json(text: &str) -> Result<Self, String> {
        let pairs = crate::json::flatten(text)?;
        Ok(Self { pairs })
    }

    /// Removes a key; the last value given counts.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let mut last = None;
        self.pairs.retain_mut(|(name, value)| {
            if name == key {
                last = Some(std::mem::take(value));
            }
            name != key
        });
        last
    }

    /// Removes a key whose value is a switch.
    pub fn take_switch(&mut self, key: &str) -> Result<Option<bool>, String> {
        self.take(key)
            .map(|value| parse_switch(key, &value))
            .transpose()
    }

    /// Removes the first pair that is left.
    pub fn take_first(&mut self) -> Option<(String, String)> {
        if self.pairs.is_empty() {
            None
        } else {
            Some(self.pairs.remove(0))
        }
    }

    /// Whether nothing is left.
    pub fn finish(self) -> Result<(), String> {
        match self.pairs.first() {
            None => Ok(()),
            Some((key, _)) => Err(format!("there is no parameter '{key}'")),
        }
    }
}

/// `on` or `off`, and QEMU's other words for them.
pub fn parse_switch(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "on" | "yes" | "true" | "y" => Ok(true),
        "off" | "no" | "false" | "n" => Ok(false),
        _ => Err(format!("'{key}' is 'on' or 'off', not '{value}'")),
    }
}

fn checked_key(key: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if key.is_empty() || !key.chars().all(plain) {
        return Err(format!("'{key}' is no parameter"));
    }
    Ok(key.to_string())
}

/// Splits at single commas; a double one stands for itself.
pub fn split_commas(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ',' && chars.peek() != Some(&',') {
            parts.push(String::new());
            continue;
        }
        if c == ',' {
            chars.next();
        }
        parts.last_mut().expect("there is always a part").push(c);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, implied: Option<&str>, expected: Option<&[(&str, &str)]>) {
        let pairs = KeyVal::parse(text, implied).ok().map(|keyval| keyval.pairs);
        let expected = expected.map(|list| {
            list.iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect()
        });
        assert_eq!(pairs, expected, "{text}");
    }

    #[test]
    fn parses_as_qemu_does() {
        check("", None, Some(&[]));
        check(
            "virt,a=b",
            Some("type"),
            Some(&[("type", "virt"), ("a", "b")]),
        );
        check("type=virt", Some("type"), Some(&[("type", "virt")]));
        check("file=a,,b,ro", None, Some(&[("file", "a,b"), ("ro", "on")]));
        check("a,,b", Some("file"), Some(&[("file", "a,b")]));
        check("a=b=c", None, Some(&[("a", "b=c")]));
        check("a=", None, Some(&[("a", "")]));
        check("=b", None, None);
        check("a=b,", None, None);
        check("a b=c", None, None);
        check("x,a$=c", Some("x"), None);
    }

    #[test]
    fn the_last_value_counts_and_leftovers_are_named() {
        let mut keyval = KeyVal::parse("a=1,b=on,a=2", None).unwrap();
        assert_eq!(keyval.take("a").as_deref(), Some("2"));
        assert_eq!(keyval.take("a"), None);
        assert_eq!(
            keyval.clone().finish(),
            Err("there is no parameter 'b'".into())
        );
        assert_eq!(keyval.take_switch("b"), Ok(Some(true)));
        assert_eq!(keyval.finish(), Ok(()));
        assert!(parse_switch("x", "maybe").is_err());
    }
}
