//! Columns for people, fitted to a width.

use crate::text;
use crate::ui::Tone;

/// A cell and how it is meant: nothing in it can steer a terminal.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Makes a cell of any text, which is escaped.
    pub fn new(text: &str, tone: Tone) -> Cell {
        Cell { text: text::escape(text).into_owned(), tone }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column<'h> {
    /// Its heading.
    pub head: &'h str,
    /// Whether its cells stand on the right: numbers.
    pub right: bool,
    /// The fewest columns of text that it may be cut down to, if it may.
    pub shrink_to: Option<usize>,
    /// Whether it holds paths: of what is too wide the end is kept, where the
    /// project's name is.
    pub is_path: bool,
    /// How soon it is left out where there is no room: the highest first, 0 never.
    pub expendable: u8,
}

impl<'h> Column<'h> {
    /// Makes a column that is never cut.
    pub const fn new(head: &'h str) -> Column<'h> {
        Column { head, right: false, shrink_to: None, is_path: false, expendable: 0 }
    }

    /// Puts the cells on the right.
    #[must_use]
    pub const fn right(self) -> Column<'h> {
        Column { right: true, ..self }
    }

    /// Allows the column to be cut down to `columns`.
    #[must_use]
    pub const fn shrink_to(self, columns: usize) -> Column<'h> {
        Column { shrink_to: Some(columns), ..self }
    }

    /// Says that the cells are paths.
    #[must_use]
    pub const fn path(self) -> Column<'h> {
        Column { is_path: true, ..self }
    }

    /// Allows the column to be left out.
    #[must_use]
    pub const fn expendable(self, priority: u8) -> Column<'h> {
        Column { expendable: priority, ..self }
    }
}

/// The blanks between two columns.
const GAP: usize = 2;

/// Decides how wide each column is; 0 leaves it out.
fn fit(columns: &[Column<'_>], rows: &[Vec<Cell>], width: usize) -> Vec<usize> {
    let widest = |nth: usize| rows.iter().map(|row| text::width(&row[nth].text)).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns.len()).map(widest).collect();
    for (width, column) in widths.iter_mut().zip(columns).filter(|(width, _)| **width > 0) {
        *width = text::width(column.head).max(*width);
    }
    let least = |column: &Column<'_>, width: usize| {
        column.shrink_to.map_or(width, |least| least.max(text::width(column.head)).min(width))
    };
    let total = |widths: &[usize]| {
        let shown = widths.iter().filter(|width| **width > 0);
        shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
    };
    // First what can be spared goes, then what is widest gets narrower.
    loop {
        let smallest: Vec<usize> =
            columns.iter().zip(&widths).map(|(column, width)| least(column, *width)).collect();
        let spare = (0..columns.len())
            .filter(|nth| widths[*nth] > 0 && columns[*nth].expendable > 0)
            .max_by_key(|nth| columns[*nth].expendable);
        match spare {
            Some(nth) if total(&smallest) > width => widths[nth] = 0,
            _ => break,
        }
    }
    for _ in width..total(&widths).max(width) {
        let widest = (0..columns.len())
            .filter(|nth| widths[*nth] > least(&columns[*nth], widths[*nth]))
            .max_by_key(|nth| widths[*nth]);
        if let Some(nth) = widest {
            widths[nth] -= 1;
        }
    }
    widths
}

/// Lays out rows under their headings, no wider than `width` if that can be.
/// A column that is empty throughout is left out.
pub fn lay_out(columns: &[Column<'_>], rows: &[Vec<Cell>], width: usize, color: bool) -> String {
    let widths = fit(columns, rows, width);
    let heads = columns.iter().map(|it| Cell::new(it.head, Tone::Faint));
    let heads: Vec<Cell> = heads.collect();
    let mut out = String::new();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for ((cell, column), &width) in row.iter().zip(columns).zip(&widths) {
            if width == 0 {
                continue;
            }
            if !line.is_empty() {
                line.push_str("  ");
            }
            let cut = if column.is_path { text::cut_path } else { text::cut_end };
            let fitted = text::pad(&cut(&cell.text, width), width, column.right);
            let trimmed = fitted.trim_end();
            line.push_str(&cell.tone.paint(trimmed, color));
            line.push_str(&fitted[trimmed.len()..]);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column<'static>; 3] =
        [Column::new("ID"), Column::new("WHERE").shrink_to(6).path(), Column::new("N").right()];

    fn rows(rows: &[[&str; 3]]) -> Vec<Vec<Cell>> {
        let cell = |text: &&str| Cell::new(text, Tone::Plain);
        rows.iter().map(|row| row.iter().map(cell).collect()).collect()
    }

    #[test]
    fn fits_the_width_by_cutting_what_may_be_cut() {
        let rows = rows(&[["a1", "/home/u/project", "7"], ["b2", "/x", "1234"]]);
        assert_eq!(
            lay_out(&COLUMNS, &rows, 80, false),
            "ID  WHERE               N\na1  /home/u/project     7\nb2  /x               1234\n"
        );
        assert_eq!(
            lay_out(&COLUMNS, &rows, 20, false),
            "ID  WHERE          N\na1  …/project      7\nb2  /x          1234\n"
        );
        assert_eq!(
            lay_out(&COLUMNS, &rows, 16, false),
            "ID  WHERE      N\na1  proje…     7\nb2  /x      1234\n"
        );
    }

    #[test]
    fn what_is_expendable_goes_when_cutting_is_not_enough() {
        let rows = rows(&[["a1", "/home/u/project", "7"]]);
        let mut columns = COLUMNS;
        columns[2] = columns[2].expendable(1);
        assert_eq!(lay_out(&columns, &rows, 13, false), "ID  WHERE   N\na1  proje…  7\n");
        assert_eq!(lay_out(&columns, &rows, 12, false), "ID  WHERE\na1  project\n");
        // Nothing helps: too wide beats unreadable.
        assert_eq!(lay_out(&columns, &rows, 3, false), "ID  WHERE\na1  proje…\n");
    }

    #[test]
    fn whatever_is_in_a_cell_stays_in_it() {
        let rows = rows(&[["a\x1b[2J\n1", "\u{202e}/x", "\x077"]]);
        let laid_out = lay_out(&COLUMNS, &rows, 80, false);
        let row = laid_out.lines().nth(1).unwrap();
        assert_eq!(row, "a\\u{1b}[2J\\u{a}1  \\u{202e}/x  \\u{7}7");
    }

    #[test]
    fn empty_columns_are_left_out() {
        assert_eq!(lay_out(&COLUMNS, &rows(&[["a1", "", "7"]]), 80, false), "ID  N\na1  7\n");
    }
}
