//! What every back end of the host's file system must do: a table of checks that panic when they
//! fail, each in a folder of its own. Natively a unit test runs it, under Node `tests/util` does.

mod attributes;
mod folder;
mod hostile;
mod images;
mod names;

pub use folder::Folder;

/// Each check with its name.
pub const CASES: &[(&str, fn())] = &[
    ("reads and writes", images::reads_and_writes),
    ("moves megabytes", images::moves_megabytes),
    ("sparse beyond 4 GiB", images::sparse_beyond_4_gib),
    ("ways to open", images::ways_to_open),
    ("zeroes and holes", images::zeroes_and_holes),
    ("locks", images::locks),
    ("locks of QEMU", images::locks_of_qemu),
    ("a full disk", images::full_disk),
    ("other threads", images::other_threads),
    ("makes and removes", names::makes_and_removes),
    ("renames over", names::renames_over),
    ("hard links", names::hard_links),
    ("symbolic links", names::symbolic_links),
    ("names are bytes", names::names_are_bytes),
    ("unlinked but open", names::unlinked_but_open),
    ("lists folders", names::lists_folders),
    ("resumes a list", names::resumes_a_list),
    ("modes and owners", attributes::modes_and_owners),
    ("times", attributes::times),
    ("sizes", attributes::sizes),
    ("extended attributes", attributes::extended_attributes),
    ("file systems", attributes::file_systems),
    ("names that are none", hostile::names_that_are_none),
    ("links are not followed", hostile::links_are_not_followed),
    ("a folder is swapped", hostile::a_folder_is_swapped),
    ("nothing waits", hostile::nothing_waits),
    ("numbers out of range", hostile::numbers_out_of_range),
];

/// Whether this is Node, and so what it lacks (see wasm.rs) is lacking.
const IS_NODE: bool = cfg!(target_os = "emscripten");
