//! What a row gives to its group: a key and arguments. Whatever fails, fails before anything is changed.

use crate::aggregate::Place;
use crate::codec::put_value;
use crate::expr::Failed;
use crate::plan::{Call, Field, Over};
use crate::stage::cell::Argument;
use crate::stage::partial::Sent;
use crate::value::Value;

/// The group key of a row. False where the row is in no group.
pub(super) fn key(keys: &[Field], null_key_filtered: bool, row: &[Value], key: &mut Vec<u8>) -> Result<bool, Failed> {
    key.clear();
    for field in keys {
        let value = field.expr.eval(row)?;
        if null_key_filtered && value.is_null() {
            return Ok(false);
        }
        put_value(key, &value);
    }
    Ok(true)
}

/// What a row gives to each aggregate.
pub(super) fn arguments<'a>(
    calls: impl IntoIterator<Item = &'a Call>,
    row: &[Value],
    arguments: &mut Vec<Argument>,
) -> Result<(), Failed> {
    arguments.clear();
    for call in calls {
        let taken = match &call.filter {
            Some(filter) => filter.eval(row)?.as_bool() == Some(true),
            None => true,
        };
        arguments.push(match &call.argument {
            _ if !taken => Argument::LeftOut,
            None => Argument::Row,
            Some(argument) => Argument::Value(argument.eval(row)?.into_owned()),
        });
    }
    Ok(())
}

/// A row as `OVER` sends it.
pub(super) fn sent(over: &Over, row: &[Value], time: i64, place: Place) -> Result<Sent, Failed> {
    let carried = over.carried.iter().map(|expr| Ok(expr.eval(row)?.into_owned())).collect::<Result<_, Failed>>()?;
    let mut all = Vec::new();
    arguments(over.frames.iter().flat_map(|frame| &frame.calls), row, &mut all)?;
    for lag in &over.lags {
        all.push(Argument::Value(lag.argument.eval(row)?.into_owned()));
    }
    Ok(Sent { time, place, carried, arguments: all.into() })
}
