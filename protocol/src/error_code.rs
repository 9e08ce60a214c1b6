//! Kafka's error numbers.
//!
//! Numbers, names and which of them a client may retry: `Errors` of Apache Kafka 4.3.1. The sentences are ours.

use std::fmt;

/// An error number as it is on the wire. Numbers that are not known are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ErrorCode(pub i16);

macro_rules! error_codes {
    ($($code:literal $name:ident $($retry:ident)?: $message:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $message] pub const $name: Self = Self($code);)*

            /// Every number that is known, ascending.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Kafka's name, or `UNKNOWN_ERROR_CODE`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "UNKNOWN_ERROR_CODE",
                }
            }

            /// A sentence for the person who reads it.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self.0 {
                    $($code => $message,)*
                    _ => "The error number is newer than this program.",
                }
            }

            /// Whether Kafka's clients try again after it.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self.0 {
                    $($code => error_codes!(@retry $($retry)?),)*
                    _ => false,
                }
            }
        }
    };
    (@retry retry) => { true };
    (@retry) => { false };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR: "The broker met an error that it has no number for; its log says more.";
    0 NONE: "No error.";
    1 OFFSET_OUT_OF_RANGE: "The offset is below the log's start or past its end.";
    2 CORRUPT_MESSAGE retry: "A batch fails its CRC, has a wrong length, or is otherwise not what it claims to be.";
    3 UNKNOWN_TOPIC_OR_PARTITION retry: "There is no such topic or partition here.";
    4 INVALID_FETCH_SIZE: "The size asked for in a fetch is not valid.";
    5 LEADER_NOT_AVAILABLE retry: "The partition has no leader at the moment.";
    6 NOT_LEADER_OR_FOLLOWER retry: "This broker is not the partition's leader, or holds no replica of it.";
    7 REQUEST_TIMED_OUT retry: "The request was not done within its time.";
    8 BROKER_NOT_AVAILABLE: "The broker is not available.";
    9 REPLICA_NOT_AVAILABLE retry: "The replica asked for is not available.";
    10 MESSAGE_TOO_LARGE: "A batch is larger than the broker or the topic accepts.";
    11 STALE_CONTROLLER_EPOCH: "The controller has moved on to a newer epoch.";
    12 OFFSET_METADATA_TOO_LARGE: "The text committed with an offset is too long.";
    13 NETWORK_EXCEPTION retry: "The connection ended before the answer came.";
    14 COORDINATOR_LOAD_IN_PROGRESS retry: "The coordinator is still reading its log.";
    15 COORDINATOR_NOT_AVAILABLE retry: "There is no coordinator at the moment.";
    16 NOT_COORDINATOR retry: "Another broker is the coordinator.";
    17 INVALID_TOPIC_EXCEPTION: "The topic's name is not valid, or the topic does not allow this.";
    18 RECORD_LIST_TOO_LARGE: "A batch is larger than a segment may be.";
    19 NOT_ENOUGH_REPLICAS retry: "Fewer replicas are in sync than the topic requires; nothing was written.";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retry: "It was written, but to fewer in-sync replicas than the topic requires.";
    21 INVALID_REQUIRED_ACKS: "acks must be 0, 1 or -1 (all).";
    22 ILLEGAL_GENERATION: "The group has another generation than the request.";
    23 INCONSISTENT_GROUP_PROTOCOL: "The member shares no protocol with the rest of its group.";
    24 INVALID_GROUP_ID: "The group id is not valid.";
    25 UNKNOWN_MEMBER_ID: "The coordinator does not know this member.";
    26 INVALID_SESSION_TIMEOUT: "The session timeout is outside of what the broker allows.";
    27 REBALANCE_IN_PROGRESS: "The group is rebalancing; the member has to join again.";
    28 INVALID_COMMIT_OFFSET_SIZE: "The offsets committed at once are too large.";
    29 TOPIC_AUTHORIZATION_FAILED: "The principal may not do this with the topic.";
    30 GROUP_AUTHORIZATION_FAILED: "The principal may not do this with the group.";
    31 CLUSTER_AUTHORIZATION_FAILED: "The principal may not do this with the cluster.";
    32 INVALID_TIMESTAMP: "A record's timestamp is outside of what the topic accepts.";
    33 UNSUPPORTED_SASL_MECHANISM: "The broker does not offer this SASL mechanism.";
    34 ILLEGAL_SASL_STATE: "The request does not fit the state of the SASL exchange.";
    35 UNSUPPORTED_VERSION: "The broker does not have this version of the API.";
    36 TOPIC_ALREADY_EXISTS: "There is a topic of this name already.";
    37 INVALID_PARTITIONS: "The number of partitions is not valid.";
    38 INVALID_REPLICATION_FACTOR: "The replication factor is below 1 or above the number of brokers.";
    39 INVALID_REPLICA_ASSIGNMENT: "The assignment of replicas is not valid.";
    40 INVALID_CONFIG: "A configuration key or value is not valid.";
    41 NOT_CONTROLLER retry: "Another broker is the controller.";
    42 INVALID_REQUEST: "The request contradicts itself or cannot be read.";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT: "The format of the records does not allow this.";
    44 POLICY_VIOLATION: "The broker's policy does not allow this.";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER: "A producer's sequence number does not follow its previous one.";
    46 DUPLICATE_SEQUENCE_NUMBER: "A producer's batch was written before, and its offset is no longer known.";
    47 INVALID_PRODUCER_EPOCH: "The producer's epoch is older than the newest one.";
    48 INVALID_TXN_STATE: "The transaction's state does not allow this.";
    49 INVALID_PRODUCER_ID_MAPPING: "The producer id does not belong to this transactional id.";
    50 INVALID_TRANSACTION_TIMEOUT: "The transaction timeout is above what the broker allows.";
    51 CONCURRENT_TRANSACTIONS retry: "Another operation on the same transaction is under way.";
    52 TRANSACTION_COORDINATOR_FENCED: "A newer coordinator has taken over this transaction.";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "The principal may not use this transactional id.";
    54 SECURITY_DISABLED: "The broker runs without the security features that this needs.";
    55 OPERATION_NOT_ATTEMPTED: "Not tried, since another part of the same request failed.";
    56 KAFKA_STORAGE_ERROR retry: "The broker's disk failed for this log.";
    57 LOG_DIR_NOT_FOUND: "The broker has no such log folder.";
    58 SASL_AUTHENTICATION_FAILED: "Authentication failed.";
    59 UNKNOWN_PRODUCER_ID: "The broker knows nothing of this producer, perhaps since its records have expired.";
    60 REASSIGNMENT_IN_PROGRESS: "A reassignment of the partition is under way.";
    61 DELEGATION_TOKEN_AUTH_DISABLED: "Delegation tokens are switched off.";
    62 DELEGATION_TOKEN_NOT_FOUND: "There is no such delegation token.";
    63 DELEGATION_TOKEN_OWNER_MISMATCH: "The principal neither owns nor may renew the delegation token.";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: "Delegation tokens can't be asked for over this kind of connection.";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED: "The principal may not do this with the delegation token.";
    66 DELEGATION_TOKEN_EXPIRED: "The delegation token has expired.";
    67 INVALID_PRINCIPAL_TYPE: "The type of principal is not supported.";
    68 NON_EMPTY_GROUP: "The group still has members.";
    69 GROUP_ID_NOT_FOUND: "There is no such group.";
    70 FETCH_SESSION_ID_NOT_FOUND retry: "The broker has no such fetch session (any more).";
    71 INVALID_FETCH_SESSION_EPOCH retry: "The epoch is not the next one of the fetch session.";
    72 LISTENER_NOT_FOUND retry: "The leader has no listener of the name that the request came in by.";
    73 TOPIC_DELETION_DISABLED: "The broker is configured not to delete topics.";
    74 FENCED_LEADER_EPOCH retry: "The leader epoch in the request is older than the broker's.";
    75 UNKNOWN_LEADER_EPOCH retry: "The leader epoch in the request is newer than the broker's.";
    76 UNSUPPORTED_COMPRESSION_TYPE: "The client's version cannot read the partition's compression.";
    77 STALE_BROKER_EPOCH: "The broker has registered again since.";
    78 OFFSET_NOT_AVAILABLE retry: "A new leader does not know its high watermark yet.";
    79 MEMBER_ID_REQUIRED: "The member has to join with the id that it was just given.";
    80 PREFERRED_LEADER_NOT_AVAILABLE retry: "The preferred leader is not available.";
    81 GROUP_MAX_SIZE_REACHED: "The group has as many members as it may have.";
    82 FENCED_INSTANCE_ID: "Another member has joined with the same group instance id.";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retry: "No replica that could lead is available.";
    84 ELECTION_NOT_NEEDED retry: "The partition needs no election.";
    85 NO_REASSIGNMENT_IN_PROGRESS: "No reassignment of the partition is under way.";
    86 GROUP_SUBSCRIBED_TO_TOPIC: "The group still reads the topic, so its offsets can't be deleted.";
    87 INVALID_RECORD: "A record in the batch is not acceptable.";
    88 UNSTABLE_OFFSET_COMMIT retry: "Offsets of an open transaction are still pending.";
    89 THROTTLING_QUOTA_EXCEEDED retry: "The quota for such requests is used up for now.";
    90 PRODUCER_FENCED: "A newer producer with the same transactional id has taken over.";
    91 RESOURCE_NOT_FOUND: "The request names something that does not exist.";
    92 DUPLICATE_RESOURCE: "The request names the same thing twice.";
    93 UNACCEPTABLE_CREDENTIAL: "The credential does not meet the broker's rules.";
    94 INCONSISTENT_VOTER_SET: "Sender and receiver do not agree on who votes.";
    95 INVALID_UPDATE_VERSION: "The version to update to is not valid.";
    96 FEATURE_UPDATE_FAILED: "The features could not be updated.";
    97 PRINCIPAL_DESERIALIZATION_FAILURE: "The principal of a forwarded request cannot be read.";
    98 SNAPSHOT_NOT_FOUND: "There is no such snapshot.";
    99 POSITION_OUT_OF_RANGE: "The position is outside of the snapshot.";
    100 UNKNOWN_TOPIC_ID retry: "There is no topic with this id here.";
    101 DUPLICATE_BROKER_REGISTRATION: "The broker id is in use.";
    102 BROKER_ID_NOT_REGISTERED: "No broker with this id has registered.";
    103 INCONSISTENT_TOPIC_ID retry: "The log belongs to a topic with another id.";
    104 INCONSISTENT_CLUSTER_ID: "The request is for another cluster.";
    105 TRANSACTIONAL_ID_NOT_FOUND: "There is no such transactional id.";
    106 FETCH_SESSION_TOPIC_ID_ERROR retry: "The fetch session was opened with topic names and is used with ids, or the other way round.";
    107 INELIGIBLE_REPLICA: "A replica in the new in-sync set may not be there.";
    108 NEW_LEADER_ELECTED: "It was done, and the partition has a new leader.";
    109 OFFSET_MOVED_TO_TIERED_STORAGE: "The offset is in tiered storage only.";
    110 FENCED_MEMBER_EPOCH: "The coordinator has fenced the member's epoch; it has to join again with no partitions.";
    111 UNRELEASED_INSTANCE_ID: "A member that has not left uses this instance id.";
    112 UNSUPPORTED_ASSIGNOR: "The group does not offer this assignor.";
    113 STALE_MEMBER_EPOCH: "The member's epoch is behind; it has to heartbeat first.";
    114 MISMATCHED_ENDPOINT_TYPE: "The request is for another type of endpoint, broker or controller.";
    115 UNSUPPORTED_ENDPOINT_TYPE: "This type of endpoint is not supported.";
    116 UNKNOWN_CONTROLLER_ID: "There is no controller with this id.";
    117 UNKNOWN_SUBSCRIPTION_ID: "The telemetry subscription is not known or out of date.";
    118 TELEMETRY_TOO_LARGE: "The telemetry is larger than the broker accepts.";
    119 INVALID_REGISTRATION: "The controller refuses the broker's registration.";
    120 TRANSACTION_ABORTABLE: "The transaction failed; it can be aborted and its id used again.";
    121 INVALID_RECORD_STATE: "The record's state does not allow this acknowledgement.";
    122 SHARE_SESSION_NOT_FOUND retry: "There is no such share session (any more).";
    123 INVALID_SHARE_SESSION_EPOCH retry: "The epoch is not the next one of the share session.";
    124 FENCED_STATE_EPOCH: "The share group's state has a newer epoch.";
    125 INVALID_VOTER_KEY: "The voter's key is not that of the replica that received it.";
    126 DUPLICATE_VOTER: "The voter is in the set already.";
    127 VOTER_NOT_FOUND: "The voter is not in the set.";
    128 INVALID_REGULAR_EXPRESSION: "The regular expression is not valid.";
    129 REBOOTSTRAP_REQUIRED: "The client's view of the cluster is too old; it has to start from its bootstrap servers.";
    130 STREAMS_INVALID_TOPOLOGY: "The streams topology is not valid.";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH: "The epoch of the streams topology is not valid.";
    132 STREAMS_TOPOLOGY_FENCED: "A newer streams topology has taken over.";
    133 SHARE_SESSION_LIMIT_REACHED retry: "The broker has as many share sessions as it may have.";
}

impl ErrorCode {
    /// Whether it is anything but [`ErrorCode::NONE`].
    #[inline]
    #[must_use]
    pub const fn is_err(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.0, self.message())
    }
}
