// flags: --edition 2024 -C opt-level=2 -g
//! One thread: boxes, vectors that grow and shrink, strings, maps, reference counts, alignment.
include!("../include/counted.rs");

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;
use std::rc::Rc;

#[repr(align(256))]
struct Wide([u8; 512]);

fn main() {
    let mut names: HashMap<String, Vec<u32>> = HashMap::with_capacity(16);
    let mut order = BTreeMap::new();
    let mut queue = VecDeque::new();
    for i in 0..20_000u32 {
        let name = format!("name-{}", i % 997);
        names.entry(name.clone()).or_default().push(i);
        order.insert(name, i);
        queue.push_back(Box::new(i));
        if i % 4 != 0 {
            black_box(queue.pop_front());
        }
        black_box(Box::new(Wide([0; 512])).0[1]);
        black_box(vec![0u8; (i % 3000) as usize]);
    }
    let shared: Rc<str> = "shared".repeat(20).into();
    black_box(vec![Rc::clone(&shared); 10]);
    let mut shrunk: Vec<u64> = (0..1000).collect();
    shrunk.truncate(10);
    shrunk.shrink_to_fit();
    std::mem::forget(shrunk); // live at exit
    drop((names, order, queue, shared));
    print_truth_at_exit();
}
