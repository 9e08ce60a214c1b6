"""librdkafka's own load generator, built from the sources that the npm package node-rdkafka carries."""

import random
import re
import shutil
import string
import subprocess
import tarfile
import time
from pathlib import Path

from machine import CLIENT_CPU, cache_dir, pinned, run_client, say

PACKAGE = "node-rdkafka@3.6.1"


def install():
    binary = cache_dir() / "rdkafka_performance"
    if not binary.exists():
        for tool in ("npm", "cc", "make"):
            if not shutil.which(tool):
                raise RuntimeError(f"{tool} is needed to build rdkafka_performance, and is not on PATH")
        say(f"building rdkafka_performance from {PACKAGE}")
        work = cache_dir() / "node-rdkafka"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=work, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(work.glob("*.tgz"))) as archive:
            archive.extractall(work, filter="data")
        source = work / "package/deps/librdkafka"
        with open(work / "build.log", "wb") as log:
            for command in (["bash", "./configure", "--enable-static", "--enable-zstd", "--disable-ssl", "--disable-sasl", "--disable-curl"],
                            ["make", "-j2", "libs"], ["make", "-C", "examples", "rdkafka_performance"]):
                subprocess.run(command, cwd=source, check=True, stdout=log, stderr=log)
        shutil.copy(source / "examples/rdkafka_performance", binary)
        shutil.rmtree(work)
    return binary


def letters(size):
    """Random letters, the same in every run."""
    return "".join(random.Random(7).choices(string.ascii_uppercase, k=size))


class RdKafka:
    key = "librdkafka"

    def __init__(self):
        self.binary = install()

    def produce(self, broker, topic, records, size, codec=None, key=None, properties=()):
        command = [self.binary, "-P", "-t", topic, "-b", broker.bootstrap, "-s", size, "-c", records, "-a", -1,
                   "-m", letters(size), "-q", "-X", "linger.ms=5", "-X", "batch.size=262144",
                   "-X", "queue.buffering.max.messages=200000"]
        for setting in properties:
            command += ["-X", setting]
        if codec:
            command += ["-z", codec]
        if key:
            command += ["-k", key]
        done = run_client(command)
        return self._result(done, records, size, "produced")

    def consume(self, broker, topic, records, size, partitions):
        command = [self.binary, "-C", "-t", topic, "-b", broker.bootstrap, "-o", "beginning", "-c", records, "-q"]
        for partition in range(partitions):
            command += ["-p", partition]
        done = run_client(command)
        return self._result(done, records, size, "consumed")

    def latency(self, broker, topic, partitions, rate, seconds, size=100):
        """Microseconds from produce to consume of each record, sorted."""
        out = Path(cache_dir() / "latency.us")
        out.unlink(missing_ok=True)
        consume = [self.binary, "-C", "-t", topic, "-b", broker.bootstrap, "-o", "end", "-l", "-A", out, "-q",
                   "-X", "fetch.wait.max.ms=500"]
        for partition in range(partitions):
            consume += ["-p", partition]
        consumer = subprocess.Popen(pinned(consume, CLIENT_CPU), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(3)
            run_client([self.binary, "-P", "-t", topic, "-b", broker.bootstrap, "-s", size, "-c", rate * seconds, "-a", -1,
                        "-r", rate, "-l", "-X", "linger.ms=0", "-q"])
            time.sleep(1)
        finally:
            consumer.terminate()
            consumer.wait()
        return sorted(int(line.split()[-1]) for line in out.read_text().splitlines() if line.split()[-1:][0].isdigit())

    @staticmethod
    def _result(done, records, size, word):
        # The last summary line that it prints: "... 500000 msgs/s and 512.00 MB/s ..."
        text = done.out + done.err
        if word == "produced" and re.search(r"[1-9]\d* delivery failed|[1-9]\d* failed", text):
            raise RuntimeError(text[-1500:])
        rates = re.findall(r"([\d.]+) MB/s", text)
        return {"records": records, "bytes": records * size, "mb_per_s": float(rates[-1]) if rates else None,
                "client_cpu_s": done.cpu, "client_user_s": done.user, "client_system_s": done.system}
