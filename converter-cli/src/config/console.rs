//! What the console of Windows has to be asked for.

/// Makes the console read escape sequences; returns whether it does. Where there
/// is no console to ask, terminals read them anyway.
pub(super) fn takes_escapes() -> bool {
    #[cfg(windows)]
    let takes = anstyle_query::windows::enable_ansi_colors().unwrap_or(true);
    #[cfg(not(windows))]
    let takes = true;
    takes
}
