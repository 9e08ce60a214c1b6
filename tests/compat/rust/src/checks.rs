//! One line per check, a total at the end, a non-zero exit on any failure.

use std::error::Error;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[derive(Default)]
pub struct Checks {
    passed: usize,
    failed: usize,
}

impl Checks {
    pub fn check(&mut self, name: &str, body: impl FnOnce() -> Outcome) {
        match body() {
            Ok(()) => {
                self.passed += 1;
                println!("ok   {name}");
            }
            Err(error) => {
                self.failed += 1;
                let reason: String = error.to_string().replace('\n', " ").chars().take(400).collect();
                println!("FAIL {name}: {reason}");
            }
        }
    }

    pub fn finish(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        ExitCode::from(u8::from(self.failed > 0))
    }
}

pub fn equal<T: PartialEq + Debug>(got: T, want: T, what: &str) -> Outcome {
    if got == want { Ok(()) } else { Err(format!("{what}: {got:?}, not {want:?}").into()) }
}

/// Metadata may lag behind an answer: tries until `condition` is true, within a bound.
pub fn eventually(what: &str, mut condition: impl FnMut() -> Outcome<bool>) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition()? {
        if Instant::now() > deadline {
            return Err(format!("not within 15 s: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
