//! From traces to bytes: what may be sent, how it is written, and what a
//! destination expects of requests.
//!
//! A trace goes in, [`Unit`]s of bytes come out: [`content`] says what of it may
//! leave the machine, [`wire`] has the neutral format, [`report`] a page to look at,
//! [`otlp`], [`codex_otel`], [`mlflow`], [`langsmith`] and [`braintrust`] those of
//! backends. [`Protocol`] says where requests go,
//! how they are made up, and what the answers mean.
//!
//! # What it promises
//!
//! * **It is a function.** Same trace, same rules, same bytes: no file is opened,
//!   no socket, no process; nothing is asked of the clock or the environment. What
//!   configures a live plugin comes in through [`Settings`].
//! * **What is secret stays so**: a [`Secret`] cannot be printed by accident.
//!
//! # What it leaves out
//!
//! Sending, trying again, and remembering what was sent.

pub mod address;
mod body;
pub mod braintrust;
pub mod choice;
mod client;
pub mod codex_otel;
pub mod content;
pub mod describe;
mod destination;
pub mod environment;
pub mod file;
mod grpc;
pub mod json;
mod key;
pub mod langsmith;
pub mod logfire;
pub mod mlflow;
mod notes;
pub mod options;
mod origin;
pub mod otlp;
mod plugin_file;
mod probe;
mod proxy;
pub mod redact;
pub mod report;
mod request;
pub mod secret;
mod settings;
pub mod splice;
pub mod texts;
mod understood;
mod unit;
mod uuid;
pub mod wire;

pub use address::Address;
pub use body::{Body, BodyReader, Pieces};
pub use choice::Choice;
pub use destination::{
    Backend, ConfigError, Connected, Contract, Cx, Encode, EncodeError, Exporter, Framing, IdSpace,
    Inquiry, Learned, Limits, Order, Protocol, Question, Remark, Rewrite, Route, Signal, Verdict,
    View,
};
pub use environment::{ConfigFiles, Environment, Files};
pub use file::{FileEncoder, FileFormat, FileSettings, Layout, OutputFiles, Scratch, Sink};
pub use notes::{Beside, Detour, Found, Keep, Notes, Receipt, Reread, Shift, TurnNote, TurnState};
pub use origin::{Origin, OriginKind};
pub use probe::Probed;
pub use proxy::proxy_for;
pub use request::{
    ClientOptions, Compression, Header, HeaderValue, Method, Request, Response, TlsFiles, Wire,
    secrets_of, shortened,
};
pub use secret::Secret;
pub use settings::{Access, Said, Settings};
pub use unit::{Absent, Fingerprint, Hasher, Piece, Unit, UnitBuilder, UnitKey, Units, Waits};
