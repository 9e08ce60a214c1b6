// franz-go against a broker: admin, producer (idempotent by default) and consumer of given partitions.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const wait = 20 * time.Second

var codecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

type program struct {
	checks
	bootstrap, topic, scratch string
	admin                     *kadm.Client
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "member" {
		runMember(os.Args[2:])
		return
	}
	fallback := os.Getenv("BOOTSTRAP")
	if fallback == "" {
		fallback = "127.0.0.1:9092"
	}
	bootstrap := flag.String("bootstrap", fallback, "HOST:PORT of a broker")
	flag.Parse()
	topic := fmt.Sprintf("compat-franz-go-%08x", rand.Uint32())
	p := &program{bootstrap: *bootstrap, topic: topic, scratch: topic + "-scratch"}
	client, err := p.client()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p.admin = kadm.NewClient(client)
	p.topics()
	p.configs()
	p.records()
	p.timestamps()
	p.deletion()
	p.limits()
	client.Close()
	p.finish()
}

// client has no RecordDeliveryTimeout: franz-go measures it from the record's own timestamp, here years ago.
func (p *program) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(p.bootstrap, ",")...), kgo.RetryTimeout(wait),
		kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), wait)
}

func (p *program) create(name string, partitions int32, configs map[string]*string) error {
	ctx, cancel := within()
	defer cancel()
	if _, err := p.admin.CreateTopic(ctx, partitions, -1, configs, name); err != nil {
		return err
	}
	return eventually(name+" is listed", func() (bool, error) { return p.partitions(name) == int(partitions), nil })
}

// partitions is 0 where the topic is not there.
func (p *program) partitions(name string) int {
	ctx, cancel := within()
	defer cancel()
	listed, err := p.admin.ListTopics(ctx, name)
	if err != nil || listed[name].Err != nil {
		return 0
	}
	return len(listed[name].Partitions)
}

// produce sends the first count records of the sample, flushed each chunk, and returns their offsets.
func (p *program) produce(topic string, partition int32, count int, opts ...kgo.Opt) ([]int64, error) {
	ctx, cancel := within()
	defer cancel()
	client, err := p.client(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var offsets []int64
	for from := 0; from < count; from += sampleChunk {
		var chunk []*kgo.Record
		for i := from; i < min(count, from+sampleChunk); i++ {
			chunk = append(chunk, sampleRecord(topic, partition, i))
		}
		results := client.ProduceSync(ctx, chunk...)
		if err := results.FirstErr(); err != nil {
			return offsets, err
		}
		for _, r := range results {
			offsets = append(offsets, r.Record.Offset)
		}
	}
	return offsets, nil
}

// read gives count records from an offset; it fails where fewer come in time.
func (p *program) read(topic string, partition int32, from kgo.Offset, count int, opts ...kgo.Opt) ([]*kgo.Record, error) {
	ctx, cancel := within()
	defer cancel()
	assigned := map[string]map[int32]kgo.Offset{topic: {partition: from}}
	client, err := p.client(append(opts, kgo.ConsumePartitions(assigned))...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var records []*kgo.Record
	for len(records) < count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return records, fmt.Errorf("%d of %d records: %w", len(records), count, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records[:count], nil
}

func (p *program) config(name string) (string, error) {
	ctx, cancel := within()
	defer cancel()
	found, err := p.admin.DescribeTopicConfigs(ctx, p.topic)
	if err != nil {
		return "", err
	}
	for _, c := range found[0].Configs {
		if c.Key == name {
			return c.MaybeValue(), nil
		}
	}
	return "", fmt.Errorf("no config %s", name)
}

func (p *program) topics() {
	ctx, cancel := within()
	defer cancel()
	p.check("cluster: an id, a controller among the brokers", func() error {
		about, err := p.admin.BrokerMetadata(ctx)
		if err != nil {
			return err
		}
		for _, b := range about.Brokers {
			if b.NodeID == about.Controller && about.Cluster != "" {
				return nil
			}
		}
		return fmt.Errorf("cluster %q, controller %d, brokers %v", about.Cluster, about.Controller, about.Brokers.NodeIDs())
	})
	p.check("api versions: nothing that this client can't speak", func() error {
		versions, err := p.admin.ApiVersions(ctx)
		if err != nil {
			return err
		}
		for _, v := range versions {
			return v.Err
		}
		return fmt.Errorf("no broker answered")
	})
	p.check("create topic, with settings", func() error { return p.create(p.topic, int32(len(codecs)), sampleConfig) })
	p.check("create topic again: TOPIC_ALREADY_EXISTS", func() error {
		return refused(p.create(p.topic, 1, nil), kerr.TopicAlreadyExists)
	})
	p.check("create topic, unknown setting: INVALID_CONFIG", func() error {
		return refused(p.create(p.topic+"-no", 1, map[string]*string{"no.such.setting": text("1")}), kerr.InvalidConfig)
	})
	p.check("list topics: leaders and in-sync replicas", func() error {
		listed, err := p.admin.ListTopics(ctx, p.topic)
		if err != nil {
			return err
		}
		for _, part := range listed[p.topic].Partitions {
			if part.Err != nil || part.Leader < 0 || len(part.ISR) == 0 || len(part.Replicas) == 0 {
				return fmt.Errorf("partition %d: %+v", part.Partition, part)
			}
		}
		return equal(len(listed[p.topic].Partitions), len(codecs), "partitions")
	})
}

func (p *program) configs() {
	p.check("describe configs: what was set at creation, and a default", func() error {
		for name, value := range map[string]string{"segment.ms": "200000", "retention.ms": "-1", "cleanup.policy": "delete"} {
			got, err := p.config(name)
			if err != nil {
				return err
			}
			if err := equal(got, value, name); err != nil {
				return err
			}
		}
		return nil
	})
	p.check("alter configs incrementally: set, then back to the default", func() error {
		for _, step := range []struct {
			op    kadm.IncrementalOp
			value string
		}{{kadm.SetConfig, "123456"}, {kadm.DeleteConfig, "1048588"}} {
			ctx, cancel := within()
			defer cancel()
			change := []kadm.AlterConfig{{Op: step.op, Name: "max.message.bytes", Value: text("123456")}}
			answers, err := p.admin.AlterTopicConfigs(ctx, change, p.topic)
			if err == nil {
				err = answers[0].Err
			}
			if err != nil {
				return err
			}
			err = eventually("max.message.bytes is "+step.value, func() (bool, error) {
				got, err := p.config("max.message.bytes")
				return got == step.value, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *program) records() {
	for i, c := range codecs {
		partition := int32(i)
		p.check("produce, "+c.name+": offsets in order", func() error {
			offsets, err := p.produce(p.topic, partition, sampleRecords, kgo.ProducerBatchCompression(c.codec))
			for i, offset := range offsets {
				if offset != int64(i) {
					return fmt.Errorf("record %d got offset %d", i, offset)
				}
			}
			return err
		})
		p.check("read back, "+c.name+": order, keys, values, headers, timestamps", func() error {
			records, err := p.read(p.topic, partition, kgo.NewOffset().AtStart(), sampleRecords)
			if err != nil {
				return err
			}
			for i, r := range records {
				if err := equal(r.Offset, int64(i), "offset"); err != nil {
					return err
				}
				if err := difference(sampleRecord(p.topic, partition, i), r); err != nil {
					return fmt.Errorf("offset %d: %w", i, err)
				}
			}
			return nil
		})
		p.check("read from the middle, "+c.name, func() error {
			records, err := p.read(p.topic, partition, kgo.NewOffset().At(333), 3)
			if err != nil {
				return err
			}
			return equal(records[0].Offset, 333, "first offset")
		})
	}
	p.check("acks=1 and acks=0 are written too", func() error {
		if err := p.create(p.scratch, 2, nil); err != nil {
			return err
		}
		for _, acks := range []kgo.Acks{kgo.LeaderAck(), kgo.NoAck()} {
			if _, err := p.produce(p.scratch, 0, 20, kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite()); err != nil {
				return err
			}
		}
		_, err := p.read(p.scratch, 0, kgo.NewOffset().AtStart(), 40)
		return err
	})
}

// everywhere checks one answer of ListOffsets for each partition.
func everywhere(listed kadm.ListedOffsets, err error, offset, timestamp int64) error {
	if err != nil {
		return err
	}
	count := 0
	listed.Each(func(o kadm.ListedOffset) {
		count++
		if err == nil {
			err = o.Err
		}
		if err == nil && (o.Offset != offset || (timestamp >= 0 && o.Timestamp != timestamp)) {
			err = fmt.Errorf("partition %d: %d at %d, not %d at %d", o.Partition, o.Offset, o.Timestamp, offset, timestamp)
		}
	})
	if err == nil {
		err = equal(count, len(codecs), "answers")
	}
	return err
}

func (p *program) timestamps() {
	ctx, cancel := within()
	defer cancel()
	p.check("list offsets: earliest, latest, newest timestamp", func() error {
		start, err := p.admin.ListStartOffsets(ctx, p.topic)
		if err := everywhere(start, err, 0, -1); err != nil {
			return err
		}
		end, err := p.admin.ListEndOffsets(ctx, p.topic)
		if err := everywhere(end, err, sampleRecords, -1); err != nil {
			return err
		}
		newest, err := p.admin.ListMaxTimestampOffsets(ctx, p.topic)
		return everywhere(newest, err, int64(sampleNewest()), sampleTimestamp(sampleNewest()))
	})
	p.check("seek by timestamp: exact offset and timestamp, in every codec", func() error {
		for _, ms := range sampleSeekTimes() {
			offset, timestamp := sampleFirstAtOrAfter(ms), int64(-1)
			if offset >= 0 {
				timestamp = sampleTimestamp(int(offset))
			} else {
				offset = sampleRecords // this client turns "none" into the end offset
			}
			listed, err := p.admin.ListOffsetsAfterMilli(ctx, ms, p.topic)
			if err := everywhere(listed, err, offset, timestamp); err != nil {
				return fmt.Errorf("for %d: %w", ms, err)
			}
		}
		return nil
	})
	p.check("consume from a timestamp", func() error {
		ms := int64(sampleEpochMs + 123_456)
		records, err := p.read(p.topic, 4, kgo.NewOffset().AfterMilli(ms), 1)
		if err != nil {
			return err
		}
		return equal(records[0].Offset, sampleFirstAtOrAfter(ms), "first offset")
	})
	p.check("read past the end: OFFSET_OUT_OF_RANGE", func() error {
		_, err := p.read(p.topic, 0, kgo.NewOffset().At(sampleRecords+10), 1, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
		return refused(err, kerr.OffsetOutOfRange)
	})
	p.check("offset for leader epoch: the current epoch ends at the end", func() error {
		listed, err := p.admin.ListTopics(ctx, p.topic)
		if err != nil {
			return err
		}
		var asked kadm.OffsetForLeaderEpochRequest
		for _, part := range listed[p.topic].Partitions {
			asked.Add(p.topic, part.Partition, part.LeaderEpoch)
		}
		answers, err := p.admin.OffsetForLeaderEpoch(ctx, asked)
		if err != nil {
			return err
		}
		for _, answer := range answers[p.topic] {
			if answer.Err != nil || answer.EndOffset != sampleRecords {
				return fmt.Errorf("%+v", answer)
			}
		}
		return equal(len(answers[p.topic]), len(codecs), "answers")
	})
	p.check("describe producers: an idempotent one in each partition", func() error {
		var asked kadm.TopicsSet
		asked.Add(p.topic, 0, 1, 2, 3, 4)
		described, err := p.admin.DescribeProducers(ctx, asked)
		if err != nil {
			return err
		}
		for _, part := range described[p.topic].Partitions {
			if part.Err != nil || len(part.ActiveProducers) != 1 {
				return fmt.Errorf("%+v", part)
			}
		}
		return equal(len(described[p.topic].Partitions), len(codecs), "partitions")
	})
}

func (p *program) deletion() {
	ctx, cancel := within()
	defer cancel()
	p.check("delete records: new low watermark, and nothing else is lost", func() error {
		var to kadm.Offsets
		for i := range codecs {
			to.AddOffset(p.topic, int32(i), sampleDeleted, -1)
		}
		answers, err := p.admin.DeleteRecords(ctx, to)
		if err != nil {
			return err
		}
		for _, a := range answers[p.topic] {
			if a.Err != nil || a.LowWatermark != sampleDeleted {
				return fmt.Errorf("%+v", a)
			}
		}
		start, err := p.admin.ListStartOffsets(ctx, p.topic)
		if err := everywhere(start, err, sampleDeleted, -1); err != nil {
			return err
		}
		for i := range codecs {
			records, err := p.read(p.topic, int32(i), kgo.NewOffset().AtStart(), sampleRecords-sampleDeleted)
			if err != nil {
				return err
			}
			if err := difference(sampleRecord(p.topic, int32(i), sampleDeleted), records[0]); err != nil {
				return err
			}
		}
		return nil
	})
	p.check("a read below the new start resets to it", func() error {
		records, err := p.read(p.topic, 3, kgo.NewOffset().At(5), 1, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			return err
		}
		return equal(records[0].Offset, sampleDeleted, "first offset")
	})
}

func (p *program) limits() {
	ctx, cancel := within()
	defer cancel()
	p.check("a record over max.message.bytes: MESSAGE_TOO_LARGE", func() error {
		small := p.scratch + "-small"
		if err := p.create(small, 1, map[string]*string{"max.message.bytes": text("2000")}); err != nil {
			return err
		}
		_, err := p.produce(small, 0, sampleChunk, kgo.ProducerBatchCompression(kgo.NoCompression()))
		if _, gone := p.admin.DeleteTopic(ctx, small); gone != nil {
			return gone
		}
		return refused(err, kerr.MessageTooLarge)
	})
	p.check("add partitions, and write to a new one", func() error {
		if _, err := p.admin.UpdatePartitions(ctx, 4, p.scratch); err != nil {
			return err
		}
		err := eventually("four partitions", func() (bool, error) { return p.partitions(p.scratch) == 4, nil })
		if err != nil {
			return err
		}
		if _, err = p.produce(p.scratch, 3, 20); err != nil {
			return err
		}
		_, err = p.read(p.scratch, 3, kgo.NewOffset().AtStart(), 20)
		return err
	})
	p.check("fewer partitions: INVALID_PARTITIONS", func() error {
		answers, err := p.admin.UpdatePartitions(ctx, 2, p.scratch)
		if err == nil {
			err = answers[p.scratch].Err
		}
		return refused(err, kerr.InvalidPartitions)
	})
	p.check("delete topic: gone from the list", func() error {
		if _, err := p.admin.DeleteTopic(ctx, p.scratch); err != nil {
			return err
		}
		return eventually("scratch is gone", func() (bool, error) { return p.partitions(p.scratch) == 0, nil })
	})
	p.check("delete topic again: UNKNOWN_TOPIC_OR_PARTITION", func() error {
		_, err := p.admin.DeleteTopic(ctx, p.scratch)
		return refused(err, kerr.UnknownTopicOrPartition)
	})
}
