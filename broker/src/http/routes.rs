//! What is served where.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::{health, scrape, sql};
use crate::server::Server;

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers a request. `lasts` is set where that may take as long as it likes.
pub(super) async fn answer(server: &Arc<Server>, request: Request<Incoming>, lasts: &Cell<bool>) -> Answer {
    let path = request.uri().path().to_owned();
    let (allowed, names): (&[Method], _) = match path.as_str() {
        "/metrics" | "/healthz" | "/readyz" => (&[Method::GET, Method::HEAD], "GET, HEAD"),
        "/v1/sql" => (&[Method::POST], "POST"),
        _ => {
            return text(StatusCode::NOT_FOUND, PLAIN, "there is /metrics, /healthz, /readyz and /v1/sql\n".to_owned());
        }
    };
    if !allowed.contains(request.method()) {
        let only = names.replace(", ", " and ");
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, format!("{only} only\n"));
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(names));
        return answer;
    }
    match path.as_str() {
        "/metrics" => text(StatusCode::OK, prometheus::TEXT_FORMAT, scrape::text(server).await),
        "/healthz" => told(health::alive(server).await),
        "/readyz" => told(health::ready(server)),
        _ => {
            lasts.set(true);
            sql::answer(server, request).await
        }
    }
}

fn told(well: Result<(), String>) -> Answer {
    match well {
        Ok(()) => text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{reason}\n")),
    }
}

pub(super) fn refused(status: StatusCode, reason: &str) -> Answer {
    text(status, PLAIN, format!("{reason}\n"))
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
