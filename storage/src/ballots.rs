//! Term and vote of every Raft group of a data folder, in one append-only file with one sync for all that gathered.
//!
//! A vote that was answered and then forgotten can elect two leaders in a term, so this never guesses: what was synced and
//! cannot be read refuses the start.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::frame::{self, Fields, HEAD_LEN, Kind};
use crate::fs::{self, File, Mode};

const KIND: Kind = Kind(*b"BLLT");
const RECORD_LEN: usize = 40;
/// The file is written anew when it has at least this many records and more than half are superseded.
const REWRITE_MIN: u64 = 1024;

/// A Raft group: one partition of one incarnation of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId {
    pub topic_id: Uuid,
    pub partition: i32,
}

/// What a voter has promised: never to go below `term`, and to have voted for the replica `vote` (0: none) in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ballot {
    pub term: u64,
    pub vote: u64,
}

/// The ballots of a data folder.
#[derive(Debug)]
pub struct Ballots {
    env: Env,
    path: PathBuf,
    file: Arc<dyn File>,
    current: HashMap<GroupId, Ballot>,
    /// Where the next record goes, and how many records there are.
    len: u64,
    records: u64,
    /// Records made since the last sync.
    unwritten: Vec<u8>,
    skipped: u64,
    offline: Option<Arc<str>>,
}

impl Ballots {
    /// Reads the ballots of the data folder at `folder`.
    pub fn open(env: &Env, folder: &Path) -> Result<Self> {
        let path = folder.join("ballots");
        let bytes = match frame::read(&*env.fs, &path)? {
            Some(bytes) => bytes,
            None => {
                let bytes = encode(&HashMap::new());
                frame::replace(&*env.fs, &path, &bytes)?;
                bytes
            }
        };
        let (current, skipped) = decode(&path, &bytes)?;
        let body = (bytes.len() - HEAD_LEN - 8) as u64;
        let records = body / RECORD_LEN as u64;
        let file = env.fs.open(&path, Mode::Write).map_err(|e| Error::io("open", &path, e))?;
        let len = (HEAD_LEN + 8) as u64 + records * RECORD_LEN as u64;
        let env = env.clone();
        let mut ballots =
            Self { env, path, file, current, len, records, unwritten: Vec::new(), skipped, offline: None };
        if skipped > 0 || !body.is_multiple_of(RECORD_LEN as u64) {
            // What could not be read is not to be met again as damage between good records.
            ballots.rewrite()?;
        }
        Ok(ballots)
    }

    /// The last ballot of a group.
    pub fn get(&self, group: GroupId) -> Option<Ballot> {
        self.current.get(&group).copied()
    }

    /// Records that were written but, by their checksum, not whole: a restart of the machine lost them before a sync.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Notes a ballot, unless the group is past it. Nothing may rest on it before [`Ballots::sync`].
    pub fn record(&mut self, group: GroupId, ballot: Ballot) {
        let is_past = |now: &Ballot| now.term > ballot.term || now.term == ballot.term && ballot.vote == 0;
        let now = self.current.get(&group);
        if now != Some(&ballot) && !now.is_some_and(is_past) {
            self.current.insert(group, ballot);
            put_record(&mut self.unwritten, group, ballot);
        }
    }

    /// Forgets a deleted group; it leaves the file when that is next written anew.
    pub fn forget(&mut self, group: GroupId) {
        self.current.remove(&group);
    }

    /// There are ballots that are not on stable storage.
    pub fn is_dirty(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Brings all recorded ballots to stable storage. A failed write may be tried again, a failed sync is final.
    pub fn sync(&mut self) -> Result<()> {
        if let Some(reason) = &self.offline {
            return Err(Error::Offline { reason: reason.clone() });
        }
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let added = (self.unwritten.len() / RECORD_LEN) as u64;
        if self.records + added >= REWRITE_MIN && (self.current.len() as u64) * 2 < self.records + added {
            return self.rewrite();
        }
        fs::write_all_at(&*self.file, &self.unwritten, self.len).map_err(|e| Error::io("write", &self.path, e))?;
        if let Err(e) = self.file.sync_data() {
            let error = Error::io("sync", &self.path, e);
            self.offline = Some(error.to_string().into());
            return Err(error);
        }
        self.len += self.unwritten.len() as u64;
        self.records += added;
        self.unwritten.clear();
        Ok(())
    }

    /// Writes the living ballots to a new file.
    fn rewrite(&mut self) -> Result<()> {
        let bytes = encode(&self.current);
        frame::replace(&*self.env.fs, &self.path, &bytes)?;
        self.file = self.env.fs.open(&self.path, Mode::Write).map_err(|e| Error::io("open", &self.path, e))?;
        self.len = bytes.len() as u64;
        self.records = self.current.len() as u64;
        self.unwritten.clear();
        Ok(())
    }
}

fn encode(ballots: &HashMap<GroupId, Ballot>) -> Vec<u8> {
    let mut bytes = frame::encode(KIND, &(ballots.len() as u64).to_be_bytes());
    let mut sorted: Vec<_> = ballots.iter().collect();
    sorted.sort_unstable_by_key(|(group, _)| **group);
    for (group, ballot) in sorted {
        put_record(&mut bytes, *group, *ballot);
    }
    bytes
}

fn put_record(out: &mut Vec<u8>, group: GroupId, ballot: Ballot) {
    let start = out.len();
    out.extend_from_slice(group.topic_id.as_bytes());
    out.extend_from_slice(&group.partition.to_be_bytes());
    out.extend_from_slice(&ballot.term.to_be_bytes());
    out.extend_from_slice(&ballot.vote.to_be_bytes());
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_be_bytes());
}

fn decode(path: &Path, bytes: &[u8]) -> Result<(HashMap<GroupId, Ballot>, u64)> {
    let (body, records) = frame::decode(path, KIND, bytes)?;
    let mut fields = Fields::new(path, body);
    let synced = fields.u64()?;
    fields.end()?;
    let (mut ballots, mut skipped) = (HashMap::new(), 0);
    let mut seen = 0u64;
    for record in records.chunks(RECORD_LEN) {
        match parse(path, record)? {
            Some((group, ballot)) => {
                ballots.insert(group, ballot);
            }
            None if seen < synced => {
                let at = (bytes.len() - records.len()) as u64 + seen * RECORD_LEN as u64;
                return Err(Error::corrupt(path, at, "a ballot that was synced does not match its CRC-32"));
            }
            None => skipped += 1,
        }
        seen += 1;
    }
    if seen < synced {
        return Err(Error::corrupt(
            path,
            bytes.len() as u64,
            format!("it holds {seen} ballots of {synced} that were synced"),
        ));
    }
    Ok((ballots, skipped))
}

fn parse(path: &Path, record: &[u8]) -> Result<Option<(GroupId, Ballot)>> {
    let Some((fields, crc)) = record.split_at_checked(RECORD_LEN - 4) else {
        return Ok(None);
    };
    if crc != crc32fast::hash(fields).to_be_bytes() {
        return Ok(None);
    }
    let mut fields = Fields::new(path, fields);
    let group = GroupId { topic_id: Uuid::from_bytes(fields.array()?), partition: fields.i32()? };
    Ok(Some((group, Ballot { term: fields.u64()?, vote: fields.u64()? })))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::fs::fault::{Call, FaultFs};

    fn group(n: u128) -> GroupId {
        GroupId { topic_id: Uuid::from_u128(n), partition: n as i32 }
    }

    #[test]
    fn a_record_has_these_bytes() {
        let mut out = Vec::new();
        put_record(&mut out, GroupId { topic_id: Uuid::from_u128(1), partition: 2 }, Ballot { term: 3, vote: 4 });
        let mut expected = vec![0; 36];
        (expected[15], expected[19], expected[27], expected[35]) = (1, 2, 3, 4);
        assert_eq!(out[..36], expected);
        assert_eq!(out[36..], 0x1FB0_5950u32.to_be_bytes());
    }

    #[test]
    fn the_last_ballot_of_a_group_counts_after_a_power_cut() {
        let temp = tempfile::tempdir().unwrap();
        for seed in 0..50 {
            let folder = temp.path().join(seed.to_string());
            std::fs::create_dir(&folder).unwrap();
            let fs = FaultFs::new(&folder, seed);
            let env = Env::with_fs(Arc::new(fs.clone()));
            let mut ballots = Ballots::open(&env, &folder).unwrap();
            for term in 1..2000 {
                ballots.record(group(u128::from(term % 3)), Ballot { term, vote: term });
                if term % 7 == 0 {
                    ballots.sync().unwrap();
                }
            }
            ballots.sync().unwrap();
            let synced: Vec<_> = (0..3).map(|n| ballots.get(group(n)).unwrap()).collect();
            ballots.record(group(0), Ballot { term: 9_000, vote: 1 });
            fs.crash().unwrap();
            let ballots = Ballots::open(&env, &folder).unwrap();
            for (n, before) in synced.iter().enumerate() {
                assert!(ballots.get(group(n as u128)).unwrap().term >= before.term, "seed {seed}");
            }
            assert!(std::fs::metadata(folder.join("ballots")).unwrap().len() < 60_000, "written anew when mostly dead");
        }
    }

    #[test]
    fn a_torn_tail_is_skipped_and_damage_before_it_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let env = Env::default();
        let path = temp.path().join("ballots");
        let living: HashMap<_, _> = (0..3).map(|n| (group(n), Ballot { term: 1, vote: 1 })).collect();
        let mut bytes = encode(&living);
        put_record(&mut bytes, group(0), Ballot { term: 2, vote: 2 });
        bytes.extend_from_slice(&[7; 13]);
        std::fs::write(&path, &bytes).unwrap();
        let ballots = Ballots::open(&env, temp.path()).unwrap();
        assert_eq!((ballots.get(group(0)).unwrap().term, ballots.skipped()), (2, 1));
        drop(ballots);
        bytes[HEAD_LEN + 8 + RECORD_LEN] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(Ballots::open(&env, temp.path()), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn no_ballot_goes_back() {
        let temp = tempfile::tempdir().unwrap();
        let mut ballots = Ballots::open(&Env::default(), temp.path()).unwrap();
        let voted = Ballot { term: 7, vote: 2 };
        for (term, vote) in [(7, 0), (7, 2), (7, 0), (6, 1)] {
            ballots.record(group(1), Ballot { term, vote });
        }
        ballots.sync().unwrap();
        assert_eq!(ballots.get(group(1)), Some(voted));
        assert_eq!(Ballots::open(&Env::default(), temp.path()).unwrap().get(group(1)), Some(voted));
    }

    #[test]
    fn a_failed_sync_is_final() {
        let temp = tempfile::tempdir().unwrap();
        let fs = FaultFs::new(temp.path(), 1);
        let mut ballots = Ballots::open(&Env::with_fs(Arc::new(fs.clone())), temp.path()).unwrap();
        ballots.record(group(1), Ballot { term: 1, vote: 1 });
        fs.fail(Call::Sync, 1, ErrorKind::Other);
        assert!(ballots.sync().is_err());
        assert!(matches!(ballots.sync(), Err(Error::Offline { .. })));
    }
}
