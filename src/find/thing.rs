//! What kind of thing grew, by the frames between the application and the allocator.
#![forbid(unsafe_code)]

use crate::symbolize::plumbing::Kind;

/// What was allocated. The more telling one comes first: a task's cell is made by `Box`, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Thing {
    /// The cell of an async task.
    TaskCell,
    /// A timer.
    Timer,
    /// A block of a channel's queue.
    ChannelBlock,
    /// A span, log line or metric.
    Telemetry,
    /// A request, response or body.
    Body,
    /// A byte buffer that its views share.
    Bytes,
    /// The table of a hash map, made anew at twice the size.
    MapRehash,
    /// An entry or node of a map.
    MapEntry,
    /// The ring of a queue.
    Queue,
    /// A text made of another value: `to_string`, `to_owned`, `format!`, `from_utf8`.
    Conversion,
    /// A shared value.
    Arc,
    /// The buffer of a vector or text that outgrew the last one.
    VecDoubling,
    /// A value in a box.
    Box,
    /// Nothing that the frames tell.
    Other,
}

impl Thing {
    /// In words, after "it is ".
    pub fn words(self) -> &'static str {
        match self {
            Thing::TaskCell => "the cells of async tasks",
            Thing::Timer => "timers",
            Thing::ChannelBlock => "blocks of a channel's queue",
            Thing::Telemetry => "spans, logs or metrics",
            Thing::Body => "requests, responses or bodies",
            Thing::Bytes => "shared byte buffers",
            Thing::MapRehash => "the table of a hash map",
            Thing::MapEntry => "entries of a map",
            Thing::Queue => "a queue",
            Thing::Conversion => "texts made of other values",
            Thing::Arc => "shared values",
            Thing::VecDoubling => "a vector or text that grows",
            Thing::Box => "boxed values",
            Thing::Other => "something that the frames do not tell",
        }
    }
}

/// What the skipped frames said, over all stacks of a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Skipped {
    things: Vec<Thing>,
    functions: Vec<String>,
}

impl Skipped {
    pub(super) fn add(&mut self, thing: Thing, function: &str) {
        if !self.things.contains(&thing) {
            self.things.push(thing);
        }
        if !self.functions.iter().any(|known| known == function) {
            self.functions.push(function.to_owned());
        }
    }

    pub(super) fn join(&mut self, other: Skipped) {
        for thing in other.things {
            if !self.things.contains(&thing) {
                self.things.push(thing);
            }
        }
        for function in other.functions {
            if !self.functions.contains(&function) {
                self.functions.push(function);
            }
        }
    }

    /// The most telling one.
    pub(super) fn thing(&self) -> Thing {
        self.things.iter().copied().min().unwrap_or(Thing::Other)
    }

    /// Functions between the application and the allocator, each once.
    pub(super) fn functions(&self) -> &[String] {
        &self.functions
    }
}

/// What one frame of plumbing tells.
pub(super) fn thing(kind: Option<Kind>, function: &str) -> Thing {
    let has = |parts: &[&str]| parts.iter().any(|part| function.contains(part));
    match kind {
        Some(Kind::Task) => Thing::TaskCell,
        Some(Kind::Timer) => Thing::Timer,
        Some(Kind::Channel) => Thing::ChannelBlock,
        Some(Kind::Logging) => Thing::Telemetry,
        Some(Kind::Http) => Thing::Body,
        Some(Kind::Bytes) => Thing::Bytes,
        Some(Kind::Map) if has(&["rehash", "resize", "fallible_with_capacity"]) => Thing::MapRehash,
        Some(Kind::Map) => Thing::MapEntry,
        Some(Kind::Queue) => Thing::Queue,
        Some(Kind::Format) => Thing::Conversion,
        _ if has(&[
            "::to_string",
            "::to_owned",
            "::from_utf8",
            "::to_vec",
            "::into_owned",
        ]) =>
        {
            Thing::Conversion
        }
        _ if has(&["grow_one", "grow_amortized", "finish_grow", "do_reserve"]) => {
            Thing::VecDoubling
        }
        Some(Kind::Vec | Kind::String) => Thing::VecDoubling,
        Some(Kind::Arc) => Thing::Arc,
        Some(Kind::Box) => Thing::Box,
        _ => Thing::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbolize::plumbing::is_plumbing;

    #[test]
    fn the_frames_between_tell() {
        let stacks: [(&[&str], Thing); 8] = [
            (
                &[
                    "alloc::alloc::exchange_malloc",
                    "alloc::boxed::Box<T>::new",
                    "tokio::runtime::task::core::Cell<T,S>::new",
                ],
                Thing::TaskCell,
            ),
            (
                &[
                    "hashbrown::raw::RawTable<T,A>::reserve_rehash",
                    "hashbrown::map::HashMap<K,V,S,A>::insert",
                ],
                Thing::MapRehash,
            ),
            (
                &[
                    "alloc::raw_vec::RawVec<T,A>::grow_one",
                    "alloc::vec::Vec<T,A>::push",
                ],
                Thing::VecDoubling,
            ),
            (
                &[
                    "alloc::boxed::Box<T>::new",
                    "tokio::sync::mpsc::list::Tx<T>::push",
                ],
                Thing::ChannelBlock,
            ),
            (&["alloc::sync::Arc<T>::new"], Thing::Arc),
            (
                &[
                    "alloc::raw_vec::RawVec<T,A>::with_capacity_in",
                    "<str as alloc::string::ToString>::to_string",
                ],
                Thing::Conversion,
            ),
            (&["bytes::bytes_mut::BytesMut::reserve"], Thing::Bytes),
            (&[], Thing::Other),
        ];
        for (stack, expected) in stacks {
            let mut skipped = Skipped::default();
            for function in stack {
                skipped.add(thing(is_plumbing(function, ""), function), function);
            }
            assert_eq!(skipped.thing(), expected, "{stack:?}");
        }
    }
}
