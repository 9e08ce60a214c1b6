//! Topics, and one partition of one as most tests use it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{process, thread};

use leat_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use leat_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use leat_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use leat_protocol::messages::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest, DeleteTopicsRequest,
    MetadataRequest, MetadataRequestTopic, MetadataResponseTopic,
};
use leat_protocol::{Bytes, ErrorCode, Records, Str, Uuid};

use super::{Connection, Target, target};

/// A name that no other test uses.
pub(crate) fn unique(stem: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{}-{count}", process::id())
}

pub(crate) fn create_topic(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> CreatableTopicResult {
    // Records that a test dates to 1970 are not retention's to delete, unless it says so.
    let says = configs.iter().any(|(name, _)| *name == "retention.ms");
    let configs = configs.iter().copied().chain((!says).then_some(("retention.ms", "-1")));
    let configs = configs.map(|(name, value)| CreatableTopicConfig { name: name.into(), value: Some(value.into()) });
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: -1,
        configs: configs.collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    connection.call(7, &request).topics.remove(0)
}

pub(crate) fn delete_topic(connection: &mut Connection, name: &str) -> ErrorCode {
    let request =
        DeleteTopicsRequest { topic_names: vec![name.into()], timeout_ms: 10_000, ..DeleteTopicsRequest::default() };
    connection.call(5, &request).responses[0].error_code
}

/// What Metadata says of a topic, without making it.
pub(crate) fn describe_topic(connection: &mut Connection, name: &str) -> MetadataResponseTopic {
    let topic = MetadataRequestTopic { name: Some(name.into()), topic_id: Uuid::nil() };
    let request =
        MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..MetadataRequest::default() };
    connection.call(12, &request).topics.remove(0)
}

pub(crate) fn topic_id(connection: &mut Connection, name: &str) -> Uuid {
    describe_topic(connection, name).topic_id
}

/// Partition 0 of a topic of its own.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) topic: String,
    pub(crate) connection: Connection,
}

impl Partition {
    /// A new topic with one partition on the broker that all tests share.
    pub(crate) fn new(stem: &str) -> Self {
        Self::with(target(), stem, &[])
    }

    pub(crate) fn with(target: &Target, stem: &str, configs: &[(&str, &str)]) -> Self {
        let mut connection = target.connect();
        let topic = unique(stem);
        let made = create_topic(&mut connection, &topic, 1, configs);
        assert_eq!(made.error_code, ErrorCode::NONE, "{:?}", made.error_message);
        let mut partition = Self { topic, connection };
        partition.wait_for_leader();
        partition
    }

    /// A broker may answer that it made a topic before its partitions are served.
    fn wait_for_leader(&mut self) {
        for _ in 0..500 {
            if self.offset_for(-1).error_code == ErrorCode::NONE {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{} has no leader after 5 s", self.topic);
    }

    /// A second connection.
    pub(crate) fn beside(&self, target: &Target) -> Self {
        Self { topic: self.topic.clone(), connection: target.connect() }
    }

    /// Produces with acks=all.
    pub(crate) fn produce(&mut self, records: impl Into<Bytes>) -> PartitionProduceResponse {
        let request = self.produce_request(-1, records);
        let mut response = self.connection.call(9, &request);
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// The same where nothing may go wrong: the base offset.
    pub(crate) fn append(&mut self, records: impl Into<Bytes>) -> i64 {
        let answer = self.produce(records);
        assert_eq!(answer.error_code, ErrorCode::NONE, "{:?}", answer.error_message);
        answer.base_offset
    }

    pub(crate) fn produce_request(&self, acks: i16, records: impl Into<Bytes>) -> ProduceRequest {
        let data = PartitionProduceData { index: 0, records: Some(Records::from(records.into())) };
        let topic =
            TopicProduceData { name: self.topic.as_str().into(), topic_id: Uuid::nil(), partition_data: vec![data] };
        ProduceRequest { transactional_id: None, acks, timeout_ms: 10_000, topic_data: vec![topic] }
    }

    pub(crate) fn fetch_request(&self, offset: i64) -> FetchRequest {
        let partition = FetchPartition {
            partition: 0,
            fetch_offset: offset,
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        };
        let topic =
            FetchTopic { topic: Str::from(self.topic.as_str()), topic_id: Uuid::nil(), partitions: vec![partition] };
        FetchRequest { max_wait_ms: 500, min_bytes: 1, topics: vec![topic], ..FetchRequest::default() }
    }

    /// Fetches from an offset.
    pub(crate) fn fetch(&mut self, offset: i64) -> PartitionData {
        let request = self.fetch_request(offset);
        self.call_fetch(&request)
    }

    pub(crate) fn call_fetch(&mut self, request: &FetchRequest) -> PartitionData {
        let mut response = self.connection.call(12, request);
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.responses.remove(0).partitions.remove(0)
    }

    /// Fetches from an offset: offsets and values of what is there.
    pub(crate) fn read(&mut self, offset: i64) -> Vec<(i64, String)> {
        let data = self.fetch(offset);
        assert_eq!(data.error_code, ErrorCode::NONE);
        super::values(&bytes_of(&data))
    }

    pub(crate) fn offset_for(&mut self, timestamp: i64) -> ListOffsetsPartitionResponse {
        self.offset_for_in(10, timestamp)
    }

    pub(crate) fn offset_for_in(&mut self, version: i16, timestamp: i64) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp };
        let topic = ListOffsetsTopic { name: self.topic.as_str().into(), partitions: vec![partition] };
        let request =
            ListOffsetsRequest { replica_id: -1, isolation_level: 0, topics: vec![topic], timeout_ms: 10_000 };
        self.connection.call(version, &request).topics.remove(0).partitions.remove(0)
    }
}

/// The records in a fetch response.
pub(crate) fn bytes_of(data: &PartitionData) -> Bytes {
    data.records.as_ref().and_then(Records::bytes).cloned().unwrap_or_default()
}
