//! Decoding of each hot request and encoding of its answer.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use leat_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use leat_protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use leat_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use leat_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use leat_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use leat_protocol::messages::{Message, Request};
use leat_protocol::records::{Builder, Compression};
use leat_protocol::wire::{Reader, Records, Writer};
use leat_protocol::{Bytes, Str, Uuid};
use std::hint::black_box;

const TOPIC: Str = Str::from_static("flights");
const TOPIC_ID: Uuid = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);

fn encoded<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    let written = message.encode(&mut writer, version);
    assert!(written.is_ok(), "{written:?}");
    writer.finish_bytes().unwrap_or_default()
}

fn decode<R: Request>(c: &mut Criterion, name: &str, request: &R, version: i16) {
    let frame = encoded(request, version);
    c.bench_function(&format!("decode/{name} v{version}"), |b| {
        b.iter_batched(
            || Reader::new(frame.clone()),
            |mut reader| R::decode(black_box(&mut reader), version).map(drop),
            BatchSize::SmallInput,
        );
    });
}

fn encode<M: Message>(c: &mut Criterion, name: &str, message: &M, version: i16) {
    c.bench_function(&format!("encode/{name} v{version}"), |b| {
        b.iter(|| {
            let mut writer = Writer::new();
            black_box(message).encode(&mut writer, version).map(|()| writer.finish())
        });
    });
}

fn batch() -> Bytes {
    let mut builder = Builder::new(Compression::None, None);
    builder.push(0, None, Some(&[b'x'; 16 << 10]), &[]);
    builder.finish().unwrap_or_default()
}

fn requests(c: &mut Criterion) {
    let batch = batch();
    let produce = |partitions: i32| ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            topic_id: TOPIC_ID,
            name: TOPIC,
            partition_data: (0..partitions)
                .map(|index| PartitionProduceData { index, records: Some(Records::from(batch.clone())) })
                .collect(),
        }],
        ..ProduceRequest::default()
    };
    decode(c, "Produce, 1 partition", &produce(1), 13);
    decode(c, "Produce, 8 partitions", &produce(8), 13);
    decode(c, "Produce, 8 partitions", &produce(8), 7);

    let fetch = |partitions: i32| FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_id: 77,
        session_epoch: 4,
        topics: vec![FetchTopic {
            topic: TOPIC,
            topic_id: TOPIC_ID,
            partitions: (0..partitions)
                .map(|partition| FetchPartition {
                    partition,
                    current_leader_epoch: 3,
                    fetch_offset: 1 << 40,
                    partition_max_bytes: 1 << 20,
                    ..FetchPartition::default()
                })
                .collect(),
        }],
        ..FetchRequest::default()
    };
    let nothing_new = FetchRequest { topics: Vec::new(), ..fetch(0) };
    decode(c, "Fetch, session without changes", &nothing_new, 18);
    decode(c, "Fetch, 8 partitions", &fetch(8), 18);
    decode(c, "Fetch, 100 partitions", &fetch(100), 18);
    decode(c, "Fetch, 100 partitions", &fetch(100), 11);

    let list_offsets = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: TOPIC,
            partitions: (0..8)
                .map(|partition_index| ListOffsetsPartition { partition_index, timestamp: -1, ..Default::default() })
                .collect(),
        }],
        ..ListOffsetsRequest::default()
    };
    decode(c, "ListOffsets, 8 partitions", &list_offsets, 10);
    let metadata = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(TOPIC), ..Default::default() }]),
        ..MetadataRequest::default()
    };
    decode(c, "Metadata, 1 topic", &metadata, 13);
}

fn responses(c: &mut Criterion) {
    let produce = ProduceResponse {
        responses: vec![TopicProduceResponse {
            topic_id: TOPIC_ID,
            name: TOPIC,
            partition_responses: (0..8)
                .map(|index| PartitionProduceResponse { index, base_offset: 1 << 40, ..Default::default() })
                .collect(),
        }],
        ..ProduceResponse::default()
    };
    encode(c, "Produce, 8 partitions", &produce, 13);

    let batch = batch();
    let fetch = FetchResponse {
        session_id: 77,
        responses: vec![FetchableTopicResponse {
            topic: TOPIC,
            topic_id: TOPIC_ID,
            partitions: (0..8)
                .map(|partition_index| PartitionData {
                    partition_index,
                    high_watermark: 1 << 40,
                    records: Some(Records::from(batch.clone())),
                    ..PartitionData::default()
                })
                .collect(),
        }],
        ..FetchResponse::default()
    };
    encode(c, "Fetch, 8 partitions", &fetch, 18);
}

criterion_group!(benches, requests, responses);
criterion_main!(benches);
