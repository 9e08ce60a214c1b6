//! What must never be believed. Each case is answered with an error that says what is wrong, or the connection is closed;
//! then the broker is asked something sensible, to see that it has come to no harm.

mod batches;
mod bombs;
mod configuration;
mod counts;
mod data_folders;
mod frames;
mod lengths;
