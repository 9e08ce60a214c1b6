//! Configuration that can't be meant.

use crate::harness::{Process, config};

fn refused(sets: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    config(folder.path(), sets).expect_err("no configuration").to_string()
}

#[test]
fn a_misspelt_key_names_the_right_one() {
    let said = refused(&[("num.partition", "3")]);
    assert!(said.contains("num.partition") && said.contains("`num.partitions`"), "{said}");
    let said = refused(&[("log.retention.mss", "3")]);
    assert!(said.contains("`log.retention.ms`"), "{said}");
}

#[test]
fn a_bad_value_says_what_would_be_right() {
    for (key, value) in [
        ("num.partitions", "many"),
        ("num.partitions", "0"),
        ("log.segment.bytes", "-1"),
        ("auto.create.topics.enable", "perhaps"),
        ("compression.type", "rar"),
    ] {
        let said = refused(&[(key, value)]);
        assert!(said.contains(key) && said.contains(value), "{said}");
        assert!(said.len() > key.len() + value.len() + 20, "a reason: {said}");
    }
}

#[test]
fn the_binary_says_the_same_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let said = Process::refused(folder.path(), &["num.partition=3"]);
    assert!(said.contains("num.partitions"), "{said}");
}
