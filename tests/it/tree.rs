//! The project's own files, as the structural tests read them.

use std::path::{Path, PathBuf};

/// A file of the project.
pub struct File {
    /// Its path from the project's folder, with `/` between the parts.
    pub path: String,
    /// What it holds.
    pub text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder whose names end like that, in the order of their paths.
pub fn files(folder: &str, ending: &str) -> Vec<File> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let mut files: Vec<File> = found
        .iter()
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .map(|path| File {
            path: path.strip_prefix(root()).unwrap().components().map(|part| part.as_os_str().to_str().unwrap()).fold(
                String::new(),
                |path, part| if path.is_empty() { part.to_owned() } else { format!("{path}/{part}") },
            ),
            text: std::fs::read_to_string(path).unwrap_or_default(),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!files.is_empty(), "no file in {folder} ends with {ending}");
    files
}

/// Rust source taken apart: what the compiler reads as code, and the texts in quotes.
#[derive(Default)]
pub struct Source {
    /// Without comments, and with every text in quotes emptied. Lines keep their numbers.
    pub code: String,
    /// The texts in quotes, each with the number of the line where it begins.
    pub texts: Vec<(usize, String)>,
}

/// Takes Rust source apart.
pub fn source(text: &str) -> Source {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut source = Source::default();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let before = if i == 0 { ' ' } else { at(i - 1) };
        let in_word = before.is_alphanumeric() || before == '_';
        let raw = (at(i) == 'r' && !in_word).then(|| (i + 1..chars.len()).take_while(|j| at(*j) == '#').count());
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    (c, _) => {
                        if c == '\n' {
                            source.code.push('\n');
                            line += 1;
                        }
                        i += 1;
                    }
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if let Some(hashes) = raw.filter(|hashes| at(i + 1 + hashes) == '"') {
            let (begin, mut quoted) = (line, String::new());
            i += hashes + 2;
            while i < chars.len() && !(at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#')) {
                quoted.push(at(i));
                i += 1;
            }
            i += hashes + 1;
            push(&mut source, &mut line, begin, quoted);
        } else if at(i) == '"' {
            let (begin, mut quoted) = (line, String::new());
            i += 1;
            while i < chars.len() && at(i) != '"' {
                if at(i) == '\\' {
                    quoted.push('\\');
                    i += 1;
                }
                quoted.push(at(i));
                i += 1;
            }
            i += 1;
            push(&mut source, &mut line, begin, quoted);
        } else if at(i) == '\'' && at(i + 1) == '\\' {
            i += 3;
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else if at(i) == '\'' && at(i + 2) == '\'' {
            i += 3;
        } else {
            if at(i) == '\n' {
                line += 1;
            }
            source.code.push(at(i));
            i += 1;
        }
    }
    source
}

fn push(source: &mut Source, line: &mut usize, begin: usize, quoted: String) {
    let newlines = quoted.matches('\n').count();
    source.code.push_str("\"\"");
    source.code.push_str(&"\n".repeat(newlines));
    *line += newlines;
    source.texts.push((begin, quoted));
}

/// The words of code: identifiers and numbers, each with the number of its line and where it ends.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = 0;
    let mut line = 1;
    std::iter::from_fn(move || {
        let begin = rest + code[rest..].find(is_word)?;
        line += code[rest..begin].matches('\n').count();
        let end = code[begin..].find(|c| !is_word(c)).map_or(code.len(), |length| begin + length);
        rest = end;
        Some((line, &code[begin..end], end))
    })
}

#[test]
fn comments_and_texts_are_told_from_code() {
    let text = "use a::b; // use c\n/* x /* y */ \n z */ let s = \"q // \\\" q\"; let r = r#\"a\"b\"#; let c = '\"'; let l: &'a u8; '\\'';";
    let source = source(text);
    assert_eq!(source.code, "use a::b; \n\n let s = \"\"; let r = \"\"; let c = ; let l: &'a u8; ;");
    let texts: Vec<_> = source.texts.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(texts, [(3, "q // \\\" q"), (3, "a\"b")]);
    let words: Vec<_> = words("use a::b;\nc").map(|(line, word, _)| (line, word)).collect();
    assert_eq!(words, [(1, "use"), (1, "a"), (1, "b"), (2, "c")]);
}
