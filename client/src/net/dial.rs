//! Makes a connection: TCP, then ApiVersions, falling back to v0 where the broker knows none newer (KIP-511).

use std::sync::Arc;

use leat_protocol::header::{self, RequestHeader, ResponseHeader};
use leat_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, Message as _};
use leat_protocol::wire::{Part, Reader};
use leat_protocol::{ApiKey, ErrorCode, Str};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::frames::Frames;
use super::{Connection, Versions};
use crate::Error;
use crate::config::CommonConfig;

/// Connects to `host:port` within `socket.connection.setup.timeout.ms` and `request.timeout.ms`.
pub(crate) async fn dial(address: &str, config: &CommonConfig) -> Result<Arc<Connection>, Error> {
    let gone = |reason: String| Error::Connection { address: address.to_owned(), reason };
    let stream = timeout(config.connection_setup_timeout, connect(address, config))
        .await
        .map_err(|_| gone("no connection within socket.connection.setup.timeout.ms".to_owned()))?
        .map_err(|error| gone(error.to_string()))?;
    stream.set_nodelay(true).map_err(|error| gone(error.to_string()))?;
    let mut handshake = Handshake { stream, frames: Frames::default(), address, client_id: client_id(config) };
    let versions = timeout(config.request_timeout, handshake.versions())
        .await
        .map_err(|_| gone("no answer to ApiVersions within request.timeout.ms".to_owned()))??;
    let Handshake { stream, frames, client_id, .. } = handshake;
    tracing::debug!(address, "connected");
    Ok(Connection::start(stream, frames, address.into(), versions, client_id, config.connections_max_idle))
}

fn client_id(config: &CommonConfig) -> Option<Str> {
    let id = config.client_id.as_str();
    Some(if id.is_empty() { Str::from_static("leat") } else { Str::from(id) })
}

async fn connect(address: &str, config: &CommonConfig) -> std::io::Result<TcpStream> {
    if config.send_buffer_bytes < 0 && config.receive_buffer_bytes < 0 {
        return TcpStream::connect(address).await;
    }
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for resolved in tokio::net::lookup_host(address).await? {
        let socket = if resolved.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Ok(bytes) = u32::try_from(config.send_buffer_bytes) {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Ok(bytes) = u32::try_from(config.receive_buffer_bytes) {
            socket.set_recv_buffer_size(bytes)?;
        }
        match socket.connect(resolved).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

struct Handshake<'a> {
    stream: TcpStream,
    frames: Frames,
    address: &'a str,
    client_id: Option<Str>,
}

impl Handshake<'_> {
    /// Asks in our newest version; a broker that does not know it answers error 35 in v0, with its own range.
    async fn versions(&mut self) -> Result<Versions, Error> {
        let newest = ApiKey::ApiVersions.versions().max;
        let (first, mut versions) = self.ask(newest).await?;
        let mut code = first;
        if code == ErrorCode::UNSUPPORTED_VERSION {
            let theirs = versions.range(ApiKey::ApiVersions).map_or(0, |(_, theirs)| theirs.clamp(0, newest - 1));
            (code, versions) = self.ask(theirs).await?;
            if code == ErrorCode::UNSUPPORTED_VERSION && theirs > 0 {
                (code, versions) = self.ask(0).await?;
            }
        }
        Error::check(code, None, || format!("ApiVersions of broker {}", self.address))?;
        Ok(versions)
    }

    async fn ask(&mut self, version: i16) -> Result<(ErrorCode, Versions), Error> {
        let wrong = |error| Error::corrupt(format!("ApiVersions v{version} answer of broker {}", self.address), error);
        let request = ApiVersionsRequest {
            client_software_name: Str::from_static("leat"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
        };
        let header = RequestHeader {
            api_key: ApiKey::ApiVersions as i16,
            api_version: version,
            correlation_id: 0,
            client_id: self.client_id.clone(),
        };
        let parts = header::encode_request(&header, &request).map_err(wrong)?;
        let gone = |reason: String| Error::Connection { address: self.address.to_owned(), reason };
        for part in parts {
            if let Part::Bytes(bytes) = part {
                self.stream.write_all(&bytes).await.map_err(|error| gone(error.to_string()))?;
            }
        }
        let frame = self.frames.next(&mut self.stream, self.address).await?;
        let frame = frame.ok_or_else(|| gone("closed the connection when asked for its versions".to_owned()))?;

        let mut reader = Reader::new(frame.clone());
        ResponseHeader::decode(&mut reader, ApiKey::ApiVersions, version).map_err(wrong)?;
        // The error code comes first in every version, and with error 35 the rest is v0.
        let refused = frame.get(4..6) == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes()[..]);
        let layout = if refused { 0 } else { version };
        let response = ApiVersionsResponse::decode(&mut reader, layout).map_err(wrong)?;
        let ranges = response.api_keys.iter().map(|row| (row.api_key, row.min_version, row.max_version));
        Ok((response.error_code, Versions::new(ranges)))
    }
}
