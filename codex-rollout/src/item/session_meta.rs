//! The first line of a rollout: whose it is and where it comes from.

use crate::scan::{Cursor, Syntax, ValueKind};
use crate::text::{JsonText, RawJson};
use crate::wire::{Field, wire};

wire! {
    /// A line of type `session_meta`.
    ///
    /// The first one is the file's identity; a later one with another id is a
    /// copied ancestor's, one with the same id an update.
    pub struct SessionMeta<'a> {
        /// The thread.
        pub id: JsonText<'a> = b"id",
        /// The root thread of the session (since 0.142).
        pub session_id: JsonText<'a> = b"session_id",
        /// When the thread was made.
        pub timestamp: JsonText<'a> = b"timestamp",
        /// The working directory.
        pub cwd: JsonText<'a> = b"cwd",
        /// The program that embeds Codex, in free text.
        pub originator: JsonText<'a> = b"originator",
        /// The version of Codex that made the file; later lines may be newer.
        pub cli_version: JsonText<'a> = b"cli_version",
        /// What started the thread.
        pub source: ThreadOrigin<'a> = b"source",
        /// The kind of thread, in free text (since 0.129).
        pub thread_source: JsonText<'a> = b"thread_source",
        /// The model provider.
        pub model_provider: JsonText<'a> = b"model_provider",
        /// The thread whose history this one continues or derives from.
        pub forked_from_id: JsonText<'a> = b"forked_from_id",
        /// Where a fork was cut from its source (since 0.151).
        pub forked_from_ordinal_exclusive: u64 = b"forked_from_ordinal_exclusive",
        /// The thread that spawned this one (since 0.136).
        pub parent_thread_id: JsonText<'a> = b"parent_thread_id",
        /// The name given to a subagent.
        pub agent_nickname: JsonText<'a> = b"agent_nickname",
        /// The role given to a subagent.
        pub agent_role: JsonText<'a> = b"agent_role" | b"agent_type",
        /// The place of a subagent in the team: `/root/worker_one`.
        pub agent_path: JsonText<'a> = b"agent_path",
        /// `legacy` (also when absent) or `paginated`.
        pub history_mode: JsonText<'a> = b"history_mode",
        /// The rollout that this one continues (since 0.145).
        pub history_base: HistoryBase<'a> = b"history_base",
        /// The first ordinal that is a subagent's own (since 0.145).
        pub subagent_history_start_ordinal: u64 = b"subagent_history_start_ordinal",
        /// The state of the working tree's repository.
        pub git: GitInfo<'a> = b"git",
        /// The system prompt.
        pub base_instructions: BaseInstructions<'a> = b"base_instructions",
        /// The user's instructions (before 0.88).
        pub instructions: JsonText<'a> = b"instructions",
        /// A hidden side thread of its source (since 0.165).
        pub attached_thread: bool = b"attached_thread",
        /// Which generation of subagent tools the thread has.
        pub multi_agent_version: JsonText<'a> = b"multi_agent_version",
        /// The tools that the embedding program offers.
        pub dynamic_tools: RawJson<'a> = b"dynamic_tools",
        /// Whether memories are made and used: `disabled`, `polluted`, …; absent
        /// where they are (since 0.108).
        pub memory_mode: JsonText<'a> = b"memory_mode",
        /// The directories that the thread works in: an array (since 0.156).
        pub runtime_workspace_roots: RawJson<'a> = b"runtime_workspace_roots",
        /// The first context window (since 0.143).
        pub context_window: ContextWindow<'a> = b"context_window",
        /// Who made the thread (since 0.157).
        pub creator_user_id: JsonText<'a> = b"creator_user_id",
        /// The account of who made it (since 0.157).
        pub creator_account_id: JsonText<'a> = b"creator_account_id",
        /// Whether the thread belongs to an account (since 0.167).
        pub account_scoped: bool = b"account_scoped",
    }
}

wire! {
    /// A stretch of a thread between compactions.
    pub struct ContextWindow<'a> {
        /// Its id.
        pub window_id: JsonText<'a> = b"window_id",
    }
}

wire! {
    /// A line of type `dynamic_tools_updated` (since 0.166).
    pub struct DynamicTools<'a> {
        /// The thread.
        pub thread_id: JsonText<'a> = b"thread_id",
        /// All tools that the embedding program offers now: an array.
        pub tools: RawJson<'a> = b"tools",
    }
}

wire! {
    /// The rollout that another one continues.
    pub struct HistoryBase<'a> {
        /// The id of the base **rollout**: the thread id, if it was never reverted.
        pub rollout_id: JsonText<'a> = b"thread_id",
        /// The first ordinal of the base that no longer counts.
        pub end_ordinal_exclusive: u64 = b"end_ordinal_exclusive",
        /// The same as an offset into the decompressed base.
        pub end_byte_offset: u64 = b"end_byte_offset",
    }
}

wire! {
    /// The repository that a thread works in.
    pub struct GitInfo<'a> {
        /// The commit checked out.
        pub commit_hash: JsonText<'a> = b"commit_hash",
        /// The branch checked out.
        pub branch: JsonText<'a> = b"branch",
        /// The remote's address.
        pub repository_url: JsonText<'a> = b"repository_url",
    }
}

wire! {
    /// A system prompt.
    pub struct BaseInstructions<'a> {
        /// The prompt, tens of kilobytes long.
        pub text: JsonText<'a> = b"text",
    }
}

/// What started a thread: `session_meta.source`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ThreadOrigin<'a> {
    /// A program: `cli`, `vscode`, `exec`, `mcp`, `unknown`.
    Program(JsonText<'a>),
    /// An embedder that names itself.
    Custom(JsonText<'a>),
    /// Codex itself: `memory_consolidation`, `guardian`.
    Internal(JsonText<'a>),
    /// Another thread, for a purpose: `review`, `compact`, …
    Subagent(JsonText<'a>),
    /// Another thread's spawn tool.
    Spawned(ThreadSpawn<'a>),
    /// A shape that this version does not know.
    Other(RawJson<'a>),
}

wire! {
    /// How a subagent was spawned.
    pub struct ThreadSpawn<'a> {
        /// The spawning thread.
        pub parent_thread_id: JsonText<'a> = b"parent_thread_id",
        /// The distance from the root thread, starting at 1.
        pub depth: u64 = b"depth",
        /// As [`SessionMeta::agent_path`].
        pub agent_path: JsonText<'a> = b"agent_path",
        /// As [`SessionMeta::agent_nickname`].
        pub agent_nickname: JsonText<'a> = b"agent_nickname",
        /// As [`SessionMeta::agent_role`].
        pub agent_role: JsonText<'a> = b"agent_role" | b"agent_type",
    }
}

use fields::{OriginFields, SubagentFields};

/// What an object in the place of a [`ThreadOrigin`] may hold.
#[expect(dead_code, unreachable_pub, reason = "the macro writes what public records need")]
mod fields {
    use super::ThreadSpawn;
    use crate::text::{JsonText, RawJson};
    use crate::wire::wire;

    wire! {
        pub struct OriginFields<'a> {
            /// `custom`
            pub custom: JsonText<'a> = b"custom",
            /// `internal`
            pub internal: JsonText<'a> = b"internal",
            /// `subagent`
            pub subagent: RawJson<'a> = b"subagent",
        }
    }

    wire! {
        pub struct SubagentFields<'a> {
            /// `thread_spawn`
            pub thread_spawn: ThreadSpawn<'a> = b"thread_spawn",
            /// `other`
            pub other: JsonText<'a> = b"other",
        }
    }
}

impl<'a> Field<'a> for ThreadOrigin<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>, Syntax> {
        if cursor.kind()? == ValueKind::String {
            return cursor.text().map(ThreadOrigin::Program).map(Some);
        }
        let Some(raw) = RawJson::read(cursor)? else { return Ok(None) };
        let fields = OriginFields::read(&mut raw.cursor())?.unwrap_or_default();
        Ok(Some(match fields {
            OriginFields { custom: Some(name), .. } => ThreadOrigin::Custom(name),
            OriginFields { internal: Some(purpose), .. } => ThreadOrigin::Internal(purpose),
            OriginFields { subagent: Some(subagent), .. } => subagent_origin(subagent)?,
            _ => ThreadOrigin::Other(raw),
        }))
    }
}

fn subagent_origin(raw: RawJson<'_>) -> Result<ThreadOrigin<'_>, Syntax> {
    if let Some(purpose) = raw.as_text() {
        return Ok(ThreadOrigin::Subagent(purpose));
    }
    Ok(match SubagentFields::read(&mut raw.cursor())?.unwrap_or_default() {
        SubagentFields { thread_spawn: Some(spawn), .. } => ThreadOrigin::Spawned(spawn),
        SubagentFields { other: Some(label), .. } => ThreadOrigin::Subagent(label),
        _ => ThreadOrigin::Other(raw),
    })
}
