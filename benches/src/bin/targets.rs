//! `targets HOME [REPEAT]`: prints how fast the stages are, as ratios in one
//! run, and whether that is what we hold ourselves to.

#![expect(clippy::print_stdout, reason = "the result")]

use std::path::PathBuf;

fn main() {
    // As the command does.
    codex_rollout::map_large_files();
    let mut args = std::env::args_os().skip(1);
    let home = args.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let repeat = args.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(5);
    print!("{}", codex_trace_benches::targets::table(&home, repeat));
}
