//! What to run and as whom: the document of `docs/agent.md`, and the users of the image.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::sys::{self, Owner};

pub struct Program {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
    pub user: String,
    pub tty: bool,
    pub rows: u16,
    pub cols: u16,
}

const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A user as `/etc/passwd` has it.
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

impl Program {
    /// Understands a document; what is missing has the values of `base`.
    pub fn parse(document: &Value) -> Result<Self, String> {
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        let argv = document.get("argv").and_then(Value::as_array);
        let argv = argv.into_iter().flatten().filter_map(Value::as_str);
        let argv: Vec<String> = argv.map(String::from).collect();
        if argv.is_empty() {
            return Err("argv is missing".into());
        }
        let env = document.get("env").and_then(Value::as_object);
        let env = env.into_iter().flatten();
        let size = |key: &str, usual: u16| {
            let number = document.get(key).and_then(Value::as_u64);
            number.and_then(|n| u16::try_from(n).ok()).unwrap_or(usual)
        };
        Ok(Self {
            argv,
            env: env
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.into())))
                .collect(),
            cwd: text("cwd")
                .filter(|cwd| !cwd.is_empty())
                .unwrap_or("/")
                .into(),
            user: text("user").unwrap_or_default().into(),
            tty: document
                .get("tty")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            rows: size("rows", 24),
            cols: size("cols", 80),
        })
    }

    /// The command, without its standard streams.
    pub fn command(&self, base: &[(String, String)], terminal: bool) -> Result<Command, String> {
        let (user, owner) = find_owner(&self.user)?;
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).env_clear();
        command.env("PATH", PATH_DEFAULT).env("HOME", &user.home);
        if terminal {
            command.env("TERM", "xterm-256color");
        }
        let all = base.iter().chain(&self.env);
        command.envs(all.map(|(key, value)| (key, value)));
        // Container engines make it, too.
        if !Path::new(&self.cwd).is_dir() {
            let _ = fs::create_dir_all(&self.cwd);
        }
        command.current_dir(&self.cwd);
        sys::prepare(&mut command, owner, terminal);
        Ok(command)
    }

    /// As a shell has it: not found, or not to be run.
    pub fn code_of(&self, error: &std::io::Error) -> i32 {
        match error.kind() {
            std::io::ErrorKind::NotFound => 127,
            _ => 126,
        }
    }
}

fn lines(path: &str) -> Vec<Vec<String>> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let fields = |line: &str| line.split(':').map(String::from).collect();
    text.lines().map(fields).collect()
}

fn users() -> impl Iterator<Item = User> {
    lines("/etc/passwd").into_iter().filter_map(|fields| {
        Some(User {
            name: fields.first()?.clone(),
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: fields.get(5)?.clone(),
        })
    })
}

/// `user`, `user:group`, either by name or number; nothing is root.
fn find_owner(text: &str) -> Result<(User, Owner), String> {
    let (name, group) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (text, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let number = name.parse::<u32>().ok();
    let is_it = |user: &User| user.name == name || Some(user.uid) == number;
    let user = users().find(is_it).or_else(|| {
        number.map(|uid| User {
            name: name.into(),
            uid,
            gid: 0,
            home: if uid == 0 { "/root" } else { "/" }.into(),
        })
    });
    let user = user.ok_or_else(|| format!("the image has no user '{name}'"))?;
    let mut groups = Vec::new();
    let mut gid = user.gid;
    let all = lines("/etc/group");
    let number_of = |row: &Vec<String>| row.get(2)?.parse::<u32>().ok();
    for row in &all {
        let members = row.get(3).map_or("", String::as_str);
        if group.is_none() && members.split(',').any(|member| member == user.name) {
            groups.extend(number_of(row));
        }
    }
    if let Some(group) = group {
        let named = all.iter().find(|row| row[0] == group).and_then(number_of);
        gid = named
            .or_else(|| group.parse().ok())
            .ok_or_else(|| format!("the image has no group '{group}'"))?;
    }
    let owner = Owner {
        uid: user.uid,
        gid,
        groups,
    };
    Ok((user, owner))
}
