//! The network between the brokers of a test: a proxy before each of them, so that any two can be kept from hearing each other.
//!
//! Who connects says so in its first frame, `Hello` of the brokers' protocol. What is on its way between two that are cut off
//! waits, like packets that are sent again and again, and arrives when the cut is mended.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::process::free_port;

/// More than any `Hello`.
const HELLO_MAX: usize = 64 << 10;

/// Proxies of nodes 1 to N.
#[derive(Debug)]
pub(crate) struct Net {
    ports: Vec<u16>,
    cuts: Arc<Cuts>,
}

#[derive(Debug, Default)]
struct Cuts {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Two that do not hear each other, the smaller first.
    pairs: BTreeSet<(usize, usize)>,
    ended: bool,
}

impl Net {
    /// Listens for each of these ports in front of it.
    pub(crate) fn before(nodes: &[u16]) -> Net {
        let (mut ports, cuts) = (Vec::new(), Arc::new(Cuts::default()));
        for (index, &node_port) in nodes.iter().enumerate() {
            let port = free_port();
            let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
            let cuts = cuts.clone();
            thread::spawn(move || accept(&listener, index + 1, node_port, &cuts));
            ports.push(port);
        }
        Net { ports, cuts }
    }

    /// Where the others reach a node.
    pub(crate) fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports[node - 1])
    }

    /// None of these hears any of those from now on.
    pub(crate) fn cut(&self, these: &[usize], those: &[usize]) {
        let pairs = these.iter().flat_map(|&one| those.iter().map(move |&other| pair(one, other)));
        self.cuts.change(|state| state.pairs.extend(pairs));
    }

    /// All hear all again.
    pub(crate) fn mend(&self) {
        self.cuts.change(|state| state.pairs.clear());
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.cuts.change(|state| state.ended = true);
        // Wakes who accepts.
        self.ports.iter().for_each(|&port| drop(TcpStream::connect(("127.0.0.1", port))));
    }
}

impl Cuts {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("the cuts"));
        self.changed.notify_all();
    }

    fn have_ended(&self) -> bool {
        self.state.lock().expect("the cuts").ended
    }

    /// Waits while two are cut off; false where the test is over.
    fn pass(&self, pair: (usize, usize)) -> bool {
        let state = self.state.lock().expect("the cuts");
        let cut_off = |state: &mut State| state.pairs.contains(&pair) && !state.ended;
        !self.changed.wait_while(state, cut_off).expect("the cuts").ended
    }
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

fn accept(listener: &TcpListener, node: usize, port: u16, cuts: &Arc<Cuts>) {
    for stream in listener.incoming() {
        if cuts.have_ended() {
            return;
        }
        let (Ok(stream), cuts) = (stream, cuts.clone()) else { continue };
        thread::spawn(move || {
            // Where it fails both sides see a closed connection.
            let _ = carry(stream, node, port, &cuts);
        });
    }
}

fn carry(mut from: TcpStream, node: usize, port: u16, cuts: &Arc<Cuts>) -> io::Result<()> {
    let hello = first_frame(&mut from)?;
    let pair = pair(sender(&hello).ok_or(io::ErrorKind::InvalidData)?, node);
    if !cuts.pass(pair) {
        return Ok(());
    }
    let mut to = TcpStream::connect(("127.0.0.1", port))?;
    to.set_nodelay(true)?;
    from.set_nodelay(true)?;
    to.write_all(&hello)?;
    let (back_from, back_to, back_cuts) = (to.try_clone()?, from.try_clone()?, cuts.clone());
    thread::spawn(move || copy(back_from, back_to, pair, &back_cuts));
    copy(from, to, pair, cuts);
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, pair: (usize, usize), cuts: &Cuts) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        if !cuts.pass(pair) || count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other direction ends with it; one that is closed already has nothing to close.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Length, length of the head, head.
fn first_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    stream.read_exact(&mut frame)?;
    let len = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if !(4..=HELLO_MAX).contains(&len) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    frame.resize(4 + len, 0);
    stream.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Field 3 of `Hello`, behind its version (a number) and its cluster's id (text).
fn sender(hello: &[u8]) -> Option<usize> {
    let mut rest = hello.get(8..)?;
    loop {
        let (&tag, after) = rest.split_first()?;
        let &value = after.first()?;
        rest = match tag {
            0x18 => return (value < 0x80).then_some(value as usize),
            0x08 if value < 0x80 => after.get(1..)?,
            0x12 => after.get(1 + value as usize..)?,
            _ => return None,
        };
    }
}
