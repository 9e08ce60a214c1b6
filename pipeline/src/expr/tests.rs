use super::*;

fn int(int: i64) -> Box<Expr> {
    Box::new(Expr::Literal(Value::Int(int)))
}

fn eval(expr: &Expr) -> Result<Value, Failed> {
    expr.eval(&[]).map(std::borrow::Cow::into_owned)
}

#[test]
fn arithmetic_never_overflows_silently() {
    let expr = |op, number, a, b| Expr::Arithmetic(op, number, int(a), int(b));
    assert_eq!(eval(&expr(Operator::Add, Number::BigInt, 1, 2)), Ok(Value::Int(3)));
    assert!(eval(&expr(Operator::Add, Number::BigInt, i64::MAX, 1)).is_err());
    assert!(eval(&expr(Operator::Multiply, Number::Integer, 1 << 20, 1 << 20)).is_err());
    assert!(eval(&expr(Operator::Divide, Number::BigInt, 1, 0)).is_err());
    assert!(eval(&expr(Operator::Modulo, Number::BigInt, i64::MIN, -1)).is_err());
    assert!(eval(&expr(Operator::Divide, Number::Double, 1, 0)).is_err());
}

#[test]
fn logic_has_three_values() {
    let of = |bool: Option<bool>| Box::new(Expr::Literal(bool.map_or(Value::Null, Value::Bool)));
    let (t, f, n) = (Some(true), Some(false), None);
    for (a, b, and, or) in [(t, n, n, t), (f, n, f, n), (n, t, n, t), (n, f, f, n), (n, n, n, n), (t, f, f, t)] {
        let value = |bool: Option<bool>| Ok(bool.map_or(Value::Null, Value::Bool));
        assert_eq!(eval(&Expr::And(of(a), of(b))), value(and), "{a:?} AND {b:?}");
        assert_eq!(eval(&Expr::Or(of(a), of(b))), value(or), "{a:?} OR {b:?}");
    }
}

#[test]
fn times_are_read_and_written() {
    for text in
        ["1970-01-01 00:00:00.000", "2024-02-29 23:59:59.999", "1600-03-01 12:00:00.001", "9999-12-31 00:00:00.000"]
    {
        let ms = time::parse_timestamp(text).unwrap();
        assert_eq!(time::timestamp_text(ms, ' '), text);
    }
    assert_eq!(time::parse_timestamp("2024-01-01T01:00:00+01:00"), time::parse_timestamp("2024-01-01 00:00:00"));
    assert_eq!(time::parse_timestamp("2023-02-29 00:00:00"), None);
    assert_eq!(time::parse_timestamp("2023-02-2"), None);
    let format = TimeFormat::new("dd MMM yyyy, HH:mm:ss.SSS XXX", time::zone("Europe/Oslo").unwrap()).unwrap();
    assert_eq!(format.write(1_719_835_200_123).unwrap(), "01 Jul 2024, 14:00:00.123 +02:00");
    assert_eq!(format.read("01 Jul 2024, 14:00:00.123 +02:00"), Ok(1_719_835_200_123));
    assert!(format.read("nonsense").is_err());
}

#[test]
fn json_paths_find_and_never_fail() {
    let find = |path, text| JsonPath::new(path, false).unwrap().find(text);
    assert_eq!(find("$.a.b[1]", r#"{"a": {"b": [1, "two"]}}"#), Value::string("two"));
    assert_eq!(find("$['a b']", r#"{"a b": {"c": 1}}"#), Value::string(r#"{"c": 1}"#));
    assert_eq!(find("$.a.x", r#"{"a": null}"#), Value::Null);
    assert_eq!(find("$.a", "no json"), Value::Null);
    assert!(JsonPath::new("a.b", false).is_err());
    assert!(JsonPath::new("$..b", false).is_err());
}
