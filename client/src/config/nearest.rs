//! Finds the known key that a misspelt one most likely meant.

/// The known key with the smallest edit distance, if it is near enough to be a likely slip.
pub(crate) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 2 + key.len() / 4;
    known
        .map(|candidate| (distance(&normal(key), &normal(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `lingerMs`, `linger_ms` and `linger-ms` are the same slip.
fn normal(key: &str) -> String {
    key.chars().map(|c| if c == '_' || c == '-' { '.' } else { c.to_ascii_lowercase() }).collect()
}

/// Levenshtein's distance with one row of memory.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("linger.ms", "linger.ms"), 0);
    }

    #[test]
    fn a_slip_finds_its_key_and_nonsense_finds_none() {
        let known = ["linger.ms", "batch.size", "buffer.memory"];
        assert_eq!(nearest("linger_ms", known.into_iter()), Some("linger.ms"));
        assert_eq!(nearest("bacth.size", known.into_iter()), Some("batch.size"));
        assert_eq!(nearest("zookeeper.connect", known.into_iter()), None);
    }
}
