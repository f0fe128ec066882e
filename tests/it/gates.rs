//! The few places where a consent can be made, or leave.

use crate::tree;

/// I1.
/// Where the words that raise a status may stand.
#[test]
fn acceptances_and_proofs_are_made_in_one_place_each() {
    let gates = [
        ("RecipientAct::Accept(", &["src/service/link.rs"][..]),
        ("ConsentProof::attest(", &["src/domain/plan.rs"]),
        ("Acceptance {", &["src/domain/token.rs"]),
        ("OperatorAct::ImportProof(", &["src/service/import/legacy.rs"]),
        (".lift_suppression(", &["src/service/consent.rs"]),
        ("Basis {", &["src/domain/fold.rs", "src/store/standing.rs", "src/store/search.rs"]),
        ("NewLine {", &["src/service/consent.rs", "src/service/import/write.rs", "src/service/sync/reconcile.rs"]),
        (".append(", &["src/service/consent.rs", "src/service/import/records.rs", "src/service/sync/reconcile.rs"]),
    ];
    let mut found = Vec::new();
    for file in tree::files("src", ".rs") {
        let code = tree::source(&file.text).code;
        let code = code.split("#[cfg(test)]").next().unwrap();
        for (line, text) in (1..).zip(code.lines()) {
            // What takes apart or declares makes nothing.
            let makes = !["=>", "if let", "(_)", "struct ", "impl "].iter().any(|other| text.contains(other));
            for (gate, places) in gates {
                let whole = text
                    .match_indices(gate)
                    .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
                if makes && whole && !places.contains(&file.path.as_str()) {
                    found.push(format!("{}:{line}: `{gate}…` may be written in {places:?} only", file.path));
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    // Each gate exists, so that a renaming does not open it.
    for (gate, places) in gates.iter().filter(|(gate, _)| !gate.contains("ImportProof")) {
        let there = places
            .iter()
            .any(|place| tree::files("src", ".rs").iter().any(|file| file.path == *place && file.text.contains(gate)));
        assert!(there, "{gate} is nowhere any more");
    }
}
