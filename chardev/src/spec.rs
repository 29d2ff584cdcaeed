//! The command line's words for character devices: `-chardev`, and the short form that
//! `-serial` and `-monitor` take.

use util::keyval::KeyVal;

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Takes everything, gives nothing.
    Null,
    /// Standard input and output; with `signal`, Ctrl-C on a terminal ends the emulator.
    Stdio { signal: bool },
    /// A file that takes output.
    File { path: String, append: bool },
    /// A line to the JavaScript around the emulator, which knows it by its id.
    Js,
}

/// A device that `-chardev` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub id: String,
    pub kind: Kind,
    /// Several front ends share it, by Ctrl-A c.
    pub mux: bool,
}

/// What `-serial` or `-monitor` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Short {
    /// No device.
    None,
    /// A new one; with `monitor` (`mon:`) it is shared with a monitor.
    New { kind: Kind, monitor: bool },
    /// One that `-chardev` made.
    Chardev(String),
}

/// QEMU's other back ends.
const NOT_THERE: &[&str] = &[
    "braille",
    "console",
    "dbus",
    "fd",
    "hub",
    "msmouse",
    "parallel",
    "pipe",
    "pty",
    "qemu-vdagent",
    "ringbuf",
    "serial",
    "socket",
    "spiceport",
    "spicevmc",
    "tcp",
    "telnet",
    "testdev",
    "tn3270",
    "udp",
    "unix",
    "vc",
    "wctablet",
    "websocket",
];

/// The back ends that are there, for help texts.
pub const KINDS: &str = "null, stdio, file, js";

fn unknown(name: &str) -> String {
    if NOT_THERE.contains(&name) {
        format!("the character device '{name}' is not there yet in Tinamou (there are {KINDS})")
    } else {
        format!("there is no character device '{name}' (there are {KINDS})")
    }
}

/// Parses `-chardev`'s argument.
pub fn parse_chardev(text: &str) -> Result<Spec, String> {
    let mut keyval = KeyVal::parse(text, Some("backend"))?;
    let backend = keyval
        .take("backend")
        .ok_or("it names no character device")?;
    let id = keyval.take("id").ok_or("the parameter 'id' is missing")?;
    check_id(&id)?;
    let mux = keyval.take_switch("mux")?.unwrap_or(false);
    let kind = match backend.as_str() {
        "null" => Kind::Null,
        "stdio" => Kind::Stdio {
            signal: keyval.take_switch("signal")?.unwrap_or(true),
        },
        "file" => Kind::File {
            path: keyval
                .take("path")
                .ok_or("the parameter 'path' is missing")?,
            append: keyval.take_switch("append")?.unwrap_or(false),
        },
        "js" if mux => {
            return Err("js is not shared: give each device one of its own, without 'mux'".into());
        }
        "js" => Kind::Js,
        other => return Err(unknown(other)),
    };
    keyval.finish()?;
    Ok(Spec { id, kind, mux })
}

fn check_id(id: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if id.starts_with(|c: char| c.is_ascii_alphabetic()) && id.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "'{id}' is no id (a letter, then letters, digits, '-', '.' and '_')"
    ))
}

/// Parses the argument of `-serial` or `-monitor`.
pub fn parse_short(text: &str) -> Result<Short, String> {
    if let Some(id) = text.strip_prefix("chardev:") {
        return Ok(Short::Chardev(id.to_string()));
    }
    let (monitor, rest) = match text.strip_prefix("mon:") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let kind = match rest {
        "none" if !monitor => return Ok(Short::None),
        "null" => Kind::Null,
        // Under a monitor's Ctrl-A x, Ctrl-C belongs to the guest.
        "stdio" => Kind::Stdio { signal: !monitor },
        _ => match rest.split_once(':') {
            Some(("file", "")) => return Err("'file:' names no file".into()),
            Some(("file", path)) => Kind::File {
                path: path.to_string(),
                append: false,
            },
            Some((name, _)) => return Err(unknown(name)),
            None => return Err(unknown(rest)),
        },
    };
    Ok(Short::New { kind, monitor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chardevs() {
        let file = |append| Kind::File {
            path: "a,b".into(),
            append,
        };
        for (text, expected) in [
            ("null,id=n", Some((Kind::Null, false))),
            (
                "stdio,id=s,mux=on",
                Some((Kind::Stdio { signal: true }, true)),
            ),
            (
                "stdio,id=s,signal=off",
                Some((Kind::Stdio { signal: false }, false)),
            ),
            ("backend=file,id=f,path=a,,b", Some((file(false), false))),
            ("file,id=f,path=a,,b,append=on", Some((file(true), false))),
            ("js,id=j", Some((Kind::Js, false))),
            ("js,id=j,mux=on", None),
            ("js,id=j,path=x", None),
            ("stdio", None),
            ("", None),
            ("stdio,id=1", None),
            ("stdio,id=s,foo=1", None),
            ("stdio,id=s,mux=perhaps", None),
            ("file,id=f", None),
            ("socket,id=s,path=x", None),
            ("modem,id=s", None),
        ] {
            let spec = parse_chardev(text).ok().map(|spec| (spec.kind, spec.mux));
            assert_eq!(spec, expected, "{text}");
        }
        assert!(
            parse_chardev("pty,id=s")
                .unwrap_err()
                .contains("not there yet")
        );
    }

    #[test]
    fn short_forms() {
        let new = |kind, monitor| Some(Short::New { kind, monitor });
        for (text, expected) in [
            ("none", Some(Short::None)),
            ("null", new(Kind::Null, false)),
            ("stdio", new(Kind::Stdio { signal: true }, false)),
            ("mon:stdio", new(Kind::Stdio { signal: false }, true)),
            (
                "file:a,b",
                new(
                    Kind::File {
                        path: "a,b".into(),
                        append: false,
                    },
                    false,
                ),
            ),
            ("chardev:x", Some(Short::Chardev("x".into()))),
            ("mon:none", None),
            ("file:", None),
            ("vc", None),
            ("tcp::4444", None),
            ("", None),
            ("mon:", None),
        ] {
            assert_eq!(parse_short(text).ok(), expected, "{text}");
        }
    }
}
