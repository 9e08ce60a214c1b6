//! What a consumer promises.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use leat_client::{Compression, Consumer, Error, Producer, ProducerRecord, Start, TopicPartition};

use super::{admin, consumer, fill, first, numbers, producer, read, topic};

pub(crate) async fn replay_from_earliest_latest_offset_timestamp_and_last(bootstrap: &str) {
    let topic = topic(bootstrap, "replay", 1).await;
    fill(bootstrap, &topic, 100).await;
    let consumer = consumer(bootstrap, &topic, Start::Earliest).await;
    let cases = [
        (Start::Earliest, 0),
        (Start::Offset(42), 42),
        (Start::Timestamp(50_000), 49),
        (Start::Timestamp(50_001), 50),
        (Start::Timestamp(-5), 0),
        (Start::Last(10), 90),
        (Start::Last(1000), 0),
    ];
    for (start, from) in cases {
        consumer.seek_all(start).await.unwrap();
        assert_eq!(consumer.position(&first(&topic)).await.unwrap(), from, "{start:?}");
        let records = read(&consumer, 100 - from as usize).await;
        assert!(numbers(&records).into_iter().eq(from..100), "{start:?}");
    }
    for start in [Start::Latest, Start::Timestamp(100_001), Start::Last(0)] {
        consumer.seek_all(start).await.unwrap();
        assert_eq!(consumer.position(&first(&topic)).await.unwrap(), 100, "{start:?}");
        assert!(consumer.poll(Duration::from_millis(100)).await.unwrap().is_empty());
    }
}

pub(crate) async fn seeking_while_polling_takes_effect_at_once(bootstrap: &str) {
    let topic = topic(bootstrap, "seek", 1).await;
    fill(bootstrap, &topic, 2000).await;
    let builder = Consumer::builder().bootstrap(bootstrap).set("max.poll.records", "10").unwrap();
    let consumer = builder.set("fetch.max.wait.ms", "5000").unwrap().build().await.unwrap();
    consumer.assign(&[first(&topic)]).await.unwrap();
    for from in [0, 1500, 3, 700, 2000, 5] {
        consumer.seek(&first(&topic), Start::Offset(from)).await.unwrap();
        let begin = Instant::now();
        if from < 2000 {
            let records = consumer.poll(Duration::from_secs(10)).await.unwrap();
            assert_eq!(records[0].offset, from);
            // A fetch that waits at the end of the log does not hold up the seek for its five seconds.
            assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        } else {
            assert!(consumer.poll(Duration::from_millis(300)).await.unwrap().is_empty());
        }
    }
    let unassigned = TopicPartition::new(topic.as_str(), 1);
    assert!(matches!(consumer.seek(&unassigned, Start::Earliest).await, Err(Error::Invalid(_))));
}

pub(crate) async fn paused_partitions_keep_their_position(bootstrap: &str) {
    let topic = topic(bootstrap, "pause", 2).await;
    let producer = producer(bootstrap).await;
    for i in 0..200 {
        drop(producer.send(ProducerRecord::to(topic.as_str()).partition(i % 2).value(i.to_string())).await.unwrap());
    }
    producer.close().await;
    let consumer = consumer(bootstrap, &topic, Start::Earliest).await;
    consumer.pause(&[first(&topic)]);
    assert_eq!(consumer.paused(), [first(&topic)]);
    let records = read(&consumer, 100).await;
    assert!(records.iter().all(|record| record.partition == 1));
    assert!(consumer.poll(Duration::from_millis(200)).await.unwrap().is_empty());
    assert_eq!(consumer.position(&first(&topic)).await.unwrap(), 0);
    consumer.resume(&[first(&topic)]);
    let records = read(&consumer, 100).await;
    assert!(records.iter().all(|record| record.partition == 0));
}

pub(crate) async fn position_lag_and_ends_agree(bootstrap: &str) {
    let topic = topic(bootstrap, "lag", 1).await;
    fill(bootstrap, &topic, 50).await;
    let builder = Consumer::builder().bootstrap(bootstrap).set("max.poll.records", "20").unwrap();
    let consumer = builder.build().await.unwrap();
    consumer.assign(&[first(&topic)]).await.unwrap();
    assert_eq!(consumer.lag(&first(&topic)), None);
    consumer.seek(&first(&topic), Start::Earliest).await.unwrap();
    let mut seen = 0;
    while seen < 50 {
        seen += consumer.poll(Duration::from_secs(5)).await.unwrap().len() as i64;
        assert_eq!(consumer.position(&first(&topic)).await.unwrap(), seen);
        assert_eq!(consumer.lag(&first(&topic)), Some(50 - seen as u64));
    }
    let partition = first(&topic);
    assert_eq!(consumer.beginning_offsets(std::slice::from_ref(&partition)).await.unwrap()[&partition], 0);
    assert_eq!(consumer.end_offsets(std::slice::from_ref(&partition)).await.unwrap()[&partition], 50);
    let times = consumer.offsets_for_times(&[(partition.clone(), 10_000)]).await.unwrap();
    assert_eq!(times[&partition], Some((9, 10_000)));
    let times = consumer.offsets_for_times(&[(partition.clone(), 50_001)]).await.unwrap();
    assert_eq!(times[&partition], None);
}

pub(crate) async fn auto_offset_reset_decides_where_to_start(bootstrap: &str) {
    let topic = topic(bootstrap, "reset", 1).await;
    fill(bootstrap, &topic, 10).await;
    for (reset, position) in
        [("earliest", Some(0)), ("latest", Some(10)), ("by_duration:P1D", Some(10)), ("none", None)]
    {
        let builder = Consumer::builder().bootstrap(bootstrap).set("auto.offset.reset", reset).unwrap();
        let consumer = builder.build().await.unwrap();
        consumer.assign(&[first(&topic)]).await.unwrap();
        match position {
            Some(position) => assert_eq!(consumer.position(&first(&topic)).await.unwrap(), position, "{reset}"),
            None => {
                let error = consumer.poll(Duration::from_secs(5)).await.unwrap_err();
                assert!(matches!(error, Error::NoOffset { offset: None, .. }), "{error}");
                // Beyond the end: out of range.
                consumer.seek(&first(&topic), Start::Offset(77)).await.unwrap();
                let error = consumer.poll(Duration::from_secs(5)).await.unwrap_err();
                assert!(matches!(error, Error::NoOffset { offset: Some(77), .. }), "{error}");
                consumer.seek(&first(&topic), Start::Offset(7)).await.unwrap();
                assert_eq!(numbers(&read(&consumer, 3).await), [7, 8, 9]);
            }
        }
    }
}

pub(crate) async fn prefetch_is_bounded(bootstrap: &str) {
    let topic = topic(bootstrap, "prefetch", 1).await;
    let producer = producer(bootstrap).await;
    for _ in 0..3000 {
        drop(producer.send(ProducerRecord::to(topic.as_str()).value(vec![1; 10_000])).await.unwrap());
    }
    producer.close().await;
    let builder = Consumer::builder().bootstrap(bootstrap).set("queued.max.messages.kbytes", "1000").unwrap();
    let builder = builder.set("max.partition.fetch.bytes", "200000").unwrap().set("max.poll.records", "7").unwrap();
    let consumer = builder.build().await.unwrap();
    consumer.assign(&[first(&topic)]).await.unwrap();
    consumer.seek_all(Start::Earliest).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // What one fetch may bring more than the bound.
    assert!(consumer.buffered_bytes() <= 1_000 * 1024 + 200_000 + 10_100, "{}", consumer.buffered_bytes());
    assert!(consumer.buffered_bytes() >= 200_000);
    let records = read(&consumer, 3000).await;
    assert!(records.iter().zip(0..).all(|(record, offset)| record.offset == offset));
    assert_eq!(consumer.buffered_bytes(), 0);
}

pub(crate) async fn a_stream_yields_every_record(bootstrap: &str) {
    let topic = topic(bootstrap, "stream", 1).await;
    fill(bootstrap, &topic, 1234).await;
    let consumer = consumer(bootstrap, &topic, Start::Earliest).await;
    let records: Vec<_> = consumer.stream().take(1234).map(Result::unwrap).collect().await;
    assert!(numbers(&records).into_iter().eq(0..1234));
    let mut stream = consumer.stream();
    let (next, ()) = tokio::join!(stream.next(), consumer.close());
    assert!(next.is_none(), "a closed consumer's stream ends");
}

pub(crate) async fn a_position_within_a_batch_is_exact(bootstrap: &str) {
    for codec in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let topic = topic(bootstrap, "within", 1).await;
        let builder = Producer::builder().bootstrap(bootstrap).compression(codec).batch_size(1 << 20);
        let producer = builder.linger(Duration::from_secs(60)).build().await.unwrap();
        for i in 0..100 {
            drop(
                producer
                    .send(ProducerRecord::to(topic.as_str()).value(i.to_string()).timestamp(1000 - i))
                    .await
                    .unwrap(),
            );
        }
        producer.close().await;
        let consumer = consumer(bootstrap, &topic, Start::Offset(57)).await;
        assert!(numbers(&read(&consumer, 43).await).into_iter().eq(57..100));
        // Timestamps fall: the first record at or after 950 is the very first.
        consumer.seek_all(Start::Timestamp(950)).await.unwrap();
        assert_eq!(consumer.position(&first(&topic)).await.unwrap(), 0);
    }
}

pub(crate) async fn deleted_records_are_skipped_by_reset(bootstrap: &str) {
    let topic = topic(bootstrap, "trimmed", 1).await;
    fill(bootstrap, &topic, 100).await;
    admin(bootstrap).await.delete_records(&[(first(&topic), 60)]).await.remove(0).unwrap();
    let builder = Consumer::builder().bootstrap(bootstrap).set("auto.offset.reset", "earliest").unwrap();
    let consumer = builder.build().await.unwrap();
    consumer.assign(&[first(&topic)]).await.unwrap();
    consumer.seek(&first(&topic), Start::Offset(10)).await.unwrap();
    assert!(numbers(&read(&consumer, 40).await).into_iter().eq(60..100));
}

pub(crate) async fn a_live_consumer_sees_records_soon(bootstrap: &str) {
    let topic = topic(bootstrap, "live", 2).await;
    let consumer = consumer(bootstrap, &topic, Start::Latest).await;
    let producer = Producer::builder().bootstrap(bootstrap).linger(Duration::ZERO).build().await.unwrap();
    let mut times = Vec::new();
    for i in 0..50 {
        let begin = Instant::now();
        drop(producer.send(ProducerRecord::to(topic.as_str()).value(i.to_string())).await.unwrap());
        let records = read(&consumer, 1).await;
        times.push(begin.elapsed());
        assert_eq!(numbers(&records), [i]);
    }
    times.sort();
    assert!(times[25] < Duration::from_millis(100), "{times:?}");
}
