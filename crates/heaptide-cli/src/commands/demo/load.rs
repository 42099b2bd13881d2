//! The demo's load: a fixed number of requests over connections that come and go.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Connections in all.
pub const CONNECTIONS: usize = 2000;
/// Requests over each.
pub const REQUESTS: usize = 40;
/// Connections at a time.
const CLIENTS: usize = 4;
/// Keys that are asked for: more than the cache keeps.
const KEYS: usize = 2500;
/// A service that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends all requests and reads all answers.
pub fn send(service: SocketAddr) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let client = || -> io::Result<()> {
            while let connection @ 0..CONNECTIONS = next.fetch_add(1, Relaxed) {
                talk(service, connection)?;
            }
            Ok(())
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().unwrap_or_else(|_| Err(io::Error::other("a client failed"))))
    })
}

fn talk(service: SocketAddr, connection: usize) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&service, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(&stream);
    let mut requests = BufWriter::new(&stream);
    let mut answer = String::new();
    for request in 0..REQUESTS {
        let key = (connection * REQUESTS + request) * 7 % KEYS;
        match request % 2 {
            0 => writeln!(requests, "SET user:{key:05} {:x>100}", connection)?,
            _ => writeln!(requests, "GET user:{key:05}")?,
        }
        requests.flush()?;
        answer.clear();
        if answers.read_line(&mut answer)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the service closed the connection"));
        }
    }
    Ok(())
}
