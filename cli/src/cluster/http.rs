//! What a broker on this machine tells by HTTP.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A broker that does not answer by then is busy or hangs.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);

/// The lines of an answer, head and all, up to so many bytes.
pub(super) fn get(port: u16, path: &str, bytes_max: u64) -> std::io::Result<Lines<impl BufRead>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    Ok(BufReader::new(stream.take(bytes_max)).lines())
}
