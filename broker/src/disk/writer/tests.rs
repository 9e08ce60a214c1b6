//! Votes of many groups at once.

use std::io::ErrorKind;

use leat_storage::fs::FaultFs;
use leat_storage::fs::fault::Call;
use leat_storage::{Ballot, Identity, LogConfig};
use parking_lot::Mutex;
use uuid::Uuid;

use super::*;

const GROUPS: usize = 50;

/// A write thread's loop without its thread: what is sent has gathered when it is looked at.
struct Gathered {
    /// Holds the ballots alone.
    disk: FaultFs,
    orders: Sender<Order>,
    queue: Receiver<Order>,
    writer: Loop,
    told: Arc<Mutex<Vec<Done>>>,
    _folder: tempfile::TempDir,
}

fn group(slot: Slot) -> GroupId {
    GroupId { topic_id: Uuid::from_u128(1), partition: slot as i32 }
}

impl Gathered {
    fn new() -> Gathered {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = FaultFs::new(folder.path(), 1);
        let ballots = leat_storage::Ballots::open(&Env::with_fs(Arc::new(disk.clone())), folder.path());
        let ballots = Arc::new(Mutex::new(ballots.expect("no ballots yet")));
        let (orders, queue) = unbounded();
        let told = Arc::new(Mutex::new(Vec::new()));
        let report: Report = {
            Arc::new({
                let told = told.clone();
                move |done| told.lock().push(done)
            })
        };
        let pool = Pool::start().expect("threads");
        let mut writer = Loop::new(Env::default(), ballots, pool, Arc::default(), report, orders.clone());
        for slot in 0..GROUPS {
            let GroupId { topic_id, partition } = group(slot);
            let identity = Identity { topic_id, partition, replica_id: 1 };
            let path = folder.path().join(slot.to_string());
            let log = Log::create(&Env::default(), &path, identity, LogConfig::default(), 1, 0).expect("a log");
            let flush = Flush { messages: 1, interval: std::time::Duration::MAX };
            writer.adopt(slot, Adopted::Open(Box::new(log)), group(slot), flush);
        }
        Gathered { disk, orders, queue, writer, told, _folder: folder }
    }

    /// Every group votes.
    fn vote(&self, term: u64) {
        for slot in 0..GROUPS {
            let ballot = Some(Ballot { term, vote: 2 });
            let write = Write { ready: term, ballot, truncate_from: None, frames: Vec::new(), relaxed: false };
            self.orders.send(Order::Job(Job::Write { slot, group: group(slot), write, now_ms: 0 })).expect("a queue");
        }
    }

    fn carry_out(&mut self) -> usize {
        assert!(!self.writer.take_gathered(&self.queue));
        let offline = |done: &&Done| matches!(done, Done::Offline { .. });
        self.told.lock().drain(..).as_slice().iter().filter(offline).count()
    }
}

#[test]
fn votes_that_gathered_are_synced_together() {
    let mut gathered = Gathered::new();
    gathered.disk.fail(Call::Sync, 2, ErrorKind::Other);
    gathered.vote(1);
    assert_eq!(gathered.carry_out(), 0, "one sync is enough for all");
    gathered.vote(2);
    assert_eq!(gathered.carry_out(), GROUPS, "no vote counts whose sync failed");
}

#[test]
fn of_two_votes_of_a_group_the_later_one_stays() {
    let mut gathered = Gathered::new();
    gathered.vote(1);
    gathered.vote(2);
    assert_eq!(gathered.carry_out(), 0);
    let ballots = gathered.writer.ballots.lock();
    assert!((0..GROUPS).all(|slot| ballots.get(group(slot)) == Some(Ballot { term: 2, vote: 2 })));
}
