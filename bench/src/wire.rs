//! Requests without the client library: a socket, frames, one request after the other.

use crate::Error;
use bytes::{Bytes, BytesMut};
use leat_protocol::header::{RequestHeader, ResponseHeader, encode_request};
use leat_protocol::messages::{Message, Request};
use leat_protocol::wire::{Part, Reader};
use leat_protocol::{ApiKey, Str};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to one broker.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    received: BytesMut,
}

impl Connection {
    /// Connects to the first of `HOST:PORT,...`.
    pub async fn open(bootstrap: &str) -> Result<Self, Error> {
        Ok(Self { socket: connect(bootstrap).await?, received: BytesMut::new() })
    }

    /// A request and its answer.
    pub async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Error> {
        self.socket.write_all(&encode(request, version)?).await.map_err(Error::io("sending a request"))?;
        loop {
            if let Some(body) = take_frame(&mut self.received) {
                return decode(body, R::KEY, version);
            }
            if self.socket.read_buf(&mut self.received).await.map_err(Error::io("reading an answer"))? == 0 {
                return Err(Error::Broker("the broker closed the connection".into()));
            }
        }
    }
}

pub(crate) async fn connect(bootstrap: &str) -> Result<TcpStream, Error> {
    let address = bootstrap.split(',').next().unwrap_or_default().trim();
    let socket = TcpStream::connect(address).await.map_err(Error::io(address))?;
    socket.set_nodelay(true).map_err(Error::io(address))?;
    Ok(socket)
}

pub(crate) fn encode<R: Request>(request: &R, version: i16) -> Result<Vec<u8>, Error> {
    let header = RequestHeader {
        api_key: R::KEY as i16,
        api_version: version,
        correlation_id: 0,
        client_id: Some(Str::from_static("leat-bench")),
    };
    let parts = encode_request(&header, request).map_err(|error| Error::Usage(error.to_string()))?;
    Ok(parts.iter().flat_map(|part| if let Part::Bytes(bytes) = part { &bytes[..] } else { &[] }).copied().collect())
}

/// A whole frame without its size, if there is one.
pub(crate) fn take_frame(received: &mut BytesMut) -> Option<Bytes> {
    let size = u32::from_be_bytes(*received.first_chunk()?) as usize;
    if received.len() < 4 + size {
        return None;
    }
    Some(received.split_to(4 + size).freeze().slice(4..))
}

pub(crate) fn decode<M: Message>(body: Bytes, api: ApiKey, version: i16) -> Result<M, Error> {
    let mut reader = Reader::new(body);
    let invalid = |error| Error::Broker(format!("an answer does not parse: {error}"));
    ResponseHeader::decode(&mut reader, api, version).map_err(invalid)?;
    M::decode(&mut reader, version).map_err(invalid)
}
