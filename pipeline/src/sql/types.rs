//! Types, as both dialects name them.

use super::Error;
use super::cursor::Cursor;
use crate::value::Type;
use sqlparser::tokenizer::{Location, Token, Tokenizer};

/// How deep types may nest.
const DEPTH_MAX: usize = 16;

const NAMES: [&str; 32] = [
    "BOOLEAN",
    "INT",
    "INTEGER",
    "TINYINT",
    "SMALLINT",
    "BIGINT",
    "DOUBLE",
    "FLOAT",
    "REAL",
    "DECIMAL",
    "NUMERIC",
    "DEC",
    "VARCHAR",
    "STRING",
    "CHAR",
    "TEXT",
    "BYTES",
    "VARBINARY",
    "BINARY",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "DATE",
    "TIME",
    "DATETIME",
    "ARRAY",
    "MAP",
    "STRUCT",
    "ROW",
    "INT4",
    "INT8",
    "FLOAT8",
    "BOOL",
];

/// A type from its text, as `sqlparser` writes it.
pub(crate) fn type_of(text: &str, at: Location) -> Result<Type, Error> {
    let tokens = Tokenizer::new(&super::dialect::Leat, text).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| Error::at(at, error.message))?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    let mut cursor = Cursor::new(&tokens, at);
    let of = parse(&mut cursor, 0).and_then(|of| cursor.finish().map(|()| of));
    of.map_err(|error| Error { line: at.line, column: at.column, ..error })
}

/// A type.
pub(super) fn parse(cursor: &mut Cursor<'_>, depth: usize) -> Result<Type, Error> {
    if depth > DEPTH_MAX {
        return Err(Error::at(cursor.place(), format!("types are nested more than {DEPTH_MAX} deep")));
    }
    let at = cursor.place();
    let name = cursor.name("a type")?;
    Ok(match name.text.to_ascii_uppercase().as_str() {
        "BOOLEAN" | "BOOL" => Type::Boolean,
        "INT" | "INTEGER" | "TINYINT" | "SMALLINT" | "INT4" => Type::Integer,
        "BIGINT" | "INT8" => Type::BigInt,
        "DOUBLE" => {
            cursor.takes(&["PRECISION"]);
            Type::Double
        }
        "FLOAT" | "REAL" | "FLOAT8" => Type::Double,
        "DECIMAL" | "NUMERIC" | "DEC" => sized(cursor, Type::Double)?,
        "VARCHAR" | "STRING" | "CHAR" | "TEXT" => sized(cursor, Type::String)?,
        "BYTES" | "VARBINARY" | "BINARY" => sized(cursor, Type::Bytes)?,
        "TIMESTAMP" | "TIMESTAMP_LTZ" | "DATETIME" => {
            let of = sized(cursor, Type::Timestamp)?;
            let _ = cursor.takes(&["WITH", "LOCAL", "TIME", "ZONE"]) || cursor.takes(&["WITHOUT", "TIME", "ZONE"]);
            of
        }
        "DATE" => Type::Date,
        "TIME" => sized(cursor, Type::Time)?,
        "ARRAY" => {
            cursor.token(&Token::Lt)?;
            let of = parse(cursor, depth + 1)?;
            close(cursor)?;
            Type::Array(Box::new(of))
        }
        "MAP" => map(cursor, depth)?,
        "STRUCT" | "ROW" => fields(cursor, depth)?,
        other => {
            let near = Error::at(at, format!("there is no type '{other}'")).near(other, NAMES);
            return Err(near.expected("a type"));
        }
    })
}

/// `(p)` or `(p, s)` behind a type; it bounds nothing here.
fn sized(cursor: &mut Cursor<'_>, of: Type) -> Result<Type, Error> {
    if cursor.takes_token(&Token::LParen) {
        if !cursor.takes(&["MAX"]) {
            cursor.integer("a precision")?;
        }
        if cursor.takes_token(&Token::Comma) {
            cursor.integer("a scale")?;
        }
        cursor.token(&Token::RParen)?;
    }
    Ok(of)
}

fn close(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    if cursor.takes_closing_angle() { Ok(()) } else { Err(cursor.wrong("'>'")) }
}

fn map(cursor: &mut Cursor<'_>, depth: usize) -> Result<Type, Error> {
    cursor.token(&Token::Lt)?;
    let at = cursor.place();
    if parse(cursor, depth + 1)? != Type::String {
        return Err(Error::at(at, "the keys of a MAP are text").expected("STRING"));
    }
    cursor.token(&Token::Comma)?;
    let of = parse(cursor, depth + 1)?;
    close(cursor)?;
    Ok(Type::Map(Box::new(of)))
}

fn fields(cursor: &mut Cursor<'_>, depth: usize) -> Result<Type, Error> {
    let round = cursor.takes_token(&Token::LParen);
    if !round {
        cursor.token(&Token::Lt)?;
    }
    let mut fields = Vec::new();
    loop {
        let name = cursor.name("a field's name")?;
        fields.push((name.text, parse(cursor, depth + 1)?));
        if !cursor.takes_token(&Token::Comma) {
            break;
        }
    }
    if round {
        cursor.token(&Token::RParen)?
    } else {
        close(cursor)?
    }
    Ok(Type::Struct(fields))
}
