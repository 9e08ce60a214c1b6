//! The floor under a broker's figures: the same bytes from a loopback socket to a file, or from a file to a socket, with
//! no protocol, no checksum and no answer. What a broker uses beyond this is what it does.
//!
//! Each command that is measured prints one line of JSON. Two processes, so that the CPU of one side is its own:
//!
//! ```text
//! floor receive --listen 127.0.0.1:7001 --dir scratch --files 8 [--sync]     floor push 127.0.0.1:7001 --bytes N
//! floor send --listen 127.0.0.1:7001 --file scratch/0.log                    floor drain 127.0.0.1:7001
//! floor sync --dir scratch --count 2000 --rate 1000
//! ```

#![forbid(unsafe_code)]

use clap::Parser;
use hdrhistogram::Histogram;
use leat_bench::process::Usage;
use rustix::fs::{fdatasync, sendfile};
use serde_json::json;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What the hardware and the kernel can do without a broker
#[derive(Debug, Parser)]
enum Command {
    /// Receive bytes and write them to files
    Receive {
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The folder of the files; they are kept between runs and written over
        #[arg(long)]
        dir: PathBuf,
        #[arg(long, default_value_t = 8)]
        files: usize,
        /// One connection and one thread for each file, and an fdatasync after every write
        #[arg(long)]
        sync: bool,
        /// Bytes of one write
        #[arg(long, default_value_t = 256 << 10)]
        chunk: usize,
    },
    /// Send bytes to `receive`
    Push {
        address: SocketAddr,
        #[arg(long)]
        bytes: u64,
        /// As many as `receive --sync` has files
        #[arg(long, default_value_t = 1)]
        connections: u64,
    },
    /// Send a file by sendfile
    Send {
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        #[arg(long)]
        file: PathBuf,
        /// How often
        #[arg(long, default_value_t = 1)]
        times: u64,
    },
    /// Read what `send` sends
    Drain { address: SocketAddr },
    /// Write a little and fdatasync it, at a rate
    Sync {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long, default_value_t = 2000)]
        count: u32,
        #[arg(long, default_value_t = 200)]
        bytes: usize,
        /// Per second
        #[arg(long, default_value_t = 1000.0)]
        rate: f64,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Receive { listen, dir, files, sync: false, chunk } => receive(listen, &dir, files, chunk),
        Command::Receive { listen, dir, files, sync: true, chunk } => receive_synced(listen, &dir, files, chunk),
        Command::Push { address, bytes, connections } => push(address, bytes, connections),
        Command::Send { listen, file, times } => send(listen, &file, times),
        Command::Drain { address } => drain(address),
        Command::Sync { dir, count, bytes, rate } => sync(&dir, count, bytes, rate),
    }
}

fn bind(listen: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    println!("{}", json!({ "listening": listener.local_addr()?.to_string() }));
    Ok(listener)
}

fn open(dir: &Path, index: usize) -> Result<File> {
    std::fs::create_dir_all(dir)?;
    Ok(File::options().create(true).write(true).truncate(false).open(dir.join(format!("{index}.log")))?)
}

fn receive(listen: SocketAddr, dir: &Path, files: usize, chunk: usize) -> Result<()> {
    let mut files = (0..files.max(1)).map(|index| open(dir, index)).collect::<Result<Vec<_>>>()?;
    let (mut socket, _) = bind(listen)?.accept()?;
    let (before, begun) = (Usage::own()?, Instant::now());
    let mut buffer = vec![0; chunk];
    let mut bytes = 0;
    for turn in 0.. {
        let size = fill(&mut socket, &mut buffer)?;
        if size == 0 {
            break;
        }
        let file = turn % files.len();
        files[file].write_all(&buffer[..size])?;
        bytes += size as u64;
    }
    report("receive", bytes, begun, before)
}

fn receive_synced(listen: SocketAddr, dir: &Path, files: usize, chunk: usize) -> Result<()> {
    let listener = bind(listen)?;
    let sockets = (0..files).map(|_| Ok(listener.accept()?.0)).collect::<Result<Vec<_>>>()?;
    let (before, begun) = (Usage::own()?, Instant::now());
    let threads: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(index, mut socket)| {
            let mut file = open(dir, index)?;
            Ok(thread::spawn(move || -> Result<u64> {
                let (mut bytes, mut buffer) = (0, vec![0; chunk]);
                loop {
                    let size = fill(&mut socket, &mut buffer)?;
                    if size == 0 {
                        return Ok(bytes);
                    }
                    file.write_all(&buffer[..size])?;
                    fdatasync(&file)?;
                    bytes += size as u64;
                }
            }))
        })
        .collect::<Result<_>>()?;
    let mut bytes = 0;
    for thread in threads {
        bytes += thread.join().map_err(|_| "a thread ended early")??;
    }
    report("receive-sync", bytes, begun, before)
}

/// Reads until the buffer is full or the sender is done.
fn fill(socket: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match socket.read(&mut buffer[filled..])? {
            0 => break,
            size => filled += size,
        }
    }
    Ok(filled)
}

fn push(address: SocketAddr, bytes: u64, connections: u64) -> Result<()> {
    let threads: Vec<_> = (0..connections.max(1))
        .map(|_| {
            thread::spawn(move || -> Result<()> {
                let mut socket = TcpStream::connect(address)?;
                let chunk: Vec<u8> =
                    (0..256u32 << 10).map(|i| b'A' + (i.wrapping_mul(2_654_435_761) >> 27) as u8).collect();
                let mut left = bytes / connections.max(1);
                while left > 0 {
                    let size = chunk.len().min(usize::try_from(left)?);
                    socket.write_all(&chunk[..size])?;
                    left -= size as u64;
                }
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread ended early")??;
    }
    Ok(())
}

fn send(listen: SocketAddr, file: &Path, times: u64) -> Result<()> {
    let file = File::open(file)?;
    let size = file.metadata()?.len();
    let (socket, _) = bind(listen)?.accept()?;
    let (before, begun) = (Usage::own()?, Instant::now());
    for _ in 0..times {
        let mut offset = 0;
        while offset < size {
            // As much as a fetch asks for at most.
            let most = usize::try_from(size - offset)?.min(1 << 20);
            if sendfile(&socket, &file, Some(&mut offset), most)? == 0 {
                return Err("the file became shorter".into());
            }
        }
    }
    report("send", size * times, begun, before)
}

fn drain(address: SocketAddr) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    let mut buffer = vec![0; 1 << 20];
    while socket.read(&mut buffer)? > 0 {}
    Ok(())
}

fn sync(dir: &Path, count: u32, bytes: usize, rate: f64) -> Result<()> {
    let mut file = open(dir, 0)?;
    let chunk = vec![b'x'; bytes];
    let mut latencies = Histogram::<u64>::new(3)?;
    let begun = Instant::now();
    for turn in 0..count {
        let due = begun + Duration::from_secs_f64(f64::from(turn) / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        file.write_all(&chunk)?;
        fdatasync(&file)?;
        latencies.record(u64::try_from(start.elapsed().as_nanos())?)?;
    }
    let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{}",
        json!({ "what": "sync", "count": count, "p50_us": micros(0.5), "p99_us": micros(0.99), "p99.9_us": micros(0.999) })
    );
    Ok(())
}

fn report(what: &str, bytes: u64, begun: Instant, before: Usage) -> Result<()> {
    let (seconds, used) = (begun.elapsed().as_secs_f64(), Usage::own()?.since(&before));
    let gigabytes = bytes as f64 / 1e9;
    println!(
        "{}",
        json!({
            "what": what, "bytes": bytes, "seconds": seconds, "mb_per_s": bytes as f64 / 1e6 / seconds,
            "user_s": used.user_s, "system_s": used.system_s, "cpu_s_per_gb": used.cpu_s() / gigabytes,
        })
    );
    Ok(())
}
