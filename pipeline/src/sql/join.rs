//! `[LEFT] JOIN table ON condition`: one, with a table by its name.

use super::select::name_of;
use super::{Error, JoinClause};
use sqlparser::ast::{JoinConstraint, JoinOperator, TableWithJoins};
use sqlparser::tokenizer::Location;

/// The join of a `FROM`; `wait` is what stood behind its `WAIT`, and where.
pub(super) fn of(from: &[TableWithJoins], wait: Option<(i64, Location)>) -> Result<Option<JoinClause>, Error> {
    let joins = from.first().map_or(&[][..], |table| &table.joins);
    let Some(join) = joins.first() else {
        return match wait {
            Some((_, at)) => Err(Error::at(at, "WAIT belongs to a JOIN").expected("JOIN table WAIT 10 MINUTES ON ...")),
            None => Ok(None),
        };
    };
    let nowhere = Location::new(0, 0);
    let named = name_of(&join.relation);
    let (table, alias) =
        named.ok_or_else(|| Error::at(nowhere, "only a table can be joined").expected("JOIN and a table's name"))?;
    if let Some(second) = joins.get(1) {
        let at = name_of(&second.relation).map_or(nowhere, |(name, _)| name.at);
        return Err(
            Error::at(at, "a second join is not supported yet").expected("a SELECT over the result of the first")
        );
    }
    let (outer, constraint) = match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (false, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (true, constraint),
        _ => return Err(Error::at(table.at, "this join is not supported").expected("JOIN or LEFT JOIN")),
    };
    let JoinConstraint::On(on) = constraint else {
        return Err(Error::at(table.at, "the join has no condition").expected("ON stream.column = table.key"));
    };
    Ok(Some(JoinClause { table, alias, outer, on: Box::new(on.clone()), wait_ms: wait.map(|(ms, _)| ms) }))
}
