//! Who would be reached, and why everybody else would not.
