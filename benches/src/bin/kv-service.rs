//! A key-value store on loopback, as a tokio service with two workers.
//!
//! `kv-service --port P` prints its address and serves until its standard input closes or SIGTERM.
//! `kv-service --requests N [--connections C]` starts `kv-load`, which lies beside it, and ends when that is done: so the
//! whole process can be timed. The load is not recorded: what makes a recorder load is taken from its environment.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use heaptide_benches::arguments::Arguments;
use heaptide_benches::kv::{LONGEST_LINE, Request, Store};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

fn main() -> ExitCode {
    let arguments = Arguments::parse(&["port", "requests", "connections", "workers"]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.get_or("workers", 2).max(1))
        .enable_all()
        .build();
    let served = runtime.and_then(|runtime| runtime.block_on(runtime_main(&arguments)));
    match served {
        Ok(requests) => {
            println!("served={requests}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kv-service: error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until told to stop; the number of requests answered.
async fn runtime_main(arguments: &Arguments) -> io::Result<u64> {
    let listener = TcpListener::bind(("127.0.0.1", arguments.get_or("port", 0))).await?;
    let address = listener.local_addr()?;
    let service = Arc::new(Service::default());
    let (stop, mut stopped) = mpsc::unbounded_channel();

    let requests: Option<u64> = arguments.get("requests");
    let until = stop.clone();
    if let Some(requests) = requests {
        let load = load_command(address, requests, arguments.get_or("connections", 50))?;
        thread::spawn(move || until.send(run_load(load)));
    } else {
        println!("listening={address}");
        thread::spawn(move || until.send(until_input_closes()));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let terminated = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        terminated.send(Ok(()))
    });
    let served = Arc::clone(&service);
    tokio::spawn(async move { stop.send(accept(listener, served).await) });

    stopped.recv().await.unwrap_or(Ok(()))?;
    let answered = service.answered.load(Ordering::Relaxed);
    match requests {
        Some(wanted) if wanted != answered => {
            Err(io::Error::other(format!("{answered} of {wanted} requests answered")))
        }
        _ => Ok(answered),
    }
}

async fn accept(listener: TcpListener, service: Arc<Service>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(Arc::clone(&service), stream));
    }
}

fn load_command(address: SocketAddr, requests: u64, connections: u64) -> io::Result<Command> {
    let mut load = Command::new(std::env::current_exe()?.with_file_name("kv-load"));
    load.args(["--port", &address.port().to_string()])
        .args(["--requests", &requests.to_string()])
        .args(["--connections", &connections.to_string()])
        .env_remove("LD_PRELOAD")
        .env_remove("HEAPTIDE_OPTIONS");
    Ok(load)
}

fn run_load(mut load: Command) -> io::Result<()> {
    let status = load.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kv-load ended with {status}"))) }
}

fn until_input_closes() -> io::Result<()> {
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop)
}

#[derive(Default)]
struct Service {
    store: Store,
    answered: AtomicU64,
}

/// Answers one connection; one that breaks is only that client's loss.
async fn serve(service: Arc<Service>, mut stream: TcpStream) {
    if let Err(error) = answer_all(&service, &mut stream).await {
        eprintln!("kv-service: connection lost: {error}");
    }
}

async fn answer_all(service: &Service, stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (input, mut output) = stream.split();
    let mut input = BufReader::new(input);
    loop {
        let mut line = String::new();
        if (&mut input).take(LONGEST_LINE).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = answer(service, &line, &mut input).await?;
        service.answered.fetch_add(1, Ordering::Relaxed);
        output.write_all(&answer).await?;
    }
}

async fn answer(service: &Service, line: &str, input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    Ok(match Request::parse(line) {
        Ok(Request::Set { key, length }) => {
            let mut value = vec![0; length];
            input.read_exact(&mut value).await?;
            service.store.set(key, value);
            b"STORED\n".to_vec()
        }
        Ok(Request::Get { key }) => match service.store.get(&key) {
            Some(value) => {
                let mut answer = format!("VALUE {}\n", value.len()).into_bytes();
                answer.extend_from_slice(&value);
                answer
            }
            None => b"MISSING\n".to_vec(),
        },
        Err(why) => format!("ERROR {why}\n").into_bytes(),
    })
}
