//! Whether a pipeline's state fits another plan, so that one that is replaced can go on with it.

use crate::expr::Expr;
use crate::plan::{Aggregate, Body, Call, Column, Emit, Field, Join, Over, Plan};

/// Whether `new` can go on with the state of `old`, and in its topics.
///
/// # Errors
/// What is different, in words.
pub fn compatible(old: &Plan, new: &Plan) -> Result<(), String> {
    let both = Both { old, new };
    let (before, after) = (&old.source, &new.source);
    both.same(before.topic == after.topic, "the source's topic")?;
    both.same(both.options(&before.event_time, &after.event_time), "the event time")?;
    both.same(before.disorder_ms == after.disorder_ms, "the disorder")?;
    both.same(before.finals_only == after.finals_only, "the source's results")?;
    both.same(both.options(&old.explode, &new.explode), "the array that is taken apart")?;
    let (before, after) = (&old.output, &new.output);
    both.same(before.topic == after.topic && before.is_table == after.is_table, "the output's topic")?;
    both.same(before.key_format == after.key_format, "the format of the key")?;
    match (&old.body, &new.body) {
        (Body::Project { key: before, .. }, Body::Project { key: after, .. }) => {
            both.same(both.fields(before, after), "the key")
        }
        (Body::Aggregate(before), Body::Aggregate(after)) => both.aggregates(before, after),
        (Body::Over(before), Body::Over(after)) => both.overs(before, after),
        (Body::Join(before), Body::Join(after)) => both.joins(before, after),
        _ => Err("what is done with the rows is another thing".to_owned()),
    }
}

/// Two plans. Their columns are compared by what they are, since each reads only those that it uses.
struct Both<'a> {
    old: &'a Plan,
    new: &'a Plan,
}

impl Both<'_> {
    fn same(&self, is: bool, what: &str) -> Result<(), String> {
        if is { Ok(()) } else { Err(format!("{what} would be another")) }
    }

    /// A column's place among those of both plans; an element of an array has the last.
    fn place(&self, columns: &[Column], at: usize) -> usize {
        let all = || self.old.source.columns.iter().chain(&self.new.source.columns);
        columns.get(at).and_then(|column| all().position(|other| other == column)).unwrap_or(usize::MAX)
    }

    fn exprs(&self, old: &Expr, new: &Expr) -> bool {
        let (mut old, mut new) = (old.clone(), new.clone());
        old.map_columns(&|at| self.place(&self.old.source.columns, at));
        new.map_columns(&|at| self.place(&self.new.source.columns, at));
        old == new
    }

    fn options(&self, old: &Option<Expr>, new: &Option<Expr>) -> bool {
        match (old, new) {
            (None, None) => true,
            (Some(old), Some(new)) => self.exprs(old, new),
            _ => false,
        }
    }

    /// Of a row.
    fn fields(&self, old: &[Field], new: &[Field]) -> bool {
        let same = |(a, b): (&Field, &Field)| a.name == b.name && a.of == b.of && self.exprs(&a.expr, &b.expr);
        old.len() == new.len() && old.iter().zip(new).all(same)
    }

    fn calls(&self, old: &[Call], new: &[Call]) -> bool {
        let same = |(a, b): (&Call, &Call)| {
            let kinds = (a.function, &a.argument_type, &a.of) == (b.function, &b.argument_type, &b.of);
            kinds && self.options(&a.argument, &b.argument) && self.options(&a.filter, &b.filter)
        };
        old.len() == new.len() && old.iter().zip(new).all(same)
    }

    fn aggregates(&self, old: &Aggregate, new: &Aggregate) -> Result<(), String> {
        self.same(self.fields(&old.keys, &new.keys) && old.key == new.key, "the key")?;
        self.same(old.window == new.window && old.grace_ms == new.grace_ms, "the window")?;
        self.same(self.calls(&old.calls, &new.calls), "an aggregate")?;
        self.same(old.emit == new.emit, "EMIT")?;
        // Which results are to be seen is known only where a HAVING may take one back.
        let seen = old.emit == Emit::Final || old.having.is_some() == new.having.is_some();
        self.same(seen, "HAVING, of results that are shown before their windows close,")
    }

    fn carried(&self, old: &[Expr], new: &[Expr]) -> Result<(), String> {
        let same = old.len() == new.len() && old.iter().zip(new).all(|(old, new)| self.exprs(old, new));
        self.same(same, "what is taken along of the rows that wait")
    }

    fn joins(&self, old: &Join, new: &Join) -> Result<(), String> {
        self.same(self.fields(&old.keys, &new.keys) && old.key == new.key, "the key")?;
        let kind = (old.outer, old.wait_ms) == (new.outer, new.wait_ms);
        self.same(kind, "the kind of the join, or how long it waits,")?;
        self.carried(&old.carried, &new.carried)?;
        let table = old.table == new.table && old.table_keys == new.table_keys;
        self.same(table && old.table_carried == new.table_carried, "what is kept of the table")
    }

    fn overs(&self, old: &Over, new: &Over) -> Result<(), String> {
        self.same(self.fields(&old.keys, &new.keys) && old.key == new.key, "the key")?;
        self.same(old.grace_ms == new.grace_ms, "the grace")?;
        self.carried(&old.carried, &new.carried)?;
        let frames = old.frames.len() == new.frames.len();
        let mut each = old.frames.iter().zip(&new.frames);
        let frames = frames && each.all(|(a, b)| a.bound == b.bound && self.calls(&a.calls, &b.calls));
        self.same(frames, "a frame or an aggregate")?;
        let lags = old.lags.len() == new.lags.len();
        let mut each = old.lags.iter().zip(&new.lags);
        let lags = lags
            && each.all(|(a, b)| (a.rows, &a.default) == (b.rows, &b.default) && self.exprs(&a.argument, &b.argument));
        self.same(lags, "a LAG")
    }
}
