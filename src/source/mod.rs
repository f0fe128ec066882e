//! Where contacts come from. Sources read; they store nothing.

pub mod csv;
