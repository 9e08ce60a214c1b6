//! `CREATE STREAM | TABLE`.

use super::cursor::Cursor;
use super::select::{self, expression};
use super::{ColumnDef, CreateAs, Define, Error, Kind, Name, Place, Setting, What, types};
use sqlparser::ast::Expr;
use sqlparser::tokenizer::Token;

/// The most columns of a stream.
const COLUMNS_MAX: usize = 1_000;

/// What follows `CREATE`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Kind, Error> {
    let or_replace = cursor.takes(&["OR", "REPLACE"]);
    let _ = cursor.takes(&["SOURCE"]) || cursor.takes(&["TEMPORARY"]);
    let what = match cursor.one_of(&["STREAM", "TABLE", "VIEW"])? {
        "STREAM" => What::Stream,
        // Flink's name for a query that others read.
        _ => What::Table,
    };
    let if_not_exists = cursor.takes(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("the name of the stream or table")?;
    let (columns, watermark) = if cursor.takes_token(&Token::LParen) { columns(cursor)? } else { (Vec::new(), None) };
    let settings = if cursor.takes(&["WITH"]) { settings(cursor)? } else { Vec::new() };
    if cursor.takes(&["AS"]) {
        if let Some(column) = columns.first() {
            return Err(Error::at(column.name.at, "the columns of CREATE ... AS SELECT are those of the SELECT"));
        }
        let query = Box::new(select::parse(cursor)?);
        return Ok(Kind::CreateAs(Box::new(CreateAs { name, what, if_not_exists, or_replace, settings, query })));
    }
    if settings.is_empty() {
        return Err(cursor.wrong("WITH (...) or AS SELECT"));
    }
    cursor.finish()?;
    Ok(Kind::Define(Box::new(Define { name, what, if_not_exists, or_replace, columns, watermark, settings })))
}

type Columns = (Vec<ColumnDef>, Option<(Name, Expr)>);

fn columns(cursor: &mut Cursor<'_>) -> Result<Columns, Error> {
    let (mut columns, mut watermark) = (Vec::new(), None);
    loop {
        if cursor.takes(&["WATERMARK", "FOR"]) {
            let column = cursor.name("the column of the event time")?;
            cursor.word("AS")?;
            watermark = Some((column, expression(cursor.item(), cursor.place())?));
        } else if cursor.takes(&["PRIMARY", "KEY"]) || cursor.takes(&["CONSTRAINT"]) {
            // Not enforced, as in Flink.
            cursor.item();
        } else {
            columns.push(column(cursor)?);
        }
        if columns.len() > COLUMNS_MAX {
            return Err(Error::at(cursor.place(), format!("there are more than {COLUMNS_MAX} columns")));
        }
        if !cursor.takes_token(&Token::Comma) {
            cursor.token(&Token::RParen)?;
            return Ok((columns, watermark));
        }
    }
}

fn column(cursor: &mut Cursor<'_>) -> Result<ColumnDef, Error> {
    let name = cursor.name("a column's name")?;
    if cursor.takes(&["AS"]) {
        let expr = expression(cursor.item(), cursor.place())?;
        return Ok(ColumnDef { name, of: crate::value::Type::Null, place: Place::Computed(Box::new(expr)) });
    }
    let of = types::parse(cursor, 0)?;
    let mut place = Place::Value;
    loop {
        if cursor.takes(&["PRIMARY", "KEY"]) || cursor.takes(&["KEY"]) {
            place = Place::Key;
        } else if cursor.takes(&["HEADERS"]) {
            place = Place::Headers;
        } else if cursor.takes(&["HEADER"]) {
            cursor.token(&Token::LParen)?;
            place = Place::Header(cursor.string("a header's name in quotes")?);
            cursor.token(&Token::RParen)?;
        } else if cursor.takes(&["METADATA"]) {
            let of = if cursor.takes(&["FROM"]) { cursor.string("a name in quotes")? } else { name.text.clone() };
            cursor.takes(&["VIRTUAL"]);
            place = Place::Metadata(of);
        } else if cursor.takes(&["COMMENT"]) {
            cursor.string("a comment in quotes")?;
        } else if !(cursor.takes(&["NOT", "NULL"]) || cursor.takes(&["NULL"]) || cursor.takes(&["NOT", "ENFORCED"])) {
            return Ok(ColumnDef { name, of, place });
        }
    }
}

/// What follows `WITH`.
fn settings(cursor: &mut Cursor<'_>) -> Result<Vec<Setting>, Error> {
    cursor.token(&Token::LParen)?;
    let mut settings: Vec<Setting> = Vec::new();
    loop {
        let at = cursor.place();
        let name = dotted(cursor)?.to_lowercase();
        cursor.token(&Token::Eq)?;
        let value_at = cursor.place();
        let value = cursor.scalar("a value")?;
        if settings.iter().any(|other| other.name == name) {
            return Err(Error::at(at, format!("'{name}' is given twice")));
        }
        settings.push(Setting { name, value, at, value_at });
        if !cursor.takes_token(&Token::Comma) {
            cursor.token(&Token::RParen)?;
            return Ok(settings);
        }
    }
}

/// A name in quotes, or words with dots between them.
pub(super) fn dotted(cursor: &mut Cursor<'_>) -> Result<String, Error> {
    let mut name = cursor.scalar("an option's name")?;
    while cursor.takes_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.scalar("the rest of the option's name")?);
    }
    Ok(name)
}
