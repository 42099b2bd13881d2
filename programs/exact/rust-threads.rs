// flags: --edition 2024 -C opt-level=2 -g
//! Six threads that hand their blocks round: each drops what another made, and each makes what another grows.
include!("../include/counted.rs");

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

const THREADS: usize = 6;

fn main() {
    let shelves: Arc<Vec<Mutex<Vec<Vec<u8>>>>> = Arc::new((0..THREADS).map(|_| Mutex::default()).collect());
    let turn = Arc::new(Barrier::new(THREADS));
    let workers: Vec<_> = (0..THREADS)
        .map(|own| {
            let (shelves, turn) = (Arc::clone(&shelves), Arc::clone(&turn));
            thread::spawn(move || {
                for round in 0..20 {
                    let made = (0..500).map(|i| vec![round as u8; 1 + (i * 7 + own) % 900]).collect();
                    *shelves[own].lock().unwrap() = made;
                    turn.wait();
                    let mut taken = std::mem::take(&mut *shelves[(own + 1) % THREADS].lock().unwrap());
                    for block in &mut taken {
                        block.extend_from_slice(&[1; 300]);
                    }
                    drop(taken);
                    turn.wait();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    drop(shelves);
    print_truth_at_exit();
}
