//! DeleteTopics: by name up to version 5, by name or id from version 6.

use std::collections::BTreeSet;

use leat_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::place::Problem;
use super::repeat::Repeats;
use super::{Finish, Plan};
use crate::config::Config;
use crate::metadata::Image;
use crate::metadata::record::{Kind, TopicDeleted};

impl Finish for DeleteTopicsResponse {
    fn refuse(&mut self, at: usize, code: ErrorCode, message: Option<Str>) {
        if let Some(result) = self.responses.get_mut(at) {
            result.error_code = code;
            result.error_message = message;
        }
    }
}

/// Plans the request.
pub(crate) fn plan(
    image: &Image,
    config: &Config,
    version: i16,
    request: &DeleteTopicsRequest,
) -> Plan<DeleteTopicsResponse> {
    let mut plan = Plan::new(DeleteTopicsResponse::default());
    let named =
        request.topic_names.iter().map(|name| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::nil() });
    let asked: Vec<DeleteTopicState> = named.chain(request.topics.iter().cloned()).collect();
    let mut repeats = Repeats::of(asked.iter().map(|topic| (topic.name.clone(), topic.topic_id)));
    let mut taken = BTreeSet::new();
    for topic in asked {
        let Some(repeated) = repeats.take(&(topic.name.clone(), topic.topic_id)) else { continue };
        let at = plan.response_mut().responses.len();
        let result = if repeated { Err(repeated_text(&topic)) } else { find(image, config, version, &topic) };
        match result {
            Err((code, text)) => plan.response_mut().responses.push(DeletableTopicResult {
                name: topic.name,
                topic_id: topic.topic_id,
                error_code: code,
                error_message: Some(text.into()),
            }),
            Ok((name, topic_id)) => {
                let result = DeletableTopicResult { name: Some(name), topic_id, ..DeletableTopicResult::default() };
                plan.response_mut().responses.push(result);
                if !taken.insert(topic_id) {
                    let text = "The provided topic name maps to an ID that was already supplied.";
                    plan.response_mut().refuse(at, ErrorCode::INVALID_REQUEST, Some(text.into()));
                } else {
                    plan.propose(at, Kind::TopicDeleted(TopicDeleted { topic_id: topic_id.as_bytes().to_vec() }));
                }
            }
        }
    }
    plan
}

fn repeated_text(topic: &DeleteTopicState) -> Problem {
    let text = if topic.name.is_some() { "Duplicate topic name." } else { "Duplicate topic id." };
    (ErrorCode::INVALID_REQUEST, text.to_owned())
}

fn unknown(code: ErrorCode) -> Problem {
    (code, code.message().to_owned())
}

fn find(image: &Image, config: &Config, version: i16, topic: &DeleteTopicState) -> Result<(Str, Uuid), Problem> {
    if !config.delete_topic_enable {
        let code = if version < 3 { ErrorCode::INVALID_REQUEST } else { ErrorCode::TOPIC_DELETION_DISABLED };
        return Err((code, "Topic deletion is disabled (delete.topic.enable).".to_owned()));
    }
    let found = match (&topic.name, topic.topic_id.is_nil()) {
        (None, true) => {
            return Err((ErrorCode::INVALID_REQUEST, "Neither topic name nor id were specified.".to_owned()));
        }
        (Some(_), false) => {
            return Err((ErrorCode::INVALID_REQUEST, "You may not specify both topic name and topic id.".to_owned()));
        }
        (Some(name), true) => image.topic(name).ok_or_else(|| unknown(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?,
        (None, false) => image.topic_by_id(topic.topic_id).ok_or_else(|| unknown(ErrorCode::UNKNOWN_TOPIC_ID))?,
    };
    if let Some(writer) = image.writer_of(found.id) {
        let text = format!("Pipeline {} writes to the topic; drop it first.", writer.name);
        return Err((ErrorCode::POLICY_VIOLATION, text));
    }
    Ok((found.name.clone(), found.id))
}
