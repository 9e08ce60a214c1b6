//! OffsetDelete: offsets of topics that nobody in the group reads any more.

use leat_protocol::ErrorCode;
use leat_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::super::context::Context;
use super::{ask, check_name, own};
use crate::groups::Request;

pub(crate) async fn handle(context: &Context, request: OffsetDeleteRequest, _version: i16) -> OffsetDeleteResponse {
    let throttle_time_ms = context.throttle_ms();
    match delete(context, &request).await {
        Ok(topics) => OffsetDeleteResponse { throttle_time_ms, error_code: ErrorCode::NONE, topics },
        Err(error_code) => OffsetDeleteResponse { throttle_time_ms, error_code, topics: Vec::new() },
    }
}

async fn delete(context: &Context, request: &OffsetDeleteRequest) -> Result<Vec<OffsetDeleteResponseTopic>, ErrorCode> {
    check_name(&request.group_id)?;
    let image = context.server.image();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut offsets = Vec::new();
    for topic in &request.topics {
        let known = image.topic(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let partition_index = partition.partition_index;
            let error_code = match known.and_then(|known| known.partition(partition_index)) {
                Some(_) => ErrorCode::NONE,
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            if !error_code.is_err() {
                offsets.push((own(&topic.name), partition_index));
            }
            partitions.push(OffsetDeleteResponsePartition { partition_index, error_code });
        }
        topics.push(OffsetDeleteResponseTopic { name: topic.name.clone(), partitions });
    }
    let group = own(&request.group_id);
    let delete = |reply| Request::DeleteOffsets { group, offsets, reply };
    let mut codes = ask(context, &request.group_id, delete).await??.into_iter();
    let asked =
        topics.iter_mut().flat_map(|topic| &mut topic.partitions).filter(|partition| !partition.error_code.is_err());
    for partition in asked {
        partition.error_code = codes.next().unwrap_or_default();
    }
    Ok(topics)
}
