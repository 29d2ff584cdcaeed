//! Encoding and decoding, against bytes written down by hand and against each other.

use super::*;
use crate::core::testing::Random;

/// Bytes as Linux's client sends them.
#[test]
fn messages_look_as_in_the_manual() {
    let walk = Twalk {
        fid: 1,
        newfid: 2,
        wname: List(vec![b"ab".to_vec(), b"c".to_vec()]),
    };
    let bytes = b"\x18\0\0\0\x6e\x05\0\x01\0\0\0\x02\0\0\0\x02\0\x02\0ab\x01\0c";
    check(walk.into(), 5, bytes);
    let data = Payload::from(b"xyz".to_vec());
    let write = Twrite {
        fid: 1,
        offset: 1 << 32,
        data,
    };
    check(
        write.into(),
        0xffff,
        b"\x1a\0\0\0\x76\xff\xff\x01\0\0\0\0\0\0\0\x01\0\0\0\x03\0\0\0xyz",
    );
    let qid = Qid {
        kind: qid_kind::FOLDER,
        version: 0x0403_0201,
        path: 0x0c0b_0a09_0807_0605,
    };
    let open = Rlopen {
        qid,
        iounit: 0x100f_0e0d,
    };
    let bytes = b"\x18\0\0\0\x0d\x01\0\x80\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\
                  \x0e\x0f\x10";
    check(open.into(), 1, bytes);
    check(Rclunk {}.into(), 2, b"\x07\0\0\0\x79\x02\0");
}

fn check(message: Message, tag: u16, bytes: &[u8]) {
    assert_eq!(message.clone().encode(tag), bytes);
    assert_eq!(Message::decode(bytes.to_vec()), Ok((tag, message)));
}

/// Whatever decodes from random bytes is encoded to the same bytes, for every message.
#[test]
fn every_message_survives_a_round_trip() {
    let mut random = Random::new(7);
    for message in Message::all() {
        let mut good = 0;
        for _ in 0..2000 {
            let mut bytes = message.clone().encode(random.next() as u16);
            bytes.truncate(7);
            while bytes.len() < 300 {
                // Small numbers often, so that lengths and counts are met.
                let byte = if random.below(2) == 0 {
                    random.below(8)
                } else {
                    random.next()
                };
                bytes.push(byte as u8 & if random.below(3) == 0 { 0xff } else { 1 });
            }
            let Ok((tag, decoded)) = Message::decode(bytes.clone()) else {
                continue;
            };
            good += 1;
            let again = decoded.clone().encode(tag);
            let size = again.len();
            assert_eq!(again[4..], bytes[4..size], "{}", message.name());
            assert_eq!(again[..4], (size as u32).to_le_bytes());
            assert_eq!(Message::decode(again), Ok((tag, decoded)));
        }
        assert!(good > 20, "{} was never decoded", message.name());
    }
}

#[test]
fn numbers_are_unique_and_answers_follow_questions() {
    let mut numbers = std::collections::HashMap::new();
    for message in Message::all() {
        let name = message.name();
        let number = message.encode(0)[4];
        assert!(numbers.insert(name, number).is_none());
        match name.strip_prefix('T') {
            Some(_) => assert_eq!(number % 2, 0, "{name}"),
            None => assert_eq!(number % 2, 1, "{name}"),
        }
    }
    for (name, number) in &numbers {
        if let Some(rest) = name.strip_prefix('T') {
            assert_eq!(numbers[format!("R{rest}").as_str()], number + 1);
        }
    }
}

#[test]
fn lists_take_memory_for_what_is_there() {
    let mut bytes = vec![17, 0, 0, 0, 110, 0, 0];
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[0xff, 0xff]);
    assert_eq!(Message::decode(bytes), Err(DecodeError::Malformed));
}

/// Data that is read right behind the head of its message is not moved.
#[test]
fn payloads_stay_where_they_are() {
    let mut data = Payload::with_room(100, &Buffers::default());
    data.as_mut_slice().fill(7);
    let at = data.as_slice().as_ptr();
    data.truncate(50);
    let bytes = Message::from(Rread { data }).encode(3);
    assert_eq!(bytes.len(), 61);
    assert_eq!(bytes[11..].as_ptr(), at);
    assert_eq!(bytes[11..], [7; 50]);
    let Ok((_, Message::Rread(Rread { data }))) = Message::decode(bytes) else {
        panic!("it is an Rread");
    };
    assert_eq!(data.as_slice().as_ptr(), at);
}

#[test]
fn entries_of_folders_fill_the_room() {
    let name = &b"name"[..];
    let entry = Dirent {
        qid: Qid::default(),
        offset: 3,
        kind: 8,
        name,
    };
    let mut data = Payload::with_capacity(60);
    assert!(entry.put(&mut data, 28));
    assert!(!entry.put(&mut data, 55));
    assert!(entry.put(&mut data, 56));
    assert_eq!(data.len(), 56);
    assert_eq!(
        &data.as_slice()[13..28],
        b"\x03\0\0\0\0\0\0\0\x08\x04\0name"
    );
    let endless = vec![b'x'; 70_000];
    let entry = Dirent {
        name: &endless,
        ..entry
    };
    assert!(entry.put(&mut data, 1 << 20));
    assert_eq!(data.len(), 56, "left out");
}
