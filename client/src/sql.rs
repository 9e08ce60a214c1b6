//! SQL: pipelines, and questions to their results, over the broker's HTTP address.
//!
//! ```no_run
//! use leat_client::sql::Sql;
//!
//! #[derive(serde::Deserialize)]
//! struct Views {
//!     pageid: String,
//!     view_count: i64,
//! }
//!
//! # async fn guide() -> Result<(), leat_client::Error> {
//! let mut sql = Sql::new("127.0.0.1:9644");
//! sql.execute("CREATE STREAM page_views (pageid VARCHAR) WITH (kafka_topic='page_views', value_format='JSON')").await?;
//! let views: Vec<Views> = sql.rows("SELECT pageid, view_count FROM page_view_counts").await?;
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Error;

/// The longest line of an answer.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A session: where statements go, and the settings that `SET` made.
#[derive(Debug, Clone)]
pub struct Sql {
    address: String,
    settings: BTreeMap<String, String>,
    until_end: bool,
}

/// What becomes of a statement, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// What should be known, such as where reading begins.
    Notice(String),
    /// What was done.
    Done(String),
    /// The columns of the rows that follow.
    Columns(Vec<Column>),
    /// A row, in the order of the columns.
    Row(Vec<Json>),
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    pub of: String,
}

/// A line of the answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Notice(String),
    Done(String),
    Columns(Vec<Column>),
    Row(Vec<Json>),
    Set { name: String, value: Option<String> },
    Error { text: String },
}

#[derive(Debug, Serialize)]
struct Asked<'a> {
    sql: &'a str,
    settings: &'a BTreeMap<String, String>,
    until_end: bool,
}

/// The answer to statements as it comes. Dropped, it ends a push query.
#[derive(Debug)]
pub struct Events<'a> {
    session: &'a mut Sql,
    body: Incoming,
    gathered: BytesMut,
    lines: VecDeque<Bytes>,
    connection: JoinHandle<()>,
}

impl Sql {
    /// A session with a broker's HTTP address: `host:port`.
    pub fn new(address: impl Into<String>) -> Sql {
        Sql { address: address.into(), settings: BTreeMap::new(), until_end: false }
    }

    /// Whether queries read to the end that the log has when they begin, close all windows, and end.
    pub fn until_end(mut self, until_end: bool) -> Sql {
        self.until_end = until_end;
        self
    }

    /// A setting, as `SET` makes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.settings.insert(name.into(), value.into());
    }

    /// Carries out statements, separated by semicolons. What becomes of them is in the events, which must be read.
    ///
    /// # Errors
    /// The broker can't be reached, or refuses the request.
    pub async fn run(&mut self, text: &str) -> Result<Events<'_>, Error> {
        let asked = Asked { sql: text, settings: &self.settings, until_end: self.until_end };
        let body = serde_json::to_vec(&asked).map_err(|error| Error::Invalid(error.to_string()))?;
        let lost = |reason: String| Error::Connection { address: self.address.clone(), reason };
        let stream = TcpStream::connect(&self.address).await.map_err(|error| lost(error.to_string()))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| lost(error.to_string()))?;
        let connection = tokio::spawn(async move {
            // The body says it, too.
            let _ = connection.await;
        });
        let request = Request::post("/v1/sql")
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|error| lost(error.to_string()))?;
        let status = response.status();
        let body = response.into_body();
        if status != StatusCode::OK {
            let reason = body.collect().await.map_err(|error| lost(error.to_string()))?.to_bytes();
            return Err(lost(format!("{status}: {}", String::from_utf8_lossy(&reason).trim())));
        }
        Ok(Events { session: self, body, gathered: BytesMut::new(), lines: VecDeque::new(), connection })
    }

    /// Carries out statements and waits until they are done. Gives what they said; rows are passed over.
    ///
    /// # Errors
    /// As [`Sql::run`], and [`Error::Invalid`] with the place where a statement is wrong.
    pub async fn execute(&mut self, text: &str) -> Result<Vec<String>, Error> {
        let mut said = Vec::new();
        let mut events = self.run(text).await?;
        while let Some(event) = events.next().await? {
            if let Event::Notice(text) | Event::Done(text) = event {
                said.push(text);
            }
        }
        Ok(said)
    }

    /// The rows of a query, each as a `T`, whose fields have the names of the columns.
    ///
    /// # Errors
    /// As [`Sql::execute`], and [`Error::Corrupt`] for a row that is no `T`.
    pub async fn rows<T: DeserializeOwned>(&mut self, text: &str) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        let mut columns = Vec::new();
        let mut events = self.run(text).await?;
        while let Some(event) = events.next().await? {
            match event {
                Event::Columns(named) => columns = named,
                Event::Row(values) => rows.push(typed(&columns, values)?),
                Event::Notice(_) | Event::Done(_) => {}
            }
        }
        Ok(rows)
    }
}

fn typed<T: DeserializeOwned>(columns: &[Column], values: Vec<Json>) -> Result<T, Error> {
    let fields: Map<String, Json> = columns.iter().map(|column| column.name.clone()).zip(values).collect();
    serde_json::from_value(Json::Object(fields))
        .map_err(|error| Error::Corrupt { context: "a row".to_owned(), reason: error.to_string() })
}

impl Events<'_> {
    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The connection was lost, or a statement failed: those after it were not begun.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let Some(line) = self.line().await? else { return Ok(None) };
            let corrupt =
                |error: serde_json::Error| Error::Corrupt { context: "/v1/sql".to_owned(), reason: error.to_string() };
            return Ok(Some(match serde_json::from_slice(&line).map_err(corrupt)? {
                Line::Notice(text) => Event::Notice(text),
                Line::Done(text) => Event::Done(text),
                Line::Columns(columns) => Event::Columns(columns),
                Line::Row(values) => Event::Row(values),
                Line::Error { text } => return Err(Error::Invalid(text)),
                Line::Set { name, value } => {
                    match value {
                        Some(value) => self.session.settings.insert(name, value),
                        None => self.session.settings.remove(&name),
                    };
                    continue;
                }
            }));
        }
    }

    async fn line(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            let lost = |reason: String| Error::Connection { address: self.session.address.clone(), reason };
            let Some(frame) = self.body.frame().await else {
                return if self.gathered.is_empty() { Ok(None) } else { Err(lost("the answer is cut off".to_owned())) };
            };
            let frame = frame.map_err(|error| lost(error.to_string()))?;
            if let Some(data) = frame.data_ref() {
                self.gathered.extend_from_slice(data);
            }
            while let Some(end) = self.gathered.iter().position(|&byte| byte == b'\n') {
                let line = self.gathered.split_to(end).freeze();
                self.gathered.advance(1);
                self.lines.push_back(line);
            }
            if self.gathered.len() > LINE_BYTES_MAX {
                return Err(lost(format!("a line of more than {LINE_BYTES_MAX} bytes")));
            }
        }
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
