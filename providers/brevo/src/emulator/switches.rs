//! What the contract sheet leaves open.

/// The positions of all switches; each is explained in `README.md`.
pub(super) struct Switches {
    values: Vec<(&'static str, String)>,
}

/// Name, allowed values (`#` for a whole number), default.
const SWITCHES: &[(&str, &str, &str)] = &[
    ("api_events", "no yes", "yes"),
    ("batch_missing", "refuse skip", "refuse"),
    ("batch_shape", "array events", "array"),
    ("block_event", "none unsubscribe contact_updated", "none"),
    ("block_trace", "yes no", "yes"),
    ("bounce_spelling", "hard_bounce hard_bounced", "hard_bounce"),
    ("duplicate_code", "duplicate_parameter invalid_parameter", "duplicate_parameter"),
    ("full", "no yes", "no"),
    ("hook_auth", "shown hidden", "shown"),
    ("import_adds_existing", "yes no", "yes"),
    ("import_clears_block", "no updated always", "no"),
    ("import_delay", "#", "20"),
    ("import_order", "oldest newest", "oldest"),
    ("import_result", "ok lies fails", "ok"),
    ("list_unsubscription", "no yes", "no"),
    ("mail_credits", "yes no", "yes"),
    ("missing_rows", "empty absent", "empty"),
    ("plan", "general advanced extended", "general"),
    ("quota", "on off", "on"),
    ("spam_spelling", "spam complaint", "spam"),
    ("ts_event", "utc local", "utc"),
    ("unsubscribe_spelling", "unsubscribe unsubscribed", "unsubscribe"),
    ("utc_offset", "#", "120"),
];

impl Default for Switches {
    fn default() -> Self {
        Self { values: SWITCHES.iter().map(|(name, _, default)| (*name, (*default).to_owned())).collect() }
    }
}

impl Switches {
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let known = SWITCHES.iter().find(|(known, _, _)| *known == name);
        let place = self.values.iter_mut().find(|(known, _)| *known == name);
        let (Some((_, allowed, _)), Some((_, place))) = (known, place) else {
            let names: Vec<&str> = SWITCHES.iter().map(|(name, _, _)| *name).collect();
            return Err(format!("the Brevo emulator has these switches: {}", names.join(", ")));
        };
        let right = match *allowed {
            "#" => value.parse::<i32>().is_ok(),
            words => words.split(' ').any(|word| word == value),
        };
        if !right {
            return Err(format!("the switch {name} takes one of: {}", allowed.replace('#', "a whole number")));
        }
        value.clone_into(place);
        Ok(())
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.word(name) == value
    }

    /// The position of a switch of words.
    pub(super) fn word(&self, name: &str) -> &str {
        self.values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The position of a switch of numbers.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.word(name).parse().unwrap_or(0)
    }
}
