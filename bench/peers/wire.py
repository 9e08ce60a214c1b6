"""As much of Kafka's protocol as it takes to make topics and to know when a broker acknowledges its first record.

Versions without compact forms: Metadata 4, CreateTopics 2, DeleteTopics 1, Produce 3."""

import socket
import struct
import time

LEADER_NOT_AVAILABLE = 5
TOPIC_ALREADY_EXISTS = 36


def crc32c(data, table=[]):
    if not table:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ 0x82F63B78 if byte & 1 else byte >> 1
            table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def one_record(value=b"first"):
    """A record batch, format 2, with one record."""
    body = b"\0\0\0\1" + bytes([2 * len(value)]) + value + b"\0"
    record = bytes([2 * len(body)]) + body
    now = int(time.time() * 1000)
    covered = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record
    after = struct.pack(">ibI", -1, 2, crc32c(covered)) + covered
    return struct.pack(">qi", 0, len(after)) + after


class Connection:
    def __init__(self, port, timeout=150):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, api, version, body):
        head = struct.pack(">hhih", api, version, 1, 5) + b"bench"
        self.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        (size,) = struct.unpack(">i", self._exactly(4))
        return Reader(self._exactly(size)[4:])

    def _exactly(self, count):
        out = bytearray()
        while len(out) < count:
            part = self.socket.recv(count - len(out))
            if not part:
                raise ConnectionError("the broker closed the connection")
            out += part
        return bytes(out)

    def metadata(self, topic, create=False):
        """Leaders by partition; makes the topic where that is asked for and the broker allows it."""
        r = self.ask(3, 4, struct.pack(">i", 1) + text(topic) + bytes([create]))
        r.i32()
        for _ in range(r.i32()):
            r.i32(), r.text(), r.i32(), r.text()
        r.text(), r.i32()
        r.i32()
        error, _, _ = r.i16(), r.text(), r.i8()
        leaders = {}
        for _ in range(r.i32()):
            failed, index, leader = r.i16(), r.i32(), r.i32()
            for _ in range(2):
                for _ in range(r.i32()):
                    r.i32()
            if failed == 0 and leader >= 0:
                leaders[index] = leader
        return leaders if error == 0 else {}

    def create_topic(self, name, partitions, config=None):
        config = config or {}
        body = struct.pack(">i", 1) + text(name) + struct.pack(">ihi", partitions, 1, 0)
        body += struct.pack(">i", len(config)) + b"".join(text(k) + text(v) for k, v in config.items())
        r = self.ask(19, 2, body + struct.pack(">ib", 120_000, 0))
        r.i32(), r.i32(), r.text()
        error, message = r.i16(), r.text()
        if error not in (0, TOPIC_ALREADY_EXISTS):
            raise RuntimeError(f"topic {name}: error {error}: {message}")

    def delete_topic(self, name):
        r = self.ask(20, 1, struct.pack(">i", 1) + text(name) + struct.pack(">i", 60_000))
        r.i32(), r.i32(), r.text()
        return r.i16()

    def produce_one(self, topic, partition):
        """Sends one record with acks=all; returns the error code."""
        batch = one_record()
        body = struct.pack(">hhi", -1, -1, 30_000) + struct.pack(">i", 1) + text(topic)
        body += struct.pack(">iii", 1, partition, len(batch)) + batch
        r = self.ask(0, 3, body)
        r.i32(), r.text(), r.i32(), r.i32()
        return r.i16()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def i8(self):
        return self.take(">b")

    def i16(self):
        return self.take(">h")

    def i32(self):
        return self.take(">i")

    def text(self):
        length = self.i16()
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()


def text(value):
    encoded = value.encode()
    return struct.pack(">h", len(encoded)) + encoded


def first_acknowledged(server, port, targets, limit=300):
    """Seconds from the server's start until it has acknowledged a record on each of the (topic, partition)."""
    waiting = list(targets)
    until = server.started + limit
    while waiting:
        server.check()
        if time.monotonic() > until:
            raise RuntimeError(f"not served within {limit} s: {waiting[:3]}")
        try:
            with Connection(port, timeout=30) as connection:
                while waiting:
                    topic, partition = waiting[0]
                    if partition in connection.metadata(topic, create=True):
                        if connection.produce_one(topic, partition) == 0:
                            waiting.pop(0)
                            continue
                    server.check()
                    if time.monotonic() > until:
                        raise RuntimeError(f"not served within {limit} s: {waiting[:3]}")
                    time.sleep(0.001)
        except OSError:
            time.sleep(0.001)
    return time.monotonic() - server.started
