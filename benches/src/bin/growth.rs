//! Prints how the cost of a history grows with it, as a table in Markdown.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

fn main() {
    print!("{}", codex_trace_benches::growth::table());
}
