//! What the programs of the two clients in Rust share: checks, and the sample that they write and expect back.

pub mod checks;
pub mod sample;

/// The word after a flag of the command line, or what `fallback` says.
pub fn argument(flag: &str, fallback: &str) -> String {
    let mut words = std::env::args().skip_while(|word| word != flag);
    words.nth(1).or_else(|| std::env::var("BOOTSTRAP").ok()).unwrap_or_else(|| fallback.to_owned())
}
