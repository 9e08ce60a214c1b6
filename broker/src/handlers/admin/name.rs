//! Kafka's rules for topic names, but for one: Kafka refuses `a_b` beside `a.b`, since the names of its metrics would
//! be the same. Ours carry topics as labels.

/// The longest name: with `-` and a partition's number it has to be a folder's name.
const LENGTH_MAX: usize = 249;

/// The metadata log's own name.
pub(super) const RESERVED: &str = "__cluster_metadata";

/// What is wrong with a topic's name: the text of an INVALID_TOPIC_EXCEPTION answer.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err("Topic name is invalid: the empty string is not allowed".into()),
        "." | ".." => Err(format!("Topic name is invalid: '{name}' is not allowed")),
        _ if !name.chars().all(legal) => Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )),
        _ if name.len() > LENGTH_MAX => Err(format!(
            "Topic name is invalid: its {} characters are more than the {LENGTH_MAX} that are allowed",
            name.len()
        )),
        _ => Ok(()),
    }
}
