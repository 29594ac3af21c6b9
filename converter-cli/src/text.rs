//! Text for people: escaped, shortened, aligned.

use std::borrow::Cow;
use std::path::Path;

pub use codex_trace_history::words::{count, escape, grouped, one_line};
use jiff::SignedDuration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns the number of columns that the text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts the end off what is wider than `columns`.
pub fn cut_end(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// Breaks a message between words, each line at most `columns` wide: the first with
/// `taken` columns before it, all others with the indentation. What stands between backticks stays whole:
/// it is to be pasted.
pub fn wrap(text: &str, columns: usize, taken: usize, indent: usize) -> Vec<String> {
    let mut room = columns.saturating_sub(taken);
    let rest = text.trim_start_matches(' ');
    let mut lines: Vec<String> = Vec::new();
    let mut line = text[..text.len() - rest.len()].to_owned();
    let mut is_first = true;
    for word in words(rest) {
        if !is_first && line.width() + 1 + word.width() > room {
            lines.push(std::mem::take(&mut line));
            room = columns.saturating_sub(indent);
            is_first = true;
        }
        if !is_first {
            line.push(' ');
        }
        line.push_str(word);
        is_first = false;
    }
    lines.push(line);
    lines
}

/// Breaks a line of output where it is wider than the terminal, if there is one.
pub fn fitted(line: &str, width: Option<usize>, indent: usize) -> String {
    match width {
        Some(width) => wrap(line, width, 0, indent).join(&format!("\n{}", " ".repeat(indent))),
        None => line.to_owned(),
    }
}

/// Returns what stands between blanks that are not between backticks.
fn words(text: &str) -> Vec<&str> {
    let (mut words, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        quoted ^= c == '`';
        if c == ' ' && !quoted {
            words.push(&text[start..at]);
            start = at + 1;
        }
    }
    words.push(&text[start..]);
    words
}

/// Fills with blanks up to `columns`, on the right or on the left.
pub fn pad(text: &str, columns: usize, right: bool) -> String {
    let blanks = " ".repeat(columns.saturating_sub(text.width()));
    if right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
}

/// Writes a path for people: the home directory is `~`.
pub fn short_path(path: &str, home: Option<&Path>) -> String {
    let home = home.and_then(Path::to_str).filter(|home| home.len() > 1);
    let short = match home.and_then(|home| path.strip_prefix(home)) {
        Some("") => "~".to_owned(),
        Some(rest) if rest.starts_with(std::path::is_separator) => format!("~{rest}"),
        _ => path.to_owned(),
    };
    escape(&short).into_owned()
}

/// Writes a number of tokens in at most five columns: `999`, `1.2k`, `45k`, `1.2M`.
pub fn tokens(n: u64) -> String {
    let mut scaled = n;
    let mut rest = 0;
    let mut unit = "";
    for next in ["k", "M", "G", "T"] {
        if scaled < 1_000 {
            break;
        }
        rest = scaled % 1_000 / 100;
        scaled /= 1_000;
        unit = next;
    }
    if unit.is_empty() || scaled >= 100 {
        format!("{scaled}{unit}")
    } else {
        format!("{scaled}.{rest}{unit}")
    }
}

/// Writes a number of bytes in units of a thousand: `999 bytes`, `438.5 kB`, `1.2 GB`.
pub fn bytes(n: u64) -> String {
    let mut scaled = n;
    let mut rest = 0;
    let mut unit = "";
    for next in ["kB", "MB", "GB", "TB"] {
        if scaled < 1_000 {
            break;
        }
        rest = scaled % 1_000 / 100;
        scaled /= 1_000;
        unit = next;
    }
    match (unit, n) {
        ("", 1) => "1 byte".to_owned(),
        ("", _) => format!("{n} bytes"),
        _ => format!("{scaled}.{rest} {unit}"),
    }
}

/// Writes a duration in at most six columns: `12ms`, `1.2s`, `3m05s`, `2h07m`, `3d04h`.
pub fn duration(duration: SignedDuration) -> String {
    let ms = duration.as_millis().max(0);
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{seconds}.{}s", ms % 1_000 / 100),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Cuts directories off the beginning of a path that is wider than `columns`,
/// down to its last part; cuts the beginning of that only if it must.
pub fn cut_path(path: &str, columns: usize) -> Cow<'_, str> {
    if path.width() <= columns {
        return Cow::Borrowed(path);
    }
    let ends = path.char_indices().filter(|(at, c)| *at > 0 && matches!(c, '/' | '\\'));
    let mut ends = ends.map(|(at, _)| &path[at..]);
    match ends.find(|end| end.width() < columns) {
        Some(end) => Cow::Owned(format!("…{end}")),
        None => cut_end(path.rsplit(['/', '\\']).next().unwrap_or(path), columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_wrapped_between_words_and_commands_stay_whole() {
        let text = "no session matches: `codex-trace list --since 7d` says what there is";
        let lines = wrap(text, 40, 2, 2);
        assert_eq!(
            lines,
            ["no session matches:", "`codex-trace list --since 7d` says", "what there is"]
        );
        assert_eq!(wrap("  two words", 80, 2, 2), ["  two words"], "an indentation stays");
        assert_eq!(wrap("", 80, 2, 2), [""]);
        assert_eq!(wrap("aaaa bb cc", 10, 4, 2), ["aaaa", "bb cc"], "what is before it counts");
        assert_eq!(fitted("ab cd ef", Some(5), 2), "ab cd\n  ef");
        assert_eq!(fitted("ab cd ef", None, 2), "ab cd ef");
        let long = "x".repeat(100);
        assert_eq!(wrap(&format!("a {long} b"), 40, 2, 2), ["a", &*long, "b"]);
    }

    #[test]
    fn what_would_steer_a_terminal_is_made_visible() {
        assert_eq!(escape("plain ünïcödé 漢字"), "plain ünïcödé 漢字");
        assert_eq!(escape("a\x1b[31mred\x07"), r"a\u{1b}[31mred\u{7}");
        assert_eq!(escape("\u{9b}31m"), r"\u{9b}31m");
        assert_eq!(escape("abc\u{202e}fed"), r"abc\u{202e}fed");
        assert_eq!(one_line("  two\n\n lines\tand\x1bmore "), r"two lines and\u{1b}more");
    }

    #[test]
    fn cuts_by_columns_not_by_characters() {
        assert_eq!(cut_end("abcdef", 6), "abcdef");
        assert_eq!(cut_end("abcdef", 4), "abc…");
        assert_eq!(cut_end("漢字漢字", 6), "漢字…");
        assert_eq!(cut_path("/home/u/project", 15), "/home/u/project");
        assert_eq!(cut_path("/home/u/project", 14), "…/u/project");
        assert_eq!(cut_path("/home/u/project", 9), "…/project");
        assert_eq!(cut_path("/home/u/project", 8), "project");
        assert_eq!(cut_path("/home/u/project", 5), "proj…");
        assert_eq!(pad("漢", 4, false), "漢  ");
        assert_eq!(pad("12", 4, true), "  12");
    }

    #[test]
    fn thousands_stand_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (n, text) in cases {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn numbers_stay_narrow() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0k"),
            (1_250, "1.2k"),
            (99_999, "99.9k"),
            (100_000, "100k"),
            (999_999, "999k"),
            (1_000_000, "1.0M"),
            (u64::MAX, "18446744T"),
        ];
        for (n, text) in cases {
            assert_eq!(tokens(n), text, "{n}");
        }
        let sizes = [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_000, "1.0 kB")];
        for (n, text) in sizes.into_iter().chain([(438_502, "438.5 kB"), (1_149_671_987, "1.1 GB")])
        {
            assert_eq!(bytes(n), text);
        }
        let ms = SignedDuration::from_millis;
        let cases = [
            (-5, "0ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (59_999, "59.9s"),
            (60_000, "1m00s"),
            (3_599_999, "59m59s"),
            (7_620_000, "2h07m"),
            (273_600_000, "3d04h"),
        ];
        for (n, text) in cases {
            assert_eq!(duration(ms(n)), text, "{n}");
        }
    }

    #[test]
    fn only_the_whole_home_is_shortened() {
        let home = Some(Path::new("/home/u"));
        assert_eq!(short_path("/home/u", home), "~");
        assert_eq!(short_path("/home/u/x", home), "~/x");
        assert_eq!(short_path("/home/u2/x", home), "/home/u2/x");
        assert_eq!(short_path("/x", Some(Path::new("/"))), "/x");
    }
}
