//! The parts of the page that are the same for every history, and the frame
//! around what differs.
//!
//! The page asks for nothing: its policy allows the two scripts and the styles
//! that it consists of, by their digests, and no address. Everything recorded
//! is in blocks that no browser runs, packed in an alphabet without `<`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Amount;
use crate::choice::Choice as _;
use crate::json::{self, Json};

/// The script that draws charts, in gzip, so that the program does not grow by
/// all of it: whoever writes pages unpacks it for [`Frame::new`].
pub const CHARTS: &[u8] = include_bytes!("page/uplot/uPlot.iife.min.js.gz");

const STYLES: &str =
    concat!(include_str!("page/uplot/uPlot.min.css"), include_str!("page/page.css"));

const BODY: &str = include_str!("page/body.html");

/// One module in several files: what is declared in one, all know.
const SCRIPT: &str = concat!(
    include_str!("page/base.js"),
    include_str!("page/data.js"),
    include_str!("page/list.js"),
    include_str!("page/overview.js"),
    include_str!("page/sessions.js"),
    include_str!("page/timeline.js"),
    include_str!("page/waterfall.js"),
    include_str!("page/detail.js"),
    include_str!("page/main.js"),
);

/// What the page says of itself.
#[derive(Clone, Debug)]
pub struct About<'p> {
    /// The version of the program.
    pub version: &'p str,
    /// How much of the texts is there.
    pub amount: Amount,
    /// Whether secrets were looked for.
    pub redacted: bool,
    /// With costs: when the built-in price table was checked, as a date.
    pub prices: Option<&'p str>,
    /// The page that leads here, for a part of a report of several pages.
    pub index: Option<&'p str>,
}

/// What surrounds the data of every page.
pub struct Frame {
    charts: String,
}

impl Frame {
    /// Takes the unpacked [`CHARTS`].
    pub fn new(charts: String) -> Frame {
        Frame { charts }
    }

    /// Appends all that comes before the data.
    pub fn head(&self, out: &mut Vec<u8>) {
        let policy = format!(
            "default-src 'none'; script-src '{}' '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
            digest(&self.charts),
            digest(SCRIPT),
            digest(STYLES)
        );
        for part in [
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<meta http-equiv=\"Content-Security-Policy\" content=\"",
            &policy,
            "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<meta name=\"referrer\" content=\"no-referrer\">\n<title>codex-trace report</title>\n<style>",
            STYLES,
            "</style>\n</head>\n<body>\n",
            BODY,
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Appends all that comes after the data.
    pub fn tail(&self, about: &About<'_>, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        json::object(&mut text, |o| {
            o.put("version", about.version);
            o.put("content", about.amount.word());
            o.flag("redacted", about.redacted);
            o.maybe("prices", about.prices);
            o.maybe("index", about.index);
        });
        let text = String::from_utf8(text).expect("JSON").replace('<', "\\u003c");
        for part in [
            "<script type=\"application/json\" id=\"facts\">",
            &text,
            "</script>\n<script>",
            &self.charts,
            "</script>\n<script type=\"module\">",
            SCRIPT,
            "</script>\n</body>\n</html>\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Appends the beginning of the block of a session: base64 follows. `nth` counts
/// the sessions of this page from 0, in the order of their rows.
pub fn open_session(nth: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<script type=\"text/plain\" id=\"s{nth}\">").as_bytes());
}

/// Appends the beginning of the block of all rows: base64 follows.
pub fn open_rows(out: &mut Vec<u8>) {
    out.extend_from_slice(b"<script type=\"text/plain\" id=\"rows\">");
}

/// Ends a block.
pub fn close_block(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</script>\n");
}

/// Appends the row that says in which part of a report of several pages the
/// sessions of the rows after it are.
pub fn part_row(part: &str, out: &mut Vec<u8>) {
    json::object(out, |o| part.write(o.value("part")));
    out.push(b'\n');
}

/// Returns the digest by which a policy names a script or styles.
fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn charts() -> String {
        let mut charts = String::new();
        flate2::read::GzDecoder::new(CHARTS).read_to_string(&mut charts).unwrap();
        charts
    }

    /// What was vendored is what its list says, and the licence is beside it.
    #[test]
    fn the_charts_are_the_release_that_is_named() {
        let list = include_str!("page/uplot/VENDORED");
        let charts = charts();
        let styles = include_str!("page/uplot/uPlot.min.css");
        for (name, text) in [("uPlot.iife.min.js", charts.as_str()), ("uPlot.min.css", styles)] {
            let digest = Sha256::digest(text.as_bytes());
            let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let digest = digest.concat();
            assert!(list.contains(&format!("{digest}  {name}")), "{name}: {digest}");
        }
        assert!(charts.contains("(v1.6.32)") && list.starts_with("uPlot 1.6.32, MIT"));
        assert!(include_str!("page/uplot/LICENSE").starts_with("The MIT License (MIT)"));
    }

    #[test]
    fn no_part_ends_its_own_block() {
        let charts = charts();
        assert!(!SCRIPT.contains("</") && !charts.contains("</script") && !STYLES.contains("</"));
        let ways = [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "Function(",
            "http:",
            "https:",
            "fetch(",
            "import(",
        ];
        for way in ways {
            assert!(!SCRIPT.contains(way), "{way}");
        }
    }

    /// What the program grows by. A page is 30 kB longer, with the charts unpacked.
    #[test]
    fn the_page_itself_is_small() {
        let len = CHARTS.len() + STYLES.len() + BODY.len() + SCRIPT.len();
        assert!(len <= 100_000, "{len}");
    }
}
