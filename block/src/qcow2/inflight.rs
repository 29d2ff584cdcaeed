//! Which clusters requests work on now. Requests that only move data share a cluster; those that
//! change where it is have it alone, so that nobody reads or writes a cluster that was given to
//! somebody else meanwhile.

use std::ops::Range;

use parking_lot::Mutex;
use util::coroutine::Waiter;

struct Entry {
    number: u64,
    clusters: Range<u64>,
    alone: bool,
    /// Who waits for this one's end.
    waiters: Vec<Waiter>,
}

impl Entry {
    fn excludes(&self, other: &Range<u64>, alone: bool) -> bool {
        (self.alone || alone) && self.clusters.start < other.end && other.start < self.clusters.end
    }
}

#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    next: u64,
}

/// The requests on an image, in the order of their coming.
#[derive(Default)]
pub struct InFlight(Mutex<List>);

/// The clusters are given back when this is dropped.
pub struct Claim<'a> {
    list: &'a InFlight,
    number: u64,
}

impl InFlight {
    /// Waits until no request that came earlier is in the way; later ones wait for this one, so
    /// nobody waits for ever. A request has one claim at a time, or it could wait for itself.
    pub fn claim(&self, clusters: Range<u64>, alone: bool) -> Claim<'_> {
        let number = {
            let mut list = self.0.lock();
            list.next += 1;
            let number = list.next;
            list.entries.push(Entry {
                number,
                clusters: clusters.clone(),
                alone,
                waiters: Vec::new(),
            });
            number
        };
        while let Some(waiter) = self.join_earlier(number, &clusters, alone) {
            waiter.wait();
        }
        Claim { list: self, number }
    }

    fn join_earlier(&self, number: u64, clusters: &Range<u64>, alone: bool) -> Option<Waiter> {
        let mut list = self.0.lock();
        let mut earlier = list.entries.iter_mut().take_while(|e| e.number < number);
        let entry = earlier.find(|entry| entry.excludes(clusters, alone))?;
        let waiter = Waiter::new();
        entry.waiters.push(waiter.clone());
        Some(waiter)
    }
}

impl Claim<'_> {
    /// Lets others share the clusters.
    pub fn share(&self) {
        let mut list = self.list.0.lock();
        let entry = list.entries.iter_mut().find(|e| e.number == self.number);
        if let Some(entry) = entry {
            entry.alone = false;
            entry.waiters.drain(..).for_each(|waiter| waiter.notify());
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut list = self.list.0.lock();
        if let Some(index) = list.entries.iter().position(|e| e.number == self.number) {
            let entry = list.entries.remove(index);
            entry.waiters.iter().for_each(Waiter::notify);
        }
    }
}
