//! What brokers send each other, as prost messages. Tags are a wire format between releases: a tag is never given a new
//! meaning, and a removed one stays reserved.
//!
//! ```text
//! frame   length u32 | head length u32 | head: `Frame` | payload
//! ```
//! Lengths are big-endian; the first counts everything after itself. The payload is the entries of a Raft message, back to
//! back and byte for byte as they are in the log: they are never copied into the head.

use bytes::Bytes;
use leat_protocol::Uuid;
use leat_storage::GroupId;
use prost::Message;

/// The release's number of this protocol. Another major one is refused with a reason.
pub(crate) const VERSION: u32 = 1;

/// The first frame of whoever connects.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    /// Empty while the node is in no cluster.
    #[prost(string, tag = "2")]
    pub(crate) cluster_id: String,
    #[prost(int32, tag = "3")]
    pub(crate) node_id: i32,
    /// Drawn at each start of the process.
    #[prost(uint64, tag = "4")]
    pub(crate) incarnation: u64,
    /// What the connection is for; see [`Purpose`].
    #[prost(uint32, tag = "5")]
    pub(crate) purpose: u32,
    /// The shard that sends, where it is for replication.
    #[prost(uint32, tag = "6")]
    pub(crate) shard: u32,
    /// Drawn for this connection.
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) nonce: Bytes,
    /// Where the node can be reached by brokers; empty where it is not said.
    #[prost(string, tag = "8")]
    pub(crate) address: String,
}

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To learn of the cluster; it ends after the answer.
    Ask,
    /// Liveness, leaders, forwarded changes.
    Control,
    /// Raft messages of one shard.
    Replication,
    /// A log as a whole, to one replica that entries can't serve.
    Seed,
}

/// In place of the data folder of a node that was taken out of the cluster.
pub(super) const TAKEN_OUT: Uuid = Uuid::nil();

/// The answer to [`Hello`].
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Welcome {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    /// Empty while the node is in no cluster.
    #[prost(string, tag = "2")]
    pub(crate) cluster_id: String,
    #[prost(int32, tag = "3")]
    pub(crate) node_id: i32,
    #[prost(uint64, tag = "4")]
    pub(crate) incarnation: u64,
    /// The metadata group's first voters.
    #[prost(message, repeated, tag = "5")]
    pub(crate) founders: Vec<Founder>,
    /// The data folder that the asking node's number is registered with: 16 bytes, or none; [`TAKEN_OUT`] where it is not to be used.
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) registered: Vec<u8>,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) nonce: Bytes,
    /// Shows that this side knows the secret.
    #[prost(bytes = "bytes", tag = "8")]
    pub(crate) proof: Bytes,
    /// Why the connection is refused; empty where it is not.
    #[prost(string, tag = "9")]
    pub(crate) refusal: String,
}

/// The third frame: shows that whoever connected knows the secret.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Proof {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) proof: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Founder {
    #[prost(int32, tag = "1")]
    pub(crate) node_id: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) replica_id: u64,
    #[prost(string, tag = "3")]
    pub(crate) address: String,
}

/// Everything after the handshake.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Frame {
    /// `None` is a kind that this release does not know, and is passed over.
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    pub(crate) body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Body {
    #[prost(message, tag = "1")]
    Raft(Raft),
    #[prost(message, tag = "2")]
    Ping(Ping),
    #[prost(message, tag = "3")]
    Leaders(Leaders),
    #[prost(message, tag = "4")]
    Call(Call),
    #[prost(message, tag = "5")]
    Reply(Reply),
    #[prost(message, tag = "6")]
    Lacking(Lacking),
    #[prost(message, tag = "7")]
    AskSeed(Group),
    #[prost(message, tag = "8")]
    Outline(Outline),
    #[prost(message, tag = "9")]
    Piece(Piece),
    #[prost(message, tag = "10")]
    Whole(Whole),
    #[prost(message, tag = "11")]
    Watermarks(Watermarks),
}

/// How far the pipelines' source partitions are that the sender leads.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Watermarks {
    #[prost(message, repeated, tag = "1")]
    pub(crate) marks: Vec<Watermark>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Watermark {
    #[prost(uint64, tag = "1")]
    pub(crate) pipeline: u64,
    #[prost(int32, tag = "2")]
    pub(crate) partition: i32,
    #[prost(sint64, tag = "3")]
    pub(crate) watermark: i64,
    /// Milliseconds since its last record came.
    #[prost(uint64, tag = "4")]
    pub(crate) quiet_ms: u64,
}

/// A partition's Raft group.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Group {
    #[prost(fixed64, tag = "1")]
    pub(crate) topic_high: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) topic_low: u64,
    #[prost(int32, tag = "3")]
    pub(crate) partition: i32,
}

/// The sender leads the group, and the receiver lacks entries that it no longer has.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Lacking {
    #[prost(message, optional, tag = "1")]
    pub(crate) group: Option<Group>,
    /// The first entry that it has.
    #[prost(uint64, tag = "2")]
    pub(crate) first_index: u64,
}

/// What a seed is; pieces of its segments follow, in order.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Outline {
    /// Why there is none; empty where there is.
    #[prost(string, tag = "1")]
    pub(crate) refusal: String,
    #[prost(uint64, tag = "2")]
    pub(crate) first_index: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) previous_term: u64,
    #[prost(int64, tag = "4")]
    pub(crate) clean_end: i64,
    /// The checkpoint file of the last entry.
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) checkpoint: Bytes,
}

/// The next bytes of a segment's log are the payload.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Piece {
    #[prost(int64, tag = "1")]
    pub(crate) base_offset: i64,
    #[prost(uint32, tag = "2")]
    pub(crate) position: u32,
}

/// All pieces were sent.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Whole {}

/// The sender lives.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Ping {
    /// Its disk takes no writes, so it should lead nothing.
    #[prost(bool, tag = "1")]
    pub(crate) stuck: bool,
}

/// A message of a partition's Raft group.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Raft {
    #[prost(fixed64, tag = "1")]
    pub(crate) topic_high: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) topic_low: u64,
    #[prost(int32, tag = "3")]
    pub(crate) partition: i32,
    /// Raft's number of the message type.
    #[prost(int32, tag = "4")]
    pub(crate) kind: i32,
    #[prost(uint64, tag = "5")]
    pub(crate) to: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) from: u64,
    #[prost(uint64, tag = "7")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "8")]
    pub(crate) log_term: u64,
    #[prost(uint64, tag = "9")]
    pub(crate) index: u64,
    #[prost(uint64, tag = "10")]
    pub(crate) commit: u64,
    #[prost(uint64, tag = "11")]
    pub(crate) commit_term: u64,
    #[prost(bool, tag = "12")]
    pub(crate) reject: bool,
    #[prost(uint64, tag = "13")]
    pub(crate) reject_hint: u64,
    #[prost(bytes = "bytes", tag = "14")]
    pub(crate) context: Bytes,
    /// In order; the first has the index after `index`.
    #[prost(message, repeated, tag = "15")]
    pub(crate) entries: Vec<EntryHead>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct EntryHead {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    /// Raft's number of the entry type.
    #[prost(int32, tag = "2")]
    pub(crate) kind: i32,
    /// Bytes in the payload.
    #[prost(uint32, tag = "3")]
    pub(crate) len: u32,
}

/// What the sender observes of partitions that it leads.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Leaders {
    #[prost(message, repeated, tag = "1")]
    pub(crate) leaders: Vec<Leader>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Leader {
    #[prost(fixed64, tag = "1")]
    pub(crate) topic_high: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) topic_low: u64,
    #[prost(int32, tag = "3")]
    pub(crate) partition: i32,
    #[prost(int32, tag = "4")]
    pub(crate) epoch: i32,
    /// Nodes in sync, the leader among them.
    #[prost(int32, repeated, tag = "5")]
    pub(crate) in_sync: Vec<i32>,
}

/// Something that only a leader can do: that of the metadata group, or of a partition.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Call {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(oneof = "Asked", tags = "2, 3, 4, 5, 6, 7, 8")]
    pub(crate) asked: Option<Asked>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Asked {
    /// To have records decided: an encoded batch of them.
    #[prost(bytes = "bytes", tag = "2")]
    Decide(Bytes),
    /// Up to where the metadata log is decided.
    #[prost(message, tag = "3")]
    Decided(Decided),
    /// To hand a partition over to its preferred leader.
    #[prost(message, tag = "4")]
    Prefer(Group),
    /// To take a new node in; the answer's index is that of its replica of the metadata.
    #[prost(message, tag = "5")]
    Join(Join),
    /// To append a pipeline's emissions to a partition that is led there.
    #[prost(message, tag = "6")]
    Emit(Emit),
    /// To commit a punctuation to a partition that is led there.
    #[prost(message, tag = "7")]
    Advance(AdvanceTo),
    /// For the metadata's leader and replicas; the answer's body is Kafka's response in its newest version.
    #[prost(message, tag = "8")]
    DescribeQuorum(DescribeQuorum),
}

/// A pipeline's watermark of a partition, or that of every pipeline, moves on to this.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct AdvanceTo {
    #[prost(message, optional, tag = "1")]
    pub(crate) group: Option<Group>,
    #[prost(sint64, tag = "2")]
    pub(crate) watermark: i64,
    /// 0 is every one.
    #[prost(uint64, tag = "3")]
    pub(crate) pipeline: u64,
}

/// A batch of records that a pipeline has numbered. The reply's index is 0 where it was taken, otherwise one more than the number
/// that the partition expects next.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Emit {
    #[prost(message, optional, tag = "1")]
    pub(crate) group: Option<Group>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) batch: Bytes,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Decided {}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct DescribeQuorum {}

/// The sender is new in the cluster.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Join {
    #[prost(int32, tag = "1")]
    pub(crate) node_id: i32,
    /// The id of its data folder: 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) folder: Vec<u8>,
    /// Where it can be reached by brokers.
    #[prost(string, tag = "3")]
    pub(crate) address: String,
}

impl From<GroupId> for Group {
    fn from(group: GroupId) -> Group {
        let (topic_high, topic_low) = group.topic_id.as_u64_pair();
        Group { topic_high, topic_low, partition: group.partition }
    }
}

impl From<Group> for GroupId {
    fn from(group: Group) -> GroupId {
        GroupId { topic_id: Uuid::from_u64_pair(group.topic_high, group.topic_low), partition: group.partition }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reply {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    /// The metadata entry up to which the asking node has to apply.
    #[prost(uint64, tag = "2")]
    pub(crate) index: u64,
    /// The protocol's error code; 0 is success.
    #[prost(int32, tag = "3")]
    pub(crate) error_code: i32,
    #[prost(string, tag = "4")]
    pub(crate) reason: String,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) body: Bytes,
}

impl Purpose {
    pub(crate) fn from_wire(number: u32) -> Option<Purpose> {
        let all = [Purpose::Ask, Purpose::Control, Purpose::Replication, Purpose::Seed];
        all.into_iter().find(|purpose| purpose.to_wire() == number)
    }

    pub(crate) fn to_wire(self) -> u32 {
        match self {
            Purpose::Ask => 1,
            Purpose::Control => 2,
            Purpose::Replication => 3,
            Purpose::Seed => 4,
        }
    }
}
