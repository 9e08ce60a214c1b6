"""A Leat broker with pipelines, as its measurements ask it: by the `leat` program."""

import json
import subprocess
import time

from leat import Leat, target
from machine import run_client

HTTP = "127.0.0.1:29193"
PARTITIONS = 4
# Leat's own default: pipelines follow what is synced, which a relaxed topic is only now and then.
SYNCED = {"log.flush.interval.messages": 1}
# Event time is the records' time, and lies years back.
KEPT = {"log.retention.ms": -1}
STREAM = ("CREATE STREAM {0} (id BIGINT, userid VARCHAR, pageid VARCHAR, amount DOUBLE, referrer VARCHAR, at BIGINT) WITH "
          "(kafka_topic='{0}', value_format='JSON', timestamp='at', idle='never', future='never');")


def topic(broker, name, partitions=PARTITIONS):
    run_client([target() / "leat", "topic", "create", name, "--partitions", partitions, "-b", broker.bootstrap], cpu=None)


def fill(broker, name, rows, keys):
    topic(broker, name)
    run_client([target() / "windows", "fill", name, "-b", broker.bootstrap, "-n", rows, "--keys", keys])


def sql(text, *words):
    done = run_client([target() / "leat", "sql", "--http", HTTP, "-o", "json", *words, "-e", text])
    return [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]


def stages(table):
    return [row for row in sql(f"DESCRIBE {table} EXTENDED;") if "stage" in row]


def settled(table):
    """Whether a pipeline has come to the end of what there is, behind an ADVANCE."""
    each = stages(table)
    return bool(each) and all(row["watermark"].startswith("2100-") and int(row["lag"]) == 0 for row in each)


def wait_for(what, seconds=240):
    until = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > until:
            raise RuntimeError(f"not within {seconds} s: {what.__name__}")
        time.sleep(0.02)
    return found


def drop(table):
    run_client([target() / "leat", "sql", "--http", HTTP, "-e", f"DROP TABLE {table} DELETE TOPIC;"])


class WithLeat:
    def __init__(self, folder, settings=None):
        self.broker = Leat(folder, http=HTTP)
        self.server = self.broker.start(settings={**SYNCED, **KEPT, **(settings or {})})

    def __enter__(self):
        try:
            wait_for(lambda: answers(self.broker, self.server), 60)
        except BaseException:
            self.server.end()
            raise
        return self.broker, self.server

    def __exit__(self, *_):
        self.server.end()


def answers(broker, server):
    server.check()
    listed = subprocess.run([target() / "leat", "topic", "list", "-b", broker.bootstrap], capture_output=True)
    return listed.returncode == 0
