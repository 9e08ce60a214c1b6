//! Cross-crate tests; all of them are in one binary, `it/main.rs`.

#![forbid(unsafe_code)]
