"""Whether a broker serves an API, by what it answers to ApiVersions: a client's program leaves out what it can't have."""

import socket
import struct

JOIN_GROUP = 11


def serves(bootstrap, key):
    """Of several brokers, as the first one that answers says."""
    first, _, others = bootstrap.partition(",")
    try:
        return key in served(*first.rsplit(":", 1))
    except OSError:
        if not others:
            raise
        return serves(others, key)


def served(host, port):
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))  # ApiVersions v0, no client id
        stream = connection.makefile("rb")
        head = stream.read(4)
        if len(head) < 4:
            raise ConnectionError(f"{host}:{port} closed the connection")
        body = stream.read(*struct.unpack(">i", head))
    (count,) = struct.unpack_from(">i", body, 6)
    return {struct.unpack_from(">h", body, 10 + 6 * i)[0] for i in range(count)}
