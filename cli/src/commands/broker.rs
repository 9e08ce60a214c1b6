//! `leat broker`: runs one until it is told to stop.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use leat_broker::Broker;

use super::config::Sources;
use crate::error::{Error, Result};
use crate::logging;
use crate::output::Out;
use crate::session;
use crate::signals::Signals;

/// A clean stop that takes longer is ended; the next start recovers, as after a crash.
const STOP: Duration = Duration::from_millis(4_500);
/// How often it is asked whether it can go on.
const LOOK: Duration = Duration::from_millis(500);

/// Run a broker
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Once it accepts clients, it writes to standard output where: bootstrap=HOST:PORT, and http=ADDRESS:PORT for metrics and
health (/metrics, /healthz, /readyz). The log goes to standard error; LEAT_LOG filters it (LEAT_LOG=warn,
LEAT_LOG=info,leat_broker=debug). SIGTERM and Ctrl-C stop it cleanly within 5 seconds.
`leat config` shows every key of the configuration.

Examples:
  leat broker --data-dir data
  leat broker --data-dir data --listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --port-file port
  leat broker --config leat.toml --set num.partitions=4")]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// Write the port to this file once clients are accepted
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,

    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: logging::Format,
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging::start("info", args.log_format)?;
    let config = args.sources.load()?;
    session::block_on(async move {
        let mut signals = Signals::catch()?;
        let broker = tokio::select! {
            broker = session::blocking(move || Broker::start(config)) => broker?,
            name = signals.next() => {
                tracing::info!(signal = name, "stopped before it had found its cluster");
                // The thread that starts the broker waits for other machines and can't be told; what it has written is
                // as a crash would leave it.
                std::process::exit(0);
            }
        };
        let broker = broker.map_err(|error| Error::Failed(error.to_string()))?;
        let served = async {
            announce(&broker, args.port_file.as_deref())?;
            tokio::select! {
                name = signals.next() => tracing::info!(signal = name, "stopping"),
                reason = failure(&broker) => return Err(Error::Failed(format!("the broker can't go on: {reason}"))),
            }
            Ok(())
        };
        let served = served.await;
        served.and(stop(broker).await)
    })
}

/// Waits until the broker can't go on, and returns why.
async fn failure(broker: &Broker) -> String {
    loop {
        if let Some(reason) = broker.failure() {
            return reason;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Says where the broker is, to people, scripts and whoever waits for the file.
fn announce(broker: &Broker, port_file: Option<&Path>) -> Result<()> {
    if let Some(path) = port_file {
        write_whole(path, &format!("{}\n", broker.address().port()))
            .map_err(|error| Error::file(path.display(), &error))?;
    }
    let mut out = Out::stdout();
    let mut lines = vec![format!("bootstrap={}", broker.bootstrap())];
    lines.extend(broker.http_addresses().iter().map(|address| format!("http={address}")));
    match lines.iter().try_for_each(|line| out.line(line)).and_then(|()| out.flush()) {
        // A broker serves even if nobody reads its output.
        Err(Error::OutputClosed) => Ok(()),
        written => written,
    }
}

/// Writes a file under another name first, so that no reader finds half of it.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    std::fs::File::create(&new)?.write_all(text.as_bytes())?;
    std::fs::rename(&new, path)
}

async fn stop(broker: Broker) -> Result<()> {
    match tokio::time::timeout(STOP, session::blocking(move || broker.stop())).await {
        Ok(stopped) => stopped,
        Err(_) => Err(Error::Failed(format!(
            "the broker did not stop within {} s; the next start recovers its log",
            STOP.as_secs_f32()
        ))),
    }
}
