//! JavaScript's end: the functions of `wasm.c`, and those that it calls.
#![expect(
    unsafe_code,
    reason = "calls C functions that wrap JavaScript, and is called by them"
)]

use parking_lot::Mutex;

use super::{Event, Port, Ring, WRITE_WAIT};

// The C functions of `wasm.c`, which describes them.
unsafe extern "C" {
    fn tinamou_js_host_open(
        number: u32,
        name: *const u8,
        length: u32,
        input: *const u8,
        input_bytes: *const u8,
        output: *const u8,
        output_bytes: *const u8,
        size: u32,
    ) -> i32;
    safe fn tinamou_js_host_tell(number: u32);
    safe fn tinamou_js_host_offer_calls();
    fn tinamou_js_host_wait(word: *const u32, seen: u32, timeout_ns: i64);
}

pub fn open(port: &Port, name: &str) -> Result<(), String> {
    let state = |ring: &Ring| std::ptr::from_ref(ring.state()).cast::<u8>();
    let bytes = |ring: &Ring| ring.bytes().as_ptr().cast::<u8>();
    // SAFETY: `name` is read before the call returns. The rings are those of a port that
    // `super::PORTS` never lets go, and consist of atomics, as which JavaScript uses them.
    let there = unsafe {
        tinamou_js_host_open(
            port.number,
            name.as_ptr(),
            name.len() as u32,
            state(&port.input),
            bytes(&port.input),
            state(&port.output),
            bytes(&port.output),
            port.output.bytes().len() as u32,
        )
    };
    match there {
        0 => Ok(()),
        _ => Err("the JavaScript around the emulator takes no character devices".into()),
    }
}

pub fn tell(port: &Port) {
    tinamou_js_host_tell(port.number);
}

pub fn wait(ring: &Ring, taken: u32) {
    // SAFETY: the word lives as long as the ring, and is an atomic.
    unsafe { tinamou_js_host_wait(ring.tail().as_ptr(), taken, WRITE_WAIT.as_nanos() as i64) };
}

pub fn offer_calls() {
    tinamou_js_host_offer_calls();
}

/// JavaScript tells a port something. Runs on the first thread, as all that follows.
#[unsafe(no_mangle)]
extern "C" fn tinamou_js_host_event(number: u32, kind: u32, columns: u32, rows: u32) {
    let size = |number: u32| number.min(u32::from(u16::MAX)) as u16;
    let event = match kind {
        0 => Event::Input,
        1 => Event::Resized(size(columns), size(rows)),
        _ => Event::Break,
    };
    super::tell_port(number, event);
}

/// The bytes of a call and of its answer.
static LETTER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Makes room for a letter of so many bytes, and says where. It stays there until the next call.
#[unsafe(no_mangle)]
extern "C" fn tinamou_js_host_letter(length: u32) -> *mut u8 {
    let mut letter = LETTER.lock();
    *letter = vec![0; length as usize];
    letter.as_mut_ptr()
}

/// Calls the service whose name are the letter's first bytes with the others. The answer becomes
/// the letter; its length is returned, or -1 if there is no such service.
#[unsafe(no_mangle)]
extern "C" fn tinamou_js_host_ask(name_length: u32) -> i32 {
    let letter = std::mem::take(&mut *LETTER.lock());
    let (name, request) = letter.split_at(letter.len().min(name_length as usize));
    let answer = str::from_utf8(name)
        .ok()
        .and_then(|name| super::call(name, request));
    let Some(answer) = answer else {
        return -1;
    };
    let length = i32::try_from(answer.len()).unwrap_or(-1);
    *LETTER.lock() = answer;
    length
}

/// Where the letter is.
#[unsafe(no_mangle)]
extern "C" fn tinamou_js_host_answer() -> *const u8 {
    LETTER.lock().as_ptr()
}
