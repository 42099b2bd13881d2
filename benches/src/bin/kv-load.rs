//! The load of `kv-service`: connections in a closed loop, a fixed number of requests, the same ones on every run.
//!
//! Half of the requests are writes of 16 to 512 bytes, half reads, over 50,000 keys. It refuses answers that the protocol does
//! not allow, so a broken service cannot look fast.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use bytes::{BufMut, BytesMut};
use heaptide_benches::arguments::Arguments;
use heaptide_benches::kv::LONGEST_VALUE;
use heaptide_benches::random::Random;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const KEYS: usize = 50_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse(&["port", "requests", "connections"]);
    let requests: u64 = arguments.get_or("requests", 100_000);
    let connections: u64 = arguments.get_or("connections", 50).max(1);
    let Some(port) = arguments.get("port") else {
        eprintln!("kv-load: error: --port is needed");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(load(port, requests, connections))) {
        Ok(()) => {
            println!("requests={requests}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kv-load: error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn load(port: u16, requests: u64, connections: u64) -> io::Result<()> {
    let tasks: Vec<_> = (0..connections)
        .map(|connection| {
            let share = requests / connections + u64::from(connection < requests % connections);
            tokio::spawn(ask(port, connection, share))
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn ask(port: u16, connection: u64, requests: u64) -> io::Result<()> {
    let mut random = Random::new(connection);
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    stream.get_ref().set_nodelay(true)?;
    let mut request = BytesMut::with_capacity(1024);
    let mut answer = String::new();
    let mut value = Vec::new();
    for _ in 0..requests {
        let key = random.between(0, KEYS);
        let write = random.bits().is_multiple_of(2);
        request.clear();
        if write {
            let length = random.between(16, 513);
            request.put_slice(format!("SET key:{key} {length}\n").as_bytes());
            request.put_bytes(b'v', length);
        } else {
            request.put_slice(format!("GET key:{key}\n").as_bytes());
        }
        stream.get_mut().write_all(&request).await?;

        answer.clear();
        stream.read_line(&mut answer).await?;
        match (write, answer.trim_end().strip_prefix("VALUE ")) {
            (true, None) if answer == "STORED\n" => {}
            (false, None) if answer == "MISSING\n" => {}
            (false, Some(length)) => {
                let length: usize = length.parse().map_err(io::Error::other)?;
                if length > LONGEST_VALUE {
                    return Err(io::Error::other("a value longer than was ever stored"));
                }
                value.resize(length, 0);
                stream.read_exact(&mut value).await?;
            }
            _ => return Err(io::Error::other(format!("unexpected answer {answer:?}"))),
        }
    }
    Ok(())
}
