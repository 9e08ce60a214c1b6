//! A proxy in front of a single broker that breaks connections: before a request reaches the broker, or before its
//! answer reaches the client. Metadata answers name the proxy in the broker's place, so that clients stay behind it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf as _, Bytes, BytesMut};
use leat_client::Str;
use leat_protocol::header::{ResponseHeader, encode_response};
use leat_protocol::messages::MetadataResponse;
use leat_protocol::wire::{Part, Reader};
use leat_protocol::{ApiKey, Message as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// Versions by correlation id of the Metadata requests on their way.
type Asked = Arc<Mutex<HashMap<i32, i16>>>;

/// Which requests to break, every so many-th, and how many were broken.
#[derive(Debug)]
pub(crate) struct Faults {
    api: ApiKey,
    one_in: u64,
    seen: AtomicU64,
    pub(crate) broken: AtomicU64,
}

impl Faults {
    fn strikes(&self) -> bool {
        let strikes = (self.seen.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.one_in);
        self.broken.fetch_add(u64::from(strikes), Ordering::Relaxed);
        strikes
    }
}

/// Starts a proxy before `upstream`; returns its address.
pub(crate) async fn start(upstream: &str, api: ApiKey, one_in: u64) -> (String, Arc<Faults>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, broken) = (AtomicU64::new(0), AtomicU64::new(0));
    let faults = Arc::new(Faults { api, one_in, seen, broken });
    let (upstream, all) = (upstream.to_owned(), faults.clone());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&upstream).await else { continue };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let asked = Asked::default();
            let (asking, faults) = (asked.clone(), all.clone());
            tokio::spawn(async move {
                // Whichever side ends, both connections end with it.
                let going = requests(from_client, to_server, asking, &faults);
                let coming = responses(from_server, to_client, asked, address.port());
                tokio::select! {
                    _ = going => {}
                    _ = coming => {}
                }
            });
        }
    });
    (address.to_string(), faults)
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: Asked, faults: &Faults) -> io::Result<()> {
    loop {
        let frame = frame(&mut from).await?;
        let mut head = &frame[4..12];
        let (key, version, id) = (head.get_i16(), head.get_i16(), head.get_i32());
        if key == ApiKey::Metadata as i16 {
            asked.lock().await.insert(id, version);
        }
        let strikes = key == faults.api as i16 && faults.strikes();
        if strikes && faults.broken.load(Ordering::Relaxed).is_multiple_of(2) {
            return Ok(());
        }
        to.write_all(&frame).await?;
        if strikes {
            // The broker does what it was asked; nobody hears of it.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            return Ok(());
        }
    }
}

async fn responses(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: Asked, port: u16) -> io::Result<()> {
    loop {
        let frame = frame(&mut from).await?;
        let id = (&frame[4..8]).get_i32();
        let metadata = asked.lock().await.remove(&id);
        let out = metadata.map_or_else(|| frame.clone(), |version| redirected(&frame, version, id, port));
        to.write_all(&out).await?;
    }
}

/// A Metadata answer in which all brokers are this proxy.
fn redirected(frame: &Bytes, version: i16, id: i32, port: u16) -> Bytes {
    let mut reader = Reader::new(frame.slice(4..));
    ResponseHeader::decode(&mut reader, ApiKey::Metadata, version).unwrap();
    let mut response = MetadataResponse::decode(&mut reader, version).unwrap();
    for broker in &mut response.brokers {
        broker.host = Str::from_static("127.0.0.1");
        broker.port = i32::from(port);
    }
    let mut bytes = BytesMut::new();
    for part in encode_response(ApiKey::Metadata, version, id, &response).unwrap() {
        if let Part::Bytes(part) = part {
            bytes.extend_from_slice(&part);
        }
    }
    bytes.freeze()
}

/// One frame with its length.
async fn frame(from: &mut OwnedReadHalf) -> io::Result<Bytes> {
    let size = from.read_u32().await?;
    let mut bytes = BytesMut::zeroed(size as usize + 4);
    bytes[..4].copy_from_slice(&size.to_be_bytes());
    from.read_exact(&mut bytes[4..]).await?;
    Ok(bytes.freeze())
}
