//! Messages that no honest client sends.

use include::Errno;

use super::client::{Client, MSIZE, TOP};
use super::drivers::on_every_driver;
use crate::core::testing::Random;
use crate::ninep::protocol::*;
use crate::ninep::server::{MSIZE_MAX, REPLY_BYTES_MIN};

#[test]
fn versions_are_negotiated() {
    let (mut client, _) = Client::memory();
    let unknown = b"unknown".to_vec();
    assert_eq!(client.version(MSIZE, b"9P2000"), (MSIZE, unknown.clone()));
    assert_eq!(
        client.attach(5),
        Err(Errno::EPROTO),
        "no version is agreed on"
    );
    assert_eq!(client.version(MSIZE, b"9P2000.L.x").1, unknown);
    assert_eq!(client.version(MSIZE, b"").1, unknown);
    assert_eq!(client.version(100, b"9P2000.L").1, unknown);
    let most = client.version(u32::MAX, b"9P2000.L");
    assert_eq!(most, (MSIZE_MAX, b"9P2000.L".to_vec()));
    // A new session knows no old fids.
    assert_eq!(client.clunk(TOP), Err(Errno::EBADF));
    client.attach(TOP).unwrap();
    assert_eq!(client.server.fids(), 1);
}

#[test]
fn nothing_but_a_version_begins() {
    for message in Message::all() {
        let server = super::super::Server::new(fsdev::memory::Memory::new(1 << 20));
        let first = message.name();
        let answer = server.handle(message.encode(3), 8192);
        let answer = Message::decode(answer).unwrap().1;
        let good = matches!(answer, Message::Rversion(_) | Message::Rflush(_));
        assert_eq!(good, matches!(first, "Tversion" | "Tflush"), "{first}");
    }
}

#[test]
fn replies_and_unknown_messages_are_refused() {
    let (client, _) = Client::memory();
    for message in Message::all() {
        if message.name().starts_with('R') {
            assert_eq!(client.rpc(message), Rlerror { ecode: 95 }.into());
        }
    }
    assert_eq!(client.rpc(Tauth::default()), Rlerror { ecode: 95 }.into());
    for number in [0u8, 1, 6, 10, 56, 99, 106, 107, 124, 126, 200, 255] {
        let answer = client.raw(vec![7, 0, 0, 0, number, 1, 2]);
        assert_eq!(answer, Rlerror { ecode: 95 }.into());
    }
}

/// Every message with every one of its bytes missing from the end.
#[test]
fn truncated_messages_are_refused() {
    let (client, _) = Client::memory();
    for message in samples() {
        let name = message.name();
        let whole = message.encode(9);
        for len in 7..whole.len() {
            let mut part = whole[..len].to_vec();
            part[..4].copy_from_slice(&(len as u32).to_le_bytes());
            let answer = client.raw(part);
            assert_eq!(
                answer,
                Rlerror { ecode: 22 }.into(),
                "{name} of {len} bytes"
            );
        }
    }
    assert_eq!(client.server.fids(), 1);
}

/// Every message with every pair of bytes set to what promises most.
#[test]
fn huge_lengths_are_refused() {
    let (client, _) = Client::memory();
    for message in samples() {
        let whole = message.encode(9);
        for at in 7..whole.len() {
            for width in 1..=4.min(whole.len() - at) {
                let mut bad = whole.clone();
                bad[at..at + width].fill(0xff);
                client.raw(bad);
            }
        }
    }
}

/// A message of each kind, whose fids exist.
fn samples() -> Vec<Message> {
    let name = b"name".to_vec();
    let wname = List(vec![b"a".to_vec(), b"b".to_vec()]);
    let data = Payload::from(b"data".to_vec());
    let mut all: Vec<Message> = Message::all();
    all.retain(|message| message.name().starts_with('T'));
    for message in &mut all {
        match message {
            Message::Twalk(walk) => {
                *walk = Twalk {
                    fid: TOP,
                    newfid: 50,
                    wname: wname.clone(),
                }
            }
            Message::Twrite(write) => {
                *write = Twrite {
                    fid: TOP,
                    offset: 0,
                    data: data.clone(),
                };
            }
            Message::Tlcreate(create) => (create.fid, create.name) = (TOP, name.clone()),
            Message::Tsymlink(link) => (link.fid, link.name) = (TOP, name.clone()),
            Message::Tmkdir(mkdir) => (mkdir.dfid, mkdir.name) = (TOP, name.clone()),
            Message::Tmknod(mknod) => (mknod.dfid, mknod.name) = (TOP, name.clone()),
            Message::Txattrwalk(walk) => (walk.fid, walk.name) = (TOP, name.clone()),
            Message::Txattrcreate(create) => (create.fid, create.name) = (TOP, name.clone()),
            _ => {}
        }
    }
    // Tauth, which is refused before it is looked at, and what has no field.
    all.retain(|message| !matches!(message, Message::Tauth(_)));
    all
}

/// Random messages: the server answers all, and stays inside the share.
#[test]
fn random_messages_are_answered() {
    on_every_driver(|client| {
        for seed in 1..=3 {
            let mut random = Random::new(seed);
            client.begin();
            for _ in 0..5000 {
                let message = random_message(&mut random);
                let answer = client.raw(message);
                if let Message::Rversion(_) = answer {
                    client.begin();
                }
            }
        }
        client.begin();
        assert!(client.server.fids() == 1);
    });
}

fn random_message(random: &mut Random) -> Vec<u8> {
    let all = Message::all();
    let index = random.below(all.len() as u64) as usize;
    let mut bytes = all[index].clone().encode(random.next() as u16);
    let mut body = Vec::new();
    while body.len() < bytes.len() + random.below(20) as usize {
        random_field(random, &mut body);
    }
    bytes.truncate(7);
    bytes.extend_from_slice(&body);
    // Most begin with a fid that may be there.
    if random.below(8) != 0 && bytes.len() >= 11 {
        bytes[7..11].copy_from_slice(&(random.below(6) as u32).to_le_bytes());
    }
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes
}

fn random_field(random: &mut Random, body: &mut Vec<u8>) {
    const NAMES: [&[u8]; 9] = [b"a", b"b", b"", b".", b"..", b"a/b", b"/", b"\0", b"\xff"];
    match random.below(5) {
        0 => body.extend_from_slice(&(random.below(6) as u32).to_le_bytes()),
        1 => body.extend_from_slice(&(random.value() as u32).to_le_bytes()),
        2 => body.extend_from_slice(&random.value().to_le_bytes()),
        3 => body.extend_from_slice(&(random.below(4) as u16).to_le_bytes()),
        _ => {
            let name = NAMES[random.below(9) as usize];
            body.extend_from_slice(&(name.len() as u16).to_le_bytes());
            body.extend_from_slice(name);
        }
    }
}

/// An answer never has more bytes than the client gave room for, if an error fits.
#[test]
fn answers_fit_the_room() {
    let (mut client, _) = Client::memory();
    client.symlink(TOP, b"link", &[b'x'; 3000]).unwrap();
    client.walk(TOP, &[b"link"]).unwrap();
    let fid = TOP + 2;
    for room in [0, REPLY_BYTES_MIN, 100, 3008, 3009, 3010] {
        let answer = client
            .server
            .handle(Message::from(Treadlink { fid }).encode(1), room);
        let most = room.max(REPLY_BYTES_MIN);
        assert!(answer.len() <= most, "{} in {room}", answer.len());
        let message = Message::decode(answer).unwrap().1;
        assert_eq!(message.name() == "Rreadlink", room >= 3009, "{room}");
    }
    let file = client.create(TOP, b"file").unwrap();
    client.write(file, 0, &[1; 500]).unwrap();
    let read = Tread {
        fid: file,
        offset: 0,
        count: u32::MAX,
    };
    let answer = client.server.handle(Message::from(read).encode(1), 100);
    assert_eq!(answer.len(), 100);
}

/// Values of attributes are held, but not without end.
#[test]
fn attributes_held_are_bounded() {
    let (mut client, _) = Client::memory();
    let file = client.create(TOP, b"file").unwrap();
    let mut refused = None;
    for count in 0..2000 {
        let fid = client.walk(file, &[]).unwrap();
        let message = Txattrcreate {
            fid,
            name: b"user.x".to_vec(),
            attr_size: 65536,
            flags: 0,
        };
        if let Message::Rlerror(error) = client.rpc(message) {
            assert_eq!(error.ecode, 12);
            refused = Some((count, fid));
            break;
        }
    }
    let (count, fid) = refused.expect("there is a limit");
    assert_eq!(count, 1024);
    // Giving one up makes room for another.
    assert_eq!(client.clunk(fid - 1), Err(Errno::EINVAL));
    let message = Txattrcreate {
        fid,
        name: b"user.x".to_vec(),
        attr_size: 65536,
        flags: 0,
    };
    assert_eq!(client.rpc(message).name(), "Rxattrcreate");
}
