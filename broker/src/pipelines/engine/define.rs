//! Statements that change what there is: streams, tables and pipelines, and the topics that they need.

use std::sync::Arc;
use std::time::Duration;

use leat_pipeline::compile::{Definition, SourceKind};
use leat_pipeline::plan::{Body, Plan, Start, Window};
use leat_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use leat_protocol::messages::{DeleteTopicsRequest, delete_topics::DeleteTopicState};
use leat_protocol::{ErrorCode, Str, Uuid};
use leat_storage::GroupId;

use super::super::{Advance, Catalog, log};
use super::{Ended, Event, Out};
use crate::clock::now_ms;
use crate::config::Overrides;
use crate::handlers::admin;
use crate::metadata::record::{ConfigEntry, PipelinePaused, PipelineTopics, StatementDropped, StatementStored};
use crate::metadata::{Image, Kind, Record, Topics};
use crate::pipelines;
use crate::server::Server;

/// How long a topic that was just made is waited for until it is led.
const LED_PATIENCE: Duration = Duration::from_secs(5);

/// What is stored of a statement.
pub(super) struct Stored<'a> {
    pub(super) text: &'a str,
    pub(super) settings: &'a Overrides,
}

impl Stored<'_> {
    pub(super) fn record(&self, name: &str, pipeline: Option<Topics>, replaces: bool, goes_on: bool) -> Record {
        Record::from(Kind::StatementStored(StatementStored {
            name: name.to_owned(),
            text: self.text.to_owned(),
            settings: self.settings.iter().map(|(key, value)| ConfigEntry::set(key, value)).collect(),
            created_ms: now_ms(),
            pipeline: pipeline.map(PipelineTopics::from),
            replaces,
            goes_on,
        }))
    }
}

/// Has one record decided.
pub(super) async fn decide(server: &Server, record: Record) -> Result<(), Ended> {
    let outcomes = server.decide_alone(vec![record]).await.map_err(|(_, reason)| reason)?;
    match outcomes.into_iter().next() {
        Some(Err(refusal)) => Err(refusal.to_string().into()),
        _ => Ok(()),
    }
}

/// A stream or a table over a topic.
pub(super) async fn source(
    server: &Arc<Server>,
    stored: &Stored<'_>,
    definition: &Definition,
    exists: bool,
    replaces: bool,
    out: &Out,
) -> Result<(), Ended> {
    let (kind, name) = (kind_of(definition), &definition.name);
    if exists {
        return is_there(definition, out).await;
    }
    if server.image().topic(&definition.topic).is_none() {
        let automatic = server.config().auto_create_topics_enable;
        let Some(partitions) = definition.partitions.or(automatic.then_some(-1)) else {
            let topic = &definition.topic;
            return Err(format!("there is no topic '{topic}'; make it, or say partitions= in WITH").into());
        };
        let made = New { name: &definition.topic, partitions, factor: definition.replicas.unwrap_or(-1), configs: &[] };
        create_topic(server, made).await?;
        out.say(Event::Notice(format!("Topic {} is made.", definition.topic))).await?;
    }
    decide(server, stored.record(name, None, replaces, false)).await?;
    out.say(Event::Done(format!("{kind} {name} is defined over topic {}.", definition.topic))).await
}

/// One of that name is there, and stays.
pub(super) async fn is_there(definition: &Definition, out: &Out) -> Result<(), Ended> {
    out.say(Event::Done(format!("{} {} is there already.", kind_of(definition), definition.name))).await
}

/// A stream or a table that a pipeline fills.
pub(super) async fn pipeline(
    server: &Arc<Server>,
    stored: &Stored<'_>,
    plan: Plan,
    definition: &Definition,
    replaces: bool,
    out: &Out,
) -> Result<(), Ended> {
    let (kind, name) = (kind_of(definition), &definition.name);
    let topics = topics(server, &plan, definition.replicas).await?;
    decide(server, stored.record(name, Some(topics), replaces, false)).await?;
    out.say(Event::Done(format!(
        "{kind} {name} is made: its pipeline runs, its results are in topic {}.",
        plan.output.topic
    )))
    .await
}

/// A pipeline that adds to a stream.
pub(super) async fn insert(
    server: &Arc<Server>,
    stored: &Stored<'_>,
    plan: Plan,
    into: &str,
    out: &Out,
) -> Result<(), Ended> {
    let topics = topics(server, &plan, None).await?;
    let image = server.image();
    let taken = |name: &str| image.statement(name).is_some();
    let name = (1..).map(|number| format!("INSERT_{into}_{number}")).find(|name| !taken(name));
    let name = name.unwrap_or_else(|| format!("INSERT_{into}"));
    decide(server, stored.record(&name, Some(topics), false, false)).await?;
    out.say(Event::Done(format!("Pipeline {name} runs, and adds to {into}."))).await
}

pub(super) fn kind_of(definition: &Definition) -> &'static str {
    match definition.kind {
        SourceKind::Stream => "Stream",
        SourceKind::Table => "Table",
    }
}

/// Whether a pipeline can begin where it is told to.
pub(super) fn check_start(plan: &Plan) -> Result<(), Ended> {
    match plan.source.start {
        Start::Savepoint(_) => Err(log::NO_SAVEPOINTS.to_owned().into()),
        _ => Ok(()),
    }
}

/// The topics of a pipeline; those that are not there are made.
async fn topics(server: &Arc<Server>, plan: &Plan, factor: Option<i16>) -> Result<Topics, Ended> {
    check_start(plan)?;
    let image = server.image();
    let name = &plan.source.topic;
    let source = image.topic(name).ok_or_else(|| format!("there is no topic '{name}'"))?;
    let factor = factor.unwrap_or_else(|| {
        let replicas = source.partition(0).map_or(1, |partition| partition.replicas.len());
        i16::try_from(replicas).unwrap_or(1)
    });
    let (source_partitions, output) = (source.partition_count(), &plan.output);
    let partitions = output.partitions.unwrap_or(source_partitions);
    let has_late = match &plan.body {
        Body::Project { .. } => false,
        Body::Aggregate(aggregate) => aggregate.window != Window::None,
        Body::Over(_) => true,
        Body::Join(join) => join.has_late(),
    };
    let table = match &plan.body {
        Body::Join(join) => {
            let name = &join.table.topic;
            Some(image.topic(name).ok_or_else(|| format!("there is no topic '{name}'"))?.id)
        }
        _ => None,
    };
    let policy = if output.is_table { "compact" } else { "delete" };
    let output_id = topic(server, &output.topic, partitions, factor, &[("cleanup.policy", policy)]).await?;
    // An output that was there has as many as it has.
    let image = server.image();
    let partitions = image.topic_by_id(output_id).map_or(partitions, |topic| topic.partition_count());
    let aside = |suffix: &str| format!("{}-{suffix}", output.topic);
    let partials = if plan.body.is_shuffled() {
        let kept = [("retention.ms", "-1"), ("cleanup.policy", "delete")];
        Some(fresh_topic(server, &free_name(&image, &aside("partials"), plan), partitions, factor, &kept).await?)
    } else {
        None
    };
    let late = if has_late { Some(topic(server, &aside("late"), source_partitions, factor, &[]).await?) } else { None };
    let rejected = Some(topic(server, &aside("rejected"), source_partitions, factor, &[]).await?);
    Ok(Topics { source: source.id, output: output_id, partials, late, rejected, table })
}

/// What a topic that is made is.
struct New<'a> {
    name: &'a str,
    partitions: i32,
    factor: i16,
    configs: &'a [(&'static str, &'static str)],
}

/// A topic's id; it is made where it is not there.
async fn topic(
    server: &Arc<Server>,
    name: &str,
    partitions: i32,
    factor: i16,
    configs: &[(&'static str, &'static str)],
) -> Result<Uuid, Ended> {
    if let Some(topic) = server.image().topic(name) {
        return Ok(topic.id);
    }
    create_topic(server, New { name, partitions, factor, configs }).await
}

/// A name for an internal topic: several joins may add to one stream.
fn free_name(image: &Image, name: &str, plan: &Plan) -> String {
    let used = |name: &str| image.topic(name).is_some_and(|topic| is_internal(image, topic.id));
    if !matches!(plan.body, Body::Join(_)) || !used(name) {
        return name.to_owned();
    }
    let mut names = (2..).map(|number| format!("{name}-{number}"));
    names.find(|name| !used(name)).unwrap_or_else(|| name.to_owned())
}

/// Whether a topic lies between the stages of a pipeline.
fn is_internal(image: &Image, topic: Uuid) -> bool {
    image.statements().any(|statement| statement.topics.is_some_and(|topics| topics.partials == Some(topic)))
}

/// A topic that no other pipeline has written to.
async fn fresh_topic(
    server: &Arc<Server>,
    name: &str,
    partitions: i32,
    factor: i16,
    configs: &[(&'static str, &'static str)],
) -> Result<Uuid, Ended> {
    let image = server.image();
    if let Some(known) = image.topic(name) {
        if is_internal(&image, known.id) {
            return Err(format!("topic '{name}' belongs to another pipeline").into());
        }
        delete_topics(server, std::slice::from_ref(&known.name)).await?;
    }
    create_topic(server, New { name, partitions, factor, configs }).await
}

async fn create_topic(server: &Arc<Server>, new: New<'_>) -> Result<Uuid, Ended> {
    let configs = new
        .configs
        .iter()
        .map(|(key, value)| CreatableTopicConfig { name: Str::from_static(key), value: Some(Str::from_static(value)) });
    let topic = CreatableTopic {
        name: Str::from(new.name),
        num_partitions: new.partitions,
        replication_factor: new.factor,
        configs: configs.collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let config = server.config();
    let plan = |image: &Image| admin::create_topics::plan(image, &config, &request, &mut Uuid::new_v4);
    let response = server.change(plan).await;
    for created in &response.topics {
        if created.error_code != ErrorCode::NONE {
            let reason = created.error_message.as_deref().unwrap_or("the topic can not be made");
            return Err(format!("topic '{}': {reason}", new.name).into());
        }
    }
    server.led(new.name, LED_PATIENCE).await;
    let image = server.image();
    Ok(image.topic(new.name).map(|topic| topic.id).ok_or_else(|| format!("topic '{}' was deleted again", new.name))?)
}

async fn delete_topics(server: &Arc<Server>, names: &[Str]) -> Result<(), Ended> {
    let topics = names.iter().map(|name| DeleteTopicState { name: Some(name.clone()), ..DeleteTopicState::default() });
    let request = DeleteTopicsRequest { topics: topics.collect(), ..DeleteTopicsRequest::default() };
    let config = server.config();
    let plan = |image: &Image| admin::delete_topics::plan(image, &config, 6, &request);
    let response = server.change(plan).await;
    match response.responses.iter().find(|topic| topic.error_code != ErrorCode::NONE) {
        Some(failed) => {
            let reason = failed.error_message.as_deref().unwrap_or("the topic can not be deleted");
            Err(format!("topic '{}': {reason}", failed.name.as_deref().unwrap_or_default()).into())
        }
        None => Ok(()),
    }
}

/// A pipeline by the name of what it makes, or its own.
fn pipeline_named<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a super::super::Known, Ended> {
    let found = catalog.pipelines().find(|known| known.statement.name == name);
    let found = found.or_else(|| catalog.pipelines().find(|known| known.statement.name.eq_ignore_ascii_case(name)));
    Ok(found.ok_or_else(|| format!("there is no pipeline '{name}'"))?)
}

pub(super) async fn pause(
    server: &Arc<Server>,
    catalog: &Catalog,
    name: &str,
    paused: bool,
    out: &Out,
) -> Result<(), Ended> {
    let name = pipeline_named(catalog, name)?.statement.name.clone();
    decide(server, Record::from(Kind::PipelinePaused(PipelinePaused { name: name.clone(), paused }))).await?;
    out.say(Event::Done(format!("Pipeline {name} {}.", if paused { "pauses" } else { "goes on" }))).await
}

/// Ends pipelines; what they made stays in its topic.
pub(super) async fn terminate(
    server: &Arc<Server>,
    catalog: &Catalog,
    name: Option<&str>,
    out: &Out,
) -> Result<(), Ended> {
    let names: Vec<String> = match name {
        Some(name) => vec![pipeline_named(catalog, name)?.statement.name.clone()],
        None => catalog.pipelines().map(|known| known.statement.name.clone()).collect(),
    };
    for name in names {
        self::drop(server, catalog, &name, false, out).await?;
    }
    Ok(())
}

/// Drops a stream, a table or a pipeline.
pub(super) async fn drop(
    server: &Arc<Server>,
    catalog: &Catalog,
    name: &str,
    delete_topic: bool,
    out: &Out,
) -> Result<(), Ended> {
    let known = catalog.all().iter().find(|known| known.statement.name == name);
    let known = known.or_else(|| catalog.all().iter().find(|known| known.statement.name.eq_ignore_ascii_case(name)));
    let statement = known.map(|known| known.statement.clone()).ok_or_else(|| format!("there is no '{name}'"))?;
    let name = &statement.name;
    let reads = |known: &&super::super::Known| {
        let of = |plan: &Arc<Plan>| plan.sources().any(|source| source.name == *name);
        known.statement.name != *name && known.plan.as_ref().is_some_and(of)
    };
    if let Some(reader) = catalog.pipelines().find(reads) {
        return Err(format!("pipeline {} reads {name}; drop it first", reader.statement.name).into());
    }
    let record = StatementDropped { name: name.clone(), number: statement.number };
    decide(server, Record::from(Kind::StatementDropped(record))).await?;
    let image = server.image();
    let mut unneeded: Vec<Uuid> = statement.topics.iter().filter_map(|topics| topics.partials).collect();
    if delete_topic {
        match (&statement.topics, catalog.definitions.get(name)) {
            (Some(topics), _) => {
                unneeded.extend([Some(topics.output), topics.late, topics.rejected].into_iter().flatten())
            }
            (None, Some(definition)) => unneeded.extend(image.topic(&definition.topic).map(|topic| topic.id)),
            (None, None) => {}
        }
    }
    let names: Vec<Str> = unneeded.iter().filter_map(|id| Some(image.topic_by_id(*id)?.name.clone())).collect();
    if !names.is_empty() {
        delete_topics(server, &names).await?;
    }
    out.say(Event::Done(format!("{name} is dropped."))).await
}

/// Commits a punctuation in every partition of a stream's topic.
pub(super) async fn advance(
    server: &Arc<Server>,
    stream: &str,
    topic: &str,
    to_ms: i64,
    out: &Out,
) -> Result<(), Ended> {
    let image = server.image();
    let topic = image.topic(topic).ok_or_else(|| format!("there is no topic '{topic}'"))?;
    for partition in 0..topic.partition_count() {
        let group = GroupId { topic_id: topic.id, partition };
        let advanced = pipelines::advance(server, group, Advance { pipeline: 0, watermark: to_ms }).await;
        advanced.map_err(|reason| format!("partition {partition} of {} can not be advanced: {reason}", topic.name))?;
    }
    out.say(Event::Done(format!("{stream} is advanced."))).await
}
