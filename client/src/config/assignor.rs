//! The names of the assignors, as `partition.assignment.strategy` lists them.

use super::value::Value;

/// Who of a group reads what. All members must know the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Neighbouring partitions of each topic.
    Range,
    /// All partitions of all topics in turn.
    RoundRobin,
    /// As even as can be, with as few changes as can be.
    Sticky,
    /// The same, and members read on while the group rebalances (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    pub(crate) const ALL: [Self; 4] = [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// By Kafka's name, or by the name of Java's class.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let class = |assignor: Self| match assignor {
            Self::Range => "RangeAssignor",
            Self::RoundRobin => "RoundRobinAssignor",
            Self::Sticky => "StickyAssignor",
            Self::CooperativeSticky => "CooperativeStickyAssignor",
        };
        let short = name.strip_prefix("org.apache.kafka.clients.consumer.");
        Self::ALL.into_iter().find(|assignor| assignor.name() == name || short == Some(class(*assignor)))
    }
}

/// Those that a member knows, the preferred one first.
impl Value for Vec<Assignor> {
    const EXPECTS: &'static str = "a list of range, roundrobin, sticky and cooperative-sticky";

    fn parse(text: &str) -> Option<Self> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(Assignor::by_name).collect()
    }

    fn show(&self) -> String {
        self.iter().map(|assignor| assignor.name()).collect::<Vec<_>>().join(",")
    }
}
