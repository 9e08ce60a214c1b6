//! A join against its definition: what each row of the stream finds, whatever was interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leat_protocol::records::{self, Builder, Compression};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::tests::{field, plan_with};
use super::{Emission, MergeStage, Merged, SourceStage, Target};
use crate::expr::{Comparison, Expr};
use crate::plan::{Body, Column, Emit, Format, From, Join, Plan, Window};
use crate::value::{Type, Value};

/// What happens to a join: a click of a user, or what the table has of one from now on.
#[derive(Debug, Clone, Copy)]
enum Step {
    Click {
        partition: usize,
        user: Option<u8>,
        value: i64,
        time: i64,
    },
    Profile {
        user: u8,
        city: Option<i64>,
    },
    /// The pipeline begins, as far as the table's partition of that number knows.
    Begins(usize),
}

const TABLES: usize = 2;

/// `SELECT k, v, city FROM s [LEFT] JOIN p WAIT ... ON s.k = p.id WHERE city IS NULL OR city <> 3`.
fn plan(outer: bool, wait_ms: Option<i64>) -> Arc<Plan> {
    let window = Window::Hopping { size_ms: 1, advance_ms: 1, offset_ms: 0 };
    let mut plan = Arc::unwrap_or_clone(plan_with(window, 0, Emit::Final, |_| {}));
    let mut table = plan.source.clone();
    (table.name, table.topic, table.key_format) = ("p".to_owned(), "p".to_owned(), Format::Json);
    let column = |name: &str, of, from| Column { name: name.to_owned(), of, from };
    table.columns = vec![column("id", Type::String, From::Key(0)), column("city", Type::BigInt, From::Value(0))];
    let city = || Box::new(Expr::Column(3));
    let other = Expr::Compare(Comparison::NotEq, city(), Box::new(Expr::Literal(Value::Int(3))));
    plan.body = Body::Join(Box::new(Join {
        table,
        table_keys: vec![Expr::Column(0)],
        table_carried: vec![Expr::Column(1)],
        keys: vec![field("k", Type::String, 0)],
        carried: vec![Expr::Column(1), Expr::Column(2)],
        outer,
        wait_ms,
        filter: Some(Expr::Or(Box::new(Expr::IsNull(city())), Box::new(other))),
        key: vec![field("k", Type::String, 0)],
        value: vec![field("v", Type::BigInt, 1), field("t", Type::BigInt, 2), field("city", Type::BigInt, 3)],
    }));
    Arc::new(plan)
}

struct Pipeline {
    plan: Arc<Plan>,
    sources: Vec<SourceStage>,
    tables: Vec<SourceStage>,
    merge: MergeStage,
    offsets: Vec<i64>,
    out: Vec<Emission>,
}

fn stages(plan: &Arc<Plan>) -> (Vec<SourceStage>, Vec<SourceStage>, MergeStage) {
    let source = |p| SourceStage::new(plan.clone(), p, 1, 0, 3).unwrap();
    let table = |p| SourceStage::of_table(plan.clone(), p, TABLES as i32, 1, 0).unwrap();
    let merge = MergeStage::new(plan.clone(), 0, 2).unwrap();
    ((0..2).map(source).collect(), (0..TABLES as i32).map(table).collect(), merge)
}

impl Pipeline {
    fn new(plan: Arc<Plan>) -> Pipeline {
        let (sources, tables, merge) = stages(&plan);
        Pipeline { plan, sources, tables, merge, offsets: vec![0; 2 + TABLES], out: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        let mut out = Vec::new();
        match step {
            Step::Click { partition, user, value, time } => {
                let text = json!({ "k": user.map(|user| user.to_string()), "v": value, "t": time }).to_string();
                self.record(partition, None, Some(&text), &mut out);
            }
            Step::Profile { user, city } => {
                let (key, value) =
                    (json!({ "id": user.to_string() }), city.map(|city| json!({ "city": city }).to_string()));
                let partition = 2 + usize::from(user) % TABLES;
                self.record(partition, Some(&key.to_string()), value.as_deref(), &mut out);
            }
            Step::Begins(table) => self.tables[table].begins(&mut out),
        }
        self.deliver(out);
    }

    fn record(&mut self, input: usize, key: Option<&str>, value: Option<&str>, out: &mut Vec<Emission>) {
        let mut builder = Builder::new(Compression::None, None);
        builder.push(0, key.map(str::as_bytes), value.map(str::as_bytes), &[]);
        let mut batch = builder.finish().unwrap().to_vec();
        records::set_base_offset(&mut batch, self.offsets[input]);
        self.offsets[input] += 1;
        let mut each = records::records(&batch.into(), 1 << 20).unwrap();
        let stage = if input < 2 { &mut self.sources[input] } else { &mut self.tables[input - 2] };
        while let Some(record) = each.next_ref() {
            stage.record(&record.unwrap(), out).unwrap();
        }
    }

    /// The watermark of every partition moves to `time`.
    fn advance(&mut self, time: i64) {
        for at in 0..self.sources.len() {
            let mut out = Vec::new();
            self.sources[at].advance(time, &mut out);
            self.deliver(out);
        }
    }

    fn deliver(&mut self, out: Vec<Emission>) {
        for emission in out {
            match emission.target {
                Target::Merge(_) => {
                    self.merge.record(emission.key.as_deref(), emission.value.as_deref(), &mut self.out).unwrap();
                }
                _ => self.out.push(emission),
            }
        }
    }

    fn restart(&mut self) {
        let (sources, tables, merge) = stages(&self.plan);
        let own = self.sources.iter_mut().chain(&mut self.tables);
        for (old, mut new) in own.zip(sources.into_iter().chain(tables)) {
            let (mut saved, mut again) = (Vec::new(), Vec::new());
            old.save(&mut saved);
            new.restore(&saved).unwrap();
            new.save(&mut again);
            assert_eq!(saved, again, "a state that was restored is the same bytes");
            *old = new;
        }
        let (mut saved, mut again, mut new) = (Vec::new(), Vec::new(), merge);
        self.merge.save(&mut saved);
        new.restore(&saved).unwrap();
        new.save(&mut again);
        assert_eq!(saved, again, "a state that was restored is the same bytes");
        assert!((0..saved.len()).all(|len| stages(&self.plan).2.restore(&saved[..len]).is_err()), "cut short");
        self.merge = new;
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let click = (0..2usize, prop::option::weighted(0.9, 0..4u8), 0..9i64, 0..100i64);
    let click = click.prop_map(|(partition, user, value, time)| Step::Click { partition, user, value, time });
    let profile = (0..4u8, prop::option::weighted(0.8, 0..5i64)).prop_map(|(user, city)| Step::Profile { user, city });
    let begins = (0..TABLES).prop_map(Step::Begins);
    prop::collection::vec(prop_oneof![4 => click, 2 => profile, 1 => begins], 0..60)
}

/// What comes out, in order, by the definition: of a row that never waits.
fn by_definition(steps: &[Step], outer: bool) -> Vec<Json> {
    let (mut table, mut begun) = (BTreeMap::new(), BTreeSet::new());
    let (mut early, mut results) = (Vec::new(), Vec::new());
    let find = |(user, value, time): (Option<u8>, i64, i64), table: &BTreeMap<u8, i64>| {
        let city = user.and_then(|user| table.get(&user).copied());
        let is_there = (outer || city.is_some()) && city != Some(3);
        is_there.then(|| json!([user.map(|user| user.to_string()), value, time, city]))
    };
    for &step in steps {
        match step {
            Step::Click { user, value, time, .. } if begun.len() < TABLES => early.push((user, value, time)),
            Step::Click { user, value, time, .. } => results.extend(find((user, value, time), &table)),
            Step::Profile { user, city: Some(city) } => {
                table.insert(user, city);
            }
            Step::Profile { user, city: None } => {
                table.remove(&user);
            }
            Step::Begins(of) => {
                begun.insert(of);
                if begun.len() == TABLES {
                    results.extend(std::mem::take(&mut early).into_iter().filter_map(|row| find(row, &table)));
                }
            }
        }
    }
    results
}

fn shown(emission: &Emission) -> Json {
    let key: Json = emission.key.as_deref().map_or(Json::Null, |key| serde_json::from_slice(key).unwrap());
    let value: Json = serde_json::from_slice(emission.value.as_deref().unwrap()).unwrap();
    json!([key["k"], value["v"], value["t"], value["city"]])
}

proptest! {
    #[test]
    fn each_row_finds_what_the_table_had_when_it_came(
        steps in steps(),
        outer in any::<bool>(),
        restarts in prop::collection::btree_set(0usize..60, 0..4),
    ) {
        let mut steps = steps;
        steps.extend((0..TABLES).map(Step::Begins));
        let mut pipeline = Pipeline::new(plan(outer, None));
        for (at, step) in steps.iter().enumerate() {
            if restarts.contains(&at) {
                pipeline.restart();
            }
            pipeline.step(*step);
        }
        let expected = by_definition(&steps, outer);
        prop_assert_eq!(pipeline.out.iter().map(shown).collect::<Vec<_>>(), expected);
        let clicks = steps.iter().filter(|step| matches!(step, Step::Click { user, .. } if outer || user.is_some()));
        let (rows, given) = (clicks.count() as u64, pipeline.out.len() as u64);
        let merged = Merged { rows, aggregated: rows, closed: rows, filtered: rows - given };
        prop_assert_eq!((pipeline.merge.counts(), pipeline.merge.open_windows()), (merged, 0));
    }

    #[test]
    fn a_row_that_waits_comes_once_with_its_own_or_in_vain(
        steps in steps(),
        outer in any::<bool>(),
        wait in 0i64..60,
        restarts in prop::collection::btree_set(0usize..60, 0..4),
    ) {
        let run = |restarts: &BTreeSet<usize>| {
            let mut pipeline = Pipeline::new(plan(outer, Some(wait)));
            let begins = (0..TABLES).map(Step::Begins);
            for (at, step) in begins.chain(steps.iter().copied()).enumerate() {
                if restarts.contains(&at) {
                    pipeline.restart();
                }
                pipeline.step(step);
            }
            pipeline.advance(1_000);
            pipeline
        };
        let (pipeline, again) = (run(&BTreeSet::new()), run(&restarts));
        prop_assert_eq!(&pipeline.out, &again.out);
        let counts = pipeline.merge.counts();
        prop_assert_eq!((counts.closed, pipeline.merge.open_windows()), (counts.rows, 0));
        let late = pipeline.out.iter().filter(|emission| emission.target == Target::Late);
        for emission in late.clone() {
            let click: Json = serde_json::from_slice(emission.value.as_deref().unwrap()).unwrap();
            prop_assert!(!outer && click["t"].is_i64(), "the record as it was: {click}");
        }
        let results = (pipeline.out.len() - late.count()) as u64;
        prop_assert_eq!(results, counts.rows - counts.filtered);
    }
}

#[test]
fn a_row_waits_for_its_profile_until_its_time_has_passed() {
    let click = |user, time| Step::Click { partition: 0, user: Some(user), value: 1, time };
    let profile = |user| Step::Profile { user, city: Some(7) };
    let run = |outer| {
        let mut pipeline = Pipeline::new(plan(outer, Some(10)));
        (0..TABLES).for_each(|table| pipeline.step(Step::Begins(table)));
        pipeline.step(click(1, 100));
        pipeline.step(click(2, 100));
        pipeline.advance(110);
        assert_eq!((pipeline.out.len(), pipeline.merge.open_windows()), (0, 2), "not yet");
        pipeline.step(profile(1));
        assert_eq!(pipeline.out.drain(..).map(|it| shown(&it)).collect::<Vec<_>>(), [json!(["1", 1, 100, 7])]);
        pipeline.advance(111);
        assert_eq!((pipeline.out.len(), pipeline.merge.open_windows(), pipeline.merge.watermark()), (1, 0, 111));
        pipeline.step(profile(2));
        assert_eq!(pipeline.out.len(), 1, "once");
        pipeline.out.remove(0)
    };
    assert_eq!(shown(&run(true)), json!(["2", 1, 100, null]));
    let late = run(false);
    assert_eq!((late.target, late.timestamp), (Target::Late, 100));
    let click: Json = serde_json::from_slice(late.value.as_deref().unwrap()).unwrap();
    assert_eq!(click, json!({ "k": "2", "v": 1, "t": 100 }));
    let told = |name: &str| {
        let value = late.headers.iter().find(|header| &*header.key == name).and_then(|header| header.value.clone());
        String::from_utf8(value.unwrap().to_vec()).unwrap()
    };
    assert_eq!(["leat.reason", "leat.late.ms", "leat.offset"].map(told), ["no row of p came", "1", "1"]);
}

#[test]
fn a_record_of_the_table_that_is_no_row_goes_aside() {
    let mut pipeline = Pipeline::new(plan(true, None));
    let mut out = Vec::new();
    pipeline.record(2, None, Some("{}"), &mut out);
    pipeline.record(2, Some(r#"{"id":"1"}"#), Some("no JSON"), &mut out);
    assert!(out.iter().all(|emission| emission.target == Target::Rejected));
    let counts = pipeline.tables[0].counts();
    assert_eq!((out.len(), counts.rows, counts.rejected), (2, 2, 2));
}
