//! The binary `codex-trace`: see the library of this package.

fn main() -> std::process::ExitCode {
    converter_cli::main(std::env::args_os())
}
