//! `leat version`.

use serde_json::json;

use crate::error::Result;
use crate::output::Out;

/// Show the version
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  leat version --json")]
pub(crate) struct Args {
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let mut out = Out::stdout();
    if args.json {
        out.json(
            &json!({ "name": "leat", "version": version, "arch": std::env::consts::ARCH, "os": std::env::consts::OS }),
        )?;
    } else {
        out.line(format_args!("leat {version}"))?;
    }
    out.flush()
}
