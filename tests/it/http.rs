//! `/metrics`, `/healthz` and `/readyz` over a socket, and that documents name only metrics that there are.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use leat_broker::Broker;
use leat_protocol::ErrorCode;
use tempfile::TempDir;

use crate::harness::{Cluster, Member, Partition, QUICK_GROUPS, Target, batch, skip_unless_leat, start, wait_until};

/// Status and everything that was answered.
fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("the broker reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and its end");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let (status, answer) = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"));
    (status, answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned())
}

/// A broker with HTTP, and where.
fn serving(sets: &[(&str, &str)]) -> (Broker, SocketAddr, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let http = [("leat.http.listen", "127.0.0.1:0")];
    let sets: Vec<_> = http.iter().chain(&QUICK_GROUPS).chain(sets).copied().collect();
    let broker = start(folder.path(), &sets).expect("a broker");
    let address = broker.http_addresses()[0];
    (broker, address, folder)
}

/// The value of a sample by its whole name, labels too.
pub(crate) fn sample(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(named, _)| named == name))?;
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok())
}

/// A topic that was produced to, fetched from and committed by a group; and one that is not there was asked for.
fn use_broker(broker: &Broker) -> (Partition, Member) {
    let target = Target::of(broker);
    let mut partition = Partition::with(&target, "measured", &[]);
    partition.append(batch(&["one", "two", "three"]));
    assert_eq!(partition.fetch(1).error_code, ErrorCode::NONE);
    let mut missing = Partition { topic: "not-there".to_owned(), connection: target.connect() };
    assert_ne!(missing.produce(batch(&["x"])).error_code, ErrorCode::NONE);
    let mut member = Member::alone(&target, "measuring");
    assert_eq!(member.commit(&partition.topic, 1), ErrorCode::NONE);
    (partition, member)
}

#[test]
fn what_clients_do_is_counted() {
    if skip_unless_leat("what_clients_do_is_counted") {
        return;
    }
    let (broker, http, _folder) = serving(&[]);
    let (partition, member) = use_broker(&broker);
    let (status, text) = get(http, "/metrics");
    assert_eq!(status, 200);
    let (topic, group) = (&partition.topic, &member.group);
    let of = |name: &str| sample(&text, name);
    let of_topic = |name: &str| of(&format!("{name}{{topic=\"{topic}\"}}"));
    let of_partition = |name: &str| of(&format!("{name}{{topic=\"{topic}\",partition=\"0\"}}"));
    let of_group = |name: &str| of(&format!("{name}{{consumergroup=\"{group}\",topic=\"{topic}\",partition=\"0\"}}"));
    assert_eq!(of_topic("kafka_server_brokertopicmetrics_messagesin_total"), Some(3.0));
    assert_eq!(of_topic("leat_topic_records_out_total"), Some(2.0), "asked for from offset 1");
    let bytes_in = of_topic("kafka_server_brokertopicmetrics_bytesin_total");
    assert!(bytes_in > Some(60.0), "{bytes_in:?}");
    assert_eq!(of_topic("kafka_server_brokertopicmetrics_bytesout_total"), bytes_in, "a whole batch");
    assert!(of_partition("kafka_log_log_size") > bytes_in);
    assert_eq!(of_partition("kafka_topic_partition_oldest_offset"), Some(0.0));
    assert_eq!(of_partition("kafka_topic_partition_current_offset"), Some(3.0));
    assert_eq!(of_group("kafka_consumergroup_current_offset"), Some(1.0));
    assert_eq!(of_group("kafka_consumergroup_lag"), Some(2.0));
    let refused = "{error=\"UNKNOWN_TOPIC_OR_PARTITION\",request=\"Produce\"}";
    assert_eq!(of(&format!("kafka_network_requestmetrics_errors_total{refused}")), Some(1.0));
    assert_eq!(of("leat_request_duration_seconds_count{request=\"Produce\"}"), Some(2.0));
    assert!(of("leat_log_sync_duration_seconds_count") > Some(0.0));
    assert!(of("leat_connections_open") >= Some(2.0));
    assert!(of("process_resident_memory_bytes") > Some(1e6));
}

#[test]
fn a_group_whose_broker_was_restarted_has_its_lag() {
    if skip_unless_leat("a_group_whose_broker_was_restarted_has_its_lag") {
        return;
    }
    let (broker, _, folder) = serving(&[]);
    let (partition, member) = use_broker(&broker);
    broker.stop();
    let broker = start(folder.path(), &[("leat.http.listen", "127.0.0.1:0")]).expect("a broker");
    let (topic, group) = (&partition.topic, &member.group);
    let name = format!("kafka_consumergroup_lag{{consumergroup=\"{group}\",topic=\"{topic}\",partition=\"0\"}}");
    let lag = || sample(&get(broker.http_addresses()[0], "/metrics").1, &name);
    wait_until("the group is loaded", Duration::from_secs(10), || lag().is_some());
    assert_eq!(lag(), Some(2.0));
}

#[test]
fn partitions_are_shown_only_where_they_are_asked_for() {
    if skip_unless_leat("partitions_are_shown_only_where_they_are_asked_for") {
        return;
    }
    let (broker, http, _folder) = serving(&[("leat.metrics.partitions", "false")]);
    let _used = use_broker(&broker);
    let (_, text) = get(http, "/metrics");
    assert!(!text.contains("kafka_log_log_size"));
    assert!(text.contains("kafka_server_replicamanager_partitioncount"));
}

#[test]
fn paths_methods_and_headers_are_checked() {
    if skip_unless_leat("paths_methods_and_headers_are_checked") {
        return;
    }
    let (_broker, http, _folder) = serving(&[]);
    assert_eq!(get(http, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(http, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(http, "/readyz?verbose").0, 200);
    assert_eq!(get(http, "/").0, 404);
    assert_eq!(get(http, "/metrics/").0, 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (status, answer) =
            ask(http, &format!("{method} /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(status, 405);
        assert!(answer.to_lowercase().contains("allow: get, head"), "{answer}");
    }
    let (status, answer) = ask(http, "HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((status, answer.split_once("\r\n\r\n").map(|(_, body)| body)), (200, Some("")));
    let long = format!("GET /metrics HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(16 << 10));
    assert_eq!(ask(http, &long).0, 431);
    assert_eq!(ask(http, "rubbish\r\n\r\n").0, 400);
}

#[test]
fn clients_that_are_slow_or_many_are_closed_and_the_others_served() {
    if skip_unless_leat("clients_that_are_slow_or_many_are_closed_and_the_others_served") {
        return;
    }
    let (_broker, http, _folder) = serving(&[]);
    let slow = |said: &str| {
        let mut stream = TcpStream::connect(http).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(said.as_bytes()).expect("the broker reads");
        stream
    };
    // More than are served at a time.
    let silent: Vec<_> = (0..80).map(|_| slow("")).collect();
    let halting = slow("GET /metrics HTTP/1.1\r\nHost:");
    assert_eq!(get(http, "/healthz").0, 200);
    let mut is_closed = |mut stream: &TcpStream| match stream.read(&mut [0; 1]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(silent.iter().all(&mut is_closed), "nothing was asked");
    assert!(is_closed(&halting), "the question had no end");
}

#[test]
fn a_broker_that_stops_is_alive_but_not_ready() {
    if skip_unless_leat("a_broker_that_stops_is_alive_but_not_ready") {
        return;
    }
    // An answer that nobody reads holds up the end.
    let (broker, http, _folder) = serving(&[("socket.send.buffer.bytes", "65536"), ("leat.stop.timeout.ms", "60000")]);
    let mut partition = Partition::with(&Target::of(&broker), "large", &[]);
    let value = "x".repeat(900_000);
    for _ in 0..24 {
        partition.append(batch(&[&value]));
    }
    let mut request = partition.fetch_request(0);
    (request.max_bytes, request.topics[0].partitions[0].partition_max_bytes) = (i32::MAX, i32::MAX);
    let mut unread = partition.beside(&Target::of(&broker));
    unread.connection.send(12, &request);
    let answered = || sample(&get(http, "/metrics").1, "leat_request_duration_seconds_count{request=\"Fetch\"}");
    wait_until("the fetch is answered", Duration::from_secs(10), || answered() == Some(1.0));

    let stopping = thread::spawn(move || broker.stop());
    wait_until("it stops", Duration::from_secs(10), || get(http, "/readyz").0 == 503);
    assert_eq!(get(http, "/readyz"), (503, "the broker is stopping\n".to_owned()));
    assert_eq!(get(http, "/healthz").0, 200);
    drop(unread);
    stopping.join().expect("a clean stop");
    assert!(TcpStream::connect(http).is_err(), "it is over");
}

#[test]
fn documents_name_the_metrics_that_there_are() {
    if skip_unless_leat("documents_name_the_metrics_that_there_are") {
        return;
    }
    let (broker, http, _folder) = serving(&[]);
    let _used = use_broker(&broker);
    run_pipeline(http);
    let (_, text) = get(http, "/metrics");
    // Who leads the metadata tells of its followers.
    let cluster = Cluster::start(2, &[]);
    let of_node = |node| get(cluster.http_address(node).parse().expect("an address"), "/metrics").1;
    let text = [text, of_node(1), of_node(2)].concat();
    let there: BTreeSet<&str> = text.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    for document in ["grafana.json", "operations.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
        let document_text = std::fs::read_to_string(path).expect("a document");
        let named = metrics_in(&document_text);
        assert!(named.len() > 10, "{document} names {named:?}");
        let missing: Vec<_> = named.iter().filter(|name| !is_there(&there, name)).collect();
        assert!(missing.is_empty(), "{document} names metrics that there are not: {missing:?}");
        if document == "operations.md" {
            let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
            let untold: Vec<_> = families.filter(|name| !named.contains(name)).collect();
            assert!(untold.is_empty(), "{document} does not tell of {untold:?}");
        }
    }
}

/// A pipeline that has seen a row.
fn run_pipeline(http: SocketAddr) {
    let sql = "CREATE STREAM readings (device VARCHAR, celsius DOUBLE)
            WITH (kafka_topic='readings', value_format='JSON', partitions=1);
        CREATE TABLE means AS SELECT device, AVG(celsius) AS mean FROM readings
            WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY device EMIT CHANGES;
        INSERT INTO readings (device, celsius) VALUES ('a', 20.5);";
    let request = format!("POST /v1/sql HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n{sql}", sql.len());
    let (status, answer) = ask(http, &request);
    assert!(status == 200 && !answer.contains("error"), "{answer}");
    let applied = || {
        let text = get(http, "/metrics").1;
        sample(&text, "leat_pipeline_rows_total{pipeline=\"means\",partition=\"0\",outcome=\"applied\"}") == Some(1.0)
            && text.contains("leat_pipeline_watermark_seconds")
    };
    wait_until("the row is applied", Duration::from_secs(30), applied);
}

/// A histogram is named with or without the ends of its samples' names.
fn is_there(there: &BTreeSet<&str>, name: &str) -> bool {
    there.contains(name) || there.contains(&*format!("{name}_count"))
}

/// Words that look like a metric's name.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let starts = ["leat_", "kafka_", "process_"];
    words.filter(|word| starts.iter().any(|start| word.len() > start.len() && word.starts_with(start))).collect()
}
