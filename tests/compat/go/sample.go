// The records that every program writes and expects back; ../README.md gives the rules in words.
package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	sampleRecords = 500
	sampleChunk   = 50
	sampleEpochMs = 1357034400000
	sampleDeleted = 120
)

var sampleConfig = map[string]*string{"retention.ms": text("-1"), "segment.ms": text("200000")}

func text(s string) *string { return &s }

func sampleTimestamp(i int) int64 {
	shift := map[int]int64{2: 3000, 7: -4500}[i%10]
	return sampleEpochMs + 1000*int64(i) + shift
}

func sampleRecord(topic string, partition int32, i int) *kgo.Record {
	r := &kgo.Record{Topic: topic, Partition: partition, Timestamp: time.UnixMilli(sampleTimestamp(i))}
	switch {
	case i%7 == 0:
	case i%11 == 0:
		r.Key = []byte{}
	default:
		r.Key = []byte("key-" + strconv.Itoa(i))
	}
	switch {
	case i%14 == 3:
	case i%17 == 0:
		r.Value = []byte{}
	case i%sampleChunk == sampleChunk-1:
		r.Value = []byte(strings.Repeat(fmt.Sprintf("%d:%d;", partition, i), 4000)[:20000])
	default:
		r.Value = fmt.Appendf(nil, "value %d %d", partition, i)
	}
	switch i % 3 {
	case 1:
		r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte(strconv.Itoa(i))}}
	case 2:
		r.Headers = []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")},
			{Key: "empty", Value: []byte{}}, {Key: "null"}}
	}
	return r
}

// sampleFirstAtOrAfter is what ListOffsets has to answer for a time, by brute force; -1 past the end.
func sampleFirstAtOrAfter(ms int64) int64 {
	for i := range sampleRecords {
		if sampleTimestamp(i) >= ms {
			return int64(i)
		}
	}
	return -1
}

// sampleNewest is the offset of the record with the largest timestamp.
func sampleNewest() int {
	newest := 0
	for i := range sampleRecords {
		if sampleTimestamp(i) > sampleTimestamp(newest) {
			newest = i
		}
	}
	return newest
}

func sampleSeekTimes() []int64 {
	last := sampleTimestamp(sampleNewest())
	times := []int64{0, sampleEpochMs - 1, last, last + 1}
	for _, t := range []int64{0, 1, 2500, 3500, 5000, 5001, 99_999, 100_000, 123_456, 250_000, 400_500} {
		times = append(times, sampleEpochMs+t)
	}
	return times
}

// difference says which field of two records differs; null and empty are different.
func difference(want, got *kgo.Record) error {
	same := func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
	switch {
	case want.Timestamp.UnixMilli() != got.Timestamp.UnixMilli():
		return fmt.Errorf("timestamp %d, not %d", got.Timestamp.UnixMilli(), want.Timestamp.UnixMilli())
	case !same(want.Key, got.Key):
		return fmt.Errorf("key %q, not %q", got.Key, want.Key)
	case !same(want.Value, got.Value):
		return fmt.Errorf("value %.40q, not %.40q", got.Value, want.Value)
	case len(want.Headers) != len(got.Headers):
		return fmt.Errorf("%d headers, not %d", len(got.Headers), len(want.Headers))
	}
	for i, h := range want.Headers {
		if h.Key != got.Headers[i].Key || !same(h.Value, got.Headers[i].Value) {
			return fmt.Errorf("header %d is %v, not %v", i, got.Headers[i], h)
		}
	}
	return nil
}
