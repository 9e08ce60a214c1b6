"""Leat: the release build of this workspace."""

import os
import subprocess
from pathlib import Path

from machine import Server, say

WORKSPACE = Path(__file__).resolve().parents[2]


def build():
    """Builds the binaries, and returns the folder that they are in."""
    say("building leat and floor")
    subprocess.run(["cargo", "build", "--release", "-p", "leat", "-p", "leat-bench"], cwd=WORKSPACE, check=True)
    return target()


def target():
    return Path(os.environ.get("CARGO_TARGET_DIR") or WORKSPACE / "target") / "release"


class Leat:
    name = "Leat"
    key = "leat"

    def __init__(self, root, port=29192, http=""):
        self.root, self.port, self.http = Path(root) / "leat", port, http
        self.binary = target() / "leat"
        self.server = None

    @property
    def version(self):
        out = subprocess.run([self.binary, "version"], capture_output=True, text=True, check=False).stdout.split("\n")
        return out[0].replace("leat", "").strip()

    def start(self, data="data", settings=None):
        """Starts on a data folder. Page-cache durability, Kafka's default, so that like is measured with like; Leat's
        own default is what the rows with fsync measure."""
        settings = {"log.flush.interval.messages": 2**63 - 1, **(settings or {})}
        sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        self.root.mkdir(parents=True, exist_ok=True)
        own = ["--listen", self.bootstrap, "--http-listen", self.http, "--data-dir", self.root / data]
        command = [self.binary, "broker", *own, *sets]
        self.server = Server(command, self.root / f"{data}.out")
        return self.server

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"
