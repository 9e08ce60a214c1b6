//! The options of `leat bench`, and running what they ask for.

use crate::{Error, consume, latency, produce, requests};
use std::io::Write as _;
use std::str::FromStr;

/// Measure a broker: Leat's or any other that speaks Kafka's protocol
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Send records flat out or at a fixed rate
    ///
    /// Example: leat bench produce load --records 5000000 --size 1024 -X linger.ms=5 --broker-pid 4711
    Produce(produce::Options),
    /// Read a topic from its start
    ///
    /// Example: leat bench consume load --records 5000000
    Consume(consume::Options),
    /// Measure from send to receive at a fixed rate
    ///
    /// Example: leat bench latency load --rate 1000 --seconds 20
    Latency(latency::Options),
    /// Send requests of one record each, many in flight, without the client library
    ///
    /// Example: leat bench requests load --records 500000 --connections 4 --in-flight 64
    Requests(requests::Options),
}

/// What every measurement needs to know.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The topic, which must exist
    pub topic: String,

    /// The brokers to ask first: HOST:PORT,HOST:PORT
    #[arg(short, long, value_name = "HOST:PORT,...", env = "LEAT_BOOTSTRAP_SERVER", default_value = "127.0.0.1:9092")]
    pub bootstrap_server: String,

    /// A property of the client, by Kafka's name; may be repeated
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE")]
    pub properties: Vec<Property>,

    /// Also measure CPU and memory of this process, on this machine
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A property and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Kafka's name of it.
    pub key: String,
    /// Its value as text.
    pub value: String,
}

impl FromStr for Property {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.into(), value: value.into() }),
            _ => Err(format!("{text:?} is not KEY=VALUE")),
        }
    }
}

impl Command {
    /// Measures, and prints what was found. An error when a record failed, so that scripts notice.
    pub fn run(self) -> Result<(), Error> {
        let json = match &self {
            Self::Produce(options) => options.common.json,
            Self::Consume(options) => options.common.json,
            Self::Latency(options) => options.common.json,
            Self::Requests(options) => options.common.json,
        };
        // One thread: a client on one core has no use for more, and pays for handing work over.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::io("starting a runtime"))?;
        let report = match self {
            Self::Produce(options) => runtime.block_on(produce::run(&options)),
            Self::Consume(options) => runtime.block_on(consume::run(&options)),
            Self::Latency(options) => runtime.block_on(latency::run(&options)),
            Self::Requests(options) => runtime.block_on(requests::run(&options)),
        }?;
        let text = if json { format!("{}\n", report.to_json()) } else { report.to_string() };
        match std::io::stdout().write_all(text.as_bytes()) {
            // Nobody reads on.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.map_err(Error::io("writing the report"))?,
        }
        match report.first_error {
            None => Ok(()),
            Some(error) => Err(Error::Broker(format!("{} records failed, first: {error}", report.failed))),
        }
    }
}
