"""Processes on this machine: where they run, what they use, and a page cache that is warm for all alike."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

HZ = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20

CPUS = sorted(os.sched_getaffinity(0))
# With two cores or more, brokers run on the first and clients on the second, so that neither takes from the other.
BROKER_CPU, CLIENT_CPU = (str(CPUS[0]), str(CPUS[1])) if len(CPUS) > 1 else (None, None)


def cache_dir():
    base = os.environ.get("LEAT_BENCH_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "leat-bench"
    )
    path = Path(base)
    path.mkdir(parents=True, exist_ok=True)
    return path


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def pinned(command, cpu):
    return ["taskset", "-c", cpu, *map(str, command)] if cpu else [str(part) for part in command]


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Usage:
    """CPU seconds and memory of a process, from /proc."""

    def __init__(self, pid):
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        self.user, self.system = int(stat[11]) / HZ, int(stat[12]) / HZ
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
        self.rss_mib = int(status["VmRSS"].split()[0]) / 1024
        self.peak_mib = int(status["VmHWM"].split()[0]) / 1024

    @property
    def cpu(self):
        return self.user + self.system


def reset_peak(pid):
    """Makes the peak of RSS count from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Finished:
    """What a client process printed and used."""

    def __init__(self, out, err, code, seconds, rusage):
        self.out, self.err, self.code, self.seconds = out, err, code, seconds
        self.user, self.system = rusage.ru_utime, rusage.ru_stime
        self.cpu = self.user + self.system

    def json(self):
        return json.loads(self.out.strip().splitlines()[-1])


def run_client(command, cpu=CLIENT_CPU, check=True, timeout=900):
    """Runs a client to its end. Its CPU time is that of the process alone."""
    begun = time.monotonic()
    process = subprocess.Popen(pinned(command, cpu), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RuntimeError(f"took longer than {timeout} s: {' '.join(map(str, command))}") from None
    seconds = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = type("Used", (), {
        "ru_utime": after.ru_utime - children.ru_utime, "ru_stime": after.ru_stime - children.ru_stime})
    done = Finished(out, err, process.returncode, seconds, used)
    if check and process.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {process.returncode}\n{out[-2000:]}\n{err[-2000:]}")
    return done


class Server:
    """A broker process that this script started, and ends."""

    def __init__(self, command, log, cpu=BROKER_CPU):
        # Leat takes any LEAT_ variable for its own and refuses one that it does not know.
        env = {name: value for name, value in os.environ.items() if not name.startswith("LEAT_")}
        self.log = Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as out:
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                pinned(command, cpu), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                start_new_session=True, preexec_fn=raise_file_limit)
        self.pid = self.process.pid

    def check(self):
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the broker ended with {self.process.returncode}:\n{tail}")

    def usage(self):
        return Usage(self.pid)

    def end(self, kill=False):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def meminfo(name):
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {name} in /proc/meminfo")


def fill_page_cache(most_bytes):
    """Writes and keeps a scratch file until memory has few pages that were never touched: on a virtual machine the first
    touch of each costs more than any broker does."""
    scratch = cache_dir() / "scratch"
    block = os.urandom(4 * MIB)
    written = 0
    with open(scratch, "wb") as out:
        while written < most_bytes and meminfo("MemFree") > 700 * MIB:
            out.write(block)
            written += len(block)
        out.flush()
        os.fsync(out.fileno())
    say(f"page cache: {written / 1e9:.1f} GB written, {meminfo('MemFree') / 1e9:.1f} GB free")


def describe():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown CPU")
    return {"cpu": model, "cores": len(CPUS), "memory_gb": round(meminfo("MemTotal") / 1e9, 1),
            "kernel": os.uname().release}
