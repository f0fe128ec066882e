//! How the story is told: numbered steps, short lines, progress where it takes long.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// Tells the story on standard output and progress on standard error.
pub(super) struct Teller {
    step: u32,
    quiet: bool,
}

impl Teller {
    pub(super) const fn new(quiet: bool) -> Self {
        Self { step: 0, quiet }
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) {
        self.step += 1;
        println!("\n{}. {title}", self.step);
    }

    /// A line of the step.
    #[expect(clippy::unused_self, reason = "whoever tells has begun a step")]
    pub(super) fn say(&self, text: impl Display) {
        println!("   {text}");
    }

    /// A number and what it counts.
    pub(super) fn count(&self, number: impl TryInto<i64>, what: &str) {
        self.say(format_args!("{:>9}  {what}", grouped(number.try_into().unwrap_or(i64::MAX))));
    }

    /// How far something is, on a terminal only.
    pub(super) fn progress(&self, what: &str, done: usize, of: usize) {
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let end = if done >= of { "\r\x1b[K" } else { "" };
        eprint!("\r   … {what} {done} of {of}{end}");
        // Progress that cannot be shown is no loss.
        drop(std::io::stderr().flush());
    }
}

/// A number with its thousands parted.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}
