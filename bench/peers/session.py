"""What is measured of one broker while it runs, once in each round. Every figure is of the broker's process unless its
name says client."""

import os
import random
import shutil
import statistics
import time
from dataclasses import dataclass

from machine import reset_peak, run_client, say
from wire import Connection, first_acknowledged

PARTITIONS = 8
SYNCED = {"flush.messages": "1"}
# A topic whose records a broker must look at, and that is not compacted while it is measured.
LOOKED_AT = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(24 * 3600 * 1000)}


@dataclass
class Sizes:
    """How much of each; bytes are of values."""

    warm: int = 5 * 10**9
    load: int = 3 * 10**9
    small: int = 10**9
    packed: int = 10**9
    synced: int = 10**9
    requests: int = 300_000
    latency_s: int = 12
    idle_s: int = 10
    killed: int = 5 * 10**9
    partitions: int = 10_000

    @classmethod
    def quick(cls):
        return cls(warm=10**9, load=10**9, small=2 * 10**8, packed=3 * 10**8, synced=3 * 10**8, requests=60_000,
                   latency_s=5, idle_s=5, killed=10**9, partitions=1_000)


class Session:
    def __init__(self, broker, rdkafka, bench, sizes, results):
        self.broker, self.rdkafka, self.bench, self.sizes, self.results = broker, rdkafka, bench, sizes, results

    def _keep(self, name, figures):
        self.results.setdefault(self.broker.key, {}).setdefault(name, []).append(figures)
        shown = {key: round(value, 3) for key, value in figures.items() if isinstance(value, float)}
        say(f"{self.broker.name}: {name}: {shown}")

    def _topic(self, name, config=None, partitions=PARTITIONS):
        with Connection(self.broker.port) as connection:
            connection.create_topic(name, partitions, config)
        time.sleep(0.5)
        return name

    def _leat_bench(self, what, topic, *args):
        command = [*self.bench, what, topic, "--bootstrap-server", self.broker.bootstrap, "--json",
                   "--broker-pid", self.broker.server.pid, *args]
        found = run_client(command).json()
        out = {"records": found["records"], "bytes": found["bytes"], "mb_per_s": found["mb_per_s"],
               "client_cpu_s": found["client"]["cpu_s"], "client_user_s": found["client"]["user_s"],
               "client_system_s": found["client"]["system_s"]}
        for name, value in (found.get("latency") or {}).items():
            out[f"latency_{name}"] = value
        return out

    def _measured(self, name, run):
        """Runs a client and keeps what it found with what the broker used meanwhile."""
        server = self.broker.server
        reset_peak(server.pid)
        before, begun = server.usage(), time.monotonic()
        found = run()
        after, seconds = server.usage(), time.monotonic() - begun
        gigabytes = found["bytes"] / 1e9
        found.update(
            cpu_s=after.cpu - before.cpu, user_s=after.user - before.user, system_s=after.system - before.system,
            cpu_s_per_gb=(after.cpu - before.cpu) / gigabytes, user_s_per_gb=(after.user - before.user) / gigabytes,
            system_s_per_gb=(after.system - before.system) / gigabytes,
            cpu_us_per_record=(after.cpu - before.cpu) * 1e6 / found["records"],
            records_per_core_s=found["records"] / max(after.cpu - before.cpu, 1e-9),
            broker_busy=(after.cpu - before.cpu) / seconds, client_busy=found["client_cpu_s"] / seconds,
            client_cpu_s_per_gb=found["client_cpu_s"] / gigabytes, rss_mib=after.rss_mib, peak_rss_mib=after.peak_mib)
        self._keep(name, found)

    def start(self, turn):
        """From nothing to the first acknowledged record, and what an idle broker holds."""
        data = f"empty-{turn}"
        server = self.broker.start(data)
        try:
            seconds = first_acknowledged(server, self.broker.port, [("first", 0)])
            time.sleep(self.sizes.idle_s)
            self._keep("start", {"seconds": seconds, "rss_mib": server.usage().rss_mib})
        finally:
            server.end()
            shutil.rmtree(self.broker.root / data, ignore_errors=True)

    def load(self, turn):
        """All that is measured under load, on a broker that keeps its logs between rounds."""
        sizes, server = self.sizes, self.broker.start("data")
        try:
            first_acknowledged(server, self.broker.port, [("first", 0)])
            with Connection(self.broker.port) as connection:
                for name in ("warm", "rd-1k", "rd-100", "rd-sync", "crate-1k", "crate-lz4", "crate-zstd", "crate-sync", "rd-lz4", "rd-zstd", "rd-lz4-look",
                             "rd-zstd-look"):
                    connection.delete_topic(f"{name}-{turn - 1}")
            self._produce(turn, sizes)
            self._fetch(turn, sizes)
            self._requests(turn, sizes)
            self._latency(turn, sizes)
        finally:
            server.end()

    def _produce(self, turn, sizes):
        rd, count = self.rdkafka, sizes.load // 1024
        warm = self._topic(f"warm-{turn}")
        rd.produce(self.broker, warm, sizes.warm // 1024, 1024)
        topic = self._topic(f"rd-1k-{turn}")
        self._measured("produce_1k_librdkafka", lambda: rd.produce(self.broker, topic, count, 1024))
        small = self._topic(f"rd-100-{turn}")
        self._measured("produce_100_librdkafka", lambda: rd.produce(self.broker, small, sizes.small // 100, 100))
        for codec in ("lz4", "zstd"):
            packed = self._topic(f"rd-{codec}-{turn}")
            self._measured(f"produce_{codec}_librdkafka",
                           lambda: rd.produce(self.broker, packed, sizes.packed // 1024, 1024, codec))
            looked = self._topic(f"rd-{codec}-look-{turn}", LOOKED_AT)
            self._measured(f"produce_{codec}_look_librdkafka",
                           lambda: rd.produce(self.broker, looked, sizes.packed // 1024, 1024, codec, key="key"))
        synced = self._topic(f"rd-sync-{turn}", SYNCED)
        self._measured("produce_sync_librdkafka", lambda: rd.produce(self.broker, synced, sizes.synced // 1024, 1024))

        flat = ("-X", "linger.ms=5", "-X", "batch.size=262144", "-X", "max.request.size=4194304")
        mine = self._topic(f"crate-1k-{turn}")
        self._measured("produce_1k_crate",
                       lambda: self._leat_bench("produce", mine, "--records", count, "--size", 1024, *flat))
        for codec in ("lz4", "zstd"):
            packed = self._topic(f"crate-{codec}-{turn}")
            self._measured(f"produce_{codec}_crate", lambda: self._leat_bench(
                "produce", packed, "--records", sizes.packed // 1024, "--size", 1024, *flat,
                "-X", f"compression.type={codec}"))
        synced = self._topic(f"crate-sync-{turn}", SYNCED)
        self._measured("produce_sync_crate", lambda: self._leat_bench(
            "produce", synced, "--records", sizes.synced // 1024, "--size", 1024, *flat))

    def _fetch(self, turn, sizes):
        count = sizes.load // 1024
        self._measured("fetch_librdkafka", lambda: self.rdkafka.consume(
            self.broker, f"rd-1k-{turn}", count, 1024, PARTITIONS))
        self._measured("fetch_crate", lambda: self._leat_bench("consume", f"rd-1k-{turn}", "--records", count))

    def _requests(self, turn, sizes):
        topic = self._topic(f"requests-{turn}")
        run = lambda records: self._leat_bench("requests", topic, "--records", records, "--size", 100)  # noqa: E731
        run(sizes.requests // 4)
        self._measured("requests", lambda: run(sizes.requests))

    def _latency(self, turn, sizes):
        # What was produced before is still on its way to the disk, and in the way of whoever syncs.
        os.sync()
        topic = self._topic(f"rd-latency-{turn}", partitions=1)
        self.rdkafka.latency(self.broker, topic, 1, 1000, 2)
        micros = self.rdkafka.latency(self.broker, topic, 1, 1000, sizes.latency_s)
        at = lambda share: float(micros[min(len(micros) - 1, int(len(micros) * share))])  # noqa: E731
        self._keep("latency_librdkafka", {"latency_p50_us": at(0.5), "latency_p99_us": at(0.99), "latency_p99.9_us": at(0.999)})
        for name, config in (("latency_crate", None), ("latency_sync_crate", SYNCED)):
            topic = self._topic(f"{name.replace('_', '-')}-{turn}", config, partitions=1)
            self._keep(name, self._leat_bench("latency", topic, "--rate", 1000, "--seconds", sizes.latency_s))

    def killed(self):
        """kill -9 with a log of some size, then to the first acknowledged record."""
        with_topic = ("killed", 0)
        server = self.broker.start("killed-data")
        try:
            first_acknowledged(server, self.broker.port, [("first", 0)])
            self._topic("killed")
            self.rdkafka.produce(self.broker, "killed", self.sizes.killed // 1024, 1024)
            server.end(kill=True)
            server = self.broker.start("killed-data")
            self._keep("killed", {"seconds": first_acknowledged(server, self.broker.port, [with_topic])})
        finally:
            server.end()
            shutil.rmtree(self.broker.root / "killed-data", ignore_errors=True)

    def many(self):
        """Many partitions: memory, idle CPU, and the way back after kill -9."""
        topics, each = max(1, self.sizes.partitions // 1000), min(1000, self.sizes.partitions)
        server = self.broker.start("many-data")
        try:
            first_acknowledged(server, self.broker.port, [("first", 0)])
            for index in range(topics):
                self._topic(f"many-{index}", partitions=each)
            sample = [(f"many-{random.randrange(topics)}", random.randrange(each)) for _ in range(20)]
            first_acknowledged(server, self.broker.port, sample)
            time.sleep(self.sizes.idle_s)
            before = server.usage()
            time.sleep(self.sizes.idle_s)
            after = server.usage()
            idle = (after.cpu - before.cpu) / self.sizes.idle_s
            server.end(kill=True)
            server = self.broker.start("many-data")
            sample = [(f"many-{random.randrange(topics)}", random.randrange(each)) for _ in range(20)]
            seconds = first_acknowledged(server, self.broker.port, sample)
            self._keep("many", {"partitions": topics * each, "rss_mib": after.rss_mib, "idle_cpu": idle, "seconds": seconds})
        finally:
            server.end()
            shutil.rmtree(self.broker.root / "many-data", ignore_errors=True)


def median(runs, name):
    """The middle of a figure over the rounds, or none where it was not measured."""
    values = [run[name] for run in runs or [] if run.get(name) is not None]
    return statistics.median(values) if values else None
