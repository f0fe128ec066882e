//! Calls by what they are for.

use crate::stage::Stage;

/// What calls were for, from the emulator's own record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    /// Bulk calls that put people on the list or change them.
    pub add: u64,
    /// Calls that take people off, one or many.
    pub remove: u64,
    /// Questions after bulk jobs.
    pub poll: u64,
    /// Pages of a walk.
    pub walk: u64,
    /// Reads of one person.
    pub look: u64,
    /// Anything else.
    pub other: u64,
    /// Refused for their number.
    pub throttled: u64,
}

impl Calls {
    /// Everything that was asked of the provider since an entry of its record.
    pub fn since(stage: &Stage, entry: usize) -> Self {
        let mut calls = Self::default();
        for call in stage.provider().log().iter().skip(entry).filter(|entry| entry.status != 0) {
            let (method, path) = call.what.split_once(' ').unwrap_or(("", ""));
            let parts: Vec<&str> = path.split('/').skip(2).collect();
            let count = match (method, parts.as_slice()) {
                (
                    "POST",
                    ["contacts", "lists", _, "contacts", "remove"] | ["REST", "contactslist", _, "managecontact"],
                )
                | ("PUT", ["contacts" | "REST", ..]) => &mut calls.remove,
                ("POST", ["contacts", "import" | "batch"] | ["REST", "contactslist", _, "managemanycontacts"]) => {
                    &mut calls.add
                }
                ("GET", ["processes", _] | ["REST", "contactslist", _, "managemanycontacts", _]) => &mut calls.poll,
                ("GET", ["contacts"] | ["REST", "contact" | "listrecipient"]) => &mut calls.walk,
                ("GET", ["contacts", "attributes"]) => &mut calls.other,
                ("GET", ["contacts", _] | ["REST", "contact", ..]) => &mut calls.look,
                _ => &mut calls.other,
            };
            *count += 1;
            calls.throttled += u64::from(call.status == 429);
        }
        calls
    }

    /// In words, the kinds that are.
    pub fn words(&self) -> String {
        let kinds = [
            (self.add, "bulk"),
            (self.remove, "removal"),
            (self.poll, "poll"),
            (self.walk, "page read back"),
            (self.look, "person read back"),
            (self.other, "other"),
        ];
        let told: Vec<String> =
            kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
        told.join(", ")
    }
}
