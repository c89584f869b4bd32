//! The action proxy: one small program that makes a language answer `POST /init` and `POST /run`.
//!
//! It owns the container's side of the contract: reading requests, unpacking code, starting the interpreter or program,
//! passing arguments and answers, and bringing the program's output to the container's log with an end mark per
//! activation. It knows nothing of the platform: limits of time and size, verdicts and records are the invoker's.
//!
//! Invariants. The interpreter is started before `/init`, so a prewarmed container has it running. User code never holds
//! a descriptor on which the proxy listens for requests, nor one on which its log is read; the end mark and the listening
//! socket are out of its reach. Output belongs to the activation in which it was written; what appears between two
//! activations is dropped. An answer does not wait for the log.
//!
//! Upstream behaviour honoured: texts, status codes and log lines of OpenWhisk's nodejs runtime, of its ActionLoop proxy
//! 1.17 with the python runtime, and of `dockerskeleton`.

pub mod action_loop;
pub mod archive;
pub mod channel;
pub mod child;
pub mod code;
pub mod compile;
pub mod error;
pub mod init_request;
pub mod lines;
pub mod logs;
pub mod native;
pub mod nodejs;
pub mod program;
pub mod python;
pub mod reply;
pub mod server;
pub mod settings;
pub mod sink;
pub mod workspace;

pub use error::Error;
pub use reply::Reply;
