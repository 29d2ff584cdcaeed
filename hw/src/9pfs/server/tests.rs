//! The server, driven by a small client over each driver.

mod attributes;
mod client;
mod concurrency;
mod drivers;
mod files;
mod hostile;
mod names;
mod shares;

pub(in crate::ninep) use client::Client;
