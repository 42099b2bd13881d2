//! The key-value protocol and store that `kv-service` serves and `kv-load` asks.
//!
//! ```text
//! SET <key> <length>\n<length bytes>   →  STORED\n
//! GET <key>\n                          →  VALUE <length>\n<length bytes>   or   MISSING\n
//! anything else                        →  ERROR <why>\n
//! ```
//!
//! Written as services usually are, with owned strings and buffers for each request, because its allocations are the
//! workload. The one concession to safety: a value longer than [`LONGEST_VALUE`] is refused.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

/// Bytes of the longest value that the service stores.
pub const LONGEST_VALUE: usize = 1 << 20;

/// Bytes of the longest request line.
pub const LONGEST_LINE: u64 = 4096;

/// One request line, parsed.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Store the `length` bytes that follow the line.
    Set {
        /// Under which name.
        key: String,
        /// Bytes that follow.
        length: usize,
    },
    /// Send the value of `key`.
    Get {
        /// Of which name.
        key: String,
    },
}

impl Request {
    /// Parses a line, without its end; the error is what the client is told.
    pub fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["SET", key, length] => {
                let length = length.parse().map_err(|_| format!("length `{length}` is not a number"))?;
                if length > LONGEST_VALUE {
                    return Err(format!("a value has at most {LONGEST_VALUE} bytes"));
                }
                Ok(Self::Set { key: (*key).to_owned(), length })
            }
            ["GET", key] => Ok(Self::Get { key: (*key).to_owned() }),
            _ => Err("expected SET <key> <length> or GET <key>".to_owned()),
        }
    }
}

type Shard = Mutex<HashMap<String, Vec<u8>>>;

/// Values by key, in shards so that worker threads seldom wait for each other.
pub struct Store {
    shards: Vec<Shard>,
    hasher: RandomState,
}

impl Default for Store {
    fn default() -> Self {
        Self { shards: (0..16).map(|_| Shard::default()).collect(), hasher: RandomState::new() }
    }
}

impl Store {
    /// Puts `value` under `key`, in place of an earlier one.
    pub fn set(&self, key: String, value: Vec<u8>) {
        self.shard(&key).lock().unwrap_or_else(PoisonError::into_inner).insert(key, value);
    }

    /// A copy of the value of `key`.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.shard(key).lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn shard(&self, key: &str) -> &Shard {
        let index = self.hasher.hash_one(key) as usize % self.shards.len();
        &self.shards[index]
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_VALUE, Request, Store};

    #[test]
    fn requests_parse_or_say_why_not() {
        assert_eq!(Request::parse("GET a\r"), Ok(Request::Get { key: "a".to_owned() }));
        assert_eq!(Request::parse("SET a 16"), Ok(Request::Set { key: "a".to_owned(), length: 16 }));
        for refused in ["", "GET", "SET a", "SET a b", "SET a -1", "DEL a", &format!("SET a {}", LONGEST_VALUE + 1)] {
            assert!(Request::parse(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_value_set_is_the_value_got() {
        let store = Store::default();
        store.set("a".to_owned(), vec![1]);
        store.set("a".to_owned(), vec![2, 3]);
        assert_eq!(store.get("a"), Some(vec![2, 3]));
        assert_eq!(store.get("b"), None);
    }
}
