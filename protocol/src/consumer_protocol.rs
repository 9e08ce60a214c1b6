//! What the members of a group of consumers tell each other through the coordinator, which does not look inside:
//! subscriptions, by JoinGroup, and assignments, by SyncGroup. Each stands behind its version.
//!
//! Source: `ConsumerProtocolSubscription.json` and `ConsumerProtocolAssignment.json` of Apache Kafka 4.3.1; KIP-429
//! (owned partitions), KIP-792 (generation), KIP-881 (rack).

messages! {
    versions 0-3, flexible never;

    /// What a member wants to read, and what it reads now.
    blob ConsumerProtocolSubscription {
        [0+] topics: Vec<Str>,
        /// The assignor's own.
        [0+] user_data: Option<Bytes>,
        /// What the member has not given up.
        [1+] owned_partitions: Vec<ConsumerProtocolTopicPartitions>,
        /// The generation in which it got them, or -1.
        [2+] generation_id: i32 = -1,
        [3+] rack_id: Option<Str>,
    }

    /// What a member is to read.
    blob ConsumerProtocolAssignment {
        [0+] assigned_partitions: Vec<ConsumerProtocolTopicPartitions>,
        /// The assignor's own.
        [0+] user_data: Option<Bytes>,
    }

    /// Partitions of one topic.
    struct ConsumerProtocolTopicPartitions {
        [0+] topic: Str,
        [0+] partitions: Vec<i32>,
    }
}

/// Reads a blob behind its version. One from a newer member is read as the newest that is known, as all versions begin
/// alike; what follows is left alone.
pub fn read<B: Blob>(bytes: Bytes) -> Result<B, Error> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?;
    B::decode(&mut r, version.min(B::VERSIONS.max))
}

/// The bytes of a blob, its version in front.
pub fn write<B: Blob>(blob: &B, version: i16) -> Result<Bytes, Error> {
    let mut w = Writer::new();
    w.i16(version);
    blob.encode(&mut w, version)?;
    w.finish_bytes()
}
