//! File names from outside: made harmless, or refused when nothing harmless is left.

/// Longest name, in bytes: what common file systems hold.
const NAME_MAX_BYTES: usize = 255;
/// Names that Windows takes for devices, whatever their extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The name to show and to download under.
///
/// Folders in front are cut off (`../../etc/passwd` becomes `passwd`), control characters and characters that change the
/// direction or visibility of others are removed, and so are spaces and dots at the ends. What would still surprise the
/// system that saves it is refused.
pub fn clean(raw: &str) -> Result<String, String> {
    let last = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|character| !is_deceptive(*character)).collect();
    let name = visible.trim_matches(|character: char| character.is_whitespace() || character == '.');
    if name.is_empty() {
        return Err("must be a file name with an extension".to_owned());
    }
    if name.len() > NAME_MAX_BYTES {
        return Err(format!("has {} bytes; at most {NAME_MAX_BYTES} are allowed", name.len()));
    }
    if let Some(character) = name.chars().find(|character| "<>:\"|?*".contains(*character)) {
        return Err(format!("holds the character `{character}`, which not every system can store"));
    }
    let stem = name.split('.').next().unwrap_or_default().trim().to_ascii_lowercase();
    let numbered =
        |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    if DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        return Err(format!("`{stem}` is the name of a device on some systems; choose another"));
    }
    Ok(name.to_owned())
}

/// The extension in lower case, without its dot; empty when there is none.
pub fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// Control characters, and those that are invisible or turn the direction of writing (Unicode categories Cc, Cf and the
/// line separators): with them `gpj.exe` can be made to look like `exe.jpg`.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_controls_and_turned_text_are_cut_away() {
        for (raw, clean_name) in [
            ("../../etc/passwd.txt", "passwd.txt"),
            ("..\\..\\windows\\report.pdf", "report.pdf"),
            ("/report.pdf", "report.pdf"),
            ("a\u{0}b\n.pdf", "ab.pdf"),
            ("invoice\u{202e}fdp.txt", "invoicefdp.txt"),
            ("\u{feff} .hidden.csv. ", "hidden.csv"),
            ("Prüfbericht 2026 (final).pdf", "Prüfbericht 2026 (final).pdf"),
            ("..%2f..%2fx.txt", "%2f..%2fx.txt"),
        ] {
            assert_eq!(clean(raw).as_deref(), Ok(clean_name), "{raw:?}");
        }
    }

    #[test]
    fn names_that_are_none_or_mean_devices_are_refused() {
        let long = format!("{}.pdf", "x".repeat(252));
        for raw in ["", "..", "a/", "\u{202e}", " . ", "NUL.txt", "com1.pdf", "LPT9", "a:b.txt", "x?.pdf", &long] {
            assert!(clean(raw).is_err(), "{raw:?}");
        }
        assert!(clean("commander.txt").is_ok() && clean("com10.txt").is_ok());
    }

    #[test]
    fn the_extension_is_what_follows_the_last_dot() {
        assert_eq!(extension("a.tar.GZ"), "gz");
        assert_eq!(extension("none"), "");
    }
}
