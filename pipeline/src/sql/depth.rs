//! A bound on the depth of expressions, found before they are parsed: what follows may then recurse.

use super::Error;
use super::cursor::is_word;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The deepest an expression may be: operators in a row, brackets within brackets.
const DEPTH_MAX: usize = 128;

/// The deepest that brackets may stand within brackets: `sqlparser` recurses by some 50 KB each, unoptimised.
const BRACKETS_MAX: usize = 18;

/// How often `sqlparser` may recurse, for the same reason.
pub(super) const RECURSION_MAX: usize = 22;

/// The most tokens that one `SELECT` may have.
const TOKENS_MAX: usize = 50_000;

/// Between these an expression ends and another begins.
const SEPARATORS: [&str; 10] = ["WHEN", "THEN", "ELSE", "END", "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "AS"];

/// These make an expression deeper, as operators do.
const OPERATORS: [&str; 8] = ["AND", "OR", "NOT", "IS", "IN", "LIKE", "BETWEEN", "CASE"];

/// Refuses expressions that are too deep for recursion.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    if let Some(token) = tokens.get(TOKENS_MAX) {
        return Err(Error::at(token.span.start, format!("the statement has more than {TOKENS_MAX} words and signs")));
    }
    // For each open bracket, the operators since the last separator.
    let mut open = vec![0_usize];
    let mut depth = 0;
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::LParen | Token::LBracket => {
                open.push(1);
                depth += 1;
            }
            Token::RParen | Token::RBracket if open.len() > 1 => depth -= open.pop().unwrap_or(0),
            Token::RParen | Token::RBracket => {}
            token if is_separator(token) => {
                if let Some(last) = open.last_mut() {
                    depth -= std::mem::take(last);
                }
            }
            token if is_operator(token) => {
                if let Some(last) = open.last_mut() {
                    *last += 1;
                    depth += 1;
                }
            }
            _ => {}
        }
        if open.len() > BRACKETS_MAX {
            return Err(Error::at(span.start, format!("brackets are nested more than {BRACKETS_MAX} deep")));
        }
        if depth > DEPTH_MAX {
            return Err(Error::at(span.start, format!("the expression is more than {DEPTH_MAX} operators deep")));
        }
    }
    Ok(())
}

fn is_separator(token: &Token) -> bool {
    *token == Token::Comma || SEPARATORS.iter().any(|word| is_word(token, word))
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(_) => OPERATORS.iter().any(|word| is_word(token, word)),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::SemiColon => false,
        _ => true,
    }
}
