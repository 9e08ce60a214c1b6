//! A listener's address: `PLAINTEXT://host:port`.

use std::fmt;
use std::str::FromStr;

/// Where the broker listens, or what it tells clients to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    /// The listener's name, which today is also its security protocol: `PLAINTEXT`.
    pub name: String,
    /// A host name or address, without brackets. Empty or `0.0.0.0` or `::` in `listeners` is every interface.
    pub host: String,
    /// The port; 0 in `listeners` takes a free one.
    pub port: u16,
}

impl Listener {
    /// Does it listen on every interface, so that its host is no address a client could use?
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }

    /// What to bind: a host that is never empty.
    pub fn bind_host(&self) -> &str {
        if self.host.is_empty() { "0.0.0.0" } else { &self.host }
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RIGHT: &str = "write PLAINTEXT://HOST:PORT, for example PLAINTEXT://127.0.0.1:9092";
        let (name, address) = text.split_once("://").unwrap_or(("PLAINTEXT", text));
        let name = name.to_ascii_uppercase();
        if name != "PLAINTEXT" {
            return Err(format!("`{name}` is not supported yet, only PLAINTEXT is; {RIGHT}"));
        }
        let (host, port) = address.rsplit_once(':').ok_or_else(|| format!("`{text}` has no port; {RIGHT}"))?;
        let port = port.parse().map_err(|_| format!("`{port}` is not a port from 0 to 65535; {RIGHT}"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(host) => host,
            None if host.contains([':', '[', ']', '/']) => {
                return Err(format!("`{host}` is not a host (an IPv6 address stands in brackets); {RIGHT}"));
            }
            None => host,
        };
        Ok(Self { name, host: host.to_owned(), port })
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}://[{}]:{}", self.name, self.host, self.port)
        } else {
            write!(f, "{}://{}:{}", self.name, self.host, self.port)
        }
    }
}
