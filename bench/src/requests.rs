//! Produce requests of one record each, made once and sent over and over on raw sockets: the broker's cost of a request,
//! with next to none on the client's side.

use crate::report::{Counted, Latencies, Report, Started};
use crate::wire::{self, Connection, decode, encode, take_frame};
use crate::{Common, Error, payload::Payload};
use bytes::{Bytes, BytesMut};
use leat_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use leat_protocol::messages::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use leat_protocol::records::{Builder, Compression};
use leat_protocol::wire::Records;
use leat_protocol::{ApiKey, Str};
use std::collections::VecDeque;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Versions that name topics by name and that every broker from 2.4 on has.
const PRODUCE_VERSION: i16 = 9;
const METADATA_VERSION: i16 = 9;
/// Where the correlation id lies in a frame: after its size, API and version.
const CORRELATION_AT: usize = 8;

/// What to send.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the help of the whole command")]
    pub common: Common,

    /// How many requests
    #[arg(short = 'n', long, default_value_t = 200_000)]
    pub records: u64,

    /// Bytes of each value
    #[arg(short, long, default_value_t = 100)]
    pub size: usize,

    /// Connections to share them
    #[arg(short, long, default_value_t = 4)]
    pub connections: u64,

    /// Requests without an answer on each connection
    #[arg(short, long, default_value_t = 64)]
    pub in_flight: usize,

    /// Whether to wait for all replicas (-1) or the leader alone (1)
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    pub acks: i16,
}

/// Sends, checks every answer, and reports.
pub async fn run(options: &Options) -> Result<Report, Error> {
    if options.acks == 0 {
        return Err(Error::Usage("--acks 0 has no answers to measure by: use 1 or -1".into()));
    }
    let partitions = partitions(&options.common).await?;
    let mut sockets = Vec::new();
    for _ in 0..options.connections.max(1) {
        sockets.push(wire::connect(&options.common.bootstrap_server).await?);
    }
    let started = Started::now(options.common.broker_pid)?;
    let each = options.records.div_ceil(sockets.len() as u64);
    let tasks: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(index, socket)| {
            let first = i32::try_from(index).unwrap_or(0) % partitions;
            tokio::spawn(drive(socket, options.clone(), each, first, partitions))
        })
        .collect();
    let mut total = Counted { latency: Some(Latencies::new()?), ..Counted::default() };
    for task in tasks {
        let counted = task.await.map_err(|error| Error::Usage(format!("a connection's task ended: {error}")))??;
        total.records += counted.records;
        total.bytes += counted.bytes;
        total.failed += counted.failed;
        total.first_error = total.first_error.or(counted.first_error);
        if let (Some(all), Some(latency)) = (&mut total.latency, &counted.latency) {
            all.merge(latency);
        }
    }
    started.end("requests", total)
}

/// One connection: keeps `in_flight` requests on their way until `count` are answered.
async fn drive(
    mut socket: TcpStream,
    options: Options,
    count: u64,
    first: i32,
    partitions: i32,
) -> Result<Counted, Error> {
    let frames =
        (0..partitions).map(|index| frame(&options, (first + index) % partitions)).collect::<Result<Vec<_>, _>>()?;
    let mut counted = Counted { latency: Some(Latencies::new()?), ..Counted::default() };
    let mut sent: VecDeque<Instant> = VecDeque::with_capacity(options.in_flight);
    let (mut next, mut out, mut received) = (0u64, BytesMut::new(), BytesMut::with_capacity(64 << 10));
    while counted.records + counted.failed < count {
        while next < count && sent.len() < options.in_flight.max(1) {
            let frame = &frames[(next % frames.len() as u64) as usize];
            let at = out.len();
            out.extend_from_slice(frame);
            out[at + CORRELATION_AT..at + CORRELATION_AT + 4].copy_from_slice(&(next as u32).to_be_bytes());
            sent.push_back(Instant::now());
            next += 1;
        }
        if !out.is_empty() {
            socket.write_all(&out).await.map_err(Error::io("sending requests"))?;
            out.clear();
        }
        if socket.read_buf(&mut received).await.map_err(Error::io("reading answers"))? == 0 {
            return Err(Error::Broker("the broker closed the connection".into()));
        }
        while let Some(body) = take_frame(&mut received) {
            let start = sent.pop_front().ok_or_else(|| Error::Broker("an answer that nobody asked for".into()))?;
            match answer(body) {
                Ok(()) => {
                    counted.records += 1;
                    counted.bytes += options.size as u64;
                    if let Some(latency) = &mut counted.latency {
                        latency.record(start.elapsed());
                    }
                }
                Err(error) => counted.fail(error),
            }
        }
    }
    Ok(counted)
}

/// One request with one record for one partition.
fn frame(options: &Options, partition: i32) -> Result<Vec<u8>, Error> {
    let mut builder = Builder::new(Compression::None, None);
    builder.push(1_700_000_000_000, None, Some(&Payload::new(options.size).value()), &[]);
    let batch = builder.finish().map_err(|error| Error::Usage(error.to_string()))?;
    let request = ProduceRequest {
        acks: options.acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: Str::from(options.common.topic.as_str()),
            partition_data: vec![PartitionProduceData { index: partition, records: Some(Records::from(batch)) }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    encode(&request, PRODUCE_VERSION)
}

fn answer(body: Bytes) -> Result<(), Error> {
    let response: ProduceResponse = decode(body, ApiKey::Produce, PRODUCE_VERSION)?;
    for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
        if partition.error_code.is_err() {
            return Err(Error::Broker(format!("partition {}: {}", partition.index, partition.error_code.name())));
        }
    }
    Ok(())
}

/// How many partitions the topic has. Its leader must be the broker that is asked.
async fn partitions(common: &Common) -> Result<i32, Error> {
    let topic = MetadataRequestTopic { name: Some(Str::from(common.topic.as_str())), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let response = Connection::open(&common.bootstrap_server).await?.call(&request, METADATA_VERSION).await?;
    let found = response.topics.first().map_or(0, |topic| topic.partitions.len());
    match i32::try_from(found) {
        Ok(found) if found > 0 => Ok(found),
        _ => Err(Error::Broker(format!("topic {:?} does not exist", common.topic))),
    }
}
