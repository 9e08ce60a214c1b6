//! Whether the broker lives, and whether it serves. The error is the reason, for a person.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::server::Server;
use crate::shard::{Command, ShardHandle};

/// A shard that is busy answers within milliseconds.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Nothing has failed, and every shard still takes commands.
pub(super) async fn alive(server: &Server) -> Result<(), String> {
    if let Some(reason) = server.failed.borrow().clone() {
        return Err(reason);
    }
    // One that stops ends its shards by intent.
    if *server.stopping.borrow() {
        return Ok(());
    }
    let ask = |shard: &ShardHandle| {
        let (reply, answer) = oneshot::channel();
        shard.send(Command::Run(Box::new(move || {
            // Who asked may have given up.
            let _ = reply.send(());
        })));
        answer
    };
    let asked: Vec<_> = server.shards().iter().map(ask).collect();
    let deadline = Instant::now() + ANSWER_TIME_MAX;
    for (shard, answer) in asked.into_iter().enumerate() {
        match timeout_at(deadline, answer).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(format!("the thread of shard {shard} has ended")),
            Err(_) => return Err(format!("shard {shard} has not answered for {} s", ANSWER_TIME_MAX.as_secs())),
        }
    }
    Ok(())
}

/// It takes clients, and serves them.
pub(super) fn ready(server: &Server) -> Result<(), String> {
    if let Some(reason) = server.failed.borrow().clone() {
        return Err(reason);
    }
    if *server.stopping.borrow() {
        return Err("the broker is stopping".to_owned());
    }
    if !server.serves() {
        return Err("the broker is starting: its metadata is not loaded yet".to_owned());
    }
    Ok(())
}
