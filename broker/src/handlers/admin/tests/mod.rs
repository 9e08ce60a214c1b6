//! The admin APIs against expected answers. What is expected in doubtful cases is what Kafka 4.3.1 answered.

mod configs;
mod describe;
mod partitions;
mod topics;

use leat_protocol::messages::describe_producers::ProducerState;
use leat_protocol::{ErrorCode, Uuid};

use super::{Finish, Leadership, LogFolder, LogSize, Node, PartitionInfo, Plan, View};
use crate::config::Config;
use crate::metadata::record::{BrokerRegistered, Kind};
use crate::metadata::{Image, Topic};

/// A cluster of some brokers, numbered from 0.
struct Cluster {
    image: Image,
    config: Config,
    nodes: Vec<Node>,
    ids: u128,
}

impl Cluster {
    fn of(brokers: i32) -> Self {
        let mut image = Image::default();
        for node_id in 0..brokers {
            let record = BrokerRegistered { node_id, listeners: vec![], rack: None, ..BrokerRegistered::default() };
            image.apply(&Kind::BrokerRegistered(record).into()).expect("registered");
        }
        let nodes = (0..brokers).map(|id| Node { id, host: "h".into(), port: 9092 + id, rack: None });
        Self { image, config: Config::default(), nodes: nodes.collect(), ids: 0 }
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        self.config = Config::load(None, [], &[(key.to_owned(), value.to_owned())]).expect("a configuration");
        self
    }

    /// Applies what is planned and finishes the answer.
    fn apply<R: Finish>(&mut self, plan: Plan<R>) -> R {
        let outcomes: Vec<_> = plan.records.iter().map(|record| self.image.apply(record)).collect();
        self.config = self.config.with_dynamic(
            self.image.cluster_configs().iter().map(|(key, value)| (key.as_str(), value.as_str())),
            self.image.broker_configs(0).into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())),
        );
        plan.finish(&outcomes)
    }

    fn view(&self) -> View<'_> {
        View {
            image: &self.image,
            config: &self.config,
            cluster_id: "cluster",
            node_id: 0,
            controller_id: 0,
            nodes: &self.nodes,
            partitions: &Observed,
            throttle_time_ms: 7,
        }
    }

    fn create(
        &mut self,
        request: &leat_protocol::messages::CreateTopicsRequest,
    ) -> leat_protocol::messages::CreateTopicsResponse {
        let ids = &mut self.ids;
        let mut draw = || {
            *ids += 1;
            Uuid::from_u128(*ids)
        };
        let plan = super::create_topics::plan(&self.image, &self.config, request, &mut draw);
        self.apply(plan)
    }

    /// Creates a topic that must be fine.
    fn with_topic(mut self, name: &str, partitions: i32) -> Self {
        let response = self.create(&topics::request(vec![topics::topic(name, partitions, 1)]));
        assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
        self
    }

    fn id_of(&self, name: &str) -> Uuid {
        self.image.topic(name).expect("a topic").id
    }
}

/// Partition 3 of any topic has no leader; partition 0 remembers one producer.
struct Observed;

impl PartitionInfo for Observed {
    fn leadership(&self, topic: &Topic, partition: i32) -> Option<Leadership> {
        let nodes = topic.partition(partition)?.nodes();
        (partition != 3).then(|| Leadership { leader_id: nodes[0], leader_epoch: 5, isr: nodes, offline: vec![] })
    }

    fn log_size(&self, _: &Topic, partition: i32) -> Option<LogSize> {
        Some(LogSize { bytes: 100 + i64::from(partition), offset_lag: 0 })
    }

    fn log_folder(&self) -> LogFolder {
        LogFolder { path: "/data".into(), total_bytes: 10, usable_bytes: 4, error: ErrorCode::NONE }
    }

    fn producers(&self, _: Uuid, partition: i32) -> Result<Vec<ProducerState>, ErrorCode> {
        match partition {
            0 => Ok(vec![ProducerState { producer_id: 9, ..ProducerState::default() }]),
            _ => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        }
    }
}
