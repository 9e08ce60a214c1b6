//! What a broker leads and follows, by its `/metrics`.

use std::collections::BTreeMap;

use super::http;

/// Of a broker with very many partitions.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// What one broker tells of itself and of those that follow it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Partitions with a replica on it, and those of them that it leads.
    pub(crate) holds: u64,
    pub(crate) leads: u64,
    /// The node that leads the metadata, as this one knows; none for nobody.
    pub(crate) metadata_leader: Option<u32>,
    pub(crate) metadata_term: u64,
    /// By node: the most entries that it lacks of a partition that this one leads.
    pub(crate) lags: BTreeMap<u32, u64>,
}

/// Asks a broker on this machine; `None` where it does not say.
pub(crate) fn standing(port: u16) -> Option<Standing> {
    let mut found = Standing::default();
    let mut told = false;
    for line in http::get(port, "/metrics", ANSWER_BYTES_MAX).ok()? {
        told |= found.take(&line.ok()?).is_some();
    }
    told.then_some(found)
}

impl Standing {
    /// Takes a sample in; `None` where it is another's.
    fn take(&mut self, line: &str) -> Option<()> {
        let (name, value) = line.rsplit_once(' ')?;
        match name {
            "kafka_server_replicamanager_partitioncount" => self.holds = value.parse().ok()?,
            "kafka_server_replicamanager_leadercount" => self.leads = value.parse().ok()?,
            "leat_metadata_leader" => self.metadata_leader = value.parse().ok(),
            "leat_metadata_term" => self.metadata_term = value.parse().ok()?,
            _ => {
                let follower = name.strip_prefix("leat_follower_lag_max{follower=\"")?.strip_suffix("\"}")?;
                self.lags.insert(follower.parse().ok()?, value.parse().ok()?);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_replication_is_read_from_all_that_is_told() {
        let text = "HTTP/1.0 200 OK\n\n# HELP leat_metadata_term T.\nkafka_server_replicamanager_partitioncount 7\n\
            kafka_server_replicamanager_leadercount 3\nleat_metadata_leader 2\nleat_metadata_term 5\n\
            leat_follower_lag_max{follower=\"1\"} 40\nleat_follower_lag_max{follower=\"x\"} 4\nother{a=\"b c\"} 1.5\n";
        let mut found = Standing::default();
        assert_eq!(text.lines().filter_map(|line| found.take(line)).count(), 5);
        let lags = BTreeMap::from([(1, 40)]);
        assert_eq!(found, Standing { holds: 7, leads: 3, metadata_leader: Some(2), metadata_term: 5, lags });
        found.take("leat_metadata_leader -1");
        assert_eq!(found.metadata_leader, None);
    }
}
