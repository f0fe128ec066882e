//! Numbers that must agree.

use crate::demo::tell::grouped;
use std::collections::BTreeSet;

/// Compares, and remembers what did not agree.
#[derive(Default)]
pub(super) struct Sums {
    compared: usize,
    wrong: Vec<String>,
}

impl Sums {
    /// Two numbers that must be the same.
    pub(super) fn same(&mut self, what: &str, here: impl TryInto<i64>, there: impl TryInto<i64>) {
        self.compared += 1;
        let (here, there) = (here.try_into().unwrap_or(i64::MIN), there.try_into().unwrap_or(i64::MAX));
        if here != there {
            self.wrong.push(format!("{what}: {} is not {}", grouped(here), grouped(there)));
        }
    }

    /// Two sets of people that must be the same; differences are told as numbers only.
    pub(super) fn same_people(&mut self, what: &str, here: &BTreeSet<String>, there: &BTreeSet<String>) {
        self.compared += 1;
        let (lacking, extra) = (here.difference(there).count(), there.difference(here).count());
        if lacking + extra > 0 {
            self.wrong.push(format!("{what}: {lacking} are lacking and {extra} are too many"));
        }
    }

    /// Something that must be so.
    pub(super) fn holds(&mut self, what: &str, so: bool) {
        self.compared += 1;
        if !so {
            self.wrong.push(what.to_owned());
        }
    }

    /// How many were compared.
    pub(super) const fn compared(&self) -> usize {
        self.compared
    }

    /// What did not agree.
    pub(super) fn wrong(&self) -> &[String] {
        &self.wrong
    }
}
