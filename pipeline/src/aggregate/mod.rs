//! Aggregates: what is kept of the rows of a group, so that parts merge to the whole in any order.
//!
//! An accumulator never depends on the order in which rows or parts came: sums are exact, what has an order takes it from the
//! rows' places in the log, and what is bounded keeps what is smallest or largest. So the same rows give the same result,
//! however they were split over partitions and flushes.

mod distinct;
mod exact;
mod quantile;

use std::collections::{BTreeMap, BTreeSet};

use self::distinct::Distinct;
use self::exact::ExactSum;
use self::quantile::Quantiles;
use crate::codec::{Corrupt, Reader, put_int, put_len, put_uint, put_value};
use crate::plan::{Call, Function};
use crate::value::{Type, Value};

/// Distinct values that `COUNT(DISTINCT x)` keeps for one group and slice.
pub(crate) const DISTINCT_MAX: usize = 1_000_000;

/// A row's place: the log's order within a partition, and a fixed one between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Among the rows of one record.
    pub(crate) element: u32,
}

/// An aggregate that can hold no more: the pipeline has to stop before it is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("COUNT(DISTINCT) has more than {DISTINCT_MAX} values in one group: APPROX_COUNT_DISTINCT counts any number")]
pub struct Full;

/// What is kept of a group's rows for one aggregate.
#[derive(Debug, Clone)]
pub(crate) enum Accumulator {
    Count(i64),
    /// Exact: it takes 2^64 rows to leave it.
    Integers {
        count: i64,
        sum: i128,
    },
    Doubles {
        count: i64,
        sum: ExactSum,
    },
    Moments(Box<Moments>),
    /// The least or the greatest.
    Extreme(Value),
    /// The first or the last.
    Edge(Option<(Place, Value)>),
    Set(BTreeSet<Value>),
    List(BTreeMap<Place, Value>),
    /// How often each value comes.
    Counts(BTreeMap<Value, i64>),
    Distinct(Box<Distinct>),
    Quantiles(Box<Quantiles>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    count: i64,
    sum: ExactSum,
    squares: ExactSum,
}

impl Accumulator {
    /// That of no rows.
    pub(crate) fn new(call: &Call) -> Accumulator {
        match call.function {
            Function::Count => Accumulator::Count(0),
            Function::Sum | Function::Avg if call.argument_type == Type::Double => {
                Accumulator::Doubles { count: 0, sum: ExactSum::default() }
            }
            Function::Sum | Function::Avg => Accumulator::Integers { count: 0, sum: 0 },
            Function::Min | Function::Max => Accumulator::Extreme(Value::Null),
            Function::VarPop | Function::VarSamp | Function::StddevPop | Function::StddevSamp => {
                Accumulator::Moments(Box::default())
            }
            Function::First | Function::Last => Accumulator::Edge(None),
            Function::CollectList { .. } => Accumulator::List(BTreeMap::new()),
            Function::CollectSet { .. } | Function::TopKDistinct { .. } | Function::CountDistinct => {
                Accumulator::Set(BTreeSet::new())
            }
            Function::TopK { .. } | Function::Histogram { .. } => Accumulator::Counts(BTreeMap::new()),
            Function::ApproxCountDistinct => Accumulator::Distinct(Box::default()),
            Function::ApproxQuantile { .. } => Accumulator::Quantiles(Box::default()),
        }
    }

    /// Whether it stays small, however many rows it takes.
    pub(crate) fn is_small(call: &Call) -> bool {
        use Accumulator::{Count, Doubles, Edge, Extreme, Integers, Moments};
        matches!(
            Accumulator::new(call),
            Count(_) | Integers { .. } | Doubles { .. } | Moments(_) | Extreme(_) | Edge(_)
        )
    }

    /// Takes a row's value; `None` is that of `COUNT(*)`.
    pub(crate) fn add(&mut self, call: &Call, value: Option<&Value>, place: Place) -> Result<(), Full> {
        let value = match value {
            Some(Value::Null) => return Ok(()),
            Some(value) => value,
            None => &Value::Null,
        };
        match self {
            Accumulator::Count(count) => *count += 1,
            Accumulator::Integers { count, sum } => {
                *count += 1;
                *sum += i128::from(value.as_int().unwrap_or(0));
            }
            Accumulator::Doubles { count, sum } => {
                *count += 1;
                sum.add(value.as_double().unwrap_or(0.0));
            }
            Accumulator::Moments(moments) => {
                let x = value.as_double().unwrap_or(0.0);
                moments.count += 1;
                moments.sum.add(x);
                moments.squares.add(x * x);
            }
            Accumulator::Extreme(known) => {
                if known.is_null() || is_better(call, value, known) {
                    *known = value.clone();
                }
            }
            Accumulator::Edge(known) => {
                if known.as_ref().is_none_or(|(at, _)| is_nearer(call, place, *at)) {
                    *known = Some((place, value.clone()));
                }
            }
            Accumulator::Set(known) => {
                if !known.contains(value) {
                    known.insert(value.clone());
                }
            }
            Accumulator::List(known) => {
                known.insert(place, value.clone());
            }
            Accumulator::Counts(known) => match known.get_mut(value) {
                Some(count) => *count += 1,
                None => {
                    known.insert(value.clone(), 1);
                }
            },
            Accumulator::Distinct(sketch) => sketch.add(value),
            Accumulator::Quantiles(sketch) => sketch.add(value.as_double().unwrap_or(f64::NAN)),
        }
        self.bound(call)
    }

    /// Takes in what another part of the group has.
    pub(crate) fn merge(&mut self, call: &Call, other: &Accumulator) -> Result<(), Full> {
        match (&mut *self, other) {
            (Accumulator::Count(own), Accumulator::Count(other)) => *own += other,
            (Accumulator::Integers { count, sum }, Accumulator::Integers { count: more, sum: other }) => {
                *count += more;
                *sum += other;
            }
            (Accumulator::Doubles { count, sum }, Accumulator::Doubles { count: more, sum: other }) => {
                *count += more;
                sum.merge(other);
            }
            (Accumulator::Moments(own), Accumulator::Moments(other)) => {
                own.count += other.count;
                own.sum.merge(&other.sum);
                own.squares.merge(&other.squares);
            }
            (Accumulator::Extreme(own), Accumulator::Extreme(other))
                if !other.is_null() && (own.is_null() || is_better(call, other, own)) =>
            {
                *own = other.clone();
            }
            (Accumulator::Edge(own), Accumulator::Edge(Some((place, value))))
                if own.as_ref().is_none_or(|(at, _)| is_nearer(call, *place, *at)) =>
            {
                *own = Some((*place, value.clone()));
            }
            (Accumulator::Set(own), Accumulator::Set(other)) => own.extend(other.iter().cloned()),
            (Accumulator::List(own), Accumulator::List(other)) => {
                own.extend(other.iter().map(|(place, value)| (*place, value.clone())));
            }
            (Accumulator::Counts(own), Accumulator::Counts(other)) => {
                for (value, count) in other {
                    *own.entry(value.clone()).or_default() += count;
                }
            }
            (Accumulator::Distinct(own), Accumulator::Distinct(other)) => own.merge(other),
            (Accumulator::Quantiles(own), Accumulator::Quantiles(other)) => own.merge(other),
            // Nothing better; of no rows; or of another plan, which decoding refuses.
            _ => {}
        }
        self.bound(call)
    }

    /// Lets go what the call's bound leaves out: always the same values, whatever the order they came in.
    fn bound(&mut self, call: &Call) -> Result<(), Full> {
        match (call.function, self) {
            (Function::CollectSet { limit }, Accumulator::Set(set)) => {
                while set.len() > limit {
                    set.pop_last();
                }
            }
            (Function::TopKDistinct { k }, Accumulator::Set(set)) => {
                while set.len() > k {
                    set.pop_first();
                }
            }
            (Function::CountDistinct, Accumulator::Set(set)) if set.len() > DISTINCT_MAX => return Err(Full),
            (Function::CollectList { limit }, Accumulator::List(list)) => {
                while list.len() > limit {
                    list.pop_last();
                }
            }
            (Function::TopK { k }, Accumulator::Counts(counts)) => {
                // More than k distinct values: the least one can't be among the k largest.
                while counts.len() > k {
                    counts.pop_first();
                }
            }
            (Function::Histogram { limit }, Accumulator::Counts(counts)) => {
                while counts.len() > limit {
                    counts.pop_last();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The result for what was taken so far.
    pub(crate) fn result(&self, call: &Call) -> Value {
        match self {
            Accumulator::Count(count) => Value::Int(*count),
            Accumulator::Integers { count: 0, .. } | Accumulator::Doubles { count: 0, .. } => Value::Null,
            Accumulator::Integers { count, sum } if call.function == Function::Avg => {
                Value::Double(*sum as f64 / *count as f64)
            }
            // A sum that no BIGINT holds has no value.
            Accumulator::Integers { sum, .. } => i64::try_from(*sum).map_or(Value::Null, Value::Int),
            Accumulator::Doubles { count, sum } if call.function == Function::Avg => {
                Value::Double(sum.value() / *count as f64)
            }
            Accumulator::Doubles { sum, .. } => Value::Double(sum.value()),
            Accumulator::Moments(moments) => moments.result(call.function),
            Accumulator::Extreme(value) => value.clone(),
            Accumulator::Edge(edge) => edge.as_ref().map_or(Value::Null, |(_, value)| value.clone()),
            Accumulator::Set(set) => match call.function {
                Function::CountDistinct => Value::Int(set.len() as i64),
                Function::TopKDistinct { .. } => Value::Array(set.iter().rev().cloned().collect()),
                _ => Value::Array(set.iter().cloned().collect()),
            },
            Accumulator::List(list) => Value::Array(list.values().cloned().collect()),
            Accumulator::Counts(counts) => match call.function {
                Function::TopK { k } => {
                    let repeated = counts.iter().rev().flat_map(|(value, &count)| {
                        std::iter::repeat_n(value, usize::try_from(count).unwrap_or(usize::MAX).min(k))
                    });
                    Value::Array(repeated.take(k).cloned().collect())
                }
                _ => histogram(counts),
            },
            Accumulator::Distinct(sketch) => Value::Int(sketch.estimate()),
            Accumulator::Quantiles(sketch) => match call.function {
                Function::ApproxQuantile { q } => sketch.quantile(q).map_or(Value::Null, Value::Double),
                _ => Value::Null,
            },
        }
    }

    /// Memory that it takes beside itself, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Accumulator::Doubles { sum, .. } => sum.bytes(),
            Accumulator::Moments(moments) => 80 + moments.sum.bytes() + moments.squares.bytes(),
            Accumulator::Set(set) => set.len() * 64,
            Accumulator::List(list) => list.len() * 80,
            Accumulator::Counts(counts) => counts.len() * 72,
            Accumulator::Distinct(sketch) => sketch.bytes(),
            Accumulator::Quantiles(sketch) => sketch.bytes(),
            _ => 0,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Accumulator::Count(count) => put_int(out, *count),
            Accumulator::Integers { count, sum } => {
                put_int(out, *count);
                out.extend_from_slice(&sum.to_le_bytes());
            }
            Accumulator::Doubles { count, sum } => {
                put_int(out, *count);
                sum.encode(out);
            }
            Accumulator::Moments(moments) => {
                put_int(out, moments.count);
                moments.sum.encode(out);
                moments.squares.encode(out);
            }
            Accumulator::Extreme(value) => put_value(out, value),
            Accumulator::Edge(edge) => {
                out.push(u8::from(edge.is_some()));
                if let Some((place, value)) = edge {
                    place.encode(out);
                    put_value(out, value);
                }
            }
            Accumulator::Set(set) => {
                put_len(out, set.len());
                set.iter().for_each(|value| put_value(out, value));
            }
            Accumulator::List(list) => {
                put_len(out, list.len());
                for (place, value) in list {
                    place.encode(out);
                    put_value(out, value);
                }
            }
            Accumulator::Counts(counts) => {
                put_len(out, counts.len());
                for (value, &count) in counts {
                    put_value(out, value);
                    put_int(out, count);
                }
            }
            Accumulator::Distinct(sketch) => sketch.encode(out),
            Accumulator::Quantiles(sketch) => sketch.encode(out),
        }
    }

    pub(crate) fn decode(call: &Call, reader: &mut Reader<'_>) -> Result<Accumulator, Corrupt> {
        Ok(match Accumulator::new(call) {
            Accumulator::Count(_) => Accumulator::Count(reader.int()?),
            Accumulator::Integers { .. } => {
                let count = reader.int()?;
                let sum = reader.take(16)?.try_into().map_err(|_| Corrupt("it ends early"))?;
                Accumulator::Integers { count, sum: i128::from_le_bytes(sum) }
            }
            Accumulator::Doubles { .. } => {
                Accumulator::Doubles { count: reader.int()?, sum: ExactSum::decode(reader)? }
            }
            Accumulator::Moments(_) => Accumulator::Moments(Box::new(Moments {
                count: reader.int()?,
                sum: ExactSum::decode(reader)?,
                squares: ExactSum::decode(reader)?,
            })),
            Accumulator::Extreme(_) => Accumulator::Extreme(reader.value()?),
            Accumulator::Edge(_) => match reader.byte()? {
                0 => Accumulator::Edge(None),
                _ => Accumulator::Edge(Some((Place::decode(reader)?, reader.value()?))),
            },
            Accumulator::Set(mut set) => {
                for _ in 0..reader.len()? {
                    set.insert(reader.value()?);
                }
                Accumulator::Set(set)
            }
            Accumulator::List(mut list) => {
                for _ in 0..reader.len()? {
                    list.insert(Place::decode(reader)?, reader.value()?);
                }
                Accumulator::List(list)
            }
            Accumulator::Counts(mut counts) => {
                for _ in 0..reader.len()? {
                    counts.insert(reader.value()?, reader.int()?);
                }
                Accumulator::Counts(counts)
            }
            Accumulator::Distinct(_) => Accumulator::Distinct(Box::new(Distinct::decode(reader)?)),
            Accumulator::Quantiles(_) => Accumulator::Quantiles(Box::new(Quantiles::decode(reader)?)),
        })
    }
}

impl Moments {
    fn result(&self, function: Function) -> Value {
        let count = self.count as f64;
        let sample = matches!(function, Function::VarSamp | Function::StddevSamp);
        let divisor = if sample { count - 1.0 } else { count };
        if divisor <= 0.0 {
            return Value::Null;
        }
        let sum = self.sum.value();
        // Rounding may leave a little less than nothing.
        let variance = ((self.squares.value() - sum * sum / count) / divisor).max(0.0);
        Value::Double(match function {
            Function::StddevPop | Function::StddevSamp => variance.sqrt(),
            _ => variance,
        })
    }
}

impl Place {
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_int(out, i64::from(self.partition));
        put_int(out, self.offset);
        put_uint(out, u64::from(self.element));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Place, Corrupt> {
        Ok(Place {
            partition: i32::try_from(reader.int()?).map_err(|_| Corrupt("a partition"))?,
            offset: reader.int()?,
            element: u32::try_from(reader.uint()?).map_err(|_| Corrupt("an element"))?,
        })
    }
}

fn is_better(call: &Call, value: &Value, than: &Value) -> bool {
    if call.function == Function::Min { value < than } else { value > than }
}

fn is_nearer(call: &Call, place: Place, than: Place) -> bool {
    if call.function == Function::First { place < than } else { place > than }
}

/// As in ksqlDB: the values as text, each with its count.
fn histogram(counts: &BTreeMap<Value, i64>) -> Value {
    let mut entries: Vec<(Box<str>, Value)> =
        counts.iter().map(|(value, &count)| (text(value), Value::Int(count))).collect();
    entries.sort();
    Value::Map(entries.into())
}

fn text(value: &Value) -> Box<str> {
    match value {
        Value::String(text) => text.clone(),
        Value::Int(int) => int.to_string().into(),
        Value::Double(double) => double.to_string().into(),
        Value::Bool(bool) => bool.to_string().into(),
        other => format!("{other:?}").into(),
    }
}

#[cfg(test)]
mod tests;
