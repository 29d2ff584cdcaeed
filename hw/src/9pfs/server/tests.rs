//! The server, driven by a small client.

mod client;
mod concurrency;
mod files;
mod hostile;
mod names;

pub(in crate::ninep) use client::Client;
