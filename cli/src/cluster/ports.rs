//! Ports of a cluster's nodes: clients' from a base on, then brokers' and HTTP's a hundred apart, to be read by people.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How far apart the three kinds of ports are, hence the most nodes.
pub(crate) const STRIDE: u16 = 100;

/// Free ports are looked for here: below those that the kernel gives to outgoing connections, which would take them
/// while a node is down.
const FROM: u16 = 10_000;
const UNTIL: u16 = 32_000;

const TRIES: usize = 200;

/// The ports of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) kafka: u16,
    pub(crate) peers: u16,
    pub(crate) http: u16,
}

/// Ports for so many nodes, from `base` on or where all are free.
pub(crate) fn choose(nodes: usize, base: Option<u16>) -> Result<Vec<Ports>> {
    if let Some(base) = base {
        let ports = from(base, nodes).ok_or_else(|| Error::Usage(format!("--base-port {base}: too high")))?;
        return match taken(&ports) {
            Some(port) => Err(Error::Failed(format!("port {port} is in use; name another --base-port, or none"))),
            None => Ok(ports),
        };
    }
    let draw = |at| FROM + (RandomState::new().hash_one(at) % u64::from(UNTIL - FROM)) as u16;
    let free = (0..TRIES).filter_map(|at| from(draw(at), nodes)).find(|ports| taken(ports).is_none());
    free.ok_or_else(|| Error::Failed("no free ports were found; name a --base-port".to_owned()))
}

/// Ports for nodes that join others, which have those from `base` on.
pub(crate) fn more(base: u16, have: usize, nodes: usize) -> Result<Vec<Ports>> {
    let all =
        from(base, nodes).ok_or_else(|| Error::Usage(format!("--nodes {nodes}: too many for ports from {base} on")))?;
    let more = all[have.min(all.len())..].to_vec();
    match taken(&more) {
        Some(port) => Err(Error::Failed(format!("port {port}, which a new node would have, is in use"))),
        None => Ok(more),
    }
}

fn from(base: u16, nodes: usize) -> Option<Vec<Ports>> {
    let nodes = u16::try_from(nodes).ok().filter(|nodes| *nodes <= STRIDE)?;
    base.checked_add(2 * STRIDE + nodes)?;
    Some((base..base + nodes).map(|kafka| Ports { kafka, peers: kafka + STRIDE, http: kafka + 2 * STRIDE }).collect())
}

fn taken(ports: &[Ports]) -> Option<u16> {
    let mut all = ports.iter().flat_map(|ports| [ports.kafka, ports.peers, ports.http]);
    all.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_given_ones_are_refused_when_they_are_not() {
        let ports = choose(3, None).unwrap();
        assert_eq!((ports.len(), ports[1].kafka, ports[1].http), (3, ports[0].kafka + 1, ports[1].kafka + 200));
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports[2].peers)).unwrap();
        let error = choose(3, Some(ports[0].kafka)).unwrap_err().to_string();
        assert!(error.contains(&ports[2].peers.to_string()), "{error}");
        assert!(choose(3, Some(u16::MAX - 202)).is_err());
    }
}
