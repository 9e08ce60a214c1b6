//! Each aggregate: its result, and that splits, orders and a stay in binary form change nothing.

use proptest::prelude::*;

use super::*;

fn call(function: Function, argument_type: Type) -> Call {
    Call { function, argument: None, of: argument_type.clone(), argument_type, filter: None }
}

fn place(offset: i64) -> Place {
    Place { partition: 0, offset, element: 0 }
}

fn over(call: &Call, values: &[Value]) -> Accumulator {
    let mut accumulator = Accumulator::new(call);
    for (at, value) in values.iter().enumerate() {
        accumulator.add(call, Some(value), place(at as i64)).unwrap();
    }
    accumulator
}

fn ints(values: &[i64]) -> Vec<Value> {
    values.iter().map(|&value| Value::Int(value)).collect()
}

fn array(values: &[i64]) -> Value {
    Value::Array(ints(values).into())
}

#[test]
fn results() {
    use Function as F;
    let values = ints(&[5, 3, 5, 9, 1]);
    for (function, expected) in [
        (F::Count, Value::Int(5)),
        (F::CountDistinct, Value::Int(4)),
        (F::Sum, Value::Int(23)),
        (F::Avg, Value::Double(4.6)),
        (F::Min, Value::Int(1)),
        (F::Max, Value::Int(9)),
        (F::First, Value::Int(5)),
        (F::Last, Value::Int(1)),
        (F::CollectList { limit: 3 }, array(&[5, 3, 5])),
        (F::CollectSet { limit: 3 }, array(&[1, 3, 5])),
        (F::TopK { k: 3 }, array(&[9, 5, 5])),
        (F::TopKDistinct { k: 3 }, array(&[9, 5, 3])),
        (F::Histogram { limit: 2 }, Value::Map([("1".into(), Value::Int(1)), ("3".into(), Value::Int(1))].into())),
        (F::ApproxCountDistinct, Value::Int(4)),
        (F::VarPop, Value::Double(7.04)),
        (F::StddevSamp, Value::Double(8.8_f64.sqrt())),
    ] {
        let call = call(function, Type::BigInt);
        let result = over(&call, &values).result(&call);
        match (&result, &expected) {
            (Value::Double(a), Value::Double(b)) => assert!((a - b).abs() < 1e-12, "{function:?}: {a}"),
            _ => assert_eq!(result, expected, "{function:?}"),
        }
    }
}

#[test]
fn nothing_is_null_and_a_count_is_zero() {
    for function in [Function::Sum, Function::Avg, Function::Max, Function::Last, Function::VarSamp] {
        let call = call(function, Type::Double);
        assert_eq!(over(&call, &[Value::Null]).result(&call), Value::Null);
    }
    let call = call(Function::Count, Type::Double);
    assert_eq!(over(&call, &[Value::Null]).result(&call), Value::Int(0));
}

#[test]
fn a_sum_beyond_bigint_is_null_and_comes_back() {
    let call = call(Function::Sum, Type::BigInt);
    assert_eq!(over(&call, &ints(&[i64::MAX, 1])).result(&call), Value::Null);
    assert_eq!(over(&call, &ints(&[i64::MAX, 1, -1])).result(&call), Value::Int(i64::MAX));
}

fn functions() -> impl Strategy<Value = Function> {
    use Function as F;
    prop_oneof![
        Just(F::Count),
        Just(F::CountDistinct),
        Just(F::Sum),
        Just(F::Avg),
        Just(F::Min),
        Just(F::Max),
        Just(F::VarSamp),
        Just(F::First),
        Just(F::Last),
        (1..5usize).prop_map(|limit| F::CollectList { limit }),
        (1..5usize).prop_map(|limit| F::CollectSet { limit }),
        (1..5usize).prop_map(|k| F::TopK { k }),
        (1..5usize).prop_map(|k| F::TopKDistinct { k }),
        (1..5usize).prop_map(|limit| F::Histogram { limit }),
        Just(F::ApproxCountDistinct),
        Just(F::ApproxQuantile { q: 0.5 }),
    ]
}

proptest! {
    #[test]
    fn parts_merge_to_the_whole_in_any_order(
        function in functions(),
        doubles in any::<bool>(),
        values in prop::collection::vec((-20i64..20, 0..3usize), 0..60),
        backwards in any::<bool>(),
    ) {
        let call = call(function, if doubles { Type::Double } else { Type::BigInt });
        let value = |raw: i64| if doubles { Value::Double(raw as f64 * 0.1) } else { Value::Int(raw) };
        let mut whole = Accumulator::new(&call);
        let mut parts: Vec<Accumulator> = (0..3).map(|_| Accumulator::new(&call)).collect();
        for (at, &(raw, part)) in values.iter().enumerate() {
            whole.add(&call, Some(&value(raw)), place(at as i64)).unwrap();
            parts[part].add(&call, Some(&value(raw)), place(at as i64)).unwrap();
        }
        if backwards {
            parts.reverse();
        }
        let mut merged = Accumulator::new(&call);
        for part in &parts {
            let mut out = Vec::new();
            part.encode(&mut out);
            let mut reader = Reader::new(&out);
            merged.merge(&call, &Accumulator::decode(&call, &mut reader).unwrap()).unwrap();
            reader.end().unwrap();
        }
        prop_assert_eq!(whole.result(&call), merged.result(&call));
    }
}
