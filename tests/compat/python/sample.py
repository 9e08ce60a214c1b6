"""The records that every program writes and expects back; ../README.md gives the rules in words.

Nothing here knows a client: it is a pure function of (partition, i), and its answers are found by brute force.
"""

import zlib
from typing import NamedTuple, Optional

# Partition p of the main topic is written with CODECS[p].
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
RECORDS = 500
CHUNK = 50  # records between two flushes, so that each partition has at least ten batches
EPOCH_MS = 1357034400000  # 2013-01-01T10:00:00Z
# Segments roll by record time each 200 s or so, and look-ups cross segments. The first segment always reaches past DELETED:
# Kafka answers -1 for a time whose segment lies wholly below the log start until its retention has removed that segment.
TOPIC_CONFIG = {"retention.ms": "-1", "segment.ms": "200000"}
DELETED = 120  # records below this offset are deleted at the end


class Record(NamedTuple):
    timestamp: int
    key: Optional[bytes]
    value: Optional[bytes]
    headers: list  # of (str, Optional[bytes])


def timestamp(i):
    """A record a second; of ten, one is 3 s early and one 4.5 s late, so the log is out of order."""
    shift = {2: 3000, 7: -4500}.get(i % 10, 0)
    return EPOCH_MS + 1000 * i + shift


def record(partition, i, null=None):
    """Record i of a partition; `null` replaces a header's null value for clients that can't send one."""
    key = None if i % 7 == 0 else b"" if i % 11 == 0 else b"key-%d" % i
    if i % 14 == 3:  # never where the key is null too: kafka-python refuses to send that
        value = None
    elif i % 17 == 0:
        value = b""
    elif i % CHUNK == CHUNK - 1:
        value = (b"%d:%d;" % (partition, i) * 4000)[:20000]
    else:
        value = b"value %d %d" % (partition, i)
    headers = [
        [],
        [("h", b"%d" % i)],
        [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", null)],
    ][i % 3]
    return Record(timestamp(i), key, value, headers)


def first_at_or_after(time_ms, start=0):
    """The offset that ListOffsets has to answer for `time_ms`: exact, also out of order; None past the end."""
    return next((i for i in range(start, RECORDS) if timestamp(i) >= time_ms), None)


def seek_times():
    """Times worth asking for: before all, between, inside the disorder, at a roll, the last one, and past it."""
    newest = max(timestamp(i) for i in range(RECORDS))
    inside = [0, 1, 2500, 3500, 5000, 5001, 99_999, 100_000, 123_456, 250_000, 400_500]
    return [0, EPOCH_MS - 1] + [EPOCH_MS + t for t in inside] + [newest, newest + 1]


def newest():
    """(offset, timestamp) of the record with the largest timestamp."""
    at = max(range(RECORDS), key=timestamp)
    return at, timestamp(at)


def digest(records, crc=0):
    """CRC-32 (IEEE) over (offset, Record) pairs in order; ../README.md says what is covered, java/Reader.java does the same."""

    def sized(data):
        return b"\xff\xff\xff\xff" if data is None else len(data).to_bytes(4, "big") + data

    for offset, r in records:
        parts = [offset.to_bytes(8, "big", signed=True), r.timestamp.to_bytes(8, "big", signed=True)]
        parts += [sized(r.key), sized(r.value), len(r.headers).to_bytes(4, "big")]
        for name, value in r.headers:
            parts += [sized(name.encode()), sized(value)]
        crc = zlib.crc32(b"".join(parts), crc)
    return crc


def difference(expected, got):
    """None, or the first field in which two records differ, in words short enough for one line."""
    for field, want, have in zip(Record._fields, expected, got):
        if want != have:
            return f"{field} is {have!r:.80}, not {want!r:.80}"
    return None
