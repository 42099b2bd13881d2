//! Builds, searches and drops binary trees on two threads, one block a node.
//!
//! `binary-trees [--depth D] [--rounds R] [--threads T]`. The left and the right child are built from different call sites, so a
//! node's call path says where in the tree it is: a tree of depth 16 has 2¹⁷ − 1 = 131,071 nodes and as many distinct call
//! paths, of which every one allocates once a round.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::thread;

use heaptide_benches::arguments::Arguments;
use heaptide_benches::random::Random;

struct Node {
    key: u64,
    children: Option<(Box<Node>, Box<Node>)>,
}

/// A full tree whose keys are in order from `low`. The two recursive calls must stay two calls: neither inlined nor merged into a loop.
#[inline(never)]
fn build(depth: u32, low: u64) -> Box<Node> {
    let half = (1 << depth) - 1;
    let mut node = Box::new(Node { key: low + half, children: None });
    if depth > 0 {
        let left = build(depth - 1, low);
        let right = build(depth - 1, low + half + 1);
        node.children = Some((left, right));
    }
    node
}

/// Nodes of the tree, each checked to be where its key says.
fn count(node: &Node, low: u64, end: u64) -> u64 {
    assert!(low <= node.key && node.key < end, "a key out of order");
    1 + node.children.as_ref().map_or(0, |(left, right)| count(left, low, node.key) + count(right, node.key + 1, end))
}

fn contains(mut node: &Node, key: u64) -> bool {
    while node.key != key {
        let Some((left, right)) = &node.children else {
            return false;
        };
        node = if key < node.key { left } else { right };
    }
    true
}

/// Builds, checks, searches and drops `rounds` trees; the nodes they had.
fn grow(depth: u32, rounds: u64) -> u64 {
    let end = (2 << depth) - 1;
    let mut random = Random::new(depth.into());
    let mut nodes = 0;
    for _ in 0..rounds {
        let tree = build(depth, 0);
        nodes += count(black_box(&tree), 0, end);
        for _ in 0..end / 16 {
            assert!(contains(&tree, random.bits() % end), "a key is missing");
        }
    }
    nodes
}

fn main() {
    let arguments = Arguments::parse(&["depth", "rounds", "threads"]);
    let depth: u32 = arguments.get_or("depth", 16);
    let rounds: u64 = arguments.get_or("rounds", 60);
    let threads: u64 = arguments.get_or("threads", 2);
    let workers: Vec<_> = (0..threads).map(|_| thread::spawn(move || grow(depth, rounds))).collect();
    let mut total = 0;
    for worker in workers {
        match worker.join() {
            Ok(count) => total += count,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    println!("nodes={total}");
}
