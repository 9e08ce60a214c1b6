// Group members, and admins, by sarama and by kafka-go, that do what ../python/groups.py tells them line by line; the words
// are in ../README.md.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	wait    = 20 * time.Second
	epochMs = 1357034400000
)

// byPartition is an offset of each partition of one topic.
type byPartition map[int32]int64

// client is what the two have in common.
type client interface {
	create(topic string, partitions int32) error
	delete(topic string) error
	write(topic string, partitions, from, to int64, codec string) error

	join(group, topic, strategy, instance string, session time.Duration) error
	commit() (byPartition, error)
	seek(ms int64) (byPartition, error)
	leave() error

	list() ([]string, error)
	describe(group string) (state, strategy string, members [][]int32, err error)
	offsets(group string) (byPartition, error)
	ends(topic string, partitions int32) (byPartition, error)
	setOffset(group, topic string, partition int32, offset int64) error
	deleteOffset(group, topic string, partition int32) error
	deleteGroup(group string) error
	// name is the protocol's name of an error.
	name(err error) string
}

func main() {
	which := flag.String("client", "", "sarama or kafka-go")
	bootstrap := flag.String("bootstrap", "", "HOST:PORT of a broker")
	flag.Parse()
	c, err := map[string]func(string) (client, error){"sarama": newSarama, "kafka-go": newKafkaGo}[*which](*bootstrap)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := answer(c, strings.Fields(lines.Text()))
		if err != nil {
			answer = "error " + c.name(err) + " " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		say(strings.TrimSpace(answer))
	}
	_ = c.leave()
}

var output sync.Mutex // events come on the clients' goroutines

func say(words ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Println(words...)
}

func answer(c client, words []string) (string, error) {
	var numbers [8]int64
	for i, word := range words {
		numbers[i], _ = strconv.ParseInt(word, 10, 64)
	}
	switch words[0] {
	case "create":
		return "done", c.create(words[1], int32(numbers[2]))
	case "delete":
		return "done", c.delete(words[1])
	case "write":
		return fmt.Sprint("written ", numbers[4]-numbers[3]), c.write(words[1], numbers[2], numbers[3], numbers[4], words[5])
	case "join":
		return "joining", c.join(words[1], words[2], words[3], words[4], time.Duration(numbers[5])*time.Millisecond)
	case "commit":
		return told("committed", c.commit)
	case "seek":
		return told("sought", func() (byPartition, error) { return c.seek(numbers[1]) })
	case "leave":
		return "left", c.leave()
	case "list":
		groups, err := c.list()
		return "groups " + strings.Join(groups, " "), err
	case "describe":
		state, strategy, members, err := c.describe(words[1])
		said := []string{"group", state, strategy}
		for _, partitions := range members {
			said = append(said, joined(partitions, ","))
		}
		return strings.Join(said, " "), err
	case "offsets":
		return told("offsets", func() (byPartition, error) { return c.offsets(words[1]) })
	case "ends":
		return told("ends", func() (byPartition, error) { return c.ends(words[1], int32(numbers[2])) })
	case "set-offset":
		return "done", c.setOffset(words[1], words[2], int32(numbers[3]), numbers[4])
	case "delete-offset":
		return "done", c.deleteOffset(words[1], words[2], int32(numbers[3]))
	case "delete-group":
		return "done", c.deleteGroup(words[1])
	}
	return "error UNSUPPORTED " + words[0], nil
}

func told(word string, ask func() (byPartition, error)) (string, error) {
	found, err := ask()
	for _, p := range slices.Sorted(maps.Keys(found)) {
		if found[p] >= 0 {
			word += fmt.Sprintf(" %d:%d", p, found[p])
		}
	}
	return word, err
}

func joined(partitions []int32, separator string) string {
	slices.Sort(partitions)
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(partitions), "[]"), " ", separator)
}

// positions is where a member is in each partition that it has.
type positions struct {
	lock sync.Mutex
	next byPartition
}

func (p *positions) add(partitions ...int32) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.next == nil {
		p.next = byPartition{}
	}
	for _, partition := range partitions {
		p.next[partition] = -1
	}
	say("assigned", joined(slices.Collect(maps.Keys(p.next)), " "))
}

func (p *positions) drop(partitions ...int32) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, partition := range partitions {
		delete(p.next, partition)
	}
	if len(partitions) > 0 {
		say("revoked", joined(partitions, " "))
	}
}

// message is a record in the words of neither client; each of the sample has one header.
type message struct {
	key, value string
	at         int64 // ms
	headers    []header
}

type header struct{ name, value string }

// sampled is the record i that write writes.
func sampled(i int64) message {
	key := strconv.FormatInt(i, 10)
	return message{key, "value " + key + " with a header", epochMs + 1000*i, []header{{"h", key}}}
}

// check compares with what was written; other clients' members write no header, and a value that does not speak of one.
func (m message) check() error {
	i, _ := strconv.ParseInt(m.key, 10, 64)
	want := sampled(i)
	if !strings.HasSuffix(m.value, " with a header") {
		want.value, want.headers = "value "+m.key, nil
	}
	if m.key != want.key || m.value != want.value || m.at != want.at || !slices.Equal(m.headers, want.headers) {
		return fmt.Errorf("it is %v, not %v", m, want)
	}
	return nil
}

// record tells of a record of a partition that is still there, if it is as it was written.
func (p *positions) record(partition int32, offset int64, got message) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if _, has := p.next[partition]; !has {
		return
	}
	p.next[partition] = offset + 1
	if err := got.check(); err != nil {
		say("lost WRONG_RECORD", partition, offset, err)
		return
	}
	say("record", partition, offset, got.key)
}

func (p *positions) copy() byPartition {
	p.lock.Lock()
	defer p.lock.Unlock()
	return maps.Clone(p.next)
}
