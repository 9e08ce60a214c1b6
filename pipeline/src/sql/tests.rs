use super::*;
use crate::plan::Window;
use proptest::prelude::*;

const PAGE_VIEWS: &str = "CREATE STREAM page_views (
    viewtime BIGINT,
    userid VARCHAR,
    pageid VARCHAR
) WITH (
    kafka_topic='page_views',
    value_format='JSON'
);
CREATE TABLE page_view_counts AS
    SELECT pageid, COUNT(*) AS view_count
    FROM page_views
    WINDOW TUMBLING (SIZE 1 MINUTE)
    GROUP BY pageid
    EMIT CHANGES;";

const ORDERS: &str = "CREATE TABLE orders (
    order_id STRING,
    product STRING,
    amount DOUBLE,
    order_time TIMESTAMP(3),
    WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'orders',
    'properties.bootstrap.servers' = 'localhost:9092',
    'properties.group.id' = 'order_consumer',
    'format' = 'json',
    'scan.startup.mode' = 'earliest-offset'
);
SELECT window_start, window_end, product, SUM(amount) as total_amount, COUNT(*) as order_count
FROM TABLE(
    TUMBLE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '1' HOURS)
)
GROUP BY window_start, window_end, product;";

const OTHERS: &str = "SET 'auto.offset.reset' = 'latest'; SHOW STREAMS; LIST QUERIES; DESCRIBE page_views EXTENDED;
PAUSE page_view_counts; RESUME page_view_counts; DROP TABLE IF EXISTS t; TERMINATE ALL;
ADVANCE orders TO TIMESTAMP '2026-01-31 00:00:00'; SAVEPOINT page_view_counts 'before';
INSERT INTO page_views (viewtime, userid) VALUES (1, 'a'), (2, 'b' || 'c');
EXPLAIN SELECT * FROM page_views EMIT CHANGES LIMIT 5;
CREATE OR REPLACE STREAM s WITH (kafka_topic='s', partitions=3) AS
  SELECT a->b->c AS x, m['k'], l[1], CASE WHEN a IS NULL THEN 1 ELSE 2 END FROM t
  WHERE x LIKE 'a%' AND y BETWEEN 1 AND 2 PARTITION BY x, y EMIT CHANGES START FROM OFFSET 0:5, 1:7;
SELECT word, COUNT(*) FROM t CROSS JOIN UNNEST(words) AS u (word) GROUP BY word;
CREATE TABLE h AS SELECT a, COUNT(*) FILTER (WHERE b > 1) FROM t
  WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 5 MINUTES, RETENTION 2 DAYS, GRACE PERIOD 10 SECONDS) GROUP BY a HAVING COUNT(*) > 1
  EMIT FINAL;
SELECT * FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTES, INTERVAL '10' MINUTES));
CREATE STREAM n (a ARRAY<MAP<STRING, STRUCT<x INT, y ARRAY<DOUBLE>>>>, k STRING KEY, h BYTES HEADER('h')) WITH (kafka_topic='n')";

#[test]
fn the_two_statements_parse_as_written() {
    let statements = parse(PAGE_VIEWS).unwrap();
    let [Kind::Define(_), Kind::CreateAs(create)] = [&statements[0].kind, &statements[1].kind] else { panic!() };
    let window = create.query.window.as_ref().unwrap();
    assert_eq!(window.shape, Window::Hopping { size_ms: 60_000, advance_ms: 60_000, offset_ms: 0 });
    assert!(
        statements[1].text.starts_with("CREATE TABLE page_view_counts") && statements[1].text.ends_with("EMIT CHANGES")
    );
    let statements = parse(ORDERS).unwrap();
    let Kind::Select(query) = &statements[1].kind else { panic!() };
    assert_eq!(query.from.as_ref().unwrap().text, "orders");
    assert_eq!(
        query.window.as_ref().unwrap().shape,
        Window::Hopping { size_ms: 3_600_000, advance_ms: 3_600_000, offset_ms: 0 }
    );
}

#[test]
fn every_statement_parses() {
    let statements = parse(OTHERS).unwrap_or_else(|error| panic!("{}", error.render()));
    assert_eq!(statements.len(), 17);
}

#[test]
fn an_error_points_at_its_place() {
    for (text, rendered) in [
        (
            "CREATE STREEM s",
            "line 1, column 8: 'STREEM' is not understood here; expected STREAM, TABLE, VIEW; did you mean 'STREAM'?\n  CREATE STREEM s\n         ^",
        ),
        (
            "SELECT a FROM t\n  EMIT CHANGE",
            "line 2, column 8: 'CHANGE' is not understood here; expected CHANGES, FINAL, ON; did you mean 'CHANGES'?\n    EMIT CHANGE\n         ^",
        ),
        (
            "SELECT a FROM t FULL JOIN u ON t.a = u.a",
            "line 1, column 17: FULL JOIN is not supported yet\n  SELECT a FROM t FULL JOIN u ON t.a = u.a\n                  ^",
        ),
        (
            "CREATE STREAM s (a INTT) WITH (x='y')",
            "line 1, column 20: there is no type 'INTT'; expected a type; did you mean 'INT'?\n  CREATE STREAM s (a INTT) WITH (x='y')\n                     ^",
        ),
        ("SELECT 'a", "line 1, column 8: Unterminated string literal\n  SELECT 'a\n         ^"),
    ] {
        assert_eq!(parse(text).unwrap_err().render(), rendered);
    }
}

#[test]
fn what_is_long_or_deep_is_an_error() {
    for (text, is_error) in [
        (format!("SELECT {}1{} FROM t", "(".repeat(100_000), ")".repeat(100_000)), true),
        (format!("SELECT 1{} FROM t", " + 1".repeat(200_000)), true),
        (format!("SELECT {}1 FROM t", "- ".repeat(200_000)), true),
        (format!("SELECT {}x FROM t", "NOT ".repeat(200_000)), true),
        (format!("SELECT {}x", "CASE WHEN ".repeat(90_000)), true),
        (format!("SELECT {}x", "a.".repeat(90_000)), true),
        (format!("SELECT a{}", "[1]".repeat(90_000)), true),
        (format!("SELECT {}", "f(".repeat(90_000)), true),
        (format!("SELECT a{}", "->b".repeat(90_000)), true),
        (format!("SELECT {}", "SELECT ".repeat(90_000)), true),
        (format!("CREATE STREAM s (a {}", "ARRAY<".repeat(90_000)), true),
        (format!("{}SELECT 1", "EXPLAIN ".repeat(90_000)), true),
        (format!("SELECT '{}'", "x".repeat(2 << 20)), true),
        (format!("SELECT 1{} FROM t", " + 1".repeat(100)), false),
        (format!("SELECT {}1{} FROM t", "(".repeat(8), ")".repeat(8)), false),
        (format!("INSERT INTO t VALUES {}(1, 'a')", "(1, 'a'), ".repeat(50_000)), false),
    ] {
        assert_eq!(parse(&text).is_err(), is_error, "{:.60}", text);
    }
}

#[test]
fn truncated_statements_never_panic() {
    for text in [PAGE_VIEWS, ORDERS, OTHERS] {
        for (at, _) in text.char_indices() {
            let _ = parse(&text[..at]);
            let _ = parse(&text[at..]);
        }
    }
}

proptest! {
    #[test]
    fn random_tokens_never_panic(picks in proptest::collection::vec(0_usize..10_000, 1..60)) {
        let words: Vec<&str> = [PAGE_VIEWS, ORDERS, OTHERS].iter().flat_map(|text| text.split_whitespace()).collect();
        let text: Vec<&str> = picks.iter().map(|pick| words[pick % words.len()]).collect();
        let _ = parse(&text.join(" "));
    }

    #[test]
    fn random_text_never_panics(text in ".{0,200}") {
        let _ = parse(&text);
    }
}
