//! Names of a segment's files: the base offset in 20 digits, and what the file is.

use std::fmt;
use std::path::{Path, PathBuf};

/// What a file of a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Log,
    Index,
    TimeIndex,
    Entries,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Log, Self::Index, Self::TimeIndex, Self::Entries];
    pub(crate) const INDEXES: [Self; 3] = [Self::Index, Self::TimeIndex, Self::Entries];

    fn suffix(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Index => "index",
            Self::TimeIndex => "timeindex",
            Self::Entries => "entries",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix())
    }
}

/// The suffix after the file's own name once it failed a check.
pub(crate) const QUARANTINED: &str = ".quarantined";

/// The suffix of what compaction has written, until it is swapped in.
pub(crate) const CLEANED: &str = ".cleaned";

/// `<folder>/<base offset>.<part>`
pub(crate) fn path(folder: &Path, base_offset: i64, part: Part) -> PathBuf {
    folder.join(format!("{base_offset:020}.{part}"))
}

/// `<folder>/<base offset>.<part>.quarantined`
pub(crate) fn quarantined_path(folder: &Path, base_offset: i64, part: Part) -> PathBuf {
    folder.join(format!("{base_offset:020}.{part}{QUARANTINED}"))
}

/// `<folder>/<base offset>.<part>.cleaned`
pub(crate) fn cleaned_path(folder: &Path, base_offset: i64, part: Part) -> PathBuf {
    folder.join(format!("{base_offset:020}.{part}{CLEANED}"))
}

/// What a name in a partition's folder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(i64, Part),
    Quarantined(i64, Part),
    Cleaned(i64, Part),
    /// Being written when the process ended.
    New,
    Other,
}

pub(crate) fn parse(name: &str) -> Name {
    if name.ends_with(".new") {
        return Name::New;
    }
    type Made = fn(i64, Part) -> Name;
    let kinds = [(QUARANTINED, Name::Quarantined as Made), (CLEANED, Name::Cleaned)];
    let special = kinds.into_iter().find_map(|(suffix, made)| Some((name.strip_suffix(suffix)?, made)));
    let (name, made) = special.unwrap_or((name, Name::Segment));
    let Some((digits, suffix)) = name.split_once('.') else {
        return Name::Other;
    };
    let Some(part) = Part::ALL.into_iter().find(|part| part.suffix() == suffix) else {
        return Name::Other;
    };
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Name::Other;
    }
    digits.parse().map_or(Name::Other, |base| made(base, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas_and_parse_back() {
        let folder = Path::new("t-0");
        assert_eq!(path(folder, 42, Part::TimeIndex), folder.join("00000000000000000042.timeindex"));
        for part in Part::ALL {
            let name = path(folder, i64::MAX, part);
            assert_eq!(parse(name.file_name().unwrap().to_str().unwrap()), Name::Segment(i64::MAX, part));
            let name = quarantined_path(folder, 7, part);
            assert_eq!(parse(name.file_name().unwrap().to_str().unwrap()), Name::Quarantined(7, part));
            let name = cleaned_path(folder, 7, part);
            assert_eq!(parse(name.file_name().unwrap().to_str().unwrap()), Name::Cleaned(7, part));
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in [
            "checkpoint",
            "1.log",
            "0000000000000000000a.log",
            "99999999999999999999.log",
            "00000000000000000000.txnindex",
            "",
        ] {
            assert_eq!(parse(name), Name::Other, "{name}");
        }
        assert_eq!(parse("00000000000000000000.index.new"), Name::New);
    }
}
