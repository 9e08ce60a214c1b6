"""Whether a broker serves an API, by what it answers to ApiVersions: a client's program leaves out what it can't have."""

import socket
import struct

JOIN_GROUP = 11


def serves(bootstrap, key):
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))  # ApiVersions v0, no client id
        stream = connection.makefile("rb")
        (size,) = struct.unpack(">i", stream.read(4))
        body = stream.read(size)
    (count,) = struct.unpack_from(">i", body, 6)
    return any(struct.unpack_from(">h", body, 10 + 6 * i) == (key,) for i in range(count))
