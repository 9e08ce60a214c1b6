//! What members of the sticky assignors say of themselves beside their subscription.
//!
//! `sticky`: an array of (topic, array of partitions), then the generation, which old members leave out. `cooperative-sticky`:
//! the generation. Source: StickyAssignor and CooperativeStickyAssignor of Apache Kafka 4.3.1; KIP-54, KIP-341.

use leat_protocol::wire::{Error, Reader, Writer};
use leat_protocol::{Bytes, Str};

use super::sticky::Memory;
use super::{Member, by_topic, java};
use crate::TopicPartition;

pub(super) fn sticky(owned: &[TopicPartition], generation: i32) -> Bytes {
    let mut topics = by_topic(owned);
    // `computeIfAbsent` puts what shares a place before what was there.
    topics.reverse();
    topics = java::map_order(topics, |topic| java::string_hash(&topic.topic));
    let mut w = Writer::new();
    w.i32(length(topics.len()));
    for topic in topics {
        w.i16(i16::try_from(topic.topic.len()).unwrap_or(i16::MAX));
        w.slice(topic.topic.as_bytes());
        w.i32(length(topic.partitions.len()));
        topic.partitions.iter().for_each(|partition| w.i32(*partition));
    }
    w.i32(generation);
    w.finish_bytes().unwrap_or_default()
}

fn length(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

pub(super) fn cooperative(generation: i32) -> Bytes {
    Bytes::copy_from_slice(&generation.to_be_bytes())
}

/// What a member of `sticky` had. It gives everything up before it joins, so only the user data tell.
pub(super) fn sticky_memory(member: &Member) -> Memory {
    match &member.user_data {
        None => Memory { owned: Vec::new(), generation: None },
        Some(data) if data.is_empty() => Memory { owned: Vec::new(), generation: None },
        Some(data) => read_sticky(data.clone()).unwrap_or(Memory { owned: Vec::new(), generation: Some(-1) }),
    }
}

fn read_sticky(data: Bytes) -> Result<Memory, Error> {
    let mut r = Reader::new(data);
    let mut owned = Vec::new();
    // Each element takes bytes, so a number that is too large ends with the bytes.
    for _ in 0..r.i32()? {
        let topic: Str = r.string_len(false)?.map_or(Ok(Str::new()), |len| r.string(len))?;
        for _ in 0..r.i32()? {
            owned.push(TopicPartition { topic: topic.clone(), partition: r.i32()? });
        }
    }
    Ok(Memory { owned, generation: r.i32().ok() })
}

/// What a member of `cooperative-sticky` has.
pub(super) fn cooperative_memory(member: &Member) -> Memory {
    let said = || {
        let data = member.user_data.as_ref()?;
        Some(data.first_chunk().map_or(-1, |generation| i32::from_be_bytes(*generation)))
    };
    Memory { owned: member.owned.clone(), generation: member.generation.or_else(said) }
}
