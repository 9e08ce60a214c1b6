//! Windows: one source partition's stage over a log that is in memory, rows of JSON of about 150 bytes, one core. Decoding, the
//! watermark, grouping, and the partials that go to the merge are in it; the merge's own work is `merge`.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leat_pipeline::compile::{self, Action, Catalog, Session};
use leat_pipeline::plan::Plan;
use leat_pipeline::sql;
use leat_pipeline::stage::{Emission, MergeStage, SourceStage};
use leat_protocol::Bytes;
use leat_protocol::records::{self, Builder, Compression, set_base_offset};

const ROWS: usize = 200_000;
const BATCH: usize = 500;
/// Rows for each second of event time: 200,000 are ten minutes, or 100 seconds where each key has 133 in a slice.
const SPARSE: usize = 333;
const DENSE: usize = 2_000;

const STREAM: &str =
    "CREATE STREAM events (id BIGINT, userid VARCHAR, pageid VARCHAR, amount DOUBLE, referrer VARCHAR, at BIGINT)
    WITH (kafka_topic='events', value_format='JSON', timestamp='at');";

/// A log of rows: `keys` users, events in order but for the time of three hundred rows.
fn log(keys: u64, per_second: usize) -> Vec<Bytes> {
    let mut random = 7u64;
    let mut batches = Vec::new();
    let mut offset = 0;
    while offset < ROWS {
        let mut builder = Builder::new(Compression::None, None);
        for row in offset..offset + BATCH {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = 1_700_000_000_000 + row * 1000 / per_second - (random >> 60) as usize * 20_000 / per_second;
            let user = (random >> 20) % keys;
            let (page, cents) = ((random >> 40) % 100, (random >> 30) % 10_000);
            let value = format!(
                r#"{{"id":{row},"userid":"user-{user:08}","pageid":"page-{page}","amount":{}.{:02},"referrer":"https://www.example.com/search?q=windows","at":{at}}}"#,
                cents / 100,
                cents % 100
            );
            builder.push(at as i64, None, Some(value.as_bytes()), &[]);
        }
        let Ok(batch) = builder.finish() else { continue };
        let mut batch = batch.to_vec();
        set_base_offset(&mut batch, offset as i64);
        batches.push(Bytes::from(batch));
        offset += BATCH;
    }
    batches
}

fn plan(select: &str) -> Arc<Plan> {
    let mut catalog = Catalog::new();
    let session = Session::default();
    let text = format!("{STREAM} CREATE TABLE results AS {select};");
    for statement in sql::parse(&text).expect("it is SQL") {
        match compile::compile(&statement, &catalog, &session).expect("it can run").action {
            Action::Define { definition, .. } => catalog.put(definition),
            Action::Create { plan, .. } => return Arc::new(*plan),
            _ => {}
        }
    }
    panic!("no pipeline: {select}")
}

/// The first stage over the whole log.
fn source(plan: &Arc<Plan>, log: &[Bytes]) -> Vec<Emission> {
    let mut stage = SourceStage::new(plan.clone(), 0, 1, i64::MAX / 2, 10_000).expect("a plan that was compiled");
    let mut out = Vec::new();
    for batch in log {
        let mut each = records::records(batch, 1 << 30).expect("a batch");
        while let Some(record) = each.next_ref() {
            stage.record(&record.expect("a record"), &mut out).expect("no bound is met");
        }
    }
    stage.tick(0, 0, &mut out);
    stage.advance(i64::MAX, &mut out);
    out
}

fn merge(plan: &Arc<Plan>, partials: &[Emission]) -> usize {
    let mut stage = MergeStage::new(plan.clone(), 0, 1).expect("a plan that was compiled");
    let mut out = Vec::new();
    for partial in partials {
        stage.record(partial.key.as_deref(), partial.value.as_deref(), &mut out).expect("no bound is met");
    }
    stage.end_of_entry(&mut out).expect("no bound is met");
    out.len()
}

fn windows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    let sums = "SELECT userid, COUNT(*) AS n, SUM(amount) AS total FROM events";
    let cases = [
        ("tumbling", 1_000, SPARSE, format!("{sums} WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY userid EMIT FINAL")),
        ("hopping of 60", 1_000, SPARSE, format!("{sums} WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 1 SECOND) GROUP BY userid EMIT FINAL")),
        ("tumbling, dense", 15, DENSE, format!("{sums} WINDOW TUMBLING (SIZE 60 SECONDS, GRACE PERIOD 1 SECOND) GROUP BY userid EMIT FINAL")),
        ("hopping of 60, dense", 15, DENSE, format!("{sums} WINDOW HOPPING (SIZE 60 SECONDS, ADVANCE BY 1 SECOND, GRACE PERIOD 1 SECOND) GROUP BY userid EMIT FINAL")),
        ("session", 1_000, SPARSE, format!("{sums} WINDOW SESSION (30 SECONDS) GROUP BY userid EMIT FINAL")),
        ("tumbling, changes", 1_000, SPARSE, format!("{sums} WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY userid EMIT CHANGES")),
        ("tumbling, 100,000 keys", 100_000, SPARSE, format!("{sums} WINDOW TUMBLING (SIZE 10 MINUTES) GROUP BY userid EMIT FINAL")),
        ("distinct", 1_000, SPARSE, "SELECT pageid, COUNT(DISTINCT userid) AS n FROM events WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY pageid EMIT FINAL".to_owned()),
    ];
    for (name, keys, per_second, select) in &cases {
        let (plan, log) = (plan(select), log(*keys, *per_second));
        group.bench_function(format!("source, {name}"), |bencher| bencher.iter(|| source(&plan, &log).len()));
        let partials = source(&plan, &log);
        group.bench_function(format!("merge, {name}"), |bencher| bencher.iter(|| merge(&plan, &partials)));
    }
    group.finish();
}

criterion_group!(benches, windows);
criterion_main!(benches);
