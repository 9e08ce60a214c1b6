//! `/v1/sql`: statements in, events out, a line of JSON each, as they come.
//!
//! The body is the text alone, or `{"sql": ..., "settings": {...}, "until_end": ...}` as `application/json`. The answer is
//! `application/x-ndjson`, or server-sent events where those are asked for. Its status says only that the request was
//! readable: what became of the statements is in the events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::routes::{Answer, refused};
use crate::config::Overrides;
use crate::pipelines::engine::{self, EVENTS_MAX, Event, Script};
use crate::server::Server;

/// The text and what is around it.
const BODY_BYTES_MAX: usize = 4 << 20;
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sql: String,
    #[serde(default)]
    settings: Overrides,
    #[serde(default)]
    until_end: bool,
}

pub(super) async fn answer(server: &Arc<Server>, request: Request<Incoming>) -> Answer {
    let Ok(turn) = server.pipelines.scripts.clone().try_acquire_owned() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many statements are carried out; try again");
    };
    let header =
        |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let is_json = header(CONTENT_TYPE).starts_with("application/json");
    let as_events = header(ACCEPT).contains("text/event-stream");
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = match timeout(BODY_TIME_MAX, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return refused(StatusCode::BAD_REQUEST, &format!("the body can not be read: {error}")),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    let script = match read(&body, is_json) {
        Ok(script) => script,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, &reason),
    };
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let server = server.clone();
    tokio::task::spawn_local(async move {
        engine::run(server, script, sender).await;
        drop(turn);
    });
    respond(events, as_events)
}

fn read(body: &[u8], is_json: bool) -> Result<Script, String> {
    if is_json {
        let asked: Asked =
            serde_json::from_slice(body).map_err(|error| format!("the body is not what is asked: {error}"))?;
        return Ok(Script { text: asked.sql, settings: asked.settings, until_end: asked.until_end });
    }
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    Ok(Script { text: text.to_owned(), ..Script::default() })
}

fn respond(events: mpsc::Receiver<Event>, as_events: bool) -> Answer {
    let lines = stream::unfold(events, move |mut events| async move {
        // What gathered goes out together.
        let mut gathered = Vec::new();
        if events.recv_many(&mut gathered, EVENTS_MAX).await == 0 {
            return None;
        }
        let line = |event: &Event| match as_events {
            true => format!("data: {}\n\n", event.to_json()),
            false => format!("{}\n", event.to_json()),
        };
        let text: String = gathered.iter().map(line).collect();
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), events))
    });
    let mut answer = Response::new(StreamBody::new(lines).boxed_unsync());
    let kind = if as_events { "text/event-stream" } else { "application/x-ndjson" };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
