//! A walk over tokens.

use super::{Error, Name};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Walks over the tokens of a statement.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
    /// Where the statement ends.
    end: Location,
    /// Half of a `>>` was taken.
    half: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [TokenWithSpan], end: Location) -> Cursor<'a> {
        Cursor { tokens, at: 0, end, half: false }
    }

    pub(super) fn peek(&self) -> &'a Token {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &'a Token {
        self.tokens.get(self.at + ahead).map_or(&Token::EOF, |token| &token.token)
    }

    pub(super) fn next(&mut self) -> Option<&'a TokenWithSpan> {
        let token = self.tokens.get(self.at);
        self.at += usize::from(token.is_some());
        token
    }

    /// Where the next token is.
    pub(super) fn place(&self) -> Location {
        self.tokens.get(self.at).map_or(self.end, |token| token.span.start)
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The tokens that are left.
    pub(super) fn rest(&self) -> &'a [TokenWithSpan] {
        &self.tokens[self.at..]
    }

    pub(super) fn end(&self) -> Location {
        self.end
    }

    /// Whether the next words are these.
    pub(super) fn sees(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| is_word(self.peek_at(ahead), word))
    }

    /// Takes these words if they are next.
    pub(super) fn takes(&mut self, words: &[&str]) -> bool {
        let sees = self.sees(words);
        if sees {
            self.at += words.len();
        }
        sees
    }

    /// Takes this token if it is next.
    pub(super) fn takes_token(&mut self, token: &Token) -> bool {
        let sees = self.peek() == token;
        self.at += usize::from(sees);
        sees
    }

    /// Takes a `>`, be it half of a `>>`.
    pub(super) fn takes_closing_angle(&mut self) -> bool {
        if *self.peek() == Token::ShiftRight {
            self.at += usize::from(self.half);
            self.half = !self.half;
            return true;
        }
        self.takes_token(&Token::Gt)
    }

    /// One of these words, in upper case.
    pub(super) fn one_of(&mut self, words: &[&'static str]) -> Result<&'static str, Error> {
        match words.iter().find(|word| is_word(self.peek(), word)) {
            Some(word) => {
                self.at += 1;
                Ok(word)
            }
            None => Err(self.wrong(&words.join(", ")).near(&self.peek().to_string(), words.iter().copied())),
        }
    }

    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Error> {
        self.one_of(&[word]).map(drop)
    }

    pub(super) fn token(&mut self, token: &Token) -> Result<(), Error> {
        if self.takes_token(token) { Ok(()) } else { Err(self.wrong(&format!("'{token}'"))) }
    }

    pub(super) fn name(&mut self, what: &str) -> Result<Name, Error> {
        let at = self.place();
        match self.peek() {
            Token::Word(word) => {
                self.at += 1;
                Ok(Name { text: word.value.clone(), quoted: word.quote_style.is_some(), at })
            }
            _ => Err(self.wrong(what)),
        }
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, Error> {
        match self.peek() {
            Token::SingleQuotedString(text) => {
                self.at += 1;
                Ok(text.clone())
            }
            _ => Err(self.wrong(what)),
        }
    }

    pub(super) fn integer(&mut self, what: &str) -> Result<i64, Error> {
        let parsed = match self.peek() {
            Token::Number(text, _) => text.parse().ok(),
            _ => None,
        };
        let number = parsed.ok_or_else(|| self.wrong(what))?;
        self.at += 1;
        Ok(number)
    }

    /// A word, text or number, as text.
    pub(super) fn scalar(&mut self, what: &str) -> Result<String, Error> {
        let minus = self.takes_token(&Token::Minus);
        let text = match self.peek() {
            Token::Word(word) => word.value.clone(),
            Token::SingleQuotedString(text) => text.clone(),
            Token::Number(text, _) if minus => format!("-{text}"),
            Token::Number(text, _) => text.clone(),
            _ => return Err(self.wrong(what)),
        };
        self.at += 1;
        Ok(text)
    }

    /// Everything up to a comma or closing bracket that stands outside of brackets.
    pub(super) fn item(&mut self) -> &'a [TokenWithSpan] {
        let from = self.at;
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            match token.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => break,
                Token::RParen | Token::RBracket => depth -= 1,
                Token::Comma if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        &self.tokens[from..self.at]
    }

    /// Nothing may be left.
    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.is_done() { Ok(()) } else { Err(self.wrong("the end of the statement")) }
    }

    /// That something else is expected here.
    pub(super) fn wrong(&self, expected: &str) -> Error {
        let found = match self.peek() {
            Token::EOF => "the statement ends here".to_owned(),
            token => format!("'{}' is not understood here", crate::expr::shorten(&token.to_string())),
        };
        Error::at(self.place(), found).expected(expected)
    }
}

/// Whether a token is this word, unquoted.
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(other) if other.quote_style.is_none() && other.value.eq_ignore_ascii_case(word))
}
