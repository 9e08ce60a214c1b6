"""Final results of Leat beside those of Flink SQL and Kafka Streams, which read the same topics from Leat's broker."""

import argparse
import collections
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

import rows
import statements
from leat import Leat, Refused, millis

FLINK_S = 240
STREAMS_S = 90
JVM = ["java", "-Xmx1G", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class Different(Exception):
    pass


def by_window(found, keys):
    """{(window's start, its end, the group): its values}; no window comes twice."""
    named = {}
    for row in found:
        name = (millis(row[0]), millis(row[1]), *row[2:keys])
        if name in named:
            raise Different(f"a window comes twice: {name}")
        named[name] = row[keys:]
    return named


def same(ours, theirs, how):
    if ours is None or theirs is None:
        return ours is theirs
    if how == "close":
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-6)
    if how == "whole":
        return math.trunc(ours) == theirs
    return ours == theirs


def compare(ours, theirs, compared, peer):
    for name in sorted(ours.keys() | theirs.keys(), key=repr):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None or not all(map(same, one, other, compared)):
            raise Different(f"window and group {name}\n  Leat {one}\n  {peer} {other}\n"
                            f"  ({len(ours)} windows in Leat, {len(theirs)} in {peer})")
    if not ours:
        raise Different("no window at all")


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, run):
        try:
            said = run()
        except (Different, Refused, KeyError, subprocess.SubprocessError) as error:
            self.failed += 1
            print(f"FAILED {what}\n{type(error).__name__}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok     {what}{f': {said}' if said else ''}", flush=True)


def flink(classpath, folder, each):
    """What Flink answers to statements: a list of rows for each."""
    script = os.path.join(folder, "flink.sql")
    with open(script, "w") as file:
        file.write("\n--\n".join(each))
    # Flink reads into its classes, which Java 17 keeps closed.
    opened = [word for of in ("java.util", "java.lang", "java.time", "java.nio")
              for word in ("--add-opens", f"java.base/{of}=ALL-UNNAMED")]
    command = [*JVM, *opened, "-cp", classpath, "Flink", script, "execution.checkpointing.interval=500ms",
               f"io.tmp.dirs={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FLINK_S)
    if done.returncode != 0:
        raise Different(f"Flink ended with {done.returncode}:\n{done.stderr[-3000:]}")
    answers = collections.defaultdict(list)
    for line in done.stdout.splitlines():
        at, _, answer = line.partition("\t")
        answer = json.loads(answer)
        if isinstance(answer, list):
            answers[int(at)].append(answer)
    return answers


class Seed:
    def __init__(self, leat, seed):
        self.leat, self.topic = leat, f"p{seed}"
        self.records, self.windows = rows.records(seed), rows.windows(seed)

    def produce(self):
        self.leat.command("topic", "create", self.topic, "--partitions", str(rows.PARTITIONS))
        codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
        part = len(self.records) // len(codecs)
        for at, codec in enumerate(codecs):
            self.leat.produce(self.topic, self.records[at * part : (at + 1) * part], codec)
        # Topics of results: Flink and Streams make none.
        for name in ("rows", "sums", *self.streams_windows()):
            self.leat.command("topic", "create", f"{self.topic}-{name}", "--partitions", "2")
        self.leat.sql(statements.stream(self.topic))
        self.leat.sql(self.source() + ";")

    def source(self):
        return statements.flink_source(self.topic, self.leat.bootstrap)

    def streams_windows(self):
        return {kind: ms for kind, ms in self.windows.items() if kind != "cumulate"}

    # Flink

    def for_flink(self):
        queries = [text for text, _, _ in statements.flink_queries(self.topic, self.windows)]
        return [self.source(), *queries, *statements.flink_sinks(self.topic, self.leat.bootstrap, self.windows)]

    def beside_flink(self, checks, answers):
        for at, (text, keys, compared) in enumerate(statements.flink_queries(self.topic, self.windows)):
            def run(at=at, text=text, keys=keys, compared=compared):
                ours, notices = self.leat.sql(text + ";", until_end=True)
                if any("late" in notice for notice in notices):
                    raise Different(f"rows were late in Leat: {notices}")
                windows = by_window(ours, keys)
                compare(windows, by_window(answers[at], keys), compared, "Flink")
                return f"{len(windows)} windows"
            checks.check(f"{self.topic}, Flink: {' '.join(text.split('FROM ')[-1].split())[:100]}", run)
        checks.check(f"{self.topic}, Flink's sink wrote each row", self.flink_rows)
        checks.check(f"{self.topic}, Flink's sink wrote each closed window", self.flink_sums)
        checks.check(f"{self.topic}, Flink committed its group's offsets", self.flink_offsets)

    def flink_rows(self):
        def told(topic):
            values = [json.loads(it["value"]) for it in self.leat.consume(topic)]
            return collections.Counter(json.dumps(value, sort_keys=True) for value in values)

        want, got = told(self.topic), told(f"{self.topic}-rows")
        if want != got:
            raise Different(f"missing {list((want - got).elements())[:3]}, too many {list((got - want).elements())[:3]}")
        return f"{sum(got.values())} rows"

    def flink_sums(self):
        got = {}
        for record in self.leat.consume(f"{self.topic}-sums"):
            value = json.loads(record["value"])
            got[millis(value["begun"]), value["k"]] = value["n"]
        size, want = self.windows["tumble"][0], collections.Counter()
        for record in self.records:
            row = json.loads(record["value"])
            want[row["taken"] // size * size, row["k"]] += 1
        if want != got:
            raise Different(f"{len(want)} windows by hand, {len(got)} by Flink: {list(want.items() ^ got.items())[:3]}")
        return f"{len(got)} windows"

    def flink_offsets(self):
        told = self.leat.command("group", "describe", f"{self.topic}-flink")
        lags = [words for words in map(str.split, told.splitlines()) if words[:1] == [self.topic]]
        if len(lags) != rows.PARTITIONS or any(words[2] != words[3] for words in lags):
            raise Different(told)

    # Kafka Streams

    def for_streams(self):
        return [f"{self.topic}-{kind}:{kind}:{':'.join(map(str, ms))}" for kind, ms in self.streams_windows().items()]

    def beside_streams(self, checks, process, log):
        for kind, ms in self.streams_windows().items():
            def run(kind=kind, ms=ms):
                found, _ = self.leat.sql(statements.stream_query(self.topic, kind, ms), until_end=True)
                ours, until = by_window(found, 3), time.monotonic() + STREAMS_S
                while True:
                    try:
                        compare(ours, self.streams_results(kind), statements.TOTALS_COMPARED, "Streams")
                        return f"{len(ours)} windows"
                    except Different:
                        # Streams goes on for ever: its last results are those that no others follow.
                        if time.monotonic() > until or process.poll() is not None:
                            log.seek(0)
                            print(log.read()[-2000:])
                            raise
                        time.sleep(0.2)
            checks.check(f"{self.topic}, Kafka Streams: {kind} {ms}", run)

    def streams_results(self, kind):
        """The newest value of each window."""
        newest = {}
        for record in self.leat.consume(f"{self.topic}-{kind}"):
            name = tuple(json.loads(record["key"]))
            newest.pop(name, None)
            if record["value"] is not None:
                newest[name] = json.loads(record["value"])
        return newest


def beside_streams(classpath, folder, leat, seed, checks):
    with open(os.path.join(folder, f"{seed.topic}.log"), "w+") as log:
        command = [*JVM, "-cp", classpath, "Streams", leat.bootstrap, seed.topic, os.path.join(folder, "state"),
                   *seed.for_streams()]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            seed.beside_streams(checks, process, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tool", required=True, help="the leat program")
    arguments.add_argument("--flink", required=True, help="a class path")
    arguments.add_argument("--streams", required=True, help="a class path")
    arguments.add_argument("--seeds", type=int, default=2)
    arguments.add_argument("--from", dest="first", type=int, default=1)
    asked = arguments.parse_args()
    # What was started is ended also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    checks, begun, leat = Checks(), time.monotonic(), Leat(asked.tool)
    try:
        with tempfile.TemporaryDirectory(prefix="leat-peers-") as folder:
            seeds = [Seed(leat, seed) for seed in range(asked.first, asked.first + asked.seeds)]
            for seed in seeds:
                seed.produce()
            # One process of Flink for all: its start takes longer than a statement.
            scripts, ends = [seed.for_flink() for seed in seeds], [0]
            answers = flink(asked.flink, folder, [text for script in scripts for text in script])
            for seed, script in zip(seeds, scripts):
                of = {at: answers[ends[-1] + 1 + at] for at in range(len(script) - 1)}
                seed.beside_flink(checks, of)
                ends.append(ends[-1] + len(script))
            for seed in seeds:
                beside_streams(asked.streams, folder, leat, seed, checks)
    finally:
        leat.stop()
    print(f"{time.monotonic() - begun:.0f} s")
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
