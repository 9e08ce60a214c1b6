//! What statements and rows can do at worst: many groups, tiny windows, records that are no rows.

use super::tests::{Pipeline, plan_with};
use crate::expr::{Expr, Number, Operator};
use crate::plan::{Body, Emit, Window};
use crate::value::Value;

fn json(key: u64, value: i64, time: i64) -> String {
    format!(r#"{{"k":"{key}","v":{value},"t":{time}}}"#)
}

#[test]
fn many_groups_are_all_counted_and_all_let_go() {
    const GROUPS: u64 = 30_000;
    let window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };
    let mut pipeline = Pipeline::new(plan_with(window, 0, Emit::Final, |_| {}), 1, 2);
    for key in 0..GROUPS {
        pipeline.record(0, Some(json(key, 1, 3).as_bytes()));
    }
    assert!(pipeline.sources[0].bytes() > 0);
    pipeline.advance_all(100);
    assert_eq!((pipeline.finals().len() as u64, pipeline.sources[0].bytes()), (GROUPS, 0));
}

#[test]
fn windows_of_a_millisecond_over_a_long_span_cost_what_has_rows() {
    const YEAR: i64 = 366 * 86_400_000;
    let window = Window::Hopping { size_ms: 1, advance_ms: 1, offset_ms: 0 };
    let mut pipeline = Pipeline::new(plan_with(window, 0, Emit::Final, |_| {}), 1, 1);
    for time in [0, YEAR, YEAR + 6, 2 * YEAR] {
        pipeline.record(0, Some(json(1, 1, time).as_bytes()));
    }
    pipeline.advance_all(i64::MAX);
    assert_eq!(pipeline.finals().len(), 4);
    assert_eq!(pipeline.sources[0].bytes(), 0);
}

#[test]
fn poison_is_rejected_and_the_rows_around_it_are_counted() {
    let window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };
    let mut pipeline = Pipeline::new(plan_with(window, 0, Emit::Final, |_| {}), 1, 1);
    let deep = format!(r#"{{"k":"1","v":1,"t":3,"x":{}}}"#, "[".repeat(100_000));
    let poison: [&[u8]; 10] = [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe\x00",
        br#"{"k":"1","v":1e400,"t":3}"#,
        br#"{"k":"1","v":99999999999999999999,"t":3}"#,
        br#"{"k":"1","v":1,"t":"soon"}"#,
        br#"{"k":"1","v":1,"t":null}"#,
        deep.as_bytes(),
    ];
    for value in poison {
        pipeline.record(0, Some(json(1, 1, 3).as_bytes()));
        pipeline.record(0, Some(value));
    }
    let counts = pipeline.counts();
    assert_eq!((counts.applied, counts.rejected), (10, 10));
    pipeline.advance_all(100);
    assert_eq!(pipeline.finals().into_values().collect::<Vec<_>>(), [(10, 10)]);
}

#[test]
fn what_cannot_be_calculated_rejects_its_row_alone() {
    let window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };
    for (operator, operand, bad) in
        [(Operator::Divide, 100, 0), (Operator::Add, 1, i64::MAX), (Operator::Multiply, 2, i64::MAX)]
    {
        let plan = plan_with(window.clone(), 0, Emit::Final, |_| {});
        let mut plan = std::sync::Arc::unwrap_or_clone(plan);
        let literal = Box::new(Expr::Literal(Value::Int(operand)));
        let expr = Expr::Arithmetic(operator, Number::BigInt, literal, Box::new(Expr::Column(1)));
        let Body::Aggregate(aggregate) = &mut plan.body else { panic!() };
        aggregate.calls[1].argument = Some(expr);
        let mut pipeline = Pipeline::new(plan.into(), 1, 1);
        for value in [-1, bad, -1] {
            pipeline.record(0, Some(json(1, value, 3).as_bytes()));
        }
        let counts = pipeline.counts();
        assert_eq!((counts.applied, counts.rejected), (2, 1), "{operator:?}");
        pipeline.advance_all(100);
        let counted: Vec<i64> = pipeline.finals().into_values().map(|(count, _)| count).collect();
        assert_eq!(counted, [2], "the row that was rejected is in no aggregate, {operator:?}");
    }
}
