//! Stacks as a tree, the root first, small enough to send.
#![forbid(unsafe_code)]

use hashbrown::HashMap;
use serde_json::{Value, json};

use crate::profile::{FunctionId, Profile, Tally};
use crate::view::name::printable;

/// Frames that are sent, the largest. Of the others their caller tells how much they hold together.
const MOST_FRAMES: usize = 8000;

#[derive(Clone, Copy)]
pub(super) enum What {
    Live,
    Allocated,
}

struct Node {
    parent: usize,
    function: Option<FunctionId>,
    /// The first and the last line that is called from.
    lines: (i64, i64),
    bytes: f64,
    variance: f64,
    objects: f64,
}

/// `nodes`: `[parent, function, first line, last line, bytes, standard error, objects]`, parents before their children; the
/// first is the whole. `functions`: `[name, file]`.
pub(super) fn tree(profile: &Profile, what: What) -> Value {
    let mut nodes = vec![Node::new(0, None)];
    let mut children: HashMap<(usize, FunctionId), usize> = HashMap::new();
    for sample in &profile.samples {
        let tally = match sample.detail.as_deref() {
            Some(detail) => match what {
                What::Live => detail.live,
                What::Allocated => detail.alloc,
            },
            None => continue, // a recorder's own profile has it
        };
        if tally.bytes_estimate <= 0.0 {
            continue;
        }
        nodes[0].add(&tally, 0);
        let mut at = 0;
        for &id in sample.locations.iter().rev() {
            let location = profile.locations.get(id.0 as usize);
            for line in location.map_or(&[][..], |it| &it.lines).iter().rev() {
                let next = nodes.len();
                let child = *children.entry((at, line.function)).or_insert(next);
                if child == next {
                    nodes.push(Node::new(at, Some(line.function)));
                }
                at = child;
                nodes[at].add(&tally, line.line);
            }
        }
    }
    let exact = profile.heap.as_ref().is_some_and(|heap| heap.exact);
    write(profile, &nodes, exact)
}

impl Node {
    fn new(parent: usize, function: Option<FunctionId>) -> Node {
        Node {
            parent,
            function,
            lines: (0, 0),
            bytes: 0.0,
            variance: 0.0,
            objects: 0.0,
        }
    }

    fn add(&mut self, tally: &Tally, line: i64) {
        self.bytes += tally.bytes_estimate;
        self.variance += tally.bytes_variance;
        self.objects += tally.objects_estimate;
        if line > 0 {
            let (first, last) = self.lines;
            self.lines = (
                if first == 0 { line } else { first.min(line) },
                last.max(line),
            );
        }
    }
}

fn write(profile: &Profile, nodes: &[Node], exact: bool) -> Value {
    // A caller holds no less than its callee and comes first, so what is kept is still a tree.
    let mut kept: Vec<usize> = (0..nodes.len()).collect();
    kept.sort_by(|&a, &b| nodes[b].bytes.total_cmp(&nodes[a].bytes).then(a.cmp(&b)));
    kept.truncate(MOST_FRAMES);
    kept.sort_unstable();
    let mut places = vec![0; nodes.len()];
    let mut functions: Vec<Value> = Vec::new();
    let mut known: HashMap<FunctionId, usize> = HashMap::new();
    let mut rows: Vec<Value> = Vec::with_capacity(kept.len());
    for (place, &index) in kept.iter().enumerate() {
        places[index] = place;
        let node = &nodes[index];
        let function = node.function.map(|id| {
            *known.entry(id).or_insert_with(|| {
                let function = profile.functions.get(id.0 as usize);
                let (name, file) = function.map_or(("?", ""), |it| (&it.name, &it.filename));
                functions.push(json!([printable(name), printable(file)]));
                functions.len() - 1
            })
        });
        rows.push(json!([
            places[node.parent],
            function,
            node.lines.0,
            node.lines.1,
            node.bytes.round(),
            node.variance.max(0.0).sqrt().round(),
            node.objects.round(),
        ]));
    }
    json!({
        "exact": exact,
        "time_ms": profile.time_nanos / 1_000_000,
        "functions": functions,
        "nodes": rows,
        "left_out": nodes.len() - kept.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Function, Line, Location, LocationId, Sample, SiteDetail};

    /// Functions `f0`, `f1`, …; each stack leaf first.
    fn profile(stacks: &[(&[u32], f64)]) -> Profile {
        let most = stacks
            .iter()
            .flat_map(|(stack, _)| *stack)
            .max()
            .copied()
            .unwrap_or(0);
        let mut profile = Profile::default();
        for number in 0..=most {
            profile.functions.push(Function {
                name: format!("f{number}"),
                filename: "/src/a.rs".into(),
                ..Function::default()
            });
            profile.locations.push(Location {
                lines: vec![Line {
                    function: FunctionId(number),
                    line: i64::from(number) + 10,
                    column: 0,
                }],
                ..Location::default()
            });
        }
        for (stack, bytes) in stacks {
            let live = Tally {
                bytes_estimate: *bytes,
                bytes_variance: *bytes,
                objects_estimate: 1.0,
                ..Tally::default()
            };
            profile.samples.push(Sample {
                locations: stack.iter().map(|&number| LocationId(number)).collect(),
                detail: Some(Box::new(SiteDetail {
                    live,
                    ..SiteDetail::default()
                })),
                ..Sample::default()
            });
        }
        profile
    }

    #[test]
    fn callers_hold_what_their_callees_hold() {
        let profile = profile(&[
            (&[2, 1, 0], 90.0),
            (&[3, 1, 0], 9.0),
            (&[1, 0], 1.0),
            (&[0, 0], 0.0),
        ]);
        let tree = tree(&profile, What::Live);
        let expected = json!([
            [0, null, 0, 0, 100.0, 10.0, 3.0],
            [0, 0, 10, 10, 100.0, 10.0, 3.0],
            [1, 1, 11, 11, 100.0, 10.0, 3.0],
            [2, 2, 12, 12, 90.0, 9.0, 1.0],
            [2, 3, 13, 13, 9.0, 3.0, 1.0],
        ]);
        assert_eq!(tree["nodes"], expected);
        assert_eq!(tree["functions"][3], json!(["f3", "/src/a.rs"]));
        assert_eq!(
            super::tree(&profile, What::Allocated)["nodes"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn what_is_sent_is_bounded_and_a_tree() {
        let stacks: Vec<([u32; 2], f64)> =
            (1..=20_000).map(|n| ([n, n % 100], f64::from(n))).collect();
        let stacks: Vec<(&[u32], f64)> = stacks.iter().map(|(s, b)| (&s[..], *b)).collect();
        let tree = tree(&profile(&stacks), What::Live);
        let nodes = tree["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), MOST_FRAMES);
        assert_eq!(
            tree["left_out"].as_u64().unwrap() as usize,
            20_101 - MOST_FRAMES
        );
        for (place, node) in nodes.iter().enumerate().skip(1) {
            let parent = node[0].as_u64().unwrap() as usize;
            assert!(parent < place);
            assert!(nodes[parent][4].as_f64() >= node[4].as_f64());
        }
    }
}
