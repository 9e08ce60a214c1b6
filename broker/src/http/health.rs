//! Whether the broker lives, and whether it serves. The error is the reason, for a person.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::server::Server;
use crate::shard::{Command, ShardHandle};

/// A shard that is busy answers within milliseconds.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Nothing has failed, no thread has ended, and every shard still takes commands.
pub(super) async fn alive(server: &Server) -> Result<(), String> {
    if let Some(reason) = server.failed.borrow().clone() {
        return Err(reason);
    }
    // One that stops ends its shards by intent.
    if *server.stopping.borrow() {
        return Ok(());
    }
    if server.pool.has_lost_a_thread() {
        return Err("a thread that works on the disk has ended".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Broker, Config};

    /// What `/healthz` finds once something has happened to a broker.
    fn after(harm: impl FnOnce(&Server)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let sets = [("log.dirs", data), ("listeners", "PLAINTEXT://127.0.0.1:0"), ("leat.http.listen", "")];
        let sets = sets.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let broker = Broker::start(Config::load(None, [], &sets).unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(alive(broker.server())), Ok(()));
        harm(broker.server());
        runtime.block_on(async {
            loop {
                match alive(broker.server()).await {
                    Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
                    Err(reason) => break reason,
                }
            }
        })
    }

    #[test]
    fn a_thread_that_has_ended_is_found() {
        let panic = || panic!("on purpose");
        let reason = after(|server| server.shards()[0].send(Command::Run(Box::new(panic))));
        assert_eq!(reason, "the thread of shard 0 has ended");
        assert_eq!(after(|server| server.pool.spawn(panic)), "a thread that works on the disk has ended");
        assert_eq!(after(|server| server.fail("it is over")), "it is over");
    }
}
