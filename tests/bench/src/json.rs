//! Just enough JSON to write a report.

use std::fmt::{Display, Formatter, Result};

pub enum Json {
    Text(String),
    Number(f64),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Json {
    pub fn text(text: impl Into<String>) -> Self {
        Json::Text(text.into())
    }

    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Json)>) -> Self {
        Json::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}

fn quoted(f: &mut Formatter, text: &str) -> Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

impl Display for Json {
    fn fmt(&self, f: &mut Formatter) -> Result {
        let comma = |f: &mut Formatter, index| f.write_str(if index == 0 { "" } else { ", " });
        match self {
            Json::Text(text) => quoted(f, text),
            // There is no other number in JSON than a finite one.
            Json::Number(number) if !number.is_finite() => f.write_str("null"),
            Json::Number(number) => write!(f, "{number}"),
            Json::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    comma(f, index)?;
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Json::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    comma(f, index)?;
                    quoted(f, key)?;
                    write!(f, ": {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes() {
        let check = |json: Json, expected| assert_eq!(json.to_string(), expected);
        check(Json::text("a\"b\\\n"), r#""a\"b\\\u000a""#);
        check(
            Json::List(vec![Json::Number(1.5), Json::Number(f64::NAN)]),
            "[1.5, null]",
        );
        check(
            Json::map([("a", Json::Number(3.0)), ("b", Json::text(""))]),
            r#"{"a": 3, "b": ""}"#,
        );
    }
}
