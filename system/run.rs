//! The program: everything is in the library, so that tests reach it.

pub use tinamou::run;
