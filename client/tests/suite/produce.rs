//! What a producer promises.

use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_client::{Compression, Error, NewTopic, Producer, ProducerRecord, Start, TimestampType};

use super::{admin, consumer, create, first, numbers, producer, read, topic, unique};

pub(crate) async fn a_record_keeps_key_value_headers_and_timestamp(bootstrap: &str) {
    let topic = topic(bootstrap, "whole", 1).await;
    let producer = producer(bootstrap).await;
    let full = ProducerRecord::to(topic.as_str())
        .key("k")
        .value("v")
        .timestamp(1_234_567)
        .header("a", "1")
        .header("a", vec![0, 255]);
    let sent = producer.send(full).await.unwrap().await.unwrap();
    assert_eq!((sent.topic.as_ref(), sent.partition, sent.offset, sent.timestamp), (topic.as_str(), 0, 0, 1_234_567));
    producer.send(ProducerRecord::to(topic.as_str())).await.unwrap().await.unwrap();
    producer.send(ProducerRecord::to(topic.as_str()).key("").value("")).await.unwrap().await.unwrap();

    let records = read(&consumer(bootstrap, &topic, Start::Earliest).await, 3).await;
    let record = &records[0];
    assert_eq!((record.offset, record.timestamp, record.timestamp_type), (0, 1_234_567, TimestampType::CreateTime));
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"v"[..])));
    let headers: Vec<_> = record.headers.iter().map(|header| (header.key.as_ref(), header.value.as_deref())).collect();
    assert_eq!(headers, [("a", Some(&b"1"[..])), ("a", Some(&[0, 255][..]))]);
    assert_eq!((&records[1].key, &records[1].value), (&None, &None));
    assert_eq!((records[2].key.as_deref(), records[2].value.as_deref()), (Some(&b""[..]), Some(&b""[..])));
}

pub(crate) async fn every_codec_round_trips(bootstrap: &str) {
    let topic = topic(bootstrap, "codecs", 1).await;
    let mut expected = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let builder = Producer::builder().bootstrap(bootstrap).set("compression.type", codec).unwrap();
        let producer = builder.set("linger.ms", "20").unwrap().build().await.unwrap();
        for i in 0..500 {
            let value = format!("{codec} {i} {}", "abcdefgh".repeat(i % 40));
            expected.push(value.clone());
            drop(producer.send(ProducerRecord::to(topic.as_str()).key(i.to_string()).value(value)).await.unwrap());
        }
        producer.close().await;
    }
    let records = read(&consumer(bootstrap, &topic, Start::Earliest).await, expected.len()).await;
    for (record, expected) in records.iter().zip(&expected) {
        assert_eq!(record.value.as_deref(), Some(expected.as_bytes()));
    }
}

/// The partitions are those that Java's producer (kafka-clients 4.3.1) picks for these keys among 7.
pub(crate) async fn keys_go_where_java_puts_them(bootstrap: &str) {
    let topic = topic(bootstrap, "murmur2", 7).await;
    let producer = producer(bootstrap).await;
    let golden = include_str!("murmur2.tsv");
    let mut checked = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let (key, partition) = line.split_once('\t').unwrap();
        let record = ProducerRecord::to(topic.as_str()).key(key.to_owned());
        let delivery = producer.send(record).await.unwrap();
        assert_eq!(delivery.partition(), partition.parse::<i32>().unwrap(), "key {key:?}");
        checked += 1;
    }
    assert!(checked >= 50);
    producer.close().await;
}

pub(crate) async fn records_without_keys_reach_every_partition(bootstrap: &str) {
    let topic = topic(bootstrap, "sticky", 4).await;
    let producer = producer(bootstrap).await;
    let mut counts = [0; 4];
    let mut runs = 0;
    let mut before = -1;
    for _ in 0..4000 {
        let delivery = producer.send(ProducerRecord::to(topic.as_str()).value(vec![b'x'; 500])).await.unwrap();
        counts[delivery.partition() as usize] += 1;
        runs += usize::from(delivery.partition() != before);
        before = delivery.partition();
    }
    producer.close().await;
    assert!(counts.iter().all(|count| *count > 300), "{counts:?}");
    assert!(runs < 4000 / 10, "records stick to a partition for a batch: {runs} runs");
}

pub(crate) async fn a_partition_keeps_its_order_with_many_batches_in_flight(bootstrap: &str) {
    let topic = topic(bootstrap, "order", 1).await;
    let builder = Producer::builder().bootstrap(bootstrap).set("batch.size", "2000").unwrap();
    let producer = builder.set("linger.ms", "0").unwrap().build().await.unwrap();
    let mut deliveries = Vec::new();
    for i in 0..20_000 {
        deliveries.push(producer.send(ProducerRecord::to(topic.as_str()).value(i.to_string())).await.unwrap());
    }
    for (i, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.await.unwrap().offset, i as i64);
    }
    let records = read(&consumer(bootstrap, &topic, Start::Earliest).await, 20_000).await;
    assert!(numbers(&records).into_iter().eq(0..20_000));
}

pub(crate) async fn idempotent_producers_have_an_id_and_sequences(bootstrap: &str) {
    let topic = topic(bootstrap, "idempotent", 1).await;
    let idempotent = producer(bootstrap).await;
    for i in 0..10 {
        idempotent.send(ProducerRecord::to(topic.as_str()).value(i.to_string())).await.unwrap().await.unwrap();
    }
    let admin = admin(bootstrap).await;
    let known = admin.describe_producers(&[first(&topic)]).await.remove(0).unwrap();
    assert_eq!(known.len(), 1, "{known:?}");
    assert!(known[0].producer_id >= 0);
    assert_eq!((known[0].producer_epoch, known[0].last_sequence), (0, 9));

    let plain =
        Producer::builder().bootstrap(bootstrap).set("enable.idempotence", "false").unwrap().build().await.unwrap();
    plain.send(ProducerRecord::to(topic.as_str())).await.unwrap().await.unwrap();
    assert_eq!(admin.describe_producers(&[first(&topic)]).await.remove(0).unwrap().len(), 1);
}

pub(crate) async fn a_full_buffer_makes_send_wait(bootstrap: &str) {
    let topic = topic(bootstrap, "bounded", 1).await;
    let builder = Producer::builder().bootstrap(bootstrap).set("buffer.memory", "100000").unwrap();
    let producer = builder.set("linger.ms", "10000").unwrap().build().await.unwrap();
    let begin = Instant::now();
    let mut deliveries = Vec::new();
    // Thirty times the memory there is: it only works if what is full is sent and what waits is woken.
    for _ in 0..300 {
        deliveries.push(producer.send(ProducerRecord::to(topic.as_str()).value(vec![7; 10_000])).await.unwrap());
    }
    producer.flush().await;
    assert!(begin.elapsed() < Duration::from_secs(9), "what lingers must leave when memory is short");
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    // Nobody takes the records of a topic that lives nowhere: the wait ends after max.block.ms.
    let builder = Producer::builder().bootstrap(bootstrap).set("buffer.memory", "5000").unwrap();
    let builder = builder.set("max.block.ms", "300").unwrap().set("linger.ms", "10000").unwrap();
    let small = builder.build().await.unwrap();
    let too_large = small.send(ProducerRecord::to(topic.as_str()).value(vec![7; 6000])).await.unwrap_err();
    assert!(matches!(too_large, Error::RecordTooLarge { limit_key: "buffer.memory", .. }), "{too_large}");
}

pub(crate) async fn large_records_pass_and_too_large_ones_are_refused(bootstrap: &str) {
    let name = unique("large");
    let new = NewTopic::new(name.as_str()).partitions(1).config("max.message.bytes", "5000000");
    create(bootstrap, new).await;
    let builder = Producer::builder().bootstrap(bootstrap).set("max.request.size", "8000000").unwrap();
    let producer = builder.build().await.unwrap();
    let value: Bytes = (0..4_000_000_u32).map(|i| (i % 251) as u8).collect();
    let large = producer.send(ProducerRecord::to(name.as_str()).value(value.clone())).await.unwrap();
    let small = producer.send(ProducerRecord::to(name.as_str()).value("small")).await.unwrap();
    assert_eq!((large.await.unwrap().offset, small.await.unwrap().offset), (0, 1));
    let refused =
        producer.send(ProducerRecord::to(name.as_str()).value(vec![0; 6_000_000])).await.unwrap().await.unwrap_err();
    assert_eq!(refused.code(), Some(leat_client::ErrorCode::MESSAGE_TOO_LARGE));
    assert!(!refused.is_retryable());
    let unsent = producer.send(ProducerRecord::to(name.as_str()).value(vec![0; 9_000_000])).await.unwrap_err();
    assert!(matches!(unsent, Error::RecordTooLarge { limit_key: "max.request.size", .. }), "{unsent}");
    // The refused batch left a gap in the sequences; what follows is written under a new epoch.
    let after = producer.send(ProducerRecord::to(name.as_str()).value("after")).await.unwrap().await.unwrap();
    assert_eq!(after.offset, 2);

    // max.partition.fetch.bytes is less than the record: it comes whole nevertheless.
    let records = read(&consumer(bootstrap, &name, Start::Earliest).await, 3).await;
    assert_eq!(records[0].value.as_ref(), Some(&value));
}

pub(crate) async fn a_batch_too_large_for_the_broker_is_split(bootstrap: &str) {
    for codec in [Compression::None, Compression::Lz4] {
        let name = unique("split");
        let new = NewTopic::new(name.as_str()).partitions(1).config("max.message.bytes", "3000");
        create(bootstrap, new).await;
        let builder = Producer::builder().bootstrap(bootstrap).batch_size(100_000).linger(Duration::from_millis(100));
        let producer = builder.compression(codec).build().await.unwrap();
        let mut deliveries = Vec::new();
        for i in 0..60_u32 {
            // Noise, so that no codec helps.
            let noise: Vec<u8> =
                (0..1000_u32).map(|j| ((i * 7919 + j).wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            deliveries
                .push(producer.send(ProducerRecord::to(name.as_str()).key(i.to_string()).value(noise)).await.unwrap());
        }
        for (i, delivery) in deliveries.into_iter().enumerate() {
            assert_eq!(delivery.await.unwrap().offset, i as i64);
        }
        let records = read(&consumer(bootstrap, &name, Start::Earliest).await, 60).await;
        for (i, record) in records.iter().enumerate() {
            assert_eq!(record.key.as_deref(), Some(i.to_string().as_bytes()));
        }
        producer.close().await;
    }
}

pub(crate) async fn flush_does_not_wait_for_linger(bootstrap: &str) {
    let topic = topic(bootstrap, "flush", 3).await;
    let producer = Producer::builder().bootstrap(bootstrap).linger(Duration::from_secs(60)).build().await.unwrap();
    let mut deliveries = Vec::new();
    for i in 0..30 {
        deliveries.push(producer.send(ProducerRecord::to(topic.as_str()).partition(i % 3).value("x")).await.unwrap());
    }
    let begin = Instant::now();
    producer.flush().await;
    assert!(begin.elapsed() < Duration::from_secs(20));
    for delivery in deliveries {
        let waited = tokio::time::timeout(Duration::from_millis(100), delivery).await;
        waited.expect("flush returned before the record was settled").unwrap();
    }
}

pub(crate) async fn acks_none_and_leader(bootstrap: &str) {
    let topic = topic(bootstrap, "acks", 1).await;
    for acks in ["0", "1", "all"] {
        let producer = Producer::builder().bootstrap(bootstrap).set("acks", acks).unwrap().build().await.unwrap();
        for i in 0..100 {
            let sent = producer.send(ProducerRecord::to(topic.as_str()).value(i.to_string())).await.unwrap();
            if i == 99 {
                let offset = sent.await.unwrap().offset;
                assert_eq!(offset == -1, acks == "0", "acks={acks}: {offset}");
            }
        }
        producer.close().await;
    }
    read(&consumer(bootstrap, &topic, Start::Earliest).await, 300).await;
}

pub(crate) async fn sending_to_an_unknown_topic_or_partition_fails(bootstrap: &str) {
    let topic = topic(bootstrap, "two", 2).await;
    let producer = Producer::builder().bootstrap(bootstrap).set("max.block.ms", "500").unwrap().build().await.unwrap();
    let error = producer.send(ProducerRecord::to(topic.as_str()).partition(2)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("2 partitions"), "{error}");
    // What follows is refused at once, however busy the broker is.
    let producer = Producer::builder().bootstrap(bootstrap).build().await.unwrap();
    let error = producer.send(ProducerRecord::to("not/a/name")).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let error = producer.send(ProducerRecord::to(topic.as_str()).partition(-3)).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    // None of these cost memory or stopped the producer.
    producer.send(ProducerRecord::to(topic.as_str()).partition(1)).await.unwrap().await.unwrap();
}

pub(crate) async fn a_closed_producer_refuses(bootstrap: &str) {
    let topic = topic(bootstrap, "closed", 1).await;
    let producer = producer(bootstrap).await;
    let sent = producer.send(ProducerRecord::to(topic.as_str()).value("x")).await.unwrap();
    producer.close().await;
    assert_eq!(sent.await.unwrap().offset, 0, "close delivers what was sent");
    assert_eq!(producer.send(ProducerRecord::to(topic.as_str())).await.unwrap_err(), Error::Closed);
}
