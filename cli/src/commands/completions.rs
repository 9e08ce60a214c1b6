//! `leat completions`.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::Result;
use crate::output::Out;

/// Write a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  leat completions bash > ~/.local/share/bash-completion/completions/leat
  leat completions zsh > ~/.zfunc/_leat
  leat completions fish > ~/.config/fish/completions/leat.fish")]
pub(crate) struct Args {
    /// The shell that the script is for
    shell: Shell,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "leat", &mut script);
    let mut out = Out::stdout();
    out.with(|out| out.write_all(&script))?;
    out.flush()
}
