//! ZIP containers (office documents): judged by their central directory alone; nothing is ever unpacked.
//!
//! The layout is that of PKWARE's APPNOTE 6.3: end record (4.3.16), central directory headers (4.3.12).

/// Most entries of a container.
const ENTRIES_MAX: usize = 10_000;
/// Largest central directory, in bytes.
const DIRECTORY_MAX: u64 = 4 * 1024 * 1024;
/// How many times larger than the file its content may be when unpacked.
const RATIO_MAX: u64 = 100;
/// Content up to this size is never too large, whatever the ratio.
const UNPACKED_FREE: u64 = 10 * 1024 * 1024;
/// Content above this size always is.
const UNPACKED_MAX: u64 = 1024 * 1024 * 1024;

/// Where the central directory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    entries: usize,
}

/// Finds the central directory from the file's last bytes.
pub fn find_directory(tail: &[u8], file_size: u64) -> Result<Directory, String> {
    let broken = || "the container's directory is damaged".to_owned();
    let at = tail.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or_else(broken)?;
    let record = tail[at..].get(..22).ok_or_else(broken)?;
    let comment = usize::from(u16_at(record, 20));
    let record_at = file_size - (tail.len() - at) as u64;
    if tail.len() - at != 22 + comment {
        return Err("the container has bytes behind its end".to_owned());
    }
    let (entries, size, start) = (u16_at(record, 10), u32_at(record, 12), u32_at(record, 16));
    if u16_at(record, 4) != 0 || u16_at(record, 6) != 0 || u16_at(record, 8) != entries {
        return Err("containers in several volumes are not accepted".to_owned());
    }
    if entries == u16::MAX || size == u32::MAX || start == u32::MAX {
        return Err("containers in the ZIP64 form are not accepted".to_owned());
    }
    let (start, size) = (u64::from(start), u64::from(size));
    if start + size != record_at {
        return Err("the container has bytes in front of it or inside it that do not belong to it".to_owned());
    }
    if size > DIRECTORY_MAX || usize::from(entries) > ENTRIES_MAX {
        return Err(format!("the container has more than {ENTRIES_MAX} entries"));
    }
    Ok(Directory { start, end: record_at, entries: usize::from(entries) })
}

/// Judges the container by its directory: its layout must be that of the media type, its content must not explode.
pub fn judge(directory: Directory, bytes: &[u8], head: &[u8], media_type: &str) -> Result<(), String> {
    let broken = || "the container's directory is damaged".to_owned();
    let mut names = Vec::with_capacity(directory.entries);
    let (mut packed, mut unpacked) = (0_u64, 0_u64);
    let mut rest = bytes;
    for _ in 0..directory.entries {
        let header = rest.get(..46).filter(|header| header.starts_with(b"PK\x01\x02")).ok_or_else(broken)?;
        let lengths = [u16_at(header, 28), u16_at(header, 30), u16_at(header, 32)].map(usize::from);
        let name = rest.get(46..46 + lengths[0]).ok_or_else(broken)?;
        packed += u64::from(u32_at(header, 20));
        unpacked += u64::from(u32_at(header, 24));
        if header[8] & 1 != 0 {
            return Err("encrypted containers are not accepted: nobody could examine them".to_owned());
        }
        names.push(String::from_utf8_lossy(name).into_owned());
        rest = rest.get(46 + lengths.iter().sum::<usize>()..).ok_or_else(broken)?;
    }
    if !rest.is_empty() {
        return Err(broken());
    }
    if packed > directory.start {
        return Err("the container's entries overlap: this is how decompression bombs are built".to_owned());
    }
    let allowed = directory.end.saturating_mul(RATIO_MAX).clamp(UNPACKED_FREE, UNPACKED_MAX);
    if unpacked > allowed {
        return Err(format!("unpacked it would have {unpacked} bytes; at most {allowed} are allowed for its size"));
    }
    layout(&names, head, media_type)
}

fn layout(names: &[String], head: &[u8], media_type: &str) -> Result<(), String> {
    let escapes = |name: &&String| {
        name.starts_with(['/', '\\']) || name.contains(':') || name.split(['/', '\\']).any(|part| part == "..")
    };
    if names.iter().any(|name| escapes(&name)) {
        return Err("an entry of the container leads out of it".to_owned());
    }
    if names.iter().any(|name| name.to_ascii_lowercase().ends_with("vbaproject.bin")) {
        return Err("documents with macros are not accepted".to_owned());
    }
    let has = |name: &str| names.iter().any(|entry| entry == name);
    let fits = match media_type.rsplit('.').next().unwrap_or_default() {
        "document" => has("[Content_Types].xml") && has("word/document.xml"),
        "sheet" => has("[Content_Types].xml") && has("xl/workbook.xml"),
        "presentation" => has("[Content_Types].xml") && has("ppt/presentation.xml"),
        // OpenDocument puts its media type, unpacked, into the first entry (OpenDocument 1.3, part 2, 3.3).
        "text" => {
            has("content.xml")
                && head.get(30..).is_some_and(|entry| entry.starts_with(format!("mimetype{media_type}").as_bytes()))
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("the container does not have the layout of {media_type}")) }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

    /// A container with stored entries; `claimed` is the unpacked size that the directory claims for each.
    fn zip(entries: &[(&str, &[u8])], claimed: Option<u32>, flags: u8) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in entries {
            let offset = u32::try_from(file.len()).unwrap().to_le_bytes();
            let size = u32::try_from(content.len()).unwrap().to_le_bytes();
            let unpacked = claimed.map_or(size, u32::to_le_bytes);
            let length = u16::try_from(name.len()).unwrap().to_le_bytes();
            let common =
                [&[20, 0, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &size, &unpacked, &length, &[0, 0]].concat();
            file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
            directory.extend([b"PK\x01\x02", &[20, 0][..], &common, &[0; 10], &offset, name.as_bytes()].concat());
        }
        let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
        let start = u32::try_from(file.len()).unwrap().to_le_bytes();
        let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
        [&file[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &start, &[0, 0]].concat()
    }

    fn judged(file: &[u8], media_type: &str) -> Result<(), String> {
        let directory = find_directory(file, file.len() as u64)?;
        let range = usize::try_from(directory.start).unwrap()..usize::try_from(directory.end).unwrap();
        judge(directory, &file[range], file, media_type)
    }

    #[test]
    fn a_document_passes_and_what_only_looks_like_one_does_not() {
        let parts: [(&str, &[u8]); 2] = [("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>")];
        assert_eq!(judged(&zip(&parts, None, 0), DOCX), Ok(()));
        let odt = "application/vnd.oasis.opendocument.text";
        assert_eq!(judged(&zip(&[("mimetype", odt.as_bytes()), ("content.xml", b"<x/>")], None, 0), odt), Ok(()));
        for (file, why) in [
            (zip(&[("evil.exe", b"MZ")], None, 0), "layout"),
            (zip(&[parts[0], parts[1], ("../../etc/passwd", b"x")], None, 0), "leads out"),
            (zip(&[parts[0], parts[1], ("word/vbaProject.bin", b"x")], None, 0), "macros"),
            (zip(&parts, None, 1), "encrypted"),
            (zip(&parts, Some(900_000_000), 0), "unpacked it would have"),
            ([b"GIF89a", &zip(&parts, None, 0)[..]].concat(), "in front"),
            ([&zip(&parts, None, 0)[..], b"tail"].concat(), "behind"),
            (b"PK\x03\x04 nothing more".to_vec(), "damaged"),
        ] {
            let refusal = judged(&file, DOCX).unwrap_err();
            assert!(refusal.contains(why), "{why}: {refusal}");
        }
    }
}
