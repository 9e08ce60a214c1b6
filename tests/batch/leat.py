"""A `leat broker` of one's own, and what is asked of it: statements over HTTP, records by the program's commands."""

import datetime
import http.client
import json
import os
import signal
import subprocess
import tempfile
import time


class Refused(Exception):
    """A statement that Leat does not carry out."""


def millis(value):
    """Flink's bounds are text, in UTC."""
    if isinstance(value, int):
        return value
    at = datetime.datetime.fromisoformat(value).replace(tzinfo=datetime.timezone.utc)
    return (at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


class Leat:
    def __init__(self, tool):
        self.tool = tool
        self.folder = tempfile.TemporaryDirectory(prefix="leat-batch-")
        # The broker takes any LEAT_ variable for its own and refuses one that it does not know.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LEAT_")}
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        self.process = subprocess.Popen(
            [tool, "broker", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
             "--data-dir", os.path.join(self.folder.name, "data"), "--set", "leat.pipeline.flush.rows=20"],
            env={**clean, "LEAT_LOG": "warn"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        told = dict(self.process.stdout.readline().strip().partition("=")[::2] for _ in range(2))
        if "bootstrap" not in told or "http" not in told:
            self.log.seek(0)
            raise SystemExit(f"leat broker does not start: {self.log.read()}")
        self.bootstrap = told["bootstrap"]
        self.http = http.client.HTTPConnection(told["http"], timeout=60)

    def stop(self):
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def sql(self, text, until_end=False):
        """The rows and the notices of statements."""
        body = json.dumps({"sql": text, "until_end": until_end})
        self.http.request("POST", "/v1/sql", body, {"Content-Type": "application/json"})
        answer = self.http.getresponse().read().decode()
        rows, notices = [], []
        for line in answer.splitlines():
            event = json.loads(line)
            if "error" in event:
                raise Refused(event["error"])
            if "row" in event:
                rows.append(event["row"])
            if "notice" in event:
                notices.append(event["notice"])
        return rows, notices

    def command(self, *words, text=None):
        command = [self.tool, *words, "-b", self.bootstrap]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"leat {' '.join(words)}: {done.stderr}")
        return done.stdout

    def produce(self, topic, records, compression):
        """Records go to the partitions that they name, in their order."""
        lines = "".join(json.dumps(record) + "\n" for record in records)
        self.command("produce", topic, "--input", "records", "--keep-partition", "-q", "-z", compression, text=lines)

    def consume(self, topic):
        """What a topic has, each partition in its order."""
        return [json.loads(line) for line in self.command("consume", topic, "--until", "latest", "--json").splitlines()]

    def settle(self, table):
        """Waits until everything that was produced, and an ADVANCE after it, has come through a table's pipeline."""
        until = time.monotonic() + 10
        while True:
            rows, _ = self.sql(f"DESCRIBE {table} EXTENDED;")
            stages = [row for row in rows if len(row) > 6]
            if stages and all(row[2].startswith("2100-") and row[4] in (0, "0") for row in stages):
                return
            if time.monotonic() > until:
                raise Refused(f"{table} does not come to its end: {stages}")
            time.sleep(0.01)
