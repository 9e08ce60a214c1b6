//! `INSERT INTO ... VALUES`, and values as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use leat_pipeline::compile::NewRecord;
use leat_pipeline::value::{Type, Value};
use leat_protocol::partitioner;
use leat_protocol::records::{BatchHeader, Builder, Compression};
use leat_storage::GroupId;
use serde_json::{Map, Value as Json};

use super::super::delivery::{Delivered, deliver};
use super::{Ended, Event, Out};
use crate::clock::now_ms;
use crate::server::Server;

pub(super) async fn insert(
    server: &Arc<Server>,
    topic: &str,
    _partitions: Option<i32>,
    records: Vec<NewRecord>,
    out: &Out,
) -> Result<(), Ended> {
    let image = server.image();
    let topic = image.topic(topic).ok_or_else(|| format!("there is no topic '{topic}'"))?;
    let count = usize::try_from(topic.partition_count()).unwrap_or(1).max(1);
    let mut by_partition: BTreeMap<usize, Vec<NewRecord>> = BTreeMap::new();
    for (at, record) in records.into_iter().enumerate() {
        let place = record.key.as_deref().map_or(at % count, |key| partitioner::for_key(key, count));
        by_partition.entry(place).or_default().push(record);
    }
    let mut written = 0;
    for (partition, records) in by_partition {
        let mut builder = Builder::new(Compression::None, None);
        for record in &records {
            let timestamp = record.timestamp.unwrap_or_else(now_ms);
            builder.push(timestamp, record.key.as_deref(), record.value.as_deref(), &[]);
        }
        let batch = builder.finish().map_err(|error| error.to_string())?;
        let header = BatchHeader::parse(&batch).map_err(|error| error.to_string())?;
        let partition = i32::try_from(partition).unwrap_or(0);
        let group = GroupId { topic_id: topic.id, partition };
        match deliver(server, group, BytesMut::from(batch), header).await {
            Delivered::Taken => written += records.len(),
            Delivered::Upto(_) => return Err("the partition refused the records".to_owned().into()),
            Delivered::Not(reason) => return Err(format!("partition {partition} of {}: {reason}", topic.name).into()),
        }
    }
    out.say(Event::Done(format!("{written} written to {}.", topic.name))).await
}

/// A value as JSON, by its type.
pub(super) fn to_json(of: &Type, value: &Value) -> Json {
    match (value, of) {
        (Value::Null, _) => Json::Null,
        (Value::Bool(bool), _) => Json::Bool(*bool),
        (Value::Int(int), Type::Timestamp | Type::Date | Type::Time) => {
            Json::String(leat_pipeline::expr::to_text(&Value::Int(*int), of))
        }
        (Value::Int(int), _) => Json::from(*int),
        (Value::Double(double), _) => {
            serde_json::Number::from_f64(*double).map_or_else(|| Json::String(double.to_string()), Json::Number)
        }
        (Value::String(text), _) => Json::String(text.to_string()),
        (Value::Bytes(bytes), _) => Json::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        (Value::Array(values), Type::Array(of)) => Json::Array(values.iter().map(|value| to_json(of, value)).collect()),
        (Value::Array(values), _) => Json::Array(values.iter().map(|value| to_json(&Type::Null, value)).collect()),
        (Value::Map(entries), of) => {
            let of = if let Type::Map(of) = of { of } else { &Type::Null };
            Json::Object(entries.iter().map(|(key, value)| (key.to_string(), to_json(of, value))).collect())
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            let fields = fields.iter().zip(values);
            Json::Object(fields.map(|((name, of), value)| (name.clone(), to_json(of, value))).collect::<Map<_, _>>())
        }
        (Value::Struct(values), _) => Json::Array(values.iter().map(|value| to_json(&Type::Null, value)).collect()),
    }
}
