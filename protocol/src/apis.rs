//! The one table of APIs: key, name, versions, first flexible version.
//!
//! Source: what Apache Kafka 4.3.1 answers to ApiVersions, and `flexibleVersions` in its message JSON.

use crate::table::layout::Versions;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// The API.
    pub key: ApiKey,
    /// Kafka's name for it.
    pub name: &'static str,
    /// The versions that can be encoded and decoded.
    pub versions: Versions,
    /// The lowest version that a broker announces. Below `versions.min` it is there for old clients that look for it
    /// (KIP-896) and is refused when it is used.
    pub announced_min: i16,
    /// The first version with compact lengths and tagged fields.
    pub flexible_since: i16,
    /// Whether the broker has a handler for it; else only the client speaks it, and it is not announced.
    pub served: bool,
}

macro_rules! apis {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $min:literal - $max:literal, flexible $flexible:literal +
        $(, announced $announced:literal)? $(: $unserved:ident)?;)*) => {
        /// A Kafka API that Leat knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $($(#[$doc])* $name = $key,)*
        }

        /// Every API that Leat knows, by ascending key.
        pub const APIS: &[Api] = &[$(ApiKey::$name.api()),*];

        impl ApiKey {
            /// The API with this key.
            #[must_use]
            pub const fn from_i16(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its row in the table.
            #[must_use]
            pub const fn api(self) -> Api {
                match self {
                    $(Self::$name => Api {
                        key: self,
                        name: stringify!($name),
                        versions: Versions { min: $min, max: $max },
                        announced_min: apis!(@first $($announced,)? $min),
                        flexible_since: $flexible,
                        served: apis!(@served $($unserved)?),
                    },)*
                }
            }
        }
    };
    (@served) => { true };
    (@served unserved) => { false };
    (@first $first:literal $(, $rest:literal)?) => { $first };
}

apis! {
    /// Appends records.
    Produce = 0, 3-13, flexible 9+, announced 0;
    /// Reads records.
    Fetch = 1, 4-18, flexible 12+;
    /// Finds offsets by timestamp, or the ends of a partition.
    ListOffsets = 2, 1-11, flexible 6+;
    /// Tells brokers, topics and leaders.
    Metadata = 3, 0-13, flexible 9+;
    /// Stores how far a group has read.
    OffsetCommit = 8, 2-10, flexible 8+;
    /// Tells how far groups have read.
    OffsetFetch = 9, 1-10, flexible 6+;
    /// Tells which broker leads a group.
    FindCoordinator = 10, 0-6, flexible 3+;
    /// Joins a group.
    JoinGroup = 11, 0-9, flexible 6+;
    /// Keeps a member in its group.
    Heartbeat = 12, 0-4, flexible 4+;
    /// Leaves a group.
    LeaveGroup = 13, 0-5, flexible 4+;
    /// Hands out the assignment of a group.
    SyncGroup = 14, 0-5, flexible 4+;
    /// Tells states and members of groups.
    DescribeGroups = 15, 0-6, flexible 5+;
    /// Tells which groups a broker leads.
    ListGroups = 16, 0-5, flexible 3+;
    /// Tells which APIs and versions a broker has.
    ApiVersions = 18, 0-4, flexible 3+;
    /// Creates topics.
    CreateTopics = 19, 2-7, flexible 5+;
    /// Deletes topics.
    DeleteTopics = 20, 1-6, flexible 4+;
    /// Moves the start of a partition's log forward.
    DeleteRecords = 21, 0-2, flexible 2+;
    /// Gives a producer its id and epoch.
    InitProducerId = 22, 0-5, flexible 2+;
    /// Tells where a leader epoch ends.
    OffsetForLeaderEpoch = 23, 2-4, flexible 4+;
    /// Tells configuration values.
    DescribeConfigs = 32, 1-4, flexible 4+;
    /// Replaces all configuration values of a resource.
    AlterConfigs = 33, 0-2, flexible 2+;
    /// Tells the size of logs on disk.
    DescribeLogDirs = 35, 1-5, flexible 2+;
    /// Adds partitions to topics.
    CreatePartitions = 37, 0-3, flexible 2+;
    /// Deletes groups.
    DeleteGroups = 42, 0-2, flexible 2+;
    /// Gives partitions back to their preferred leaders.
    ElectLeaders = 43, 0-2, flexible 2+;
    /// Changes single configuration values.
    IncrementalAlterConfigs = 44, 0-1, flexible 1+;
    /// Moves partitions to other brokers.
    AlterPartitionReassignments = 45, 0-1, flexible 0+;
    /// Tells which partitions are on their way to other brokers.
    ListPartitionReassignments = 46, 0-0, flexible 0+;
    /// Deletes what a group has committed.
    OffsetDelete = 47, 0-0, flexible 1+;
    /// Tells who leads and follows the metadata.
    DescribeQuorum = 55, 0-2, flexible 0+;
    /// Tells brokers and controller.
    DescribeCluster = 60, 0-2, flexible 0+;
    /// Tells the producers known to a partition.
    DescribeProducers = 61, 0-0, flexible 0+;
    /// Takes a broker out of the cluster.
    UnregisterBroker = 64, 0-0, flexible 0+;
    /// Tells which resources have configuration of their own.
    ListConfigResources = 74, 0-1, flexible 0+;
    /// Tells topics and partitions, page by page.
    DescribeTopicPartitions = 75, 0-0, flexible 0+;
}

impl ApiKey {
    /// Kafka's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.api().name
    }

    /// The versions that can be encoded and decoded.
    #[must_use]
    pub const fn versions(self) -> Versions {
        self.api().versions
    }

    /// The first version with compact lengths and tagged fields.
    #[must_use]
    pub const fn flexible_since(self) -> i16 {
        self.api().flexible_since
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
