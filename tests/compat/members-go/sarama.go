// sarama: its cluster admin, its sync producer (idempotent), its consumer group.
package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/IBM/sarama"
)

var saramaStrategies = map[string]func() sarama.BalanceStrategy{
	"range": sarama.NewBalanceStrategyRange, "roundrobin": sarama.NewBalanceStrategyRoundRobin,
	"sticky": sarama.NewBalanceStrategySticky, "cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky,
}

var saramaCodecs = map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}

type saramaClient struct {
	positions
	bootstrap    []string
	admin        sarama.ClusterAdmin
	group, topic string
	consumer     sarama.ConsumerGroup // nil unless it has joined
	end          context.CancelFunc
	consuming    sync.WaitGroup

	lock    sync.Mutex
	session sarama.ConsumerGroupSession
	again   context.CancelFunc // ends the session, and begins another
	sought  byPartition        // where the next session begins
}

func newSarama(bootstrap string) (client, error) {
	c := &saramaClient{bootstrap: strings.Split(bootstrap, ",")}
	var err error
	c.admin, err = sarama.NewClusterAdmin(c.bootstrap, c.config())
	return c, err
}

func (c *saramaClient) config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	return config
}

func (c *saramaClient) create(topic string, partitions int32) error {
	forever := "-1"
	detail := sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: -1,
		ConfigEntries: map[string]*string{"retention.ms": &forever}}
	return c.admin.CreateTopic(topic, &detail, false)
}

func (c *saramaClient) delete(topic string) error { return c.admin.DeleteTopic(topic) }

func (c *saramaClient) write(topic string, partitions, from, to int64, codec string) error {
	config := c.config()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Compression = saramaCodecs[codec]
	config.Producer.Idempotent, config.Net.MaxOpenRequests = true, 1
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(c.bootstrap, config)
	if err != nil {
		return err
	}
	var messages []*sarama.ProducerMessage
	for i := from; i < to; i++ {
		m, sent := sampled(i), &sarama.ProducerMessage{Topic: topic, Partition: int32(i % partitions)}
		sent.Key, sent.Value, sent.Timestamp = sarama.StringEncoder(m.key), sarama.StringEncoder(m.value), time.UnixMilli(m.at)
		for _, h := range m.headers {
			sent.Headers = append(sent.Headers, sarama.RecordHeader{Key: []byte(h.name), Value: []byte(h.value)})
		}
		messages = append(messages, sent)
	}
	return errors.Join(producer.SendMessages(messages), producer.Close())
}

func (c *saramaClient) join(group, topic, strategy, instance string, session time.Duration) error {
	config := c.config()
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{saramaStrategies[strategy]()}
	config.Consumer.Group.Session.Timeout = session
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Return.Errors = true
	if instance != "-" {
		config.Consumer.Group.InstanceId = instance
	}
	consumer, err := sarama.NewConsumerGroup(c.bootstrap, group, config)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	c.group, c.topic, c.consumer, c.end = group, topic, consumer, end
	c.consuming.Go(func() {
		for err := range consumer.Errors() {
			say("lost", c.name(err), err)
		}
	})
	c.consuming.Go(func() {
		for ctx.Err() == nil {
			session, again := context.WithCancel(ctx)
			c.lock.Lock()
			c.again = again
			c.lock.Unlock()
			if err := consumer.Consume(session, []string{topic}, c); err != nil {
				say("lost", c.name(err), err)
				again()
				return
			}
			again()
		}
	})
	return nil
}

// Setup is called before a session's first partition is consumed. In a cooperative group the session then goes on, and what
// comes and goes is told by ConsumeClaim alone.
func (c *saramaClient) Setup(session sarama.ConsumerGroupSession) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	for partition, offset := range c.sought {
		session.ResetOffset(c.topic, partition, offset, "")
	}
	c.session, c.sought = session, nil
	return nil
}

func (c *saramaClient) Cleanup(sarama.ConsumerGroupSession) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.session = nil
	return nil
}

func (c *saramaClient) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	c.add(claim.Partition())
	defer c.drop(claim.Partition())
	for {
		select {
		case read, more := <-claim.Messages():
			if !more {
				return nil
			}
			got := message{key: string(read.Key), value: string(read.Value), at: read.Timestamp.UnixMilli()}
			for _, h := range read.Headers {
				got.headers = append(got.headers, header{string(h.Key), string(h.Value)})
			}
			c.record(read.Partition, read.Offset, got)
		case <-session.Context().Done():
			return nil
		}
	}
}

func (c *saramaClient) commit() (byPartition, error) {
	at := c.copy()
	c.lock.Lock()
	if c.session == nil {
		c.lock.Unlock()
		return nil, sarama.ErrRebalanceInProgress
	}
	for partition, next := range at {
		if next >= 0 {
			c.session.MarkOffset(c.topic, partition, next, "")
		}
	}
	c.session.Commit()
	c.lock.Unlock()
	found, err := c.offsets(c.group)
	maps.DeleteFunc(found, func(p int32, _ int64) bool { _, has := at[p]; return !has })
	return found, err
}

// seek is by a new session: sarama sets positions before it consumes, and not after.
func (c *saramaClient) seek(ms int64) (byPartition, error) {
	found, err := c.listed(c.topic, slices.Collect(maps.Keys(c.copy())), ms)
	if err != nil {
		return nil, err
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.sought = found
	c.again()
	return found, nil
}

func (c *saramaClient) leave() error {
	if c.consumer == nil {
		return nil
	}
	c.end()
	err := c.consumer.Close()
	c.consuming.Wait()
	c.consumer = nil
	return err
}

func (c *saramaClient) list() ([]string, error) {
	groups, err := c.admin.ListConsumerGroups()
	return slices.Collect(maps.Keys(groups)), err
}

func (c *saramaClient) describe(group string) (string, string, [][]int32, error) {
	described, err := c.admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return "", "", nil, err
	}
	about := described[0]
	if about.Err != sarama.ErrNoError {
		return "", "", nil, about.Err
	}
	var members [][]int32
	for _, member := range about.Members {
		assignment, err := member.GetMemberAssignment()
		if err != nil {
			return "", "", nil, err
		}
		for _, partitions := range assignment.Topics {
			members = append(members, partitions)
		}
	}
	strategy := about.Protocol
	if strategy == "" {
		strategy = "-"
	}
	return about.State, strategy, members, nil
}

func (c *saramaClient) offsets(group string) (byPartition, error) {
	answer, err := c.admin.ListConsumerGroupOffsets(group, nil)
	if err != nil {
		return nil, err
	}
	found := byPartition{}
	for _, partitions := range answer.Blocks {
		for partition, block := range partitions {
			found[partition] = block.Offset
		}
	}
	return found, nil
}

func (c *saramaClient) ends(topic string, partitions int32) (byPartition, error) {
	var all []int32
	for p := range partitions {
		all = append(all, p)
	}
	return c.listed(topic, all, sarama.OffsetNewest)
}

func (c *saramaClient) listed(topic string, partitions []int32, at int64) (byPartition, error) {
	asked, found := map[int32]int64{}, byPartition{}
	for _, p := range partitions {
		asked[p] = at
	}
	answer, err := c.admin.ListOffsets(map[string]map[int32]int64{topic: asked}, nil)
	for partition, result := range answer[topic] {
		found[partition] = result.Offset
		if result.Err != sarama.ErrNoError {
			err = errors.Join(err, result.Err)
		}
	}
	return found, err
}

func (c *saramaClient) setOffset(group, topic string, partition int32, offset int64) error {
	wanted := map[string]map[int32]sarama.OffsetAndMetadata{topic: {partition: {Offset: offset, LeaderEpoch: -1}}}
	answer, err := c.admin.AlterConsumerGroupOffsets(group, wanted, nil)
	if err == nil && answer.Errors[topic][partition] != sarama.ErrNoError {
		err = answer.Errors[topic][partition]
	}
	return err
}

func (c *saramaClient) deleteOffset(group, topic string, partition int32) error {
	return c.admin.DeleteConsumerGroupOffset(group, topic, partition)
}

func (c *saramaClient) deleteGroup(group string) error { return c.admin.DeleteConsumerGroup(group) }

// name: sarama has no names of errors, only a text for each; the tests ask for these.
func (c *saramaClient) name(err error) string {
	var told sarama.KError
	if !errors.As(err, &told) {
		return "UNKNOWN"
	}
	switch told {
	case sarama.ErrNonEmptyGroup:
		return "NON_EMPTY_GROUP"
	case sarama.ErrGroupIDNotFound:
		return "GROUP_ID_NOT_FOUND"
	case sarama.ErrGroupSubscribedToTopic:
		return "GROUP_SUBSCRIBED_TO_TOPIC"
	case sarama.ErrFencedInstancedId:
		return "FENCED_INSTANCE_ID"
	}
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return '_'
	}, told.Error()))
}
