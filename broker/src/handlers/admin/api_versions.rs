//! ApiVersions: what this broker serves. The only API that is answered in a version the client did not ask for: above
//! ours, in version 0 with error 35 and the list, so that the client can choose.

use leat_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use leat_protocol::{APIS, Api, ApiKey, ErrorCode};

/// The version in which a request of `version` is decoded and answered.
pub(crate) fn version(version: i16) -> i16 {
    if ApiKey::ApiVersions.versions().contains(version) { version } else { 0 }
}

/// The answer to a request of a version that is not ours: encode it in version 0.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: served(),
        ..ApiVersionsResponse::default()
    }
}

/// Answers the request.
pub(crate) fn respond(throttle_time_ms: i32, version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    if version >= 3
        && !(is_software_word(&request.client_software_name) && is_software_word(&request.client_software_version))
    {
        return ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..ApiVersionsResponse::default() };
    }
    ApiVersionsResponse { throttle_time_ms, api_keys: served(), ..ApiVersionsResponse::default() }
}

fn served() -> Vec<ApiVersion> {
    let row = |api: &Api| ApiVersion {
        api_key: api.key as i16,
        min_version: api.announced_min,
        max_version: api.versions.max,
    };
    APIS.iter().filter(|api| api.served).map(row).collect()
}

/// KIP-511: letters, digits, `-` and `.`, with one of the first two at both ends.
fn is_software_word(word: &str) -> bool {
    let ends = [word.chars().next(), word.chars().next_back()];
    ends.iter().all(|c| c.is_some_and(|c| c.is_ascii_alphanumeric()))
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
}
