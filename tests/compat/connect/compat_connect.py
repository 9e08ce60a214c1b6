"""Kafka Connect in distributed mode against a broker: its three topics, two workers, the file source and sink that ship
with it. CLASSPATH has Connect. Its workers are told what to do by their REST interface."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from checks import Checks, equal, eventually

WAIT = 60
PACKAGE = "org.apache.kafka.connect"
# Connect must be told of small time-outs: it waits five minutes for a lost worker's return.
SETTINGS = {
    "key.converter": f"{PACKAGE}.storage.StringConverter",
    "value.converter": f"{PACKAGE}.storage.StringConverter",
    "offset.storage.replication.factor": -1,
    "config.storage.replication.factor": -1,
    "status.storage.replication.factor": -1,
    "offset.storage.partitions": 5,
    "offset.flush.interval.ms": 300,
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 500,
    "consumer.session.timeout.ms": 6000,
    "consumer.heartbeat.interval.ms": 500,
    "scheduled.rebalance.max.delay.ms": 500,
    "plugin.discovery": "service_load",
}
JVM = ["java", "-Xmx384M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", os.environ["CLASSPATH"]]
checks = Checks("connect")
check, name = checks.check, checks.topic
folder = Path(tempfile.mkdtemp(prefix="connect"))


class Worker:
    def __init__(self, number):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        settings = {
            **SETTINGS,
            "bootstrap.servers": checks.bootstrap,
            "group.id": f"{name}-workers",
            "listeners": f"http://127.0.0.1:{self.port}",
            "config.storage.topic": f"{name}-configs",
            "offset.storage.topic": f"{name}-offsets",
            "status.storage.topic": f"{name}-status",
        }
        file = folder / f"worker-{number}.properties"
        file.write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        with open(folder / f"worker-{number}.log", "w") as log:
            self.process = subprocess.Popen([*JVM, f"{PACKAGE}.cli.ConnectDistributed", file], stdout=log, stderr=log)

    def ask(self, path, method="GET", body=None):
        """The answer, or None while the worker is not there or the group rebalances."""
        request = urllib.request.Request(f"http://{self.address()}{path}", method=method,
                                         data=body and json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=WAIT) as answer:
                return json.loads(answer.read() or "{}")
        except urllib.error.HTTPError as error:
            if error.code in (404, 409, 500, 503):
                return None
            raise AssertionError(f"{error.code} of {method} {path}: {error.read().decode()}") from error
        except OSError:
            return None

    def serves(self):
        assert self.process.poll() is None, f"the worker ended with {self.process.poll()}"
        return self.ask("/connectors") is not None

    def address(self):
        return f"127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()
        self.process.wait(WAIT)


def state(worker, connector):
    """Where the connector and its only task run, when both do; else None."""
    about = worker.ask(f"/connectors/{connector}/status")
    parts = about and [about["connector"], *about["tasks"]]
    if not parts or len(parts) != 2 or any(part["state"] != "RUNNING" for part in parts):
        return None
    return [part["worker_id"] for part in parts]


def running(worker, among):
    """Waits until both connectors and their tasks run on these workers."""
    addresses = {w.address() for w in among}

    def so():
        states = [state(worker, c) for c in (source, sink)]
        return all(s and set(s) <= addresses for s in states)

    eventually("both connectors run", so, WAIT)


def write(first, last):
    with open(folder / "in", "a") as file:
        file.writelines(f"line {i}\n" for i in range(first, last))


def arrived(count):
    """Waits until the sink's file has the first `count` lines, and returns all that it has."""
    want = [f"line {i}" for i in range(count)]

    def lines():
        return (folder / "out").read_text().splitlines() if (folder / "out").exists() else []

    eventually(f"{count} lines", lambda: set(want) <= set(lines()), WAIT)
    return lines()


def committed(worker, connector, ready):
    """Waits until the connector's committed offset is as `ready` would have it."""
    def so():
        about = worker.ask(f"/connectors/{connector}/offsets")
        return about and about["offsets"] and ready(about["offsets"][0]["offset"])

    eventually(f"offsets of {connector}: {worker.ask(f'/connectors/{connector}/offsets')}", so, WAIT)


def settled(worker, count):
    """Waits until source and sink have both committed that they are through with `count` lines."""
    size = len("".join(f"line {i}\n" for i in range(count)))
    committed(worker, source, lambda offset: offset["position"] == size)
    committed(worker, sink, lambda offset: offset["kafka_offset"] == count)


source, sink, workers = f"{name}-source", f"{name}-sink", []
try:
    with check("two workers make their topics and form a group"):
        workers.append(Worker(1))
        eventually("the first serves", workers[0].serves, WAIT)
        workers.append(Worker(2))
        eventually("the second serves", workers[1].serves, WAIT)
    one, two = workers
    with check("a file source and a file sink: every line arrives once, in order"):
        write(0, 500)
        for connector, kind, file, more in ((source, "Source", "in", {"topic": f"{name}-lines"}),
                                            (sink, "Sink", "out", {"topics": f"{name}-lines"})):
            config = {"connector.class": f"FileStream{kind}", "tasks.max": 1, "file": str(folder / file), **more}
            eventually(f"{connector} is made", lambda: one.ask(f"/connectors/{connector}/config", "PUT", config), WAIT)
        running(two, workers)
        equal(arrived(500), [f"line {i}" for i in range(500)])
    with check("their offsets are committed"):
        settled(one, 500)
    with check("a worker is killed: the other has its tasks, and no line is left out or repeated"):
        on = state(two, source)[1]
        lost, left = (one, two) if on == one.address() else (two, one)
        lost.kill()
        write(500, 800)
        running(left, [left])
        # All had been committed, so at least once is once here.
        equal(arrived(800), [f"line {i}" for i in range(800)])
        settled(left, 800)
    with check("the last one is killed and a new one started: connectors, configs and offsets are as they were"):
        left.kill()
        write(800, 1000)
        workers.append(Worker(3))
        eventually("the third serves", workers[2].serves, WAIT)
        running(workers[2], workers[2:])
        equal(arrived(1000), [f"line {i}" for i in range(1000)])
    with check("stop, reset of offsets, resume: the sink reads all again"):
        last = workers[2]
        settled(last, 1000)
        last.ask(f"/connectors/{sink}/stop", "PUT")
        eventually("it is stopped", lambda: (last.ask(f"/connectors/{sink}/status") or {}).get("tasks") == [], WAIT)
        eventually("its offsets are reset", lambda: last.ask(f"/connectors/{sink}/offsets", "DELETE"), WAIT)
        (folder / "out").unlink()
        last.ask(f"/connectors/{sink}/resume", "PUT")
        equal(arrived(1000), [f"line {i}" for i in range(1000)])
    with check("delete the connectors; the worker ends"):
        for connector in (source, sink):
            last.ask(f"/connectors/{connector}", "DELETE")
        eventually("they are gone", lambda: last.ask("/connectors") == [], WAIT)
        last.process.terminate()
        last.process.wait(WAIT)
finally:
    for worker in workers:
        worker.kill()
    if not checks.failed:
        shutil.rmtree(folder)
    else:
        print(f"the workers' logs are in {folder}")
checks.finish()
