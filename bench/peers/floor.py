"""The floor: the same bytes without a broker (`bench/src/bin/floor.rs`)."""

import json
import shutil
import subprocess

from leat import target
from machine import BROKER_CPU, CLIENT_CPU, pinned, run_client


class Floor:
    def __init__(self, root):
        self.binary, self.dir = target() / "floor", root / "floor"
        self.dir.mkdir(parents=True, exist_ok=True)

    def _pair(self, measured, other):
        """Runs the measured side where brokers run and the other where clients run; returns what the first printed."""
        process = subprocess.Popen(pinned([self.binary, *measured], BROKER_CPU), stdout=subprocess.PIPE, text=True)
        address = json.loads(process.stdout.readline())["listening"]
        run_client([self.binary, other[0], address, *other[1:]], CLIENT_CPU)
        out, _ = process.communicate(timeout=120)
        return json.loads(out.strip().splitlines()[-1])

    def receive(self, size, files):
        return self._pair(["receive", "--dir", self.dir, "--files", files], ["push", "--bytes", size])

    def receive_sync(self, size, files):
        return self._pair(["receive", "--dir", self.dir, "--files", files, "--sync"],
                          ["push", "--bytes", size, "--connections", files])

    def send(self, size):
        file = self.dir / "0.log"
        times = max(1, size // max(1, file.stat().st_size))
        return self._pair(["send", "--file", file, "--times", times], ["drain"])

    def sync(self, count):
        return run_client([self.binary, "sync", "--dir", self.dir, "--count", count]).json()

    def clear(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
