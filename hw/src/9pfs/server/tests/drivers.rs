//! One body of tests, every driver.

use fsdev::memory::Memory;

use super::Client;

/// Runs a body over an empty share of each driver, and checks that nothing is left behind in the
/// driver when the client is gone.
pub fn on_every_driver(body: impl Fn(&mut Client)) {
    let fs = Memory::new(64 << 20);
    let mut client = Client::new(fs.clone());
    println!("memory");
    body(&mut client);
    client.begin();
    client.clunk(super::client::TOP).expect("it is attached");
    drop(client);
    wait_until(|| fs.in_use() == (0, 0));
}

/// Files that nobody clunked are closed by a worker.
pub fn wait_until(done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_secs() < 60, "it never happens");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
