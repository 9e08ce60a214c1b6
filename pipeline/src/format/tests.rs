use super::*;
use crate::plan::{Column, Format, From as Place, Source, Start, Timestamps};
use crate::value::{Type, Value};

fn source(format: Format, timestamps: Timestamps, columns: &[(&str, Type, Place)]) -> Source {
    let column = |(name, of, from): &(&str, Type, Place)| Column {
        name: (*name).to_owned(),
        of: of.clone(),
        from: from.clone(),
    };
    Source {
        name: "s".into(),
        topic: "t".into(),
        key_format: Format::Kafka,
        value_format: format,
        columns: columns.iter().map(column).collect(),
        event_time: None,
        disorder_ms: 0,
        idle_ms: None,
        future_ms: None,
        finals_only: false,
        fields_without_case: timestamps == Timestamps::Number,
        null_key_filtered: true,
        start: Start::Earliest,
        timestamps,
        until_end: false,
    }
}

fn decode(source: &Source, key: &[u8], value: &[u8]) -> Result<Vec<Value>, String> {
    let mut row = vec![Value::Bool(true); 9];
    let headers = [("h", Some(&b"one"[..])), ("h", Some(b"two"))];
    let input = Input { key: Some(key), value: Some(value), headers: &headers, timestamp: 7, partition: 3, offset: 11 };
    Decoder::new(source)?.decode(&input, &mut row).map_err(|rejected| rejected.to_string())?;
    Ok(row)
}

#[test]
fn json_gives_the_wanted_columns() {
    let columns = [
        ("pageid", Type::String, Place::Value(2)),
        ("viewtime", Type::BigInt, Place::Value(0)),
        ("k", Type::String, Place::Key(0)),
        ("h", Type::String, Place::Header("h".into())),
        ("ROWOFFSET", Type::BigInt, Place::RowOffset),
    ];
    let source = source(Format::Json, Timestamps::Number, &columns);
    let row =
        decode(&source, b"key", br#" {"userid": {"deep": [1, {}]}, "PAGEID": "x", "viewtime": 12, "pageid": "p\n"}"#);
    let text = Value::string;
    assert_eq!(row, Ok(vec![text("p\n"), Value::Int(12), text("key"), text("two"), Value::Int(11)]));
    let row = decode(&source, b"key", br#"{"pageid": "exact", "PAGEID": "x"}"#).unwrap();
    assert_eq!(row[..2], [text("exact"), Value::Null], "a field that is missing is null");
    let row = decode(&source, b"key", br#"{"PageId": 5}"#).unwrap();
    assert_eq!(row[0], text("5"), "without case where nothing matches exactly");
    for (wrong, why) in [
        (&br#"{"viewtime": "soon"}"#[..], "field 'viewtime': expected BIGINT, found the text 'soon'"),
        (br#"{"viewtime": [1]}"#, "expected BIGINT, found an array"),
        (br#"{"viewtime": 1.5}"#, "found the number 1.5"),
        (br#"{"pageid": "#, "EOF"),
        (br#"{} x"#, "trailing"),
        (b"[1]", "a JSON object"),
        (b"null", "a JSON object"),
        (&[b'['; 100_000], "a JSON object"),
        (&[br#"{"x":"#.repeat(10_000)].concat(), "EOF"),
    ] {
        let error = decode(&source, b"key", wrong).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn json_nests() {
    let of = Type::Struct(vec![
        ("a".into(), Type::Array(Box::new(Type::Double))),
        ("m".into(), Type::Map(Box::new(Type::Integer))),
    ]);
    let columns = [("s", of.clone(), Place::Value(0)), ("t", Type::String, Place::Value(1))];
    let source = source(Format::Json, Timestamps::Sql, &columns);
    let json = br#"{"s": {"m": {"z": 1, "y": null}, "a": [1, 2.5]}, "t": {"x": [1]}}"#;
    let row = decode(&source, b"", json).unwrap();
    assert_eq!(row[1], Value::string(r#"{"x":[1]}"#));
    let mut out = Vec::new();
    encode(&[("s".into(), of)], &row[..1], Format::Json, Timestamps::Sql, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"s":{"a":[1.0,2.5],"m":{"y":null,"z":1}}}"#);
}

#[test]
fn times_are_as_their_dialect_has_them() {
    let columns = [("t", Type::Timestamp, Place::Value(0))];
    let ms = Ok(vec![Value::Int(1_500)]);
    let json = |timestamps, text: &str| decode(&source(Format::Json, timestamps, &columns), b"", text.as_bytes());
    assert_eq!(json(Timestamps::Sql, r#"{"t": "1970-01-01 00:00:01.5"}"#), ms);
    assert_eq!(json(Timestamps::Iso, r#"{"t": "1970-01-01T00:00:01.500Z"}"#), ms);
    assert_eq!(json(Timestamps::Number, r#"{"T": 1500}"#), ms);
    assert!(json(Timestamps::Sql, r#"{"t": "1970-01-01T00:00:01.5"}"#).is_err());
    assert!(json(Timestamps::Sql, r#"{"t": 1500}"#).is_err());
    assert!(json(Timestamps::Iso, r#"{"t": "1970-01-01 00:00:01.5"}"#).is_err());
    for (timestamps, expected) in [
        (Timestamps::Sql, r#"{"t":"1970-01-01 00:00:01.500"}"#),
        (Timestamps::Iso, r#"{"t":"1970-01-01T00:00:01.500"}"#),
        (Timestamps::Number, r#"{"t":1500}"#),
    ] {
        let mut out = Vec::new();
        encode(&[("t".into(), Type::Timestamp)], &[Value::Int(1_500)], Format::Json, timestamps, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn delimited_and_kafka_go_round() {
    let columns = [("b", Type::String, Place::Value(1)), ("c", Type::Double, Place::Value(2))];
    let comma = Format::Delimited { separator: ',' };
    let delimited = source(comma, Timestamps::Number, &columns);
    assert_eq!(
        decode(&delimited, b"", b"1,\"x, \"\"y\"\"\",2.5\r\n"),
        Ok(vec![Value::string("x, \"y\""), Value::Double(2.5)])
    );
    assert_eq!(decode(&delimited, b"", b"1,,"), Ok(vec![Value::Null, Value::Null]));
    assert!(decode(&delimited, b"", b"1,x").is_err());
    assert!(decode(&delimited, b"", b"1,\"x").is_err());
    let fields = [("b".to_owned(), Type::String), ("c".to_owned(), Type::Double)];
    let mut out = Vec::new();
    encode(&fields, &[Value::string("x, \"y\""), Value::Double(0.1)], comma, Timestamps::Number, &mut out);
    assert_eq!(out, b"\"x, \"\"y\"\"\",0.1");

    let kafka = source(Format::Kafka, Timestamps::Number, &[("v", Type::Integer, Place::Value(0))]);
    assert_eq!(decode(&kafka, b"", &[0, 0, 1, 0]), Ok(vec![Value::Int(256)]));
    assert!(decode(&kafka, b"", &[0, 0, 1]).is_err());
    let mut out = Vec::new();
    encode(&[("v".into(), Type::Integer)], &[Value::Int(256)], Format::Kafka, Timestamps::Number, &mut out);
    assert_eq!(out, [0, 0, 1, 0]);
}
