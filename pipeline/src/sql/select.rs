//! `SELECT`: the streaming clauses are taken out, the rest is `sqlparser`'s.

use super::cursor::{Cursor, is_word};
use super::{Error, Name, Query, depth, dialect, join, window};
use crate::plan::{Emit, Start};
use sqlparser::ast::{Expr, SetExpr, TableFactor};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Clauses that streams do not have, or not yet.
const NOT_YET: [(&[&str], &str); 11] = [
    (&["RIGHT", "JOIN"], "RIGHT JOIN is"),
    (&["RIGHT", "OUTER"], "RIGHT JOIN is"),
    (&["FULL", "JOIN"], "FULL JOIN is"),
    (&["FULL", "OUTER"], "FULL JOIN is"),
    (&["CROSS", "JOIN"], "CROSS JOIN, but of UNNEST, is"),
    (&["NATURAL"], "NATURAL JOIN is"),
    (&["FOR", "SYSTEM_TIME"], "FOR SYSTEM_TIME AS OF is"),
    (&["UNION"], "UNION is"),
    (&["ORDER", "BY"], "ORDER BY is"),
    (&["INTERSECT"], "INTERSECT is"),
    (&["EXCEPT"], "EXCEPT is"),
];

/// A query, up to the end of the statement.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Query, Error> {
    let at = cursor.place();
    let mut clauses = Clauses::default();
    let mut rest: Vec<TokenWithSpan> = Vec::new();
    let mut open = 0_usize;
    while !cursor.is_done() {
        if open == 0 {
            clauses.has_from |= cursor.sees(&["FROM"]);
            if clauses.take(cursor, &mut rest)? {
                continue;
            }
        } else if cursor.takes(&["GRACE", "PERIOD"]) {
            clauses.grace(cursor)?;
            continue;
        }
        let Some(token) = cursor.next() else { break };
        clauses.has_over |= is_word(&token.token, "OVER") && rest.last().is_some_and(|it| it.token == Token::RParen);
        match token.token {
            Token::LParen | Token::LBracket => open += 1,
            Token::RParen | Token::RBracket => open = open.saturating_sub(1),
            _ => {}
        }
        rest.push(token.clone());
    }
    depth::check(&rest)?;
    let end = cursor.end();
    let mut parser =
        Parser::new(&dialect::Leat).with_recursion_limit(depth::RECURSION_MAX).with_tokens_with_locations(rest);
    let query = parser.parse_query().map_err(|error| from_sqlparser(&error, end))?;
    finish(&parser, end)?;
    let SetExpr::Select(select) = *query.body else {
        return Err(Error::at(at, "this is no SELECT").expected("SELECT"));
    };
    if query.with.is_some() {
        return Err(Error::at(at, "WITH is not supported yet").expected("SELECT"));
    }
    let join = join::of(&select.from, clauses.wait)?;
    let (from, alias) = match clauses.table.take() {
        Some(table) => (Some(table), from_of(&select.from, at)?.1),
        None => from_of(&select.from, at)?,
    };
    Ok(Query {
        select,
        from,
        alias,
        join,
        window: clauses.window,
        partition_by: clauses.partition_by,
        unnest: clauses.unnest,
        emit: clauses.emit,
        has_over: clauses.has_over,
        grace_ms: clauses.grace_ms,
        limit: clauses.limit,
        start: clauses.start,
        at_least: clauses.at_least,
        at,
    })
}

/// The streaming clauses of a query.
#[derive(Default)]
struct Clauses {
    /// Before `FROM`, `start` is a name.
    has_from: bool,
    window: Option<super::WindowClause>,
    table: Option<Name>,
    partition_by: Vec<Expr>,
    unnest: Option<(Box<Expr>, Name)>,
    wait: Option<(i64, Location)>,
    emit: Option<(Emit, Location)>,
    has_over: bool,
    grace_ms: Option<i64>,
    limit: Option<u64>,
    start: Option<Start>,
    at_least: Vec<(i32, i64)>,
}

impl Clauses {
    /// What follows `GRACE PERIOD` within an `OVER`: one for all of them.
    fn grace(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let at = cursor.place();
        let grace_ms = window::grace(cursor)?;
        match self.grace_ms.replace(grace_ms) {
            Some(other) if other != grace_ms => Err(Error::at(at, "every OVER of a SELECT has to have the same grace")),
            _ => Ok(()),
        }
    }

    /// Takes a clause if one is next; what SQL has in its place goes to `rest`.
    fn take(&mut self, cursor: &mut Cursor<'_>, rest: &mut Vec<TokenWithSpan>) -> Result<bool, Error> {
        let at = cursor.place();
        let windows = [&["WINDOW", "TUMBLING"], &["WINDOW", "HOPPING"], &["WINDOW", "SESSION"]];
        if windows.iter().any(|words| cursor.sees(*words)) {
            cursor.word("WINDOW")?;
            self.window = Some(window::clause(cursor)?);
        } else if cursor.sees(&["FROM", "TABLE"]) && *cursor.peek_at(2) == Token::LParen {
            rest.extend(cursor.next().cloned());
            cursor.word("TABLE")?;
            let (window, table) = window::table_function(cursor)?;
            // A name that every SELECT can have; the real one is kept beside it.
            rest.push(TokenWithSpan::at(Token::make_word("window_table", None), table.at, table.at));
            (self.window, self.table) = (Some(window), Some(table));
        } else if cursor.takes(&["EMIT"]) {
            let emit = match cursor.one_of(&["CHANGES", "FINAL", "ON"])? {
                "CHANGES" => Emit::Changes,
                "FINAL" => Emit::Final,
                _ => {
                    cursor.word("TIME")?;
                    Emit::OnTime
                }
            };
            self.emit = Some((emit, at));
        } else if cursor.takes(&["LIMIT"]) {
            let limit = cursor.integer("a number of rows")?;
            self.limit = u64::try_from(limit).ok();
        } else if self.has_from && cursor.takes(&["START", "FROM"]) {
            self.start = Some(start(cursor)?);
        } else if cursor.takes(&["AT", "LEAST", "OFFSET"]) {
            self.at_least = offsets(cursor)?;
        } else if cursor.takes(&["PARTITION", "BY"]) {
            self.partition_by = partition_by(cursor)?;
        } else if cursor.takes(&["CROSS", "JOIN", "UNNEST"]) {
            self.unnest = Some(unnest(cursor)?);
        } else if self.has_from && cursor.sees(&["WAIT"]) && matches!(cursor.peek_at(1), Token::Number(..)) {
            cursor.word("WAIT")?;
            self.wait = Some((window::grace(cursor)?, at));
        } else if self.has_from && cursor.sees(&["WITHIN"]) && matches!(cursor.peek_at(1), Token::Number(..)) {
            return Err(Error::at(at, "joins of two streams are not supported yet"));
        } else if let Some((_, what)) = NOT_YET.iter().find(|(words, _)| cursor.sees(words)) {
            return Err(Error::at(at, format!("{what} not supported yet")));
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// What follows `START FROM`.
pub(super) fn start(cursor: &mut Cursor<'_>) -> Result<Start, Error> {
    Ok(match cursor.one_of(&["EARLIEST", "LATEST", "OFFSET", "TIMESTAMP", "SAVEPOINT"])? {
        "EARLIEST" => Start::Earliest,
        "LATEST" => Start::Latest,
        "OFFSET" => Start::Offsets(offsets(cursor)?),
        "TIMESTAMP" => Start::Timestamp(timestamp(cursor)?),
        _ => Start::Savepoint(cursor.string("a savepoint's name in quotes")?),
    })
}

/// A time as text, or milliseconds since 1970.
pub(super) fn timestamp(cursor: &mut Cursor<'_>) -> Result<i64, Error> {
    if let Token::Number(..) = cursor.peek() {
        return cursor.integer("milliseconds since 1970");
    }
    let at = cursor.place();
    let expected = "a time like '2026-01-31 12:00:00'";
    let text = cursor.string(expected)?;
    let time = crate::expr::time::parse_timestamp(&text);
    time.ok_or_else(|| Error::at(at, format!("'{text}' is no time")).expected(expected))
}

/// `partition:offset, ...`.
fn offsets(cursor: &mut Cursor<'_>) -> Result<Vec<(i32, i64)>, Error> {
    let mut offsets = Vec::new();
    loop {
        let at = cursor.place();
        let partition = cursor.integer("partition:offset, like 0:42")?;
        let partition = i32::try_from(partition).map_err(|_| Error::at(at, "there is no such partition"))?;
        cursor.token(&Token::Colon)?;
        offsets.push((partition, cursor.integer("an offset")?));
        if !cursor.takes_token(&Token::Comma) {
            return Ok(offsets);
        }
    }
}

fn partition_by(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>, Error> {
    const ENDS: [&[&str]; 6] = [&["EMIT"], &["LIMIT"], &["START", "FROM"], &["GROUP", "BY"], &["HAVING"], &["WINDOW"]];
    let mut expressions = Vec::new();
    loop {
        let from = cursor.clone();
        let mut open = 0_usize;
        let mut count = 0;
        while !cursor.is_done() && (open > 0 || !ENDS.iter().any(|words| cursor.sees(words))) {
            match cursor.peek() {
                Token::LParen | Token::LBracket => open += 1,
                Token::RParen | Token::RBracket => open = open.saturating_sub(1),
                Token::Comma if open == 0 => break,
                _ => {}
            }
            cursor.next();
            count += 1;
        }
        expressions.push(expression(&from.rest()[..count], cursor.place())?);
        if !cursor.takes_token(&Token::Comma) {
            return Ok(expressions);
        }
    }
}

/// `(array) [AS] t (column)`.
fn unnest(cursor: &mut Cursor<'_>) -> Result<(Box<Expr>, Name), Error> {
    cursor.token(&Token::LParen)?;
    let array = expression(cursor.item(), cursor.place())?;
    cursor.token(&Token::RParen)?;
    cursor.takes(&["AS"]);
    cursor.name("a name for the elements, like AS t (word)")?;
    cursor.token(&Token::LParen)?;
    let column = cursor.name("a column's name")?;
    cursor.token(&Token::RParen)?;
    Ok((Box::new(array), column))
}

/// An expression that these tokens are.
pub(super) fn expression(tokens: &[TokenWithSpan], end: Location) -> Result<Expr, Error> {
    depth::check(tokens)?;
    let mut parser = Parser::new(&dialect::Leat)
        .with_recursion_limit(depth::RECURSION_MAX)
        .with_tokens_with_locations(tokens.to_vec());
    let expr = parser.parse_expr().map_err(|error| from_sqlparser(&error, end))?;
    finish(&parser, end)?;
    Ok(expr)
}

fn finish(parser: &Parser<'_>, end: Location) -> Result<(), Error> {
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(());
    }
    let at = if next.span.start.line == 0 { end } else { next.span.start };
    Err(Error::at(at, format!("'{}' is not understood here", crate::expr::shorten(&next.token.to_string()))))
}

/// An error of `sqlparser`: its place is at the end of its text.
fn from_sqlparser(error: &ParserError, end: Location) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => return Error::at(end, "the statement is nested too deep"),
    };
    let (text, at) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => (message, location(place).unwrap_or(end)),
        None => (text, end),
    };
    match text.strip_prefix("Expected: ").and_then(|text| text.split_once(", found: ")) {
        Some((expected, "EOF")) => Error::at(end, "the statement ends here").expected(expected),
        Some((expected, found)) => {
            Error::at(at, format!("'{}' is not understood here", crate::expr::shorten(found))).expected(expected)
        }
        None => Error::at(at, text),
    }
}

fn location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location::new(line.parse().ok()?, column.parse().ok()?))
}

/// The table of `FROM` and its alias.
fn from_of(from: &[sqlparser::ast::TableWithJoins], at: Location) -> Result<(Option<Name>, Option<Name>), Error> {
    let [table] = from else {
        let second = from.get(1).and_then(|table| name_of(&table.relation)).map_or(at, |(name, _)| name.at);
        let comma = || Error::at(second, "a join by a comma is not supported").expected("JOIN ... ON");
        return if from.is_empty() { Ok((None, None)) } else { Err(comma()) };
    };
    if let TableFactor::Derived { .. } = &table.relation {
        let error = Error::at(at, "a SELECT within FROM is not supported yet");
        return Err(error.expected("CREATE VIEW name AS SELECT ..., and FROM name"));
    }
    let (name, alias) = name_of(&table.relation)
        .ok_or_else(|| Error::at(at, "only a stream or table can be read").expected("FROM and a name"))?;
    Ok((Some(name), alias))
}

pub(super) fn name_of(relation: &TableFactor) -> Option<(Name, Option<Name>)> {
    let TableFactor::Table { name, alias, args: None, .. } = relation else { return None };
    let [part] = name.0.as_slice() else { return None };
    let name = of_ident(part.as_ident()?);
    Some((name, alias.as_ref().map(|alias| of_ident(&alias.name))))
}

/// A name of `sqlparser`'s.
pub(crate) fn of_ident(ident: &sqlparser::ast::Ident) -> Name {
    Name { text: ident.value.clone(), quoted: ident.quote_style.is_some(), at: ident.span.start }
}

/// A decimal number of units as milliseconds, if it is a whole number of them.
pub(super) fn decimal_ms(text: &str, unit_ms: i64) -> Option<i64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let ms = digits.checked_mul(unit_ms.into())?;
    (ms % scale == 0).then(|| i64::try_from(ms / scale).ok()).flatten()
}

/// `INTERVAL '5' SECOND` in an expression, in milliseconds.
pub(crate) fn interval_ms(interval: &sqlparser::ast::Interval) -> Option<i64> {
    let text = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            sqlparser::ast::Value::SingleQuotedString(text) | sqlparser::ast::Value::Number(text, _) => text.clone(),
            _ => return None,
        },
        _ => return None,
    };
    match (&interval.leading_field, &interval.last_field) {
        (Some(unit), None) => decimal_ms(&text, window::unit_ms(&unit.to_string())?),
        (None, None) => {
            let (number, unit) = text.trim().split_once(' ')?;
            decimal_ms(number, window::unit_ms(unit.trim())?)
        }
        _ => None,
    }
}
