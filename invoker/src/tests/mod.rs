//! One invoker with scripted containers on a paused clock: what it answers, records and does with its containers.

mod acks;
mod asked;
mod drain;
mod elsewhere;
mod events;
mod keeping;
mod lifecycle;
mod lines;
mod locked;
mod memory;
mod prewarm;
mod probes;
mod recovery;
mod world;
