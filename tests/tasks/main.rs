//! Tracked tasks: where they wait, by name; who spawned them; and what becomes of them.
#![forbid(unsafe_code)]

mod bodies;
mod chain;
mod combinators;
mod ends;
mod executors;
mod leaves;
mod streams;

#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
