//! A table from 64-bit keys to 64-bit values that many threads add to and none waits for.
//!
//! Open addressing, at most 3/5 full. Whoever finds it fuller makes a table of twice the size and moves the entries
//! over; meanwhile an empty place in the old table is marked [`MOVED`], also by those who wanted to add there, and whoever
//! comes to such a place without having found its key goes on in the new table. Nobody waits, and the mover may be interrupted for ever without harm.
//!
//! Two threads that add the same key at once agree on one value.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::{global::Global, ledger_file};

struct Slot {
    key: AtomicU64,
    value: AtomicU64,
}

/// See the module. All zero is an empty table without memory.
pub struct Interner {
    /// Address of the slots, aligned to a page; the low bits hold the binary logarithm of their number.
    slots: AtomicU64,
    /// The same of the table that entries are being moved to, or 0.
    next: AtomicU64,
    used: AtomicU64,
    growing: AtomicU64,
}

const FIRST_LOG2: u32 = 13;
const LAST_LOG2: u32 = 25;
const LOG2_MASK: u64 = 63;
/// Key of a place that was empty, and value of an entry that had none yet, when the table was moved.
const MOVED: u64 = u64::MAX;

#[inline]
fn hash(key: u64) -> u64 {
    let mixed = (key ^ key >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// A table of one size.
#[derive(Clone, Copy)]
struct Slots {
    first: *const Slot,
    mask: u64,
}

impl Slots {
    #[inline]
    fn of(packed: u64) -> Slots {
        Slots { first: (packed & !LOG2_MASK) as *const Slot, mask: (1 << (packed & LOG2_MASK)) - 1 }
    }

    #[inline]
    fn slot(&self, index: u64) -> &Slot {
        // SAFETY: masked to the table's size; tables are never unmapped.
        unsafe { &*self.first.add((index & self.mask) as usize) }
    }

    /// The key's value, or 0, or [`MOVED`] if it may be in the next table.
    #[inline]
    fn get(&self, key: u64) -> u64 {
        let mut index = hash(key);
        loop {
            let slot = self.slot(index);
            match slot.key.load(Acquire) {
                found if found == key => return slot.value.load(Acquire),
                0 => return 0,
                MOVED => return MOVED,
                _ => index = index.wrapping_add(1),
            }
        }
    }

    /// Adds a key: `put` is what goes to an empty place, the key, or [`MOVED`] in a table that is being moved. The value
    /// that counts, or [`MOVED`]; and whether a place was taken. `None` if all are.
    fn insert(&self, key: u64, value: u64, put: u64) -> Option<(u64, u64)> {
        let first = hash(key);
        for index in (0..=self.mask).map(|step| first.wrapping_add(step)) {
            let slot = self.slot(index);
            let (found, taken) = match slot.key.compare_exchange(0, put, Release, Acquire) {
                Ok(_) => (put, 1),
                Err(found) => (found, 0),
            };
            if found == key {
                return Some(match slot.value.compare_exchange(0, value, Release, Acquire) {
                    Ok(_) => (value, taken),
                    Err(theirs) => (theirs, taken),
                });
            }
            if found == MOVED {
                return Some((MOVED, 0));
            }
        }
        None
    }
}

impl Interner {
    /// Gets the first slots.
    pub fn start(&self, global: &Global) -> bool {
        match new_slots(global, FIRST_LOG2) {
            Some(slots) => {
                self.slots.store(slots, Release);
                true
            }
            None => false,
        }
    }

    /// The value of a key, 0 if there is none. Keys and values are neither 0 nor `u64::MAX`.
    #[inline]
    pub fn get(&self, key: u64) -> u64 {
        match Slots::of(self.slots.load(Acquire)).get(key) {
            MOVED => self.get_moved(key),
            value => value,
        }
    }

    #[cold]
    fn get_moved(&self, key: u64) -> u64 {
        let next = self.next.load(Acquire);
        let slots = if next == 0 { self.slots.load(Acquire) } else { next };
        match Slots::of(slots).get(key) {
            // Moved once more in between: it is made again, or found by the next who looks.
            MOVED => 0,
            value => value,
        }
    }

    /// Adds a key with a value. Returns the value that counts: this one, or one that was added before.
    pub fn insert(&self, global: &Global, key: u64, value: u64) -> u64 {
        let mask = Slots::of(self.slots.load(Acquire)).mask;
        if self.used.load(Relaxed) * 5 > (mask + 1) * 3 {
            self.grow(global);
            // A table without an empty place would be searched for ever.
            let places = if self.next.load(Acquire) == 0 { mask + 1 } else { (mask + 1) * 2 };
            if self.used.load(Relaxed) * 8 > places * 7 && Slots::of(self.slots.load(Acquire)).mask == mask {
                // It could not grow. The key stays unknown; whoever wants it next comes here again.
                return value;
            }
        }
        let mut slots = self.slots.load(Acquire);
        for _ in 0..4 {
            // Nothing new goes to a table that is being moved.
            let next = self.next.load(Acquire);
            let put = if next == 0 || next == slots { key } else { MOVED };
            match Slots::of(slots).insert(key, value, put) {
                Some((MOVED, _)) => {
                    let next = self.next.load(Acquire);
                    slots = if next == 0 { self.slots.load(Acquire) } else { next };
                }
                Some((counts, taken)) => {
                    self.used.fetch_add(taken, Relaxed);
                    return counts;
                }
                None => break,
            }
        }
        value
    }

    /// Forgets the values of all keys in a range.
    pub fn forget(&self, keys: core::ops::Range<u64>) {
        for packed in [self.slots.load(Acquire), self.next.load(Acquire)] {
            if packed == 0 {
                continue;
            }
            let slots = Slots::of(packed);
            for slot in (0..=slots.mask).map(|index| slots.slot(index)) {
                let value = slot.value.load(Acquire);
                if keys.contains(&slot.key.load(Acquire)) && value != MOVED {
                    let _ = slot.value.compare_exchange(value, 0, Release, Relaxed);
                }
            }
        }
    }

    fn grow(&self, global: &Global) {
        if self.growing.swap(1, Acquire) != 0 {
            return;
        }
        let packed = self.slots.load(Acquire);
        let old = Slots::of(packed);
        let log2 = (packed & LOG2_MASK) as u32 + 1;
        // Another thread may have been here just now.
        if self.used.load(Relaxed) * 5 > (old.mask + 1) * 3
            && log2 <= LAST_LOG2
            && let Some(new) = new_slots(global, log2)
        {
            self.next.store(new, Release);
            let new_slots = Slots::of(new);
            for slot in (0..=old.mask).map(|index| old.slot(index)) {
                let key = match slot.key.compare_exchange(0, MOVED, Release, Acquire) {
                    Ok(_) => continue,
                    Err(key) => key,
                };
                if let Err(value) = slot.value.compare_exchange(0, MOVED, Release, Acquire) {
                    new_slots.insert(key, value, key);
                }
            }
            self.slots.store(new, Release);
            self.next.store(0, Release);
        }
        self.growing.store(0, Release);
    }
}

fn new_slots(global: &Global, log2: u32) -> Option<u64> {
    let memory = ledger_file::private(global, size_of::<Slot>() << log2)?;
    Some(memory as u64 | u64::from(log2))
}

#[cfg(test)]
mod tests {
    use std::{boxed::Box, sync::Barrier, thread, vec::Vec};

    use super::*;
    use crate::global::global;

    const THREADS: u64 = 6;

    fn interner() -> &'static Interner {
        // SAFETY: all zero is a table without memory.
        let interner: &Interner = Box::leak(Box::new(unsafe { core::mem::zeroed() }));
        assert!(interner.start(global()));
        interner
    }

    /// Keys as the recorder has them: parent << 32 | location.
    fn key(number: u64) -> u64 {
        (number / 7 + 1) << 32 | (number % 7 + 3)
    }

    #[test]
    fn threads_agree_on_values_while_the_table_grows() {
        let interner = interner();
        // Each round makes the table grow once, and never comes to the part of it that is left empty.
        for round in 0..4 {
            let keys = 7000_u64 << round;
            let barrier = Barrier::new(THREADS as usize);
            let answers: Vec<Vec<u64>> = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS)
                    .map(|thread| {
                        let barrier = &barrier;
                        scope.spawn(move || {
                            barrier.wait();
                            let mut answers = std::vec![0; keys as usize];
                            for step in 0..keys {
                                // Half of the threads come from the other end.
                                let number = if thread % 2 == 0 { step } else { keys - 1 - step };
                                let mine = (thread + 1) << 40 | (number + 1);
                                answers[number as usize] = interner.insert(global(), key(number), mine);
                                let found = interner.get(key(number));
                                assert!(found == answers[number as usize], "{number}: {found:x}");
                            }
                            answers
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            for number in 0..keys {
                let counts = interner.get(key(number));
                assert_eq!(counts & 0xff_ffff_ffff, number + 1);
                assert!(answers.iter().all(|answers| answers[number as usize] == counts), "{number} in round {round}");
            }
            assert_eq!(interner.used.load(Relaxed), keys);
        }
        assert!(Slots::of(interner.slots.load(Acquire)).mask + 1 >= 1 << (FIRST_LOG2 + 4));
    }

    #[test]
    fn a_mover_that_never_ends_does_not_make_searches_endless() {
        let interner = interner();
        // As if a thread had stopped for ever just after making the new table.
        let next = new_slots(global(), FIRST_LOG2 + 1).expect("memory");
        interner.growing.store(1, Relaxed);
        interner.next.store(next, Release);
        for number in 0..100_000 {
            assert_eq!(interner.insert(global(), key(number), number + 1), number + 1);
        }
        let found = (0..100_000).filter(|number| interner.get(key(*number)) == number + 1).count();
        assert!(found > 1 << FIRST_LOG2, "{found}");
        assert_eq!(interner.get(key(200_000)), 0);
    }

    #[test]
    fn forgotten_keys_can_be_added_again() {
        let interner = interner();
        for address in 1..1000 {
            interner.insert(global(), address, address + 5);
        }
        interner.forget(100..200);
        assert_eq!(interner.get(99), 104);
        assert_eq!(interner.get(100), 0);
        assert_eq!(interner.get(199), 0);
        assert_eq!(interner.get(200), 205);
        assert_eq!(interner.insert(global(), 150, 7), 7);
        assert_eq!(interner.get(150), 7);
    }
}
