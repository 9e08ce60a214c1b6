//! The command line's first level: which command, and what `leat --help` shows.

use clap::{Parser, Subcommand};

use crate::commands::{
    bench, broker, cluster, completions, config, consume, demo, group, log, offsets, produce, records, sql, topic,
    version,
};
use crate::error::{EXIT_CODES, Result};

const EXAMPLES: &str = "\
Examples:
  leat demo                                            see it work on real data, in seconds
  leat broker --data-dir data                          run a broker on 127.0.0.1:9092
  leat cluster up --nodes 3                            run three, as processes that stay
  leat topic create flights --partitions 4
  leat produce flights --input csv --key carrier flights.csv
  leat consume flights --from -10                      the last ten of each partition, then what follows";

/// A log broker that speaks Kafka's protocol, and its tools
#[derive(Debug, Parser)]
#[command(
    name = "leat",
    version,
    max_term_width = 110,
    arg_required_else_help = true,
    after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Broker(broker::Args),
    #[command(subcommand)]
    Cluster(cluster::Command),
    Demo(demo::Args),
    #[command(subcommand)]
    Topic(topic::Command),
    Produce(produce::Args),
    Consume(consume::Args),
    #[command(subcommand)]
    Records(records::Command),
    Offsets(offsets::Args),
    Sql(sql::Args),
    #[command(subcommand)]
    Group(group::Command),
    Config(config::Args),
    #[command(subcommand)]
    Log(log::Command),
    /// Measure a broker: Leat's or any other that speaks Kafka's protocol
    #[command(subcommand, after_help = bench::EXAMPLES)]
    Bench(leat_bench::Command),
    Version(version::Args),
    Completions(completions::Args),
}

impl Command {
    /// Runs the command to its end.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Command::Broker(args) => broker::run(args),
            Command::Cluster(command) => cluster::run(command),
            Command::Demo(args) => demo::run(args),
            Command::Topic(command) => topic::run(command),
            Command::Produce(args) => produce::run(args),
            Command::Consume(args) => consume::run(args),
            Command::Records(command) => records::run(command),
            Command::Offsets(args) => offsets::run(args),
            Command::Sql(args) => sql::run(args),
            Command::Group(command) => group::run(command),
            Command::Config(args) => config::run(args),
            Command::Log(command) => log::run(command),
            Command::Bench(command) => bench::run(command),
            Command::Version(args) => version::run(args),
            Command::Completions(args) => completions::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples_that_parse() {
        fn check(command: &clap::Command) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "`{name}` says nothing about itself");
            let help = command.clone().max_term_width(1000).render_long_help().to_string();
            let after = help.split_once("Example").unwrap_or_else(|| panic!("`{name}` has no example")).1;
            let examples: Vec<_> = after.lines().map(str::trim).filter(|line| line.contains("leat ")).collect();
            assert!(examples.into_iter().map(parsed).sum::<usize>() > 0, "`{name}` has no example");
            command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        check(&command);
    }

    #[test]
    fn what_the_readme_shows_parses() {
        let readme = include_str!("../../README.md");
        let lines = readme.lines().filter(|line| line.starts_with("$ "));
        assert!(lines.map(parsed).sum::<usize>() > 10, "the tour is gone");
    }

    #[test]
    fn what_the_readme_points_to_is_there() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for link in include_str!("../../README.md").split("](").skip(1) {
            let path = link.split([')', '#']).next().unwrap_or_default();
            assert!(path.starts_with("http") || root.join(path).exists(), "{path}");
        }
    }

    /// Parses each `leat` of a shell's line and returns how many there were.
    fn parsed(line: &str) -> usize {
        let words = commands(line).into_iter().filter(|words| words.first().is_some_and(|word| word == "leat"));
        words
            .map(|words| {
                let result = Cli::try_parse_from(&words);
                let fails = result.as_ref().is_err_and(clap::Error::use_stderr);
                assert!(!fails, "{line}\n{}", result.unwrap_err());
            })
            .count()
    }

    /// The words of each command: enough of a shell for our own examples. Two spaces outside of quotes begin a remark.
    fn commands(line: &str) -> Vec<Vec<String>> {
        let mut commands = vec![Vec::new()];
        let (mut word, mut quoted, mut redirect) = (String::new(), false, false);
        for (char, next) in line.chars().zip(line.chars().skip(1).chain([' '])) {
            match char {
                '\'' | '"' if word.is_empty() || quoted => quoted = !quoted,
                _ if quoted => word.push(char),
                ' ' if next == ' ' && !word.is_empty() => break,
                '|' | '&' | ';' => commands.push(Vec::new()),
                '>' | '<' => redirect = true,
                ' ' if word.is_empty() => {}
                ' ' if std::mem::take(&mut redirect) => word.clear(),
                ' ' => commands.last_mut().unwrap().push(std::mem::take(&mut word)),
                _ => word.push(char),
            }
        }
        if !word.is_empty() && !redirect {
            commands.last_mut().unwrap().push(word);
        }
        // A prompt and variables before the command are not part of it.
        for words in &mut commands {
            let at = words.iter().position(|word| !["$", ":"].contains(&word.as_str()) && !word.contains('='));
            words.drain(..at.unwrap_or(words.len()));
        }
        commands
    }
}
