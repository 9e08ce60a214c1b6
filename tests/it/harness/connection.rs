//! A connection that sends any bytes and reads frames back; requests and responses are leat-protocol's.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use leat_protocol::header::{RequestHeader, ResponseHeader, encode_request};
use leat_protocol::wire::{Part, Reader};
use leat_protocol::{Bytes, Message, Request, Str};

/// Longer than any answer takes, shorter than patience.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the broker accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, correlation_id: 0 }
    }

    /// The same connection, for another thread.
    pub(crate) fn split(&self) -> Self {
        let stream = self.stream.try_clone().expect("a second handle");
        Self { stream, correlation_id: self.correlation_id }
    }

    /// A request and its response.
    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version)
    }

    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let frame = frame(version, self.correlation_id, request);
        self.send_bytes(&frame);
    }

    /// The response to the last request sent, or to the one of this many before it.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        self.receive_earlier::<R>(version, 0)
    }

    pub(crate) fn receive_earlier<R: Request>(&mut self, version: i16, before: i32) -> R::Response {
        self.receive_numbered::<R>(version, self.correlation_id - before)
    }

    /// The response that must be next: the one to the request with this correlation id.
    pub(crate) fn receive_numbered<R: Request>(&mut self, version: i16, correlation_id: i32) -> R::Response {
        let frame = self.receive_frame().expect("an answer, not a closed connection");
        let mut reader = Reader::new(frame);
        let header = ResponseHeader::decode(&mut reader, R::KEY, version).expect("a response header");
        assert_eq!(header.correlation_id, correlation_id, "answers come in order");
        let response = <R::Response as Message>::decode(&mut reader, version).expect("a response");
        reader.expect_end().expect("nothing after the response");
        response
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// The same where the broker may have closed the connection already.
    pub(crate) fn try_send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends no more.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// What stands in the next frame; `None` once the broker has closed the connection.
    pub(crate) fn receive_frame(&mut self) -> Option<Bytes> {
        let mut size = [0; 4];
        if !self.read(&mut size) {
            return None;
        }
        let size = usize::try_from(i32::from_be_bytes(size)).expect("a size that is not negative");
        let mut frame = vec![0; size];
        assert!(self.read(&mut frame), "the connection was closed inside a response");
        Some(frame.into())
    }

    /// Panics if the broker answers instead of closing the connection.
    pub(crate) fn expect_closed(&mut self) {
        if let Some(frame) = self.receive_frame() {
            panic!("an answer of {} bytes where the connection had to be closed", frame.len());
        }
    }

    /// False if the connection was closed before the first byte.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return false,
                Ok(0) => panic!("the connection was closed inside a frame"),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no answer: {error}"),
            }
        }
        true
    }
}

/// A whole frame, size included.
pub(crate) fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Vec<u8> {
    let header = RequestHeader {
        api_key: R::KEY as i16,
        api_version: version,
        correlation_id,
        client_id: Some(Str::from_static("leat-tests")),
    };
    let parts = encode_request(&header, request).expect("a request that its version can say");
    let mut frame = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) => frame.extend_from_slice(&bytes),
            Part::External { .. } => unreachable!("requests have no file parts"),
        }
    }
    frame
}
