//! Whether a broker serves, by its `/readyz`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A broker that does not answer by then is busy or hangs.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);
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
    match ask(port) {
        Ok(answer) => read(&answer),
        Err(error) => Readiness::Not(format!("HTTP: {error}")),
    }
}

fn ask(port: u16) -> std::io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

fn read(answer: &str) -> Readiness {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Readiness::Ready,
        _ => Readiness::Not(body.lines().next().unwrap_or("no answer").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_ready_and_another_says_why() {
        assert_eq!(read("HTTP/1.0 200 OK\r\na: b\r\n\r\nok\n"), Readiness::Ready);
        let not = |why: &str| Readiness::Not(why.to_owned());
        assert_eq!(read("HTTP/1.0 503 Service Unavailable\r\n\r\nit stops\nmore"), not("it stops"));
        assert_eq!(read(""), not("no answer"));
    }
}
