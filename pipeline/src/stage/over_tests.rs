//! `OVER` against its definition: which rows come out, in which order, and what each is given of those before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::tests::{DISORDER, Pipeline, Row, field, interrupted, plan_with, rows};
use super::{Due, Emission, Merged, Target};
use crate::codec::put_value;
use crate::expr::Expr;
use crate::partition;
use crate::plan::{Body, Call, Emit, Field, Frame, FrameBound, Function, Lag, Over, Plan, Window};
use crate::value::{Type, Value};

const V: usize = 1;

fn call(function: Function, of: Type) -> Call {
    let argument = (function != Function::Count).then_some(Expr::Column(V));
    Call { function, argument, argument_type: Type::BigInt, filter: None, of }
}

fn frames(rows_before: u32, range: i64) -> Vec<Frame> {
    let numbers = [Function::Count, Function::Sum, Function::Min, Function::Max, Function::First, Function::Last];
    let numbers = || numbers.map(|function| call(function, Type::BigInt)).to_vec();
    let list = || call(Function::CollectList { limit: 1_000 }, Type::Array(Box::new(Type::BigInt)));
    let frame = |bound, calls| Frame { bound, calls };
    vec![
        frame(FrameBound::Rows(Some(rows_before)), numbers()),
        frame(FrameBound::Range(Some(range)), numbers()),
        frame(FrameBound::Rows(None), vec![call(Function::Sum, Type::BigInt)]),
        frame(FrameBound::Range(None), vec![call(Function::Count, Type::BigInt)]),
        // Whose union is as large as its rows: it is not kept.
        frame(FrameBound::Rows(Some(rows_before)), vec![list()]),
        frame(FrameBound::Range(Some(range)), vec![list()]),
    ]
}

fn over(frames: Vec<Frame>, lag: Option<u32>, grace_ms: i64) -> Arc<Plan> {
    let window = Window::Hopping { size_ms: 1, advance_ms: 1, offset_ms: 0 };
    let mut plan = Arc::unwrap_or_clone(plan_with(window, 0, Emit::Final, |_| {}));
    let lags: Vec<Lag> =
        lag.map(|rows| Lag { argument: Expr::Column(V), rows, default: Value::Int(-100) }).into_iter().collect();
    let calls = frames.iter().flat_map(|frame| &frame.calls).map(|call| call.of.clone());
    let types: Vec<Type> = calls.chain(lags.iter().map(|_| Type::BigInt)).collect();
    let of = |(at, of): (usize, Type)| Field { name: format!("r{at}"), of, expr: Expr::Column(3 + at) };
    let mut value = vec![field("v", Type::BigInt, 1), field("t", Type::BigInt, 2)];
    value.extend(types.into_iter().enumerate().map(of));
    plan.body = Body::Over(Box::new(Over {
        keys: vec![field("k", Type::String, 0)],
        grace_ms,
        carried: vec![Expr::Column(V), Expr::Column(2)],
        frames,
        lags,
        qualify: None,
        key: vec![field("k", Type::String, 0)],
        value,
    }));
    Arc::new(plan)
}

/// A row that is not late: its time, place, key and value.
type Kept = (i64, usize, usize, u8, i64);

/// The rows in the order of the results, and how many were late.
fn kept(rows: &[Row], grace: i64) -> (Vec<Kept>, u64) {
    let mut watermarks = [i64::MIN; 3];
    let mut offsets = [0; 3];
    let (mut kept, mut late) = (Vec::new(), 0);
    for &(partition, key, value, time) in rows {
        if time + grace < watermarks[partition] {
            late += 1;
        } else {
            kept.push((time, partition, offsets[partition], key, value));
        }
        offsets[partition] += 1;
        watermarks[partition] = watermarks[partition].max(time - DISORDER);
    }
    kept.sort_unstable();
    (kept, late)
}

fn numbers(frame: &[i64]) -> Vec<Json> {
    vec![
        json!(frame.len()),
        json!(frame.iter().sum::<i64>()),
        json!(frame.iter().min()),
        json!(frame.iter().max()),
        json!(frame.first()),
        json!(frame.last()),
    ]
}

/// The results of all rows, in order, by looking at all rows before each.
fn by_definition(kept: &[Kept], rows_before: usize, range: i64, lag: usize) -> Vec<(u8, Json)> {
    let result = |(at, row): (usize, &Kept)| {
        let &(time, _, _, key, value) = row;
        let own: Vec<(i64, i64)> = kept[..=at].iter().filter(|it| it.3 == key).map(|it| (it.0, it.4)).collect();
        // Those of its time that come after it count in frames by time.
        let upto = kept.iter().filter(|it| it.3 == key && it.0 <= time);
        let upto: Vec<(i64, i64)> = upto.map(|it| (it.0, it.4)).collect();
        let last: Vec<i64> = own[own.len().saturating_sub(rows_before + 1)..].iter().map(|it| it.1).collect();
        let within: Vec<i64> = upto.iter().filter(|it| it.0 >= time - range).map(|it| it.1).collect();
        let mut results = [numbers(&last), numbers(&within)].concat();
        results.push(json!(own.iter().map(|it| it.1).sum::<i64>()));
        results.push(json!(upto.len()));
        results.extend([json!(last), json!(within)]);
        let lagged = (own.len() - 1).checked_sub(lag).map_or(-100, |place| own[place].1);
        results.push(json!(lagged));
        let mut fields = serde_json::Map::from_iter([("v".to_owned(), json!(value)), ("t".to_owned(), json!(time))]);
        fields.extend(results.into_iter().enumerate().map(|(at, result)| (format!("r{at}"), result)));
        (key, Json::Object(fields))
    };
    kept.iter().enumerate().map(result).collect()
}

fn decoded(emission: &Emission) -> (u8, Json) {
    let key: Json = serde_json::from_slice(emission.key.as_deref().unwrap()).unwrap();
    let value = serde_json::from_slice(emission.value.as_deref().unwrap()).unwrap();
    (key["k"].as_str().unwrap().parse().unwrap(), value)
}

fn partition_of(key: u8, merges: usize) -> i32 {
    let mut bytes = Vec::new();
    put_value(&mut bytes, &Value::string(&key.to_string()));
    partition::for_key(&bytes, merges as i32)
}

proptest! {
    #[test]
    fn each_row_comes_once_in_the_order_of_time_with_what_the_definition_says(
        rows in rows(),
        rows_before in 0u32..6,
        range in 0i64..40,
        lag in 0u32..4,
        grace in 0i64..20,
        merges in 1usize..4,
        restarts in prop::collection::btree_set(0usize..80, 0..4),
    ) {
        let mut pipeline = Pipeline::new(over(frames(rows_before, range), Some(lag), grace), 3, merges);
        for (at, row) in rows.iter().enumerate() {
            if restarts.contains(&at) {
                pipeline.restart();
            }
            pipeline.row(*row);
            if at % 5 == 0 {
                pipeline.tick(at % 3, 0);
            }
        }
        pipeline.advance_all(1_000_000);
        let (kept, late) = kept(&rows, grace);
        let expected = by_definition(&kept, rows_before as usize, range, lag as usize);
        for merge in 0..merges as i32 {
            let found = pipeline.output.iter().filter(|emission| emission.target == Target::Output(merge));
            let found: Vec<(u8, Json)> = found.map(decoded).collect();
            let due = expected.iter().filter(|(key, _)| partition_of(*key, merges) == merge);
            prop_assert_eq!(found, due.cloned().collect::<Vec<_>>());
        }
        let counts = pipeline.counts();
        prop_assert_eq!((counts.late, counts.window_late, pipeline.late as u64), (late, late, late));
        prop_assert_eq!(counts.rows, counts.applied + counts.late + counts.filtered + counts.rejected);
        let given = pipeline.output.len() as u64;
        prop_assert_eq!(counts.assigned, given + counts.window_late);
        prop_assert_eq!(pipeline.merged(), Merged { rows: given, aggregated: given, closed: given, filtered: 0 });
        prop_assert!(pipeline.merges.iter().all(|merge| merge.open_windows() == 0));
    }

    #[test]
    fn it_gives_the_same_bytes_wherever_it_was_interrupted(
        rows in rows(),
        range in 0i64..40,
        restarts in prop::collection::btree_set(0usize..80, 1..6),
    ) {
        // Of which time lets go everything.
        let frame = frames(0, range).remove(1);
        let plan = over(vec![frame], None, 3);
        let run = |restarts: &BTreeSet<usize>| {
            let pipeline = interrupted(&plan, &rows, restarts);
            prop_assert!(pipeline.merges.iter().all(|merge| merge.bytes() == 0), "all is let go");
            Ok((pipeline.output, pipeline.late))
        };
        prop_assert_eq!(run(&BTreeSet::new())?, run(&restarts)?);
    }
}

#[test]
fn a_row_waits_for_its_watermark_and_no_longer() {
    let mut pipeline = Pipeline::new(over(frames(1, 10), None, 0), 1, 1);
    pipeline.row((0, 1, 1, 100));
    assert_eq!((pipeline.output.len(), pipeline.sources[0].due()), (0, Due::Flush));
    pipeline.tick(0, 0);
    // The watermark is at 95, and the partition idle after a second.
    assert_eq!((pipeline.output.len(), pipeline.sources[0].due()), (0, Due::Quiet(1_000 + DISORDER + 1)));
    pipeline.row((0, 1, 2, 100 + DISORDER));
    pipeline.tick(0, 0);
    assert_eq!(pipeline.output.len(), 0, "another row of 100 would not be late");
    pipeline.row((0, 1, 3, 101 + DISORDER));
    pipeline.tick(0, 0);
    assert_eq!(pipeline.output.len(), 1);
    pipeline.row((0, 1, 4, 100));
    assert_eq!((pipeline.counts().late, pipeline.late), (1, 1));
    pipeline.tick(0, 1_000 + DISORDER + 1);
    assert_eq!((pipeline.output.len(), pipeline.sources[0].due()), (3, Due::Nothing));
    assert_eq!(pipeline.merges[0].open_windows(), 0);
}

#[test]
fn a_damaged_state_is_refused_or_taken_and_never_a_panic() {
    let plan = over(frames(2, 30), Some(2), 5);
    let mut pipeline = Pipeline::new(plan.clone(), 2, 1);
    for at in 0..40 {
        pipeline.row(((at % 2) as usize, (at % 3) as u8, at, at * 4));
    }
    let mut saved = Vec::new();
    pipeline.merges[0].save(&mut saved);
    let restore = |bytes: &[u8]| {
        let mut fresh = Pipeline::new(plan.clone(), 2, 1);
        let is_taken = fresh.merges[0].restore(bytes).is_ok();
        let (mut progress, mut results) = (Vec::new(), Vec::new());
        fresh.sources.iter_mut().for_each(|source| source.advance(1_000_000, &mut progress));
        // It may still be refused where its rows are used.
        let given = progress.iter().map(|told| fresh.merges[0].record(None, told.value.as_deref(), &mut results));
        (is_taken, given.filter(Result::is_ok).count() == 2)
    };
    assert_eq!(restore(&saved), (true, true));
    for len in 0..saved.len() {
        assert!(!restore(&saved[..len]).0, "{len} bytes of {}", saved.len());
    }
    for at in 0..saved.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = saved.clone();
            damaged[at] ^= flip;
            restore(&damaged);
        }
    }
}

#[test]
fn a_long_frame_keeps_its_rows_and_one_by_rows_its_number() {
    let rows = |frame: usize| {
        let mut pipeline = Pipeline::new(over(vec![frames(3, 1_000).remove(frame)], None, 0), 1, 1);
        let mut most = 0;
        for at in 0..2_000 {
            pipeline.row((0, 1, at, at * 10));
            most = most.max(pipeline.merges[0].bytes());
        }
        pipeline.advance_all(1_000_000);
        assert_eq!(pipeline.output.len(), 2_000);
        (most, pipeline.merges[0].bytes())
    };
    let ((by_rows, left), (by_time, nothing)) = (rows(0), rows(1));
    assert!(by_rows < 20_000 && left > 0 && left < 10_000, "{by_rows} {left}");
    assert!(by_time < 400_000, "{by_time}");
    assert_eq!(nothing, 0);
}
