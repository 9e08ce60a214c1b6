//! An address between brokers: `host:port`.

use std::fmt;
use std::str::FromStr;

/// Where a broker listens to other brokers, or where one can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A host name or address, without brackets; empty or `0.0.0.0` or `::` is every interface.
    pub host: String,
    /// The port; 0 takes a free one where the broker listens.
    pub port: u16,
}

impl Address {
    /// Does it name every interface, so that nobody could connect to it?
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }

    /// What to bind: a host that is never empty.
    pub fn bind_host(&self) -> &str {
        if self.host.is_empty() { "0.0.0.0" } else { &self.host }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RIGHT: &str = "write HOST:PORT, for example 127.0.0.1:9192";
        let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` has no port; {RIGHT}"))?;
        let port = port.parse().map_err(|_| format!("`{port}` is not a port from 0 to 65535; {RIGHT}"))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host,
            None if host.contains([':', '[', ']', '/']) => {
                return Err(format!("`{host}` is not a host (an IPv6 address stands in brackets); {RIGHT}"));
            }
            None => host,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for text in ["127.0.0.1:9192", "[::1]:1", "a.example:65535", ":0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "a", "a:", "a:65536", "::1:1", "tcp://a:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
