//! A script: statements with semicolons between them.

use super::cursor::Cursor;
use super::{Error, Kind, Name, Show, Statement, What, create, dialect, select};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::sync::Arc;

/// The longest script, in bytes.
const LENGTH_MAX: usize = 1 << 20;

const STATEMENTS: [&str; 18] = [
    "CREATE",
    "SELECT",
    "INSERT",
    "SET",
    "UNSET",
    "RESET",
    "SHOW",
    "LIST",
    "DESCRIBE",
    "DESC",
    "EXPLAIN",
    "PAUSE",
    "RESUME",
    "DROP",
    "TERMINATE",
    "ADVANCE",
    "SAVEPOINT",
    "PRINT",
];

/// The statements of a text.
///
/// # Errors
/// The first thing that is not understood.
pub fn parse(text: &str) -> Result<Vec<Statement>, Error> {
    let start = Location::new(1, 1);
    if text.len() > LENGTH_MAX {
        return Err(Error::at(start, format!("the text is longer than {LENGTH_MAX} bytes")));
    }
    let script: Arc<str> = text.into();
    statements(&script).map_err(|error| error.within(text))
}

fn statements(script: &Arc<str>) -> Result<Vec<Statement>, Error> {
    let tokens = Tokenizer::new(&dialect::Leat, script).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| Error::at(error.location, error.message))?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    let lines = Lines::new(script);
    let mut statements = Vec::new();
    for part in tokens.split(|token| token.token == Token::SemiColon) {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let mut cursor = Cursor::new(part, last.span.end);
        let kind = statement(&mut cursor, script, &lines)?;
        statements.push(lines.statement(kind, script, first, last));
    }
    Ok(statements)
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Lines {
        Lines(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn offset(&self, text: &str, at: Location) -> usize {
        let line = usize::try_from(at.line.saturating_sub(1)).ok().and_then(|line| self.0.get(line).copied());
        let from = line.unwrap_or(text.len());
        let column = usize::try_from(at.column.saturating_sub(1)).unwrap_or(usize::MAX);
        text[from..].char_indices().nth(column).map_or(text.len(), |(at, _)| from + at)
    }

    fn statement(&self, kind: Kind, script: &Arc<str>, first: &TokenWithSpan, last: &TokenWithSpan) -> Statement {
        let (from, to) = (self.offset(script, first.span.start), self.offset(script, last.span.end));
        let text = script.get(from..to.max(from)).unwrap_or_default().trim().to_owned();
        Statement { kind, text, script: script.clone(), at: first.span.start }
    }
}

fn statement(cursor: &mut Cursor<'_>, script: &Arc<str>, lines: &Lines) -> Result<Kind, Error> {
    if cursor.sees(&["SELECT"]) {
        return select::parse(cursor).map(|query| Kind::Select(Box::new(query)));
    }
    let at = cursor.place();
    let kind = match cursor.one_of(&STATEMENTS)? {
        "CREATE" => create::parse(cursor)?,
        "INSERT" => insert(cursor)?,
        "SET" => {
            let name = setting(cursor)?;
            cursor.token(&Token::Eq)?;
            Kind::Set { name, value: cursor.scalar("a value")? }
        }
        "UNSET" | "RESET" => Kind::Unset(setting(cursor)?),
        "SHOW" | "LIST" => show(cursor)?,
        "DESCRIBE" | "DESC" => {
            let before = cursor.takes(&["EXTENDED"]);
            let name = cursor.name("the name of a stream, table or pipeline")?;
            Kind::Describe { name, extended: cursor.takes(&["EXTENDED"]) || before }
        }
        "EXPLAIN" => explain(cursor, script, lines)?,
        "PAUSE" => Kind::Pause(pipeline(cursor)?),
        "RESUME" => Kind::Resume(pipeline(cursor)?),
        "DROP" => drop_what(cursor)?,
        "TERMINATE" => {
            let all = cursor.takes(&["ALL"]);
            Kind::Terminate(if all { None } else { Some(pipeline(cursor)?) })
        }
        "ADVANCE" => {
            let stream = cursor.name("the name of a stream")?;
            cursor.word("TO")?;
            cursor.word("TIMESTAMP")?;
            Kind::Advance { stream, to_ms: select::timestamp(cursor)? }
        }
        "SAVEPOINT" => {
            let pipeline = pipeline(cursor)?;
            Kind::Savepoint { pipeline, name: cursor.string("the savepoint's name in quotes")? }
        }
        other => return Err(Error::at(at, format!("{other} is not supported yet"))),
    };
    cursor.finish()?;
    Ok(kind)
}

fn pipeline(cursor: &mut Cursor<'_>) -> Result<Name, Error> {
    cursor.takes(&["PIPELINE"]);
    cursor.takes(&["QUERY"]);
    cursor.name("the name of a pipeline")
}

fn setting(cursor: &mut Cursor<'_>) -> Result<Name, Error> {
    let at = cursor.place();
    Ok(Name { text: create::dotted(cursor)?, quoted: true, at })
}

fn insert(cursor: &mut Cursor<'_>) -> Result<Kind, Error> {
    cursor.word("INTO")?;
    let into = cursor.name("the name of a stream")?;
    if cursor.sees(&["SELECT"]) {
        return Ok(Kind::InsertSelect { into, query: Box::new(select::parse(cursor)?) });
    }
    let mut columns = Vec::new();
    if cursor.takes_token(&Token::LParen) {
        columns.push(cursor.name("a column")?);
        while cursor.takes_token(&Token::Comma) {
            columns.push(cursor.name("a column")?);
        }
        cursor.token(&Token::RParen)?;
    }
    if !cursor.takes(&["VALUES"]) {
        return Err(cursor.wrong("VALUES or SELECT"));
    }
    let mut rows = Vec::new();
    loop {
        cursor.token(&Token::LParen)?;
        let mut row = vec![select::expression(cursor.item(), cursor.place())?];
        while cursor.takes_token(&Token::Comma) {
            row.push(select::expression(cursor.item(), cursor.place())?);
        }
        cursor.token(&Token::RParen)?;
        rows.push(row);
        if !cursor.takes_token(&Token::Comma) {
            return Ok(Kind::InsertValues { into, columns, rows });
        }
    }
}

fn show(cursor: &mut Cursor<'_>) -> Result<Kind, Error> {
    cursor.takes(&["ALL"]);
    let words = ["STREAMS", "TABLES", "PIPELINES", "QUERIES", "TOPICS", "PROPERTIES", "SETTINGS", "FUNCTIONS"];
    let what = match cursor.one_of(&words)? {
        "STREAMS" => Show::Streams,
        "TABLES" => Show::Tables,
        "TOPICS" => Show::Topics,
        "PROPERTIES" | "SETTINGS" => Show::Settings,
        "FUNCTIONS" => Show::Functions,
        _ => Show::Pipelines,
    };
    cursor.takes(&["EXTENDED"]);
    Ok(Kind::Show(what))
}

fn explain(cursor: &mut Cursor<'_>, script: &Arc<str>, lines: &Lines) -> Result<Kind, Error> {
    cursor.takes(&["PLAN", "FOR"]);
    let rest = cursor.rest();
    let (Some(first), Some(last)) = (rest.first(), rest.last()) else {
        return Err(cursor.wrong("a statement or the name of a pipeline"));
    };
    if cursor.sees(&["EXPLAIN"]) || !["SELECT", "CREATE", "INSERT"].iter().any(|word| cursor.sees(&[word])) {
        return Ok(Kind::ExplainName(cursor.name("a statement or the name of a pipeline")?));
    }
    let kind = statement(cursor, script, lines)?;
    Ok(Kind::Explain(Box::new(lines.statement(kind, script, first, last))))
}

fn drop_what(cursor: &mut Cursor<'_>) -> Result<Kind, Error> {
    let what = match cursor.one_of(&["STREAM", "TABLE", "VIEW", "PIPELINE"])? {
        "STREAM" => What::Stream,
        "TABLE" | "VIEW" => What::Table,
        _ => What::Pipeline,
    };
    let if_exists = cursor.takes(&["IF", "EXISTS"]);
    let name = cursor.name("a name")?;
    Ok(Kind::Drop { what, name, if_exists, delete_topic: cursor.takes(&["DELETE", "TOPIC"]) })
}
