use super::*;
use crate::expr::{function, to_text};
use crate::plan::{Body, Column, Emit, Format, FrameBound, From as Place, Function, Source, Start, Window};
use crate::sql::{Error, parse};
use crate::value::Value;

/// Compiles a script; definitions that it makes can be used by what follows.
fn script(text: &str) -> Result<Vec<Compiled>, Error> {
    let (mut catalog, mut session) = (Catalog::new(), Session::default());
    let mut all = Vec::new();
    for statement in parse(text)? {
        let compiled = compile(&statement, &catalog, &session)?;
        assert_eq!(compile(&statement, &catalog, &session).as_ref(), Ok(&compiled), "the same each time");
        match &compiled.action {
            Action::Define { definition, .. } => catalog.put(definition.clone()),
            Action::Create { definition, .. } => {
                catalog.put(definition.clone());
                catalog.put_counts(&definition.name);
            }
            Action::Set { name, value } => session.set(name, value.as_deref()),
            _ => {}
        }
        all.push(compiled);
    }
    Ok(all)
}

fn last(text: &str) -> Compiled {
    script(text).unwrap_or_else(|error| panic!("{}", error.render())).pop().unwrap()
}

fn plan(text: &str) -> Plan {
    match last(text).action {
        Action::Create { plan, .. } | Action::Push { plan, .. } | Action::Insert { plan, .. } => *plan,
        other => panic!("{other:?}"),
    }
}

fn message(text: &str) -> String {
    script(text).unwrap_err().to_string()
}

const VIEWS: &str = "CREATE STREAM page_views (viewtime BIGINT, userid VARCHAR, pageid VARCHAR)
    WITH (kafka_topic='page_views', value_format='JSON');";
const COUNTS: &str = "CREATE TABLE page_view_counts AS SELECT pageid, COUNT(*) AS view_count FROM page_views
    WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY pageid EMIT CHANGES;";
const ORDERS: &str = "CREATE TABLE orders (order_id STRING, product STRING, amount DOUBLE, order_time TIMESTAMP(3),
    WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND) WITH ('connector' = 'kafka', 'topic' = 'orders',
    'properties.bootstrap.servers' = 'localhost:9092', 'properties.group.id' = 'order_consumer', 'format' = 'json',
    'scan.startup.mode' = 'earliest-offset');";

fn names(fields: &[Field]) -> Vec<(&str, Type)> {
    fields.iter().map(|field| (field.name.as_str(), field.of.clone())).collect()
}

#[test]
fn the_first_statement_means_what_it_says() {
    let compiled = last(&format!("{VIEWS}{COUNTS}"));
    let Action::Create { plan, definition, .. } = compiled.action else { panic!() };
    let column = Column { name: "pageid".into(), of: Type::String, from: Place::Value(2) };
    assert_eq!(plan.source.columns, [column], "only what is used");
    assert_eq!((&plan.source.event_time, plan.source.disorder_ms, &plan.source.start), (&None, 0, &Start::Earliest));
    let Body::Aggregate(aggregate) = &plan.body else { panic!() };
    assert_eq!(aggregate.window, Window::Hopping { size_ms: 60_000, advance_ms: 60_000, offset_ms: 0 });
    assert_eq!((aggregate.grace_ms, aggregate.emit), (86_400_000, Emit::Changes));
    let key = [("pageid", Type::String), ("window_start", Type::BigInt), ("window_end", Type::BigInt)];
    assert_eq!(names(&aggregate.key), key);
    assert_eq!(names(&aggregate.value), [("view_count", Type::BigInt)]);
    assert_eq!((plan.output.topic.as_str(), plan.output.is_table), ("page_view_counts", true));
    assert_eq!((definition.columns.len(), definition.windowed, definition.materialized), (4, true, true));
    assert!(compiled.notices[0].contains("EARLIEST"), "{:?}", compiled.notices);
}

#[test]
fn the_second_statement_means_what_it_says() {
    let compiled = last(&format!(
        "{ORDERS} SELECT window_start, window_end, product, SUM(amount) as total_amount, COUNT(*) as order_count
         FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '1' HOURS))
         GROUP BY window_start, window_end, product"
    ));
    let Action::Push { plan, columns, .. } = compiled.action else { panic!() };
    let used: Vec<&str> = plan.source.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(used, ["product", "amount", "order_time"]);
    assert_eq!((&plan.source.event_time, plan.source.disorder_ms), (&Some(Expr::Column(2)), 5_000));
    let Body::Aggregate(aggregate) = &plan.body else { panic!() };
    assert_eq!((aggregate.grace_ms, aggregate.emit), (0, Emit::Final));
    let key = [("product", Type::String), ("window_start", Type::Timestamp), ("window_end", Type::Timestamp)];
    assert_eq!(names(&aggregate.key), key);
    assert_eq!(names(&aggregate.value), [("total_amount", Type::Double), ("order_count", Type::BigInt)]);
    let places: Vec<_> = columns.iter().map(|column| column.place).collect();
    use ResultPlace::{Key, Value};
    assert_eq!(places, [Key(1), Key(2), Key(0), Value(0), Value(1)]);
    let notices = script(ORDERS).unwrap().pop().unwrap().notices;
    assert_eq!(notices, ["Options that need nothing here: properties.bootstrap.servers, properties.group.id."]);
}

#[test]
fn aggregates_filters_and_having_are_over_the_right_rows() {
    let plan = plan(&format!(
        "{VIEWS} CREATE TABLE t AS SELECT LCASE(pageid) AS page, COUNT(*) FILTER (WHERE viewtime > 5) AS late,
            SUM(viewtime) / COUNT(*) AS mean, TOPK(viewtime, 3) AS top, COUNT(DISTINCT userid) AS users
         FROM page_views v WHERE v.userid <> 'bot' WINDOW SESSION (30 MINUTES, GRACE PERIOD 0 SECONDS)
         GROUP BY LCASE(pageid) HAVING COUNT(*) > 1 EMIT FINAL"
    ));
    let Body::Aggregate(aggregate) = &plan.body else { panic!() };
    let functions: Vec<Function> = aggregate.calls.iter().map(|call| call.function).collect();
    let expected = [Function::Count, Function::Sum, Function::Count, Function::TopK { k: 3 }, Function::CountDistinct];
    assert_eq!(functions, expected);
    assert!(aggregate.calls[0].filter.is_some() && aggregate.calls[2].filter.is_none());
    assert_eq!((&aggregate.window, aggregate.grace_ms), (&Window::Session { gap_ms: 1_800_000 }, 0));
    assert_eq!(names(&aggregate.keys), [("key_0", Type::String)]);
    assert_eq!(aggregate.key[0].name, "page");
    assert_eq!(plan.source.columns.len(), 3);
    let group_row = [Value::Null, 0.into_value(), 0.into_value(), 0.into_value(), 9.into_value(), 2.into_value()];
    assert_eq!(aggregate.having.as_ref().unwrap().is_true(&group_row), Ok(true));
}

#[test]
fn over_carries_what_it_needs_and_frames_share_their_calls() {
    let plan = plan(&format!(
        "{VIEWS} CREATE STREAM t AS SELECT userid, LCASE(pageid) AS page, viewtime - LAG(viewtime, 2, 0) OVER w AS more,
            SUM(viewtime) OVER (w ROWS 3 PRECEDING) * 2 AS twice, COUNT(*) OVER w AS n
         FROM page_views WHERE viewtime > 0 WINDOW w AS (PARTITION BY userid ORDER BY ROWTIME GRACE PERIOD 2 SECONDS)
         QUALIFY SUM(viewtime) OVER (w ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) > COUNT(*) OVER w"
    ));
    let Body::Over(over) = &plan.body else { panic!() };
    assert_eq!((names(&over.keys), names(&over.key)), (vec![("userid", Type::String)], vec![("userid", Type::String)]));
    let shown = [("page", Type::String), ("more", Type::BigInt), ("twice", Type::BigInt), ("n", Type::BigInt)];
    assert_eq!((names(&over.value), over.grace_ms), (shown.to_vec(), 2_000));
    let bounds: Vec<FrameBound> = over.frames.iter().map(|frame| frame.bound).collect();
    assert_eq!(bounds, [FrameBound::Rows(Some(3)), FrameBound::Range(None)]);
    assert_eq!((over.carried.len(), over.lags[0].rows, &over.lags[0].default), (2, 2, &Value::Int(0)));
    // The key; what is carried; the sum, the count and the lag.
    let row = [Value::Null, Value::string("home"), 9.into_value(), 10.into_value(), 3.into_value(), 4.into_value()];
    let values = over.value.iter().map(|field| field.expr.eval(&row).unwrap().into_owned());
    assert_eq!(values.collect::<Vec<_>>(), [Value::string("home"), 5.into_value(), 20.into_value(), 3.into_value()]);
    assert_eq!(over.qualify.as_ref().unwrap().is_true(&row), Ok(true));
    assert_eq!((plan.output.is_table, plan.output.key_format), (false, Format::Kafka));
}

#[test]
fn a_table_of_windows_is_read_by_its_final_results() {
    let ksql = plan(&format!(
        "{VIEWS}{COUNTS} CREATE TABLE t AS SELECT pageid, SUM(view_count) AS n FROM page_view_counts
         WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY pageid EMIT FINAL"
    ));
    assert!(ksql.source.finals_only && ksql.source.event_time.is_none());
    assert_eq!(ksql.source.key_format, Format::Json);
    let shown = plan(&format!("{VIEWS}{COUNTS} SELECT * FROM page_view_counts EMIT CHANGES"));
    assert!(!shown.source.finals_only, "every change is shown");
    let view = |time: &str| {
        script(&format!(
            "{ORDERS} CREATE VIEW w AS SELECT window_start, window_end, {time}, SUM(amount) AS n
             FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '5' MINUTES)) GROUP BY window_start, window_end;
             SELECT window_start, window_end, SUM(n) FROM TABLE(TUMBLE(TABLE w, DESCRIPTOR(rt), INTERVAL '1' HOUR))
             GROUP BY window_start, window_end;"
        ))
    };
    assert!(view("window_time AS rt").is_ok());
    assert!(view("window_end AS rt").unwrap_err().to_string().contains("'rt' has no watermark"));
    let running = message(&format!(
        "{VIEWS} CREATE TABLE t AS SELECT pageid, COUNT(*) AS n FROM page_views GROUP BY pageid;
         CREATE TABLE u AS SELECT n, COUNT(*) AS m FROM t GROUP BY n;"
    ));
    assert!(running.contains("can't take back"), "{running}");
    let nested = message(&format!("{VIEWS} SELECT a FROM (SELECT userid AS a FROM page_views) EMIT CHANGES"));
    assert!(nested.contains("CREATE VIEW"), "{nested}");
}

#[test]
fn what_a_pipeline_counts_is_a_table_to_look_at() {
    let asked = |text: &str| script(&format!("{VIEWS}{COUNTS} {text}")).map(|mut all| all.pop().unwrap().action);
    let Ok(Action::Pull(pull)) =
        asked("SELECT stage, rows - applied AS lost FROM page_view_counts$counts WHERE rows > 0;")
    else {
        panic!()
    };
    assert_eq!((names(&pull.columns).len(), pull.table.columns.len(), pull.filter.is_some()), (2, 11, true));
    assert!(matches!(asked("SELECT * FROM Page_View_Counts$Counts;"), Ok(Action::Pull(_))));
    for wrong in [
        "SELECT * FROM page_view_counts$counts EMIT CHANGES;",
        "CREATE STREAM s AS SELECT * FROM page_view_counts$counts;",
    ] {
        assert!(asked(wrong).unwrap_err().to_string().contains("no topic"), "{wrong}");
    }
    assert!(asked("INSERT INTO page_view_counts$counts VALUES (1);").is_err());
}

#[test]
fn a_state_fits_a_plan_that_asks_the_same_of_the_same_groups() {
    let table = |select: &str, rest: &str| {
        plan(&format!("{VIEWS} CREATE TABLE t AS SELECT pageid, {select} FROM page_views {rest} EMIT CHANGES"))
    };
    const WINDOW: &str = "WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY pageid";
    let old = table("COUNT(*) AS n, SUM(viewtime) AS total", WINDOW);
    for (select, rest) in [
        ("COUNT(*) AS n, SUM(viewtime) * 2 AS twice", WINDOW),
        ("COUNT(*) AS n, SUM(viewtime) / COUNT(*) AS mean", WINDOW),
        // Another column is read, so that all have other places.
        (
            "COUNT(*) AS n, SUM(viewtime) AS total",
            "WHERE userid <> 'bot' WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY pageid",
        ),
    ] {
        assert_eq!(compatible(&old, &table(select, rest)), Ok(()), "{select} {rest}");
    }
    for (select, rest, different) in [
        ("COUNT(*) AS n", WINDOW, "an aggregate"),
        ("COUNT(*) AS n, SUM(viewtime + 1) AS total", WINDOW, "an aggregate"),
        ("COUNT(*) AS n, SUM(viewtime) AS total", "WINDOW TUMBLING (SIZE 2 MINUTES) GROUP BY pageid", "the window"),
        ("COUNT(*) AS n, SUM(viewtime) AS total", "WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY pageid, userid", "the key"),
        (
            "COUNT(*) AS n, SUM(viewtime) AS total",
            "WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY pageid HAVING COUNT(*) > 1",
            "HAVING",
        ),
        ("COUNT(*) AS n, SUM(viewtime) AS total", "GROUP BY pageid", "the key"),
    ] {
        let found = compatible(&old, &table(select, rest)).unwrap_err();
        assert!(found.contains(different), "{found}");
    }
    let over = |select: &str| {
        plan(&format!(
            "{VIEWS} CREATE STREAM s AS SELECT pageid, viewtime, {select} FROM page_views
             WINDOW w AS (PARTITION BY pageid ORDER BY ROWTIME ROWS 3 PRECEDING) QUALIFY COUNT(*) OVER w > 1"
        ))
    };
    assert_eq!(compatible(&over("COUNT(*) OVER w AS n"), &over("COUNT(*) OVER w * 2 AS n")), Ok(()));
    assert!(
        compatible(&over("COUNT(*) OVER w AS n"), &over("userid, COUNT(*) OVER w AS n")).is_err(),
        "it is not carried"
    );
    assert!(compatible(&over("COUNT(*) OVER w AS n"), &old).is_err());
}

#[test]
fn a_stream_made_of_another_keeps_its_event_time() {
    let of = |select: &str| {
        script(&format!(
            "{ORDERS} CREATE TABLE s AS SELECT {select} FROM orders;
             SELECT window_start, window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(order_time), INTERVAL '1' HOUR))
             GROUP BY window_start, window_end;"
        ))
    };
    let compiled = of("order_time, amount * 2 AS twice").unwrap().pop().unwrap();
    let Action::Push { plan, .. } = compiled.action else { panic!() };
    assert_eq!((plan.source.disorder_ms, &plan.source.event_time), (5_000, &None));
    let compiled = of("order_time, SUM(amount) OVER (ORDER BY order_time) AS n").unwrap().pop().unwrap();
    let Action::Push { plan, .. } = compiled.action else { panic!() };
    assert_eq!(plan.source.disorder_ms, 0, "in the order of time");
    assert!(of("order_time + INTERVAL '1' HOUR AS order_time").is_err());
}

#[test]
fn wrong_overs_are_pointed_at() {
    let over =
        |of: &str, spec: &str| message(&format!("{VIEWS}SELECT {of} OVER ({spec}) FROM page_views EMIT CHANGES"));
    for (of, spec, expected) in [
        ("SUM(viewtime)", "ORDER BY viewtime", "in the order of event time"),
        ("SUM(viewtime)", "ORDER BY ROWTIME DESC", "without DESC"),
        ("SUM(viewtime)", "ORDER BY ROWTIME ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "a frame can't end"),
        ("SUM(viewtime)", "ORDER BY ROWTIME ROWS BETWEEN 200000 PRECEDING AND CURRENT ROW", "no number of rows"),
        ("SUM(viewtime)", "ORDER BY ROWTIME RANGE BETWEEN 1.5 PRECEDING AND CURRENT ROW", "no length of time"),
        ("SUM(viewtime)", "ORDER BY ROWTIME GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW", "GROUPS"),
        ("LEAD(viewtime)", "ORDER BY ROWTIME", "expected LAG"),
        ("LAG(viewtime, userid)", "ORDER BY ROWTIME", "the arguments of LAG"),
        ("UPPER(userid)", "ORDER BY ROWTIME", "an aggregate, LAG or ROW_NUMBER"),
        ("SUM(viewtime)", "nowhere", "there is no window 'nowhere'"),
    ] {
        let found = over(of, spec);
        assert!(found.contains(expected), "{found}");
    }
    for (text, expected) in [
        (
            "SELECT COUNT(*) OVER (ORDER BY ROWTIME), COUNT(*) OVER (PARTITION BY userid ORDER BY ROWTIME) FROM page_views EMIT CHANGES",
            "partitioned alike",
        ),
        ("SELECT userid FROM page_views WHERE COUNT(*) OVER (ORDER BY ROWTIME) > 1 EMIT CHANGES", "not possible here"),
        (
            "SELECT userid, COUNT(*) OVER (ORDER BY ROWTIME) FROM page_views GROUP BY userid EMIT CHANGES",
            "without GROUP BY",
        ),
        ("SELECT COUNT(*) OVER (ORDER BY ROWTIME) FROM page_views EMIT FINAL", "needs a window"),
        ("SELECT userid FROM page_views WINDOW w AS (ORDER BY ROWTIME) EMIT CHANGES", "WINDOW without OVER"),
        ("SELECT userid FROM page_views QUALIFY userid = 'a' EMIT CHANGES", "QUALIFY without OVER"),
    ] {
        let found = message(&format!("{VIEWS}{text}"));
        assert!(found.contains(expected), "{found}");
    }
}

trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::Int(self)
    }
}

#[test]
fn a_sessions_end_is_its_last_row_in_ksqldbs_dialect_and_a_gap_later_in_flinks() {
    let ends = |text: &str| {
        let plan = plan(text);
        let Body::Aggregate(aggregate) = &plan.body else { panic!() };
        let row = [Value::Null, Value::Int(1_000), Value::Int(61_000), Value::Int(1)];
        let end = aggregate.key.iter().find(|field| field.name == "window_end").unwrap();
        let shown = aggregate.value.iter().map(|field| field.expr.eval(&row).unwrap().into_owned());
        (end.expr.eval(&row).unwrap().into_owned(), shown.collect::<Vec<_>>())
    };
    let ksql = ends(&format!(
        "{VIEWS} CREATE TABLE t AS SELECT pageid, WINDOWSTART, WINDOWEND, WINDOWEND - WINDOWSTART AS duration, COUNT(*) AS n
         FROM page_views WINDOW SESSION (1 MINUTE) GROUP BY pageid;"
    ));
    assert_eq!(
        ksql,
        (Value::Int(1_000), vec![Value::Int(0), Value::Int(1)]),
        "bounds that are named are in the key alone"
    );
    let flink = ends(&format!(
        "{ORDERS} SELECT window_start, window_end, product, window_time, COUNT(*) AS n
         FROM TABLE(SESSION(TABLE orders PARTITION BY product, DESCRIPTOR(order_time), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, product"
    ));
    assert_eq!(flink, (Value::Int(61_000), vec![Value::Int(60_999), Value::Int(1)]));
}

#[test]
fn streams_are_projected_and_taken_apart() {
    let body = |text: &str| plan(&format!("{VIEWS}{text}"));
    let words = body(
        "CREATE STREAM words AS SELECT EXPLODE(SPLIT(pageid, ' ')) AS word, userid FROM page_views PARTITION BY userid;
         CREATE TABLE counts AS SELECT word, COUNT(*) AS n FROM words GROUP BY word;",
    );
    let Body::Aggregate(counts) = &words.body else { panic!() };
    assert_eq!((&counts.window, counts.emit), (&Window::None, Emit::Changes));
    let plan = body(
        "CREATE STREAM words AS SELECT EXPLODE(SPLIT(pageid, ' ')) AS word, userid FROM page_views PARTITION BY userid",
    );
    let Body::Project { key, value } = &plan.body else { panic!() };
    assert_eq!((names(key), names(value)), (vec![("userid", Type::String)], vec![("word", Type::String)]));
    assert!(plan.explode.is_some() && value[0].expr == Expr::Column(2), "the element is behind the columns");
    assert_eq!(plan.output.key_format, Format::Kafka);
    let unnest = body(
        "SELECT word, COUNT(*) FROM page_views CROSS JOIN UNNEST(SPLIT(pageid, ' ')) AS t (word) GROUP BY word EMIT CHANGES",
    );
    assert!(unnest.explode.is_some());
    let insert = body(
        "CREATE STREAM o (a BIGINT, b STRING) WITH (kafka_topic='o'); INSERT INTO o SELECT userid AS b, viewtime AS a FROM page_views",
    );
    let Body::Project { value, .. } = &insert.body else { panic!() };
    assert_eq!(names(value), [("a", Type::BigInt), ("b", Type::String)]);
}

#[test]
fn a_question_to_a_table_knows_its_key_and_range() {
    let compiled = last(&format!(
        "{VIEWS}{COUNTS} SELECT view_count FROM page_view_counts WHERE pageid = 'a'
         AND windowstart >= '2026-01-01T00:00:00' AND window_start < 5 AT LEAST OFFSET 0:7"
    ));
    let Action::Pull(pull) = compiled.action else { panic!() };
    assert_eq!(pull.key, [(0, Value::string("a"))]);
    assert_eq!((pull.start_from, pull.start_before), (Some(1_767_225_600_000), Some(5)));
    assert_eq!(pull.at_least, [(0, 7)]);
}

#[test]
fn rows_are_inserted_as_records() {
    let compiled = last(
        "CREATE STREAM s (k STRING KEY, a BIGINT, b DOUBLE, t TIMESTAMP) WITH (kafka_topic='s', partitions=2);
         INSERT INTO s (k, a, b, ROWTIME) VALUES ('x', 1 + 1, 2, 99), (NULL, NULL, 0.5, 7);",
    );
    let Action::InsertValues { records, partitions, .. } = compiled.action else { panic!() };
    assert_eq!(partitions, Some(2));
    assert_eq!((records[0].key.as_deref(), records[1].key.as_deref()), (Some(&b"x"[..]), None));
    assert_eq!(records[0].value.as_deref(), Some(&br#"{"a":2,"b":2.0,"t":null}"#[..]));
    assert_eq!(records[0].timestamp, Some(99));
}

#[test]
fn errors_point_and_say_what_would_be_right() {
    for (text, expected) in [
        (
            "SELECT pagid FROM page_views EMIT CHANGES",
            "line 1, column 8: there is no column 'pagid'; did you mean 'pageid'?",
        ),
        (
            "SELECT * FROM page_view EMIT CHANGES",
            "line 1, column 15: there is no stream or table 'page_view'; did you mean 'page_views'?",
        ),
        (
            "SELECT * FROM page_views",
            "line 1, column 15: 'page_views' is a stream, which has no end; expected EMIT CHANGES at the end",
        ),
        (
            "SELECT userid, COUNT(*) FROM page_views GROUP BY pageid EMIT CHANGES",
            "line 1, column 8: 'userid' is neither grouped by nor within an aggregate; expected 'userid' in GROUP BY, or an aggregate of it",
        ),
        (
            "SELECT NOW() FROM page_views EMIT CHANGES",
            "line 1, column 8: NOW is not the same on every replica and at every replay, so a pipeline can't have it; expected a column of the row, like ROWTIME",
        ),
        (
            "SELECT UPER(userid) FROM page_views EMIT CHANGES",
            "line 1, column 8: there is no function 'UPER'; did you mean 'UPPER'?",
        ),
        (
            "SELECT userid + 1 FROM page_views EMIT CHANGES",
            "line 1, column 8: STRING and INTEGER can't be calculated with; expected numbers",
        ),
        (
            "SELECT SUM(userid) FROM page_views EMIT CHANGES",
            "line 1, column 8: SUM of a STRING is not defined; expected a number",
        ),
        (
            "SELECT SUM(viewtime) OVER (PARTITION BY userid) FROM page_views EMIT CHANGES",
            "line 1, column 8: rows come in the order of event time, oldest first; expected ORDER BY and the event time",
        ),
        (
            "CREATE STREAM s (a INT) WITH (kafka_topik='s')",
            "line 1, column 31: there is no option 'kafka_topik'; did you mean 'kafka_topic'?",
        ),
        (
            "SET 'auto.offset.reste' = 'latest'",
            "line 1, column 5: there is no setting 'auto.offset.reste'; did you mean 'auto.offset.reset'?",
        ),
        (
            "CREATE STREAM page_views (a INT) WITH (kafka_topic='s')",
            "line 1, column 15: 'page_views' is there already; expected another name, OR REPLACE or IF NOT EXISTS",
        ),
        (
            "SELECT REGEXP_LIKE(userid, '(') FROM page_views EMIT CHANGES",
            "line 1, column 8: not a regular expression: regex parse error:\n    (\n    ^\nerror: unclosed group",
        ),
        (
            "SELECT \"PAGEID\" FROM page_views EMIT CHANGES",
            "line 1, column 8: there is no column 'PAGEID'; did you mean 'pageid'?",
        ),
    ] {
        let mut catalog = Catalog::new();
        let views = &parse(VIEWS).unwrap()[0];
        if let Action::Define { definition, .. } = compile(views, &catalog, &Session::default()).unwrap().action {
            catalog.put(definition);
        }
        let statement = parse(text).unwrap().remove(0);
        assert_eq!(compile(&statement, &catalog, &Session::default()).unwrap_err().to_string(), expected);
    }
    assert!(message(&format!("{VIEWS} SELECT 1/0")).contains("divided by zero"));
}

#[test]
fn what_is_a_word_of_sql_elsewhere_may_name_a_column() {
    for name in [
        "user",
        "date",
        "day",
        "hour",
        "second",
        "time",
        "timestamp",
        "at",
        "position",
        "session",
        "value",
        "key",
        "type",
        "level",
        "status",
        "name",
        "count",
        "row",
        "rows",
        "range",
        "offset",
        "partition",
        "table",
        "stream",
        "topic",
        "size",
        "zone",
        "left",
        "right",
        "first",
        "last",
        "start",
        "end",
        "index",
        "path",
        "line",
        "point",
        "location",
        "language",
        "role",
        "version",
        "data",
        "text",
        "year",
        "month",
        "host",
        "source",
        "target",
        "message",
        "map",
        "array",
        "struct",
        "state",
    ] {
        let text = format!(
            "CREATE STREAM s ({name} STRING, n BIGINT) WITH (kafka_topic='s');
             CREATE TABLE t AS SELECT {name}, COUNT(*) AS c FROM s WHERE {name} <> 'x' AND s.{name} <> 'y'
             WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY {name};
             SELECT UCASE({name}) AS u, {name} FROM s EMIT CHANGES;"
        );
        script(&text).unwrap_or_else(|error| panic!("{}", error.render()));
    }
}

#[test]
fn names_are_upper_case_where_that_is_asked_for() {
    let plan = plan(&format!("{VIEWS} SET 'identifier.case' = 'upper'; {COUNTS}"));
    let Body::Aggregate(aggregate) = &plan.body else { panic!() };
    assert_eq!((plan.output.topic.as_str(), aggregate.key[0].name.as_str()), ("PAGE_VIEW_COUNTS", "PAGEID"));
    assert_eq!(aggregate.value[0].name, "VIEW_COUNT");
    assert_eq!(plan.source.columns[0].name, "pageid");
}

#[test]
fn flink_starts_wherever_it_is_told() {
    let start = |options: &str| {
        let text =
            format!("CREATE TABLE o (a INT) WITH ('connector'='kafka', 'topic'='o', 'format'='json', {options})");
        match last(&text).action {
            Action::Define { definition, .. } => definition.start.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(start("'scan.startup.mode'='latest-offset'"), Start::Latest);
    assert_eq!(start("'scan.startup.mode'='group-offsets', 'properties.group.id'='g'"), Start::Group("g".into()));
    assert_eq!(start("'scan.startup.mode'='timestamp', 'scan.startup.timestamp-millis'='5'"), Start::Timestamp(5));
    let offsets = "'scan.startup.mode'='specific-offsets', 'scan.startup.specific-offsets'='partition:0,offset:42;partition:1,offset:3'";
    assert_eq!(start(offsets), Start::Offsets(vec![(0, 42), (1, 3)]));
}

/// The value of `SELECT` an expression, as text.
fn value(expr: &str) -> String {
    match last(&format!("SELECT {expr} AS x")).action {
        Action::Row { columns, values } => to_text(&values[0], &columns[0].1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_function_gives_what_its_example_says() {
    for function in function::all().filter(|function| !function.example.1.is_empty()) {
        assert_eq!(value(function.example.0), function.example.1, "{}", function.example.0);
    }
}

const PROFILES: &str = "CREATE TABLE profiles (id VARCHAR PRIMARY KEY, name VARCHAR, pageid VARCHAR, age INT)
    WITH (kafka_topic='profiles', value_format='JSON');";

#[test]
fn a_join_reads_both_sides_and_filters_the_stream_beside_its_log() {
    let of = |select: &str| plan(&format!("{VIEWS}{PROFILES}CREATE STREAM j AS SELECT {select};"));
    let plan = of("v.userid, UCASE(v.pageid) || p.name AS at, p.age + 1 AS next FROM page_views v
        LEFT JOIN profiles p WAIT 10 MINUTES ON v.userid = p.id WHERE viewtime > 3 AND (p.age > 3 OR p.age IS NULL)");
    let Body::Join(join) = &plan.body else { panic!("{plan:?}") };
    assert_eq!((names(&join.key), join.outer, join.wait_ms), (vec![("userid", Type::String)], true, Some(600_000)));
    assert_eq!(names(&join.value), [("at", Type::String), ("next", Type::Integer)]);
    let columns = |source: &Source| source.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (columns(&plan.source), columns(&join.table)),
        (
            vec!["viewtime".to_owned(), "userid".to_owned(), "pageid".to_owned()],
            vec!["id".to_owned(), "name".to_owned(), "age".to_owned()],
        )
    );
    assert!(plan.filter.is_some() && join.filter.is_some());
    assert_eq!((join.carried.len(), join.table_carried.len()), (1, 2), "UCASE(pageid) as a whole; name and age");
    assert_eq!((plan.output.key_format, plan.output.is_table), (Format::Kafka, false));
    // The table's key is the stream's, where there is always one.
    let Body::Join(join) = of("p.*, viewtime FROM page_views JOIN profiles AS p ON p.id = page_views.userid").body
    else {
        panic!()
    };
    assert_eq!(names(&join.key), [("id", Type::String)]);
    let value = ["name", "pageid", "age", "viewtime"];
    assert_eq!(join.value.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), value);
    let counts = "CREATE TABLE n AS SELECT pageid, COUNT(*) AS n FROM page_views GROUP BY pageid;
        CREATE STREAM all_views (pageid VARCHAR KEY, n BIGINT) WITH (kafka_topic='all', partitions=1);
        CREATE STREAM other (pageid VARCHAR) WITH (kafka_topic='other');
        INSERT INTO all_views SELECT o.pageid, n FROM other o JOIN n ON o.pageid = n.pageid;";
    let Body::Join(join) = super::tests::plan(&format!("{VIEWS}{counts}")).body else { panic!() };
    assert_eq!((join.table.topic.as_str(), names(&join.value)), ("n", vec![("n", Type::BigInt)]));
}

#[test]
fn what_a_join_can_not_do_is_said_where_it_stands() {
    let of = |rest: &str| {
        message(&format!("{VIEWS}{PROFILES}CREATE STREAM s2 (id VARCHAR) WITH (kafka_topic='s2');\n{rest}"))
    };
    let join = |on: &str| of(&format!("SELECT name FROM page_views v JOIN profiles p ON {on} EMIT CHANGES;"));
    for (found, expected) in [
        (of("SELECT s2.id FROM page_views v JOIN s2 ON v.userid = s2.id EMIT CHANGES;"), "column 37: 's2' is a stream"),
        (of("SELECT 1 FROM page_views v JOIN s2 WITHIN 1 HOUR ON v.userid = s2.id EMIT CHANGES;"), "two streams"),
        (of("SELECT 1 FROM profiles JOIN s2 ON id = id EMIT CHANGES;"), "column 15: 'profiles' is a table"),
        (
            of("SELECT 1 FROM page_views RIGHT JOIN profiles p ON userid = id EMIT CHANGES;"),
            "RIGHT JOIN is not supported",
        ),
        (of("SELECT 1 FROM page_views JOIN nothing ON 1 = 1 EMIT CHANGES;"), "there is no table 'nothing'"),
        (
            of("SELECT COUNT(*) FROM page_views JOIN profiles ON userid = id GROUP BY name EMIT CHANGES;"),
            "GROUP BY over a join",
        ),
        (of("SELECT x.* FROM page_views JOIN profiles ON userid = id EMIT CHANGES;"), "'x.*' is of nothing in FROM"),
        (
            of("SELECT * FROM page_views JOIN profiles ON userid = id EMIT CHANGES;"),
            "two columns of the result are named 'pageid'",
        ),
        (of("SELECT userid FROM page_views EMIT CHANGES WAIT 3 SECONDS;"), "WAIT belongs to a JOIN"),
        (join("v.userid < p.id"), "column 50: a join needs equality"),
        (join("v.viewtime = p.id"), "column 50: this is a BIGINT, and the table's key a"),
        (join("v.userid = p.name"), "column 61: this is not the table's key"),
        (join("v.userid = v.pageid"), "this is of the other side of the join"),
        (join("pageid = p.id"), "both sides of the join have a 'pageid'"),
    ] {
        assert!(found.contains(expected), "{found}\n{expected}");
    }
}

#[test]
fn deep_expressions_compile_and_run() {
    assert_eq!(value(&format!("1{}", " + 1".repeat(120))), "121");
    assert_eq!(value(&format!("TRUE{}", " AND TRUE".repeat(120))), "true");
    for (open, inner, close) in [
        ("ABS(", "1", ")"),
        ("COALESCE(", "1", ", 2)"),
        ("(1 + ", "1", ")"),
        ("NOT ", "TRUE", ""),
        ("CASE WHEN TRUE THEN ", "1", " END"),
        ("-(", "1", ")"),
        ("CAST(", "1", " AS INT)"),
        ("ARRAY[", "1", "]"),
    ] {
        for depth in [8, 12, 16, 20, 25, 30, 40, 60, 100] {
            let nested = format!("SELECT {}{inner}{}", open.repeat(depth), close.repeat(depth));
            let result = script(&nested);
            assert!(depth > 8 || result.is_ok(), "{nested}");
        }
    }
}

/// Every fenced example of the documents: scripts compile, and `SELECT expr; -- value` gives that value.
#[test]
fn the_examples_of_the_document_hold() {
    let document = include_str!("../../../docs/sql.md");
    let blocks: Vec<&str> = document.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 10);
    let of_time = include_str!("../../../docs/time.md").split("```sql\n").skip(1);
    let of_time = of_time.map(|rest| rest.split("```").next().unwrap());
    for block in blocks.into_iter().chain(of_time) {
        if block.contains("; -- ") {
            for line in block.lines().filter(|line| !line.is_empty()) {
                let (statement, expected) = line.split_once("; -- ").expect("SELECT expr; -- value");
                assert_eq!(value(statement.strip_prefix("SELECT ").unwrap()), expected, "{line}");
            }
        } else {
            let with_sources = format!("{VIEWS}{ORDERS}{}", block);
            let text = if block.contains("CREATE STREAM page_views") || block.contains("CREATE TABLE orders") {
                block
            } else {
                &with_sources
            };
            script(text).unwrap_or_else(|error| panic!("{block}\n{}", error.render()));
        }
    }
    for name in function::all().flat_map(|function| function.names).chain(&PATTERN_FUNCTIONS) {
        assert!(document.contains(&format!("`{name}`")) || *name == "||", "docs/sql.md does not name {name}");
    }
    for (name, _) in AGGREGATES {
        assert!(document.contains(&format!("`{name}`")), "docs/sql.md does not name {name}");
    }
}
