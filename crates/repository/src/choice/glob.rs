//! A pattern of one name, as gitignore(5) and `wildmatch.c` of git have it, but of characters instead of bytes.

use std::str::Chars;

/// A pattern of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Glob {
    /// The name itself, in lower case where case is ignored.
    Literal(Box<str>),
    Pattern(Box<[Token]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A character, in lower case where case is ignored.
    Char(char),
    /// `?`
    Any,
    /// `*`
    Many,
    /// `[…]`
    Set { negated: bool, members: Box<[Member]> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member {
    Range(char, char),
    /// `[:alpha:]` and its like.
    Class(Class),
}

/// A class of ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Alnum,
    Alpha,
    Blank,
    Cntrl,
    Digit,
    Graph,
    Lower,
    Print,
    Punct,
    Space,
    Upper,
    Xdigit,
}

impl Glob {
    /// Parses a pattern without `/`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(text: &str, ignore_case: bool) -> Result<Self, &'static str> {
        let fold = |c| if ignore_case { lower(c) } else { c };
        let (mut tokens, mut rest) = (Vec::new(), text.chars());
        while let Some(c) = rest.next() {
            match c {
                '\\' => tokens.push(Token::Char(fold(rest.next().ok_or("a \\ at its end escapes nothing")?))),
                '?' => tokens.push(Token::Any),
                '*' if tokens.last() == Some(&Token::Many) => {}
                '*' => tokens.push(Token::Many),
                '[' => tokens.push(set(&mut rest)?),
                c => tokens.push(Token::Char(fold(c))),
            }
        }
        let literal = |token: &Token| if let Token::Char(c) = token { Some(*c) } else { None };
        let whole: Option<String> = tokens.iter().map(literal).collect();
        Ok(whole.map_or_else(|| Self::Pattern(tokens.into()), |name| Self::Literal(name.into())))
    }

    /// Returns whether a name matches. The time is bounded by the product of both lengths.
    pub(super) fn matches(&self, name: &str, ignore_case: bool) -> bool {
        let tokens = match self {
            Self::Literal(literal) if ignore_case => return name.chars().map(lower).eq(literal.chars()),
            Self::Literal(literal) => return **literal == *name,
            Self::Pattern(tokens) => tokens,
        };
        let (mut at, mut rest) = (0, name.chars());
        // Behind the last `*`, and where what follows it in the name was tried last.
        let mut star: Option<(usize, Chars<'_>)> = None;
        loop {
            let mut next = rest.clone();
            match (tokens.get(at), next.next()) {
                (None, None) => return true,
                (Some(Token::Many), _) => {
                    at += 1;
                    star = Some((at, rest.clone()));
                    continue;
                }
                (Some(token), Some(c)) if token.takes(c, ignore_case) => {
                    at += 1;
                    rest = next;
                    continue;
                }
                _ => {}
            }
            let Some((after, from)) = &mut star else { return false };
            if from.next().is_none() {
                return false;
            }
            (at, rest) = (*after, from.clone());
        }
    }
}

impl Token {
    fn takes(&self, c: char, ignore_case: bool) -> bool {
        match self {
            Self::Char(wanted) => *wanted == if ignore_case { lower(c) } else { c },
            Self::Any => true,
            Self::Many => false,
            Self::Set { negated, members } => {
                let has = |c: char| members.iter().any(|member| member.has(c));
                let is_member = has(c) || ignore_case && (has(lower(c)) || has(upper(c)));
                is_member != *negated
            }
        }
    }
}

impl Member {
    fn has(&self, c: char) -> bool {
        match self {
            Self::Range(first, last) => (*first..=*last).contains(&c),
            Self::Class(class) => class.has(c),
        }
    }
}

impl Class {
    const NAMES: [(&'static str, Self); 12] = [
        ("alnum", Self::Alnum),
        ("alpha", Self::Alpha),
        ("blank", Self::Blank),
        ("cntrl", Self::Cntrl),
        ("digit", Self::Digit),
        ("graph", Self::Graph),
        ("lower", Self::Lower),
        ("print", Self::Print),
        ("punct", Self::Punct),
        ("space", Self::Space),
        ("upper", Self::Upper),
        ("xdigit", Self::Xdigit),
    ];

    fn has(self, c: char) -> bool {
        match self {
            Self::Alnum => c.is_ascii_alphanumeric(),
            Self::Alpha => c.is_ascii_alphabetic(),
            Self::Blank => matches!(c, ' ' | '\t'),
            Self::Cntrl => c.is_ascii_control(),
            Self::Digit => c.is_ascii_digit(),
            Self::Graph => c.is_ascii_graphic(),
            Self::Lower => c.is_ascii_lowercase(),
            Self::Print => c.is_ascii_graphic() || c == ' ',
            Self::Punct => c.is_ascii_punctuation(),
            // As git has it: neither the vertical tab nor the form feed, which C takes for space as well.
            Self::Space => matches!(c, ' ' | '\t' | '\n' | '\r'),
            Self::Upper => c.is_ascii_uppercase(),
            Self::Xdigit => c.is_ascii_hexdigit(),
        }
    }
}

/// Parses what follows a `[`, up to its `]`.
fn set(rest: &mut Chars<'_>) -> Result<Token, &'static str> {
    const OPEN: &str = "a [ is not closed; \\[ stands for itself";
    let mut next = || rest.next().ok_or(OPEN);
    let mut c = next()?;
    let negated = matches!(c, '!' | '^');
    if negated {
        c = next()?;
    }
    let mut members = Vec::new();
    // Where a range may begin.
    let mut before = None;
    loop {
        let mut ahead = rest.clone();
        match (c, ahead.next()) {
            ('-', Some(last)) if before.is_some() && last != ']' => {
                rest.next();
                let last = if last == '\\' { rest.next().ok_or(OPEN)? } else { last };
                let first = before.take().unwrap_or(last);
                members.push(Member::Range(first, last));
            }
            ('[', Some(':'))
                if ahead.as_str().split_once(']').is_some_and(|(name, _)| name.ends_with(':')) =>
            {
                let (name, after) = ahead.as_str().split_once(":]").ok_or(OPEN)?;
                let known = Class::NAMES.iter().find(|(known, _)| *known == name);
                members.push(Member::Class(known.ok_or("a class such as [:alpha:] is not known")?.1));
                (*rest, before) = (after.chars(), None);
            }
            _ => {
                let c = if c == '\\' { rest.next().ok_or(OPEN)? } else { c };
                members.push(Member::Range(c, c));
                before = Some(c);
            }
        }
        c = rest.next().ok_or(OPEN)?;
        if c == ']' {
            return Ok(Token::Set { negated, members: members.into() });
        }
    }
}

/// Returns a character in lower case, if that is one character.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    lower.next().filter(|_| lower.next().is_none()).unwrap_or(c)
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    upper.next().filter(|_| upper.next().is_none()).unwrap_or(c)
}
