// A group member and admin that does what ../python/groups.py tells it line by line; the words are in ../README.md.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var strategies = map[string]kgo.GroupBalancer{
	"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(),
	"cooperative-sticky": kgo.CooperativeStickyBalancer(),
}

type member struct {
	program
	group, topic string
	consumer     *kgo.Client // nil unless it has joined

	lock     sync.Mutex     // callbacks of rebalances come on goroutines of the client
	assigned map[int32]bool // what it has
}

func runMember(args []string) {
	flags := flag.NewFlagSet("member", flag.ExitOnError)
	bootstrap := flags.String("bootstrap", "", "HOST:PORT of a broker")
	_ = flags.Parse(args)
	m := &member{program: program{bootstrap: *bootstrap}, assigned: map[int32]bool{}}
	client, err := m.client()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	m.admin = kadm.NewClient(client)
	commands := make(chan []string)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			commands <- strings.Fields(lines.Text())
		}
		close(commands)
	}()
	for words := range m.each(commands) {
		answer, err := m.answer(words)
		if err != nil {
			answer = "error " + failure(err)
		}
		fmt.Println(answer)
	}
	if m.consumer != nil {
		m.leave()
	}
}

// each gives the commands one by one, and polls between them while the member has joined.
func (m *member) each(commands chan []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		idle := make(chan struct{})
		close(idle)
		for {
			var polls chan struct{}
			if m.consumer != nil {
				polls = idle
			}
			select {
			case words, more := <-commands:
				if !more || !yield(words) {
					return
				}
			case <-polls:
				m.poll()
			}
		}
	}
}

// failure is the protocol's name of an error, and what it says.
func failure(err error) string {
	var told *kerr.Error
	name := "UNKNOWN"
	if errors.As(err, &told) {
		name = told.Message
	}
	return name + " " + strings.ReplaceAll(err.Error(), "\n", " ")
}

func (m *member) answer(words []string) (string, error) {
	ctx, cancel := within()
	defer cancel()
	var numbers [8]int64
	for i, word := range words {
		numbers[i], _ = strconv.ParseInt(word, 10, 64)
	}
	switch words[0] {
	case "create":
		return "done", m.create(words[1], int32(numbers[2]), map[string]*string{"retention.ms": text("-1")})
	case "delete":
		_, err := m.admin.DeleteTopic(ctx, words[1])
		return "done", err
	case "write":
		return m.write(ctx, words[1], numbers[2], numbers[3], numbers[4], words[5])
	case "join":
		return "joining", m.join(words[1], words[2], words[3], words[4], time.Duration(numbers[5])*time.Millisecond)
	case "commit":
		return m.commit(ctx, words[1])
	case "seek":
		return m.seek(ctx, numbers[1])
	case "leave":
		return m.leave(), nil
	case "list":
		listed, err := m.admin.ListGroups(ctx)
		return "groups " + strings.Join(listed.Groups(), " "), err
	case "describe":
		return m.describe(ctx, words[1])
	case "offsets":
		found, err := m.admin.FetchOffsets(ctx, words[1])
		return "offsets " + byPartition(found.Offsets()), errors.Join(err, found.Error())
	case "ends":
		found, err := m.admin.ListEndOffsets(ctx, words[1])
		return "ends " + byPartition(found.Offsets()), errors.Join(err, found.Error())
	case "set-offset":
		var wanted kadm.Offsets
		wanted.AddOffset(words[2], int32(numbers[3]), numbers[4], -1)
		return "done", m.admin.CommitAllOffsets(ctx, words[1], wanted)
	case "delete-offset":
		var which kadm.TopicsSet
		which.Add(words[2], int32(numbers[3]))
		answers, err := m.admin.DeleteOffsets(ctx, words[1], which)
		return "done", errors.Join(err, answers.Error())
	case "delete-group":
		_, err := m.admin.DeleteGroup(ctx, words[1])
		return "done", err
	}
	return "error UNSUPPORTED " + words[0], nil
}

func (m *member) write(ctx context.Context, topic string, partitions, from, to int64, codec string) (string, error) {
	options := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}
	for _, c := range codecs {
		if c.name == codec {
			options = append(options, kgo.ProducerBatchCompression(c.codec))
		}
	}
	producer, err := m.client(options...)
	if err != nil {
		return "", err
	}
	defer producer.Close()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % partitions),
			Timestamp: time.UnixMilli(sampleEpochMs + 1000*i), Key: fmt.Append(nil, i), Value: fmt.Append(nil, "value ", i)})
	}
	return fmt.Sprint("written ", len(records)), producer.ProduceSync(ctx, records...).FirstErr()
}

func (m *member) join(group, topic, strategy, instance string, session time.Duration) error {
	options := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(strategies[strategy]),
		kgo.SessionTimeout(session), kgo.HeartbeatInterval(300 * time.Millisecond), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(m.changes("assigned")), kgo.OnPartitionsRevoked(m.changes("revoked")),
		kgo.OnPartitionsLost(m.changes("revoked"))}
	if instance != "-" {
		options = append(options, kgo.InstanceID(instance))
	}
	var err error
	m.group, m.topic = group, topic
	m.consumer, err = m.client(options...)
	return err
}

// changes is a callback for what was added, or taken.
func (m *member) changes(kind string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
		m.lock.Lock()
		defer m.lock.Unlock()
		partitions := changed[m.topic]
		for _, p := range partitions {
			if kind == "assigned" {
				m.assigned[p] = true
			} else {
				delete(m.assigned, p)
			}
		}
		if kind == "assigned" {
			partitions = slices.Collect(maps.Keys(m.assigned))
		} else if len(partitions) == 0 {
			return
		}
		slices.Sort(partitions)
		fmt.Println(kind, strings.Trim(fmt.Sprint(partitions), "[]"))
	}
}

func (m *member) poll() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fetches := m.consumer.PollFetches(ctx)
	if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		fmt.Println("lost", failure(err))
		m.leave()
		return
	}
	fetches.EachRecord(func(r *kgo.Record) { fmt.Println("record", r.Partition, r.Offset, string(r.Key)) })
}

// commit commits what was polled; what the broker then has is read back.
func (m *member) commit(ctx context.Context, how string) (string, error) {
	var err error
	if how == "sync" {
		err = m.consumer.CommitUncommittedOffsets(ctx)
	} else {
		answered := make(chan error, 1)
		m.consumer.CommitOffsets(ctx, m.consumer.UncommittedOffsets(),
			func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
				answered <- err
			})
		err = <-answered
	}
	if err != nil {
		return "", err
	}
	found, err := m.admin.FetchOffsets(ctx, m.group)
	found.KeepFunc(func(o kadm.OffsetResponse) bool { return m.has(o.Partition) })
	return "committed " + byPartition(found.Offsets()), err
}

func (m *member) has(partition int32) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.assigned[partition]
}

func (m *member) seek(ctx context.Context, ms int64) (string, error) {
	found, err := m.admin.ListOffsetsAfterMilli(ctx, ms, m.topic)
	if err != nil {
		return "", err
	}
	offsets := found.Offsets()
	offsets.KeepFunc(func(o kadm.Offset) bool { return m.has(o.Partition) })
	m.consumer.SetOffsets(map[string]map[int32]kgo.EpochOffset{m.topic: epochs(offsets)})
	return "sought " + byPartition(offsets), nil
}

func epochs(offsets kadm.Offsets) map[int32]kgo.EpochOffset {
	found := map[int32]kgo.EpochOffset{}
	offsets.Each(func(o kadm.Offset) { found[o.Partition] = kgo.EpochOffset{Epoch: -1, Offset: o.At} })
	return found
}

func (m *member) leave() string {
	m.consumer.Close()
	m.consumer = nil
	clear(m.assigned)
	return "left"
}

func (m *member) describe(ctx context.Context, group string) (string, error) {
	described, err := m.admin.DescribeGroups(ctx, group)
	about := described[group]
	strategy := about.Protocol
	if strategy == "" {
		strategy = "-"
	}
	words := []string{"group", about.State, strategy}
	for _, one := range about.Members {
		assigned, _ := one.Assigned.AsConsumer()
		for _, topic := range assigned.Topics {
			slices.Sort(topic.Partitions)
			words = append(words, strings.ReplaceAll(strings.Trim(fmt.Sprint(topic.Partitions), "[]"), " ", ","))
		}
	}
	return strings.Join(words, " "), errors.Join(err, about.Err)
}

// byPartition is the offsets of one topic as answers have them.
func byPartition(offsets kadm.Offsets) string {
	var words []string
	offsets.Each(func(o kadm.Offset) { words = append(words, fmt.Sprintf("%d:%d", o.Partition, o.At)) })
	return strings.Join(words, " ")
}
