//! Rows in the form that was asked for: CSV, TSV, or a line of the user's own.
//!
//! A row is a list of named values; tables for people and JSON objects have
//! richer forms of their own.

use std::io::Write;

use codex_trace_model::{SignedDuration, Timestamp};

use crate::prices::Dollars;
use crate::text;
use crate::zone::Zone;
use codex_trace_history::failure::Failure;

/// A value of a row.
#[derive(Clone, Debug)]
pub enum Value {
    /// Any text.
    Text(String),
    /// A number.
    Count(u64),
    /// A number of tokens.
    Tokens(u64),
    /// An amount, and how many tokens have no price and are not in it.
    Cost(Option<Dollars>, u64),
    /// A time.
    Time(Timestamp),
    /// A length of time.
    Duration(SignedDuration),
    /// What is not known.
    Absent,
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Value {
        Value::Count(count as u64)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Absent, Into::into)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Value {
        Value::Time(at)
    }
}

impl From<SignedDuration> for Value {
    fn from(duration: SignedDuration) -> Value {
        Value::Duration(duration)
    }
}

impl Value {
    /// Returns the whole value: numbers as digits, times in RFC 3339 with the
    /// offset of `zone`, lengths of time in seconds; nothing for what is absent.
    fn exact(&self, zone: &Zone) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Count(n) | Value::Tokens(n) => n.to_string(),
            Value::Cost(cost, _) => cost.map(|cost| cost.to_string()).unwrap_or_default(),
            Value::Time(at) if zone.label() == "UTC" => at.to_string(),
            Value::Time(at) => zone.at(*at).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(),
            Value::Duration(duration) => seconds(*duration),
            Value::Absent => String::new(),
        }
    }

    /// Returns the value as tables for people show it.
    fn short(&self, zone: &Zone) -> String {
        match self {
            Value::Text(text) => text::one_line(text),
            Value::Count(n) => text::grouped(*n),
            Value::Tokens(n) => text::tokens(*n),
            Value::Cost(cost, unpriced) => Dollars::short(*cost, *unpriced),
            Value::Time(at) => zone.minute(*at),
            Value::Duration(duration) => text::duration(*duration),
            Value::Absent => "-".to_owned(),
        }
    }
}

/// Writes a length of time in seconds, with as many decimals as it takes.
fn seconds(duration: SignedDuration) -> String {
    let nanos = duration.as_nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:09}", nanos.abs() / 1_000_000_000, nanos.abs() % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A row: the names of its values are the same in all rows of an output.
pub type Row = Vec<(&'static str, Value)>;

/// How to write what a command found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Table,
    /// JSON, as the command's page says.
    Json,
    /// Values with commas between them, as in RFC 4180, under a line of names.
    Csv,
    /// Values with tabs between them, under a line of names; a tab, a line break
    /// or a backslash in a value is written `\t`, `\n`, `\r`, `\\`.
    Tsv,
    /// A line of the user's own.
    Template(Template),
}

impl Format {
    /// Reads what was given to `--format`; `--json` is short for one of them.
    ///
    /// # Errors
    ///
    /// If it is neither a word nor text with fields in braces.
    pub fn resolve(format: Option<&str>, json: bool) -> Result<Format, Failure> {
        match format {
            None if json => Ok(Format::Json),
            None | Some("table") => Ok(Format::Table),
            Some("json") => Ok(Format::Json),
            Some("csv") => Ok(Format::Csv),
            Some("tsv") => Ok(Format::Tsv),
            Some(text) if text.contains('{') => Template::parse(text).map(Format::Template),
            Some(text) => Err(Failure::new(format!("`--format` cannot be `{text}`")).hint(
                "give `table`, `json`, `csv`, `tsv`, or text with fields in braces: '{total_tokens:short} {cost_usd:short}'",
            )),
        }
    }

    /// Writes rows. What is not a table or JSON ends up here.
    ///
    /// # Errors
    ///
    /// If a template names a field that there is not, or `out` cannot be
    /// written to.
    pub fn write(
        &self,
        names: &[&'static str],
        rows: impl IntoIterator<Item = Row>,
        zone: &Zone,
        on_terminal: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let line: &dyn Fn(Vec<String>) -> String = match self {
            Format::Table | Format::Json => unreachable!("the command writes these"),
            Format::Template(template) => {
                return template.write(names, rows, zone, on_terminal, out);
            }
            Format::Csv => {
                &|values| values.iter().map(|it| csv(it)).collect::<Vec<_>>().join(",") + "\r\n"
            }
            Format::Tsv => {
                &|values| values.iter().map(|it| tsv(it)).collect::<Vec<_>>().join("\t") + "\n"
            }
        };
        let mut write = |values: Vec<String>| out.write_all(line(values).as_bytes());
        write(names.iter().map(|name| (*name).to_owned()).collect())?;
        for row in rows {
            write(row.iter().map(|(_, it)| safe(it.exact(zone), on_terminal)).collect())?;
        }
        Ok(())
    }
}

/// Text that goes to a terminal must not steer it.
fn safe(text: String, on_terminal: bool) -> String {
    if on_terminal { text::escape(&text).into_owned() } else { text }
}

fn csv(value: &str) -> String {
    let plain = !value.contains([',', '"', '\r', '\n']);
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "\"\"")) }
}

fn tsv(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out
}

/// A line of the user's own, with fields in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field { name: String, short: bool },
}

impl Template {
    /// Reads a template: `{field}`, `{field:short}`, `{{` and `}}` for braces,
    /// `\t` and `\n`.
    fn parse(text: &str) -> Result<Template, Failure> {
        let wrong = |what: &str| {
            Failure::new(format!("`--format` cannot be `{text}`: {what}"))
                .hint("fields stand in braces, `{total_tokens}` or `{total_tokens:short}`; `{{` is a brace")
        };
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.next_if_eq(&c).is_some() => plain.push(c),
                '\\' if rest.next_if_eq(&'t').is_some() => plain.push('\t'),
                '\\' if rest.next_if_eq(&'n').is_some() => plain.push('\n'),
                '{' => {
                    let field: String =
                        std::iter::from_fn(|| rest.next_if(|c| *c != '}')).collect();
                    if rest.next().is_none() {
                        return Err(wrong("a brace is not closed"));
                    }
                    let (name, short) = match field.split_once(':') {
                        None => (field.as_str(), false),
                        Some((name, "short")) => (name, true),
                        Some((_, form)) => {
                            return Err(wrong(&format!("there is no form `{form}`")));
                        }
                    };
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Field { name: name.to_owned(), short });
                }
                '}' => return Err(wrong("a brace is closed that was not opened")),
                c => plain.push(c),
            }
        }
        pieces.push(Piece::Text(plain));
        Ok(Template(pieces))
    }

    fn write(
        &self,
        names: &[&'static str],
        rows: impl IntoIterator<Item = Row>,
        zone: &Zone,
        on_terminal: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        for piece in &self.0 {
            if let Piece::Field { name, .. } = piece
                && !names.contains(&name.as_str())
            {
                return Err(Failure::new(format!("there is no field `{name}` for `--format`"))
                    .hint(format!("the fields are {}", names.join(", ")))
                    .into());
            }
        }
        for row in rows {
            let mut line = String::new();
            for piece in &self.0 {
                match piece {
                    Piece::Text(text) => line.push_str(text),
                    Piece::Field { name, short } => {
                        let value = row.iter().find(|(field, _)| field == name).map(|(_, it)| it);
                        let text =
                            value.map(|it| if *short { it.short(zone) } else { it.exact(zone) });
                        line.push_str(&safe(text.unwrap_or_default(), on_terminal));
                    }
                }
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(format: &str) -> Result<String, String> {
        let rows = vec![
            vec![("a", Value::from("x,\"y\"\n\tz")), ("n", Value::Tokens(1_234_567))],
            vec![("a", Value::Absent), ("n", Value::Tokens(0))],
        ];
        let format = Format::resolve(Some(format), false).map_err(|err| err.to_string())?;
        let mut out = Vec::new();
        let done = format.write(&["a", "n"], rows, &Zone::utc(), false, &mut out);
        done.map_err(|err| err.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn rows_for_programs_are_whole() {
        assert_eq!(write("csv").unwrap(), "a,n\r\n\"x,\"\"y\"\"\n\tz\",1234567\r\n,0\r\n");
        assert_eq!(write("tsv").unwrap(), "a\tn\nx,\"y\"\\n\\tz\t1234567\n\t0\n");
    }

    #[test]
    fn a_line_of_the_users_own() {
        assert_eq!(write("{n} of {{{a:short}}}").unwrap(), "1234567 of {x,\"y\" z}\n0 of {-}\n");
        assert_eq!(write(r"{n:short}\t|").unwrap(), "1.2M\t|\n0\t|\n");
        assert_eq!(write("{b}").unwrap_err(), "there is no field `b` for `--format`");
        for (format, what) in [
            ("{n", "a brace is not closed"),
            ("n}{a}", "a brace is closed that was not opened"),
            ("{n:long}", "there is no form `long`"),
        ] {
            assert_eq!(
                write(format).unwrap_err(),
                format!("`--format` cannot be `{format}`: {what}")
            );
        }
        assert_eq!(write("yaml").unwrap_err(), "`--format` cannot be `yaml`");
    }

    #[test]
    fn seconds_are_exact() {
        let text = |ms| seconds(SignedDuration::from_millis(ms));
        assert_eq!([0, 1_731, -500, 20_000].map(text), ["0", "1.731", "-0.5", "20"]);
    }

    #[test]
    fn times_have_the_offset_of_the_zone() {
        let at: Timestamp = "2026-07-01T22:30:00.5Z".parse().unwrap();
        assert_eq!(Value::Time(at).exact(&Zone::utc()), "2026-07-01T22:30:00.5Z");
        if let Ok(zone) = Zone::named("Europe/Berlin") {
            assert_eq!(Value::Time(at).exact(&zone), "2026-07-02T00:30:00.5+02:00");
            assert_eq!(Value::Time(at).short(&zone), "2026-07-02 00:30");
        }
    }
}
