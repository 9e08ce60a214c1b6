//! Whether a broker serves, by its `/readyz`.

use super::http;

const ANSWER_BYTES_MAX: u64 = 4096;

/// What a broker says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Why not.
    Not(String),
}

/// Asks a broker on this machine.
pub(crate) fn readiness(port: u16) -> Readiness {
    let lines = http::get(port, "/readyz", ANSWER_BYTES_MAX).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match lines {
        Ok(lines) => read(&lines),
        Err(error) => Readiness::Not(format!("HTTP: {error}")),
    }
}

fn read(answer: &[String]) -> Readiness {
    let status = answer.first().and_then(|line| line.split(' ').nth(1));
    if status == Some("200") {
        return Readiness::Ready;
    }
    let mut body = answer.iter().skip_while(|line| !line.is_empty()).skip(1);
    Readiness::Not(body.next().map_or("no answer", String::as_str).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_ready_and_another_says_why() {
        let answer = |text: &str| read(&text.lines().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(answer("HTTP/1.0 200 OK\r\na: b\r\n\r\nok\n"), Readiness::Ready);
        let not = |why: &str| Readiness::Not(why.to_owned());
        assert_eq!(answer("HTTP/1.0 503 Service Unavailable\r\n\r\nit stops\nmore"), not("it stops"));
        assert_eq!(answer(""), not("no answer"));
    }
}
