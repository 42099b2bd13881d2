//! The demo's service: a key-value store on the loopback interface, one thread a connection.
//!
//! ```text
//! SET key value → OK        GET key → the value, or NONE
//! ```
//!
//! Its cache is bounded and healthy. Its session log is not: entries of closed sessions stay for ever.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Attempt, Exit, Outcome};

/// Entries that the cache keeps.
const CACHE_ENTRIES: usize = 1000;
/// A request line is at most this long.
const REQUEST_BYTES: u64 = 4096;

/// Serves until it is ended by a signal.
pub fn serve() -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).attempt(|| "cannot listen".to_owned())?;
    println!("listening on {}", listener.local_addr()?);
    let state = Arc::new(State::default());
    for (session, connection) in listener.incoming().enumerate() {
        let state = Arc::clone(&state);
        let connection = connection.attempt(|| "cannot accept a connection".to_owned())?;
        std::thread::Builder::new()
            .name("session".to_owned())
            .spawn(move || state.talk(session as u64, &connection))
            .attempt(|| "cannot start a thread".to_owned())?;
    }
    Ok(Exit::Fine)
}

#[derive(Default)]
struct State {
    cache: Mutex<Cache>,
    log: Mutex<SessionLog>,
}

impl State {
    fn talk(&self, session: u64, connection: &TcpStream) {
        // Small answers must not wait for each other.
        let _ = connection.set_nodelay(true);
        let mut requests = BufReader::new(connection);
        let mut answers = BufWriter::new(connection);
        let mut line = String::new();
        // A connection that fails is over, and so is this thread.
        while let Ok(1..) = std::io::Read::take(&mut requests, REQUEST_BYTES).read_line(&mut line) {
            let answer = self.answer(line.trim_end());
            locked(&self.log).remember(session, line.trim_end());
            if writeln!(answers, "{answer}").and_then(|()| answers.flush()).is_err() {
                return;
            }
            line.clear();
        }
    }

    fn answer(&self, request: &str) -> String {
        let mut words = request.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("SET"), Some(key), Some(value)) => {
                locked(&self.cache).insert(key, value);
                "OK".to_owned()
            }
            (Some("GET"), Some(key), None) => locked(&self.cache).get(key).unwrap_or("NONE").to_owned(),
            _ => "ERROR".to_owned(),
        }
    }
}

/// A thread that died with the lock leaves whole entries.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values by key; the oldest goes when it is full.
#[derive(Default)]
struct Cache {
    values: HashMap<String, String>,
    by_age: VecDeque<String>,
}

impl Cache {
    #[inline(never)]
    fn insert(&mut self, key: &str, value: &str) {
        if self.values.insert(key.to_owned(), value.to_owned()).is_none() {
            self.by_age.push_back(key.to_owned());
        }
        if self.by_age.len() > CACHE_ENTRIES
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

/// What each session asked for.
#[derive(Default)]
struct SessionLog {
    requests: HashMap<u64, Vec<String>>,
}

impl SessionLog {
    /// The defect: nothing removes a session that has ended.
    #[inline(never)]
    fn remember(&mut self, session: u64, request: &str) {
        self.requests.entry(session).or_default().push(request.to_owned());
    }
}
