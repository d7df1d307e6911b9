//! Reads Rust files the way the rules need them: code without comments, strings and characters, line by line.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One source file, with its path relative to the project root (forward slashes).
pub struct Source {
    /// Path relative to the project root, such as `src/adapters/system/clock.rs`.
    pub path: String,
    /// The text as written.
    pub text: String,
    /// The text with comments and literals blanked; line numbers are those of `text`.
    pub code: String,
}

impl Source {
    /// Builds a file from its text; the unit tests of the rules use it for offending snippets.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank_comments_and_literals(text) }
    }

    /// The lines of code with their numbers, counted from one.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The number of lines before the unit tests, which stand last in a file by convention.
    pub fn lines_without_tests(&self) -> usize {
        let lines: Vec<&str> = self.code.lines().collect();
        let starts_tests = |index: usize| {
            lines[index].trim() == "#[cfg(test)]"
                && lines[index + 1..]
                    .iter()
                    .find(|line| !line.trim().starts_with("#["))
                    .is_some_and(|line| line.trim().starts_with("mod "))
        };
        (0..lines.len()).find(|&index| starts_tests(index)).unwrap_or(lines.len())
    }
}

/// Every file below `root/folder` with this extension, sorted; an absent folder holds no files.
pub fn files(root: &Path, folder: &str, extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root.join(folder), &mut |path| {
        if path.extension().is_some_and(|found| found == extension) {
            found.push(path.to_path_buf());
        }
    });
    found.sort();
    let read = |path: PathBuf| Source::new(&relative(root, &path), &fs::read_to_string(&path).unwrap());
    found.into_iter().map(read).collect()
}

/// Every directory below `root/folder`, relative to `folder`, sorted.
pub fn directories(root: &Path, folder: &str) -> Vec<String> {
    let base = root.join(folder);
    let mut found = Vec::new();
    walk(&base, &mut |path| {
        if path.is_dir() {
            found.push(relative(&base, path));
        }
    });
    found.sort();
    found
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/")
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => panic!("cannot read {}: {error}", folder.display()),
    };
    for entry in entries {
        let path = entry.unwrap().path();
        visit(&path);
        if path.is_dir() {
            walk(&path, visit);
        }
    }
}

/// Replaces comments, strings and character literals by spaces and keeps every line break.
pub fn blank_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none starts there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let peek = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    let inside_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if peek(1) == '/' => chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |n| at + n),
        '/' if peek(1) == '*' => block_comment_end(chars, at),
        '"' => quoted_end(chars, at + 1, '"'),
        'r' if !inside_word || chars[at - 1] == 'b' => raw_string_end(chars, at),
        '\'' if peek(1) == '\\' => quoted_end(chars, at + 1, '\''),
        '\'' if peek(2) == '\'' => at + 3,
        _ => at,
    }
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_u32, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') if depth == 1 => return at + 2,
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at;
    }
    (open + 1..chars.len())
        .find(|&i| chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes)
        .map_or(chars.len(), |close| close + 1 + hashes)
}
