"""A member of a group as the checks see it: a process that is told what to do line by line, and what it told so far."""

import os
import shlex
import signal
import subprocess
import threading
import time

WAIT = 40


class Refused(Exception):
    """The member's answer was an error; `name` is the protocol's name for it, or the client's own."""

    def __init__(self, words):
        super().__init__(" ".join(words))
        self.name = words[0]


class Member:
    def __init__(self, command, bootstrap, log):
        self.assigned = []  # the partitions it has, as of its last event
        self.changes = []  # its events of assignment and revocation, in order
        self.records = []  # (partition, offset), in order of arrival
        self.errors = []  # what went wrong by itself, not on a command
        self.answers = []
        self.ended = False
        self.changed = threading.Condition()
        # A process group of its own, so that a kill takes the client with it where that is a child of the process.
        self.process = subprocess.Popen([*shlex.split(command), "--bootstrap", bootstrap], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            kind, *words = line.split()
            with self.changed:
                if kind == "record":
                    self.records.append((int(words[0]), int(words[1])))
                elif kind in ("assigned", "revoked"):
                    numbers = [int(w) for w in words]
                    self.assigned = numbers if kind == "assigned" else [p for p in self.assigned if p not in numbers]
                    self.changes.append((kind, numbers))
                elif kind == "lost":
                    self.errors.append(words)
                else:
                    self.answers.append((kind, words))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def ask(self, *command):
        """The words of the answer, without the first."""
        try:
            self.process.stdin.write(" ".join(map(str, command)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which is seen below
        with self.changed:
            assert self.changed.wait_for(lambda: self.answers or self.ended, WAIT), f"no answer to {command} in {WAIT} s"
            assert self.answers, f"it has ended before its answer to {command}"
            kind, words = self.answers.pop(0)
        if kind == "error":
            raise Refused(words)
        return words

    def ask_offsets(self, *command):
        """The answer as {partition: offset}."""
        return offsets_of(self.ask(*command))

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def offsets_of(words):
    return {int(p): int(o) for p, o in (word.split(":") for word in words)}


def eventually(what, condition, seconds=WAIT):
    """Waits until `condition` is true; `what` is a function that says what is so instead."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.02)
