// kafka-go: its Client as admin, its Writer, its ConsumerGroup with a Reader for each partition.
package main

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

var kafkaGoStrategies = map[string]kafka.GroupBalancer{"range": kafka.RangeGroupBalancer{},
	"roundrobin": kafka.RoundRobinGroupBalancer{}}

var kafkaGoCodecs = map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4,
	"zstd": kafka.Zstd}

type kafkaGoClient struct {
	positions
	bootstrap    []string
	admin        *kafka.Client
	group, topic string
	consumer     *kafka.ConsumerGroup // nil unless it has joined
	end          context.CancelFunc
	consuming    sync.WaitGroup

	lock       sync.Mutex
	generation *kafka.Generation
	readers    map[int32]*kafka.Reader
}

func newKafkaGo(bootstrap string) (client, error) {
	addresses := strings.Split(bootstrap, ",")
	return &kafkaGoClient{bootstrap: addresses, admin: &kafka.Client{Addr: kafka.TCP(addresses...), Timeout: wait}}, nil
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), wait)
}

func (c *kafkaGoClient) create(topic string, partitions int32) error {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic,
		NumPartitions: int(partitions), ReplicationFactor: -1,
		ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "-1"}}}}})
	if err == nil {
		err = answer.Errors[topic]
	}
	return err
}

func (c *kafkaGoClient) delete(topic string) error {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err == nil {
		err = answer.Errors[topic]
	}
	return err
}

func (c *kafkaGoClient) write(topic string, partitions, from, to int64, codec string) error {
	ctx, cancel := within()
	defer cancel()
	writer := &kafka.Writer{Addr: c.admin.Addr, Topic: topic, Compression: kafkaGoCodecs[codec], RequiredAcks: kafka.RequireAll,
		BatchTimeout: 20 * time.Millisecond, Balancer: kafka.BalancerFunc(func(m kafka.Message, _ ...int) int {
			i, _ := strconv.ParseInt(string(m.Key), 10, 64)
			return int(i % partitions)
		})}
	var messages []kafka.Message
	for i := from; i < to; i++ {
		m := sampled(i)
		sent := kafka.Message{Key: []byte(m.key), Value: []byte(m.value), Time: time.UnixMilli(m.at)}
		for _, h := range m.headers {
			sent.Headers = append(sent.Headers, kafka.Header{Key: h.name, Value: []byte(h.value)})
		}
		messages = append(messages, sent)
	}
	return errors.Join(writer.WriteMessages(ctx, messages...), writer.Close())
}

func (c *kafkaGoClient) join(group, topic, strategy, _ string, session time.Duration) error {
	consumer, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: c.bootstrap,
		Topics: []string{topic}, GroupBalancers: []kafka.GroupBalancer{kafkaGoStrategies[strategy]}, SessionTimeout: session,
		HeartbeatInterval: 300 * time.Millisecond, StartOffset: kafka.FirstOffset, JoinGroupBackoff: 200 * time.Millisecond})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	c.group, c.topic, c.consumer, c.end = group, topic, consumer, end
	c.consuming.Go(func() {
		for ctx.Err() == nil {
			generation, err := consumer.Next(ctx)
			if err == nil {
				c.begin(generation)
			} else if ctx.Err() == nil {
				say("lost", c.name(err), err) // and it tries again
			}
		}
	})
	return nil
}

// begin reads each partition of a generation until it ends.
func (c *kafkaGoClient) begin(generation *kafka.Generation) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.generation, c.readers = generation, map[int32]*kafka.Reader{}
	var partitions []int32
	for _, assigned := range generation.Assignments[c.topic] {
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: c.bootstrap, Topic: c.topic, Partition: assigned.ID,
			MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 500 * time.Millisecond})
		_ = reader.SetOffset(assigned.Offset)
		partitions = append(partitions, int32(assigned.ID))
		c.readers[int32(assigned.ID)] = reader
	}
	c.add(partitions...)
	// One that has no partition waits for the end of the generation too.
	generation.Start(func(ctx context.Context) {
		<-ctx.Done()
		c.drop(partitions...)
	})
	for partition, reader := range c.readers {
		generation.Start(func(ctx context.Context) {
			defer reader.Close()
			for {
				read, err := reader.ReadMessage(ctx)
				if err != nil {
					return
				}
				got := message{key: string(read.Key), value: string(read.Value), at: read.Time.UnixMilli()}
				for _, h := range read.Headers {
					got.headers = append(got.headers, header{h.Key, string(h.Value)})
				}
				c.record(partition, read.Offset, got)
			}
		})
	}
}

func (c *kafkaGoClient) commit() (byPartition, error) {
	at, asked := c.copy(), map[int]int64{}
	for partition, next := range at {
		if next >= 0 {
			asked[int(partition)] = next
		}
	}
	c.lock.Lock()
	err := c.generation.CommitOffsets(map[string]map[int]int64{c.topic: asked})
	c.lock.Unlock()
	if err != nil {
		return nil, err
	}
	found, err := c.offsets(c.group)
	maps.DeleteFunc(found, func(p int32, _ int64) bool { _, has := at[p]; return !has })
	return found, err
}

func (c *kafkaGoClient) seek(ms int64) (byPartition, error) {
	ctx, cancel := within()
	defer cancel()
	c.lock.Lock()
	defer c.lock.Unlock()
	found := byPartition{}
	for partition := range c.copy() {
		if err := c.readers[partition].SetOffsetAt(ctx, time.UnixMilli(ms)); err != nil {
			return nil, err
		}
		found[partition] = c.readers[partition].Offset()
	}
	return found, nil
}

func (c *kafkaGoClient) leave() error {
	if c.consumer == nil {
		return nil
	}
	c.end()
	err := c.consumer.Close()
	c.consuming.Wait()
	c.consumer = nil
	return err
}

func (c *kafkaGoClient) list() ([]string, error) {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, group := range answer.Groups {
		groups = append(groups, group.GroupID)
	}
	return groups, answer.Error
}

// describe: this client does not tell the strategy.
func (c *kafkaGoClient) describe(group string) (string, string, [][]int32, error) {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return "", "", nil, err
	}
	var members [][]int32
	for _, member := range answer.Groups[0].Members {
		for _, topic := range member.MemberAssignments.Topics {
			var partitions []int32
			for _, p := range topic.Partitions {
				partitions = append(partitions, int32(p))
			}
			members = append(members, partitions)
		}
	}
	return answer.Groups[0].GroupState, "?", members, answer.Groups[0].Error
}

func (c *kafkaGoClient) offsets(group string) (byPartition, error) {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group})
	if err != nil {
		return nil, err
	}
	found := byPartition{}
	for _, partitions := range answer.Topics {
		for _, p := range partitions {
			found[int32(p.Partition)] = p.CommittedOffset
		}
	}
	return found, answer.Error
}

func (c *kafkaGoClient) ends(topic string, partitions int32) (byPartition, error) {
	ctx, cancel := within()
	defer cancel()
	var asked []kafka.OffsetRequest
	for p := range partitions {
		asked = append(asked, kafka.LastOffsetOf(int(p)))
	}
	answer, err := c.admin.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: asked}})
	if err != nil {
		return nil, err
	}
	found := byPartition{}
	for _, p := range answer.Topics[topic] {
		found[int32(p.Partition)] = p.LastOffset
		err = errors.Join(err, p.Error)
	}
	return found, err
}

func (c *kafkaGoClient) setOffset(group, topic string, partition int32, offset int64) error {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: int(partition), Offset: offset}}}})
	if err == nil {
		err = answer.Topics[topic][0].Error
	}
	return err
}

func (c *kafkaGoClient) deleteOffset(group, topic string, partition int32) error {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: group,
		Topics: map[string][]int{topic: {int(partition)}}})
	if err != nil {
		return err
	}
	for _, p := range answer.Topics[topic] {
		err = errors.Join(err, p.Error)
	}
	return errors.Join(err, answer.Error)
}

func (c *kafkaGoClient) deleteGroup(group string) error {
	ctx, cancel := within()
	defer cancel()
	answer, err := c.admin.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err == nil {
		err = answer.Errors[group]
	}
	return err
}

// name: this client calls its errors by the protocol's names in words.
func (c *kafkaGoClient) name(err error) string {
	var told kafka.Error
	if !errors.As(err, &told) {
		return "UNKNOWN"
	}
	return strings.ToUpper(strings.ReplaceAll(told.Title(), " ", "_"))
}
