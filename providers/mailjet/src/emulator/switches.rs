//! What the contract sheet leaves open, and trouble on demand. README.md describes each switch.

/// A switch: its name and what it can be set to; `#` stands for any number. The first is the default.
const SWITCHES: &[(&str, &[&str])] = &[
    ("full", &["no", "new", "all", "hard"]),
    ("jobs", &["ok", "silent", "stuck", "error"]),
    ("job_seconds", &["5", "#"]),
    ("job_words", &["guide", "sdk"]),
    ("jobs_at_once", &["0", "#"]),
    ("bad_row", &["error", "completed"]),
    ("bulk_max", &["0", "#"]),
    ("limit_calls", &["0", "#"]),
    ("limit_seconds", &["1", "#"]),
    ("limit_body", &["html", "json"]),
    ("unsub_nonmember", &["row", "none", "refuse"]),
    ("addforce_clears", &["yes", "no"]),
    ("deleted_list_name", &["blocks", "free"]),
    ("email_case", &["ignored", "kept"]),
    ("email_storage", &["as_received", "lower"]),
    ("noop_put", &["304", "200"]),
    ("readonly_status", &["401", "400"]),
    ("action_status", &["201", "200"]),
    ("idempotency_key", &["ignored", "honoured"]),
    ("list_statistics", &["yes", "no"]),
    ("retention_days", &["0", "#"]),
    ("send_error_status", &["400", "200"]),
    ("api_unsub_event", &["no", "yes"]),
    ("unsub_list", &["id", "zero", "empty"]),
    ("message_guid", &["yes", "no"]),
    ("soft_bounce_words", &["yes", "no"]),
    ("extra_event", &["no", "yes"]),
    ("retry_seconds", &["30", "#"]),
    ("retry_hours", &["24", "#"]),
    ("dead_word", &["dead", "suspended"]),
];

/// All switches as they are set.
#[derive(Clone, Default)]
pub(super) struct Switches(Vec<(&'static str, String)>);

impl Switches {
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some((known, values)) = SWITCHES.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = SWITCHES.iter().map(|(known, _)| *known).collect();
            return Err(format!("no switch {name}; there are test_event, {}", names.join(", ")));
        };
        let allowed = values.contains(&value) || (values.contains(&"#") && value.parse::<u32>().is_ok());
        if !allowed {
            return Err(format!("the switch {name} takes {}", values.join(", ").replace('#', "any number")));
        }
        self.0.retain(|(set, _)| set != known);
        self.0.push((known, value.to_owned()));
        Ok(())
    }

    fn value(&self, name: &str) -> &str {
        let set = self.0.iter().find(|(set, _)| *set == name).map(|(_, value)| value.as_str());
        let default = || SWITCHES.iter().find(|(known, _)| *known == name).and_then(|(_, values)| values.first().copied());
        set.or_else(default).unwrap_or_default()
    }

    /// Whether a switch is set to that.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    /// The number that a switch is set to.
    pub(super) fn number(&self, name: &str) -> u32 {
        self.value(name).parse().unwrap_or(0)
    }

    /// The status that a switch is set to.
    pub(super) fn status(&self, name: &str) -> u16 {
        self.value(name).parse().unwrap_or(400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_has_a_default_and_takes_its_values_only() {
        let mut switches = Switches::default();
        assert!(switches.is("full", "no") && switches.number("retry_seconds") == 30);
        switches.set("retry_seconds", "1").unwrap();
        switches.set("retry_seconds", "2").unwrap();
        assert_eq!(switches.number("retry_seconds"), 2);
        assert!(switches.set("retry_seconds", "soon").unwrap_err().contains("any number"));
        assert!(switches.set("fulll", "no").unwrap_err().contains("unsub_nonmember"));
    }

    #[test]
    fn the_readme_describes_every_switch() {
        let readme = include_str!("../../README.md");
        for (name, values) in SWITCHES {
            let line = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let line = line.unwrap_or_else(|| panic!("{name} is not described"));
            for value in values.iter().filter(|value| **value != "#") {
                assert!(line.contains(&format!("`{value}`")), "{name} = {value} is not described");
            }
        }
    }
}
