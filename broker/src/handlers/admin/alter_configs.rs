//! AlterConfigs: a resource's own values become exactly those of the request.

use leat_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use leat_protocol::{ErrorCode, Str};

use super::alteration::{self, Operation};
use super::place::Problem;
use super::repeat::Repeats;
use super::{Finish, Plan};
use crate::config::Config;
use crate::metadata::Image;
use crate::metadata::record::{ConfigEntry, Kind};

impl Finish for AlterConfigsResponse {
    fn refuse(&mut self, at: usize, code: ErrorCode, message: Option<Str>) {
        if let Some(result) = self.responses.get_mut(at) {
            result.error_code = code;
            result.error_message = message;
        }
    }
}

/// Plans the request.
pub(crate) fn plan(image: &Image, config: &Config, request: &AlterConfigsRequest) -> Plan<AlterConfigsResponse> {
    let mut plan = Plan::new(AlterConfigsResponse::default());
    let repeats =
        Repeats::of(request.resources.iter().map(|resource| (resource.resource_type, &resource.resource_name)));
    for resource in &request.resources {
        let repeated = repeats.contains(&(resource.resource_type, &resource.resource_name));
        let at = plan.response_mut().responses.len();
        plan.response_mut().responses.push(AlterConfigsResourceResponse {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..AlterConfigsResourceResponse::default()
        });
        let result = if repeated {
            Err((ErrorCode::INVALID_REQUEST, "Each resource must appear at most once.".into()))
        } else {
            replace(image, config, resource)
        };
        match result {
            Err((code, text)) => plan.response_mut().refuse(at, code, Some(text.into())),
            Ok(Some(record)) if !request.validate_only => plan.propose(at, record),
            Ok(_) => {}
        }
    }
    plan
}

/// The record that makes a resource's values those of the request; none where they are so already.
fn replace(image: &Image, config: &Config, resource: &AlterConfigsResource) -> Result<Option<Kind>, Problem> {
    let target = alteration::target(image, resource.resource_type, &resource.resource_name)?;
    let now = target.overrides(image);
    let mut changes: Vec<ConfigEntry> = Vec::new();
    let repeats = Repeats::of(resource.configs.iter().map(|entry| &entry.name));
    for entry in &resource.configs {
        if repeats.contains(&&entry.name) {
            return Err((ErrorCode::INVALID_REQUEST, "Error due to duplicate config keys".into()));
        }
        changes.push(target.change(config, &now, Operation::Set, &entry.name, entry.value.as_deref())?);
    }
    let left_out = now.keys().filter(|key| resource.configs.iter().all(|entry| entry.name != *key));
    let left_out: Vec<ConfigEntry> = left_out.map(|key| ConfigEntry::unset(key)).collect();
    changes.extend(left_out);
    target.check_together(config, &now, &changes)?;
    Ok((!changes.is_empty()).then(|| target.record(changes)))
}
