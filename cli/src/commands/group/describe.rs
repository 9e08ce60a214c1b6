//! `leat group describe`.

use comfy_table::Cell;
use leat_client::{GroupMember, TopicPartition};
use serde_json::{Value, json};

use super::progress::{Place, Progress};
use crate::error::Result;
use crate::output::{self, Out, counted, number};
use crate::session::Connection;

/// Show groups' members, what they read, and how far they have come
#[derive(Debug, clap::Args)]
#[command(after_help = "\
LAG is what is left to be read behind the committed offset.

Examples:
  leat group describe report
  leat group describe report --json | jq '[.partitions[].lag] | add'")]
pub(crate) struct Args {
    /// The groups to describe
    #[arg(required = true)]
    groups: Vec<String>,

    /// Write one JSON object for each group
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let consumer = args.connection.consumer().await?;
    let mut out = Out::stdout();
    for (i, name) in args.groups.iter().enumerate() {
        let progress = Progress::of(&admin, &consumer, name).await?;
        if args.json {
            out.json(&to_json(&progress))?;
            continue;
        }
        if i > 0 {
            out.line("")?;
        }
        write(&progress, &mut out)?;
    }
    out.flush()
}

fn to_json(progress: &Progress) -> Value {
    let group = &progress.group;
    let name = |partition: &TopicPartition| json!({ "topic": &*partition.topic, "partition": partition.partition });
    let member = |member: &GroupMember| {
        json!({
            "id": &*member.id,
            "instance": member.instance.as_deref(),
            "client_id": &*member.client_id,
            "host": &*member.host,
            "assignment": member.assignment.iter().map(name).collect::<Vec<_>>(),
        })
    };
    let partition = |(partition, place): (&TopicPartition, &Place)| {
        let committed = place.committed.as_ref();
        json!({
            "topic": &*partition.topic,
            "partition": partition.partition,
            "committed": committed.map(|committed| committed.offset),
            "leader_epoch": committed.and_then(|committed| committed.leader_epoch),
            "metadata": committed.map(|committed| &*committed.metadata),
            "latest": place.latest,
            "lag": place.lag(),
            "member": place.member.map(|at| &*group.members[at].id),
        })
    };
    let node = &group.coordinator;
    json!({
        "group": &*group.group,
        "state": &*group.state,
        "protocol_type": &*group.protocol_type,
        "assignor": &*group.assignor,
        "coordinator": { "id": node.id, "host": &*node.host, "port": node.port },
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
        "partitions": progress.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

fn write(progress: &Progress, out: &mut Out) -> Result<()> {
    let (group, node) = (&progress.group, &progress.group.coordinator);
    let assignor = if group.assignor.is_empty() { String::new() } else { format!("  {}", group.assignor) };
    let members = counted(group.members.len() as u64, "member");
    let (name, state) = (&group.group, &group.state);
    out.line(format_args!(
        "{name}  {state}{assignor}  {members}  coordinator {} ({}:{})",
        node.id, node.host, node.port
    ))?;
    if !progress.partitions.is_empty() {
        out.line("")?;
        let mut table = output::list(&["topic", "partition", "committed", "latest", "lag", "member", "host"]);
        for (partition, place) in &progress.partitions {
            let member = place.member.map(|at| &group.members[at]);
            let shown = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            table.add_row([
                Cell::new(&partition.topic),
                number(partition.partition),
                number(shown(place.committed.as_ref().map(|committed| committed.offset))),
                number(shown(place.latest)),
                number(shown(place.lag())),
                Cell::new(member.map_or("-", called)),
                Cell::new(member.map_or("-", |member| &member.host)),
            ]);
        }
        out.table(&table)?;
    }
    let idle = group.members.iter().filter(|member| member.assignment.is_empty());
    for (i, member) in idle.enumerate() {
        let gap = if i == 0 { "\n" } else { "" };
        out.line(format_args!("{gap}{} at {} reads nothing", called(member), member.host))?;
    }
    Ok(())
}

/// A static member by its name, the others by their ids.
fn called(member: &GroupMember) -> &str {
    member.instance.as_deref().unwrap_or(&member.id)
}
