"""One line per check, a total at the end, a non-zero exit on any failure."""

import argparse
import os
import random
import sys
import time
from contextlib import contextmanager


class Checks:
    def __init__(self, client, **more):
        """`more` are further arguments as argparse takes them."""
        self.passed = self.failed = 0
        parser = argparse.ArgumentParser(description=f"What {client} must be able to do with a Kafka broker.")
        parser.add_argument("--bootstrap", default=os.environ.get("BOOTSTRAP", "127.0.0.1:9092"), metavar="HOST:PORT")
        parser.add_argument("--tool", default=client, metavar="PATH", help="the program to run, where the client is a program")
        for name, settings in more.items():
            parser.add_argument(name, **settings)
        self.args = args = parser.parse_args()
        self.bootstrap, self.tool = args.bootstrap, args.tool
        self.topic = f"compat-{client}-{random.randrange(16**8):08x}"

    @contextmanager
    def check(self, name):
        """Runs its block as one check: an exception of any kind is a failure, and the next check runs all the same."""
        try:
            yield
        except Exception as error:  # a client's own exceptions share no base class
            self.failed += 1
            reason = f"{type(error).__name__}: {error}".replace("\n", " ")
            print(f"FAIL {name}: {reason:.400}", flush=True)
        else:
            self.passed += 1
            print(f"ok   {name}", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        # Some clients keep a thread that outlives a failed close.
        sys.stdout.flush()
        os._exit(1 if self.failed else 0)


def equal(got, expected, what="the answer"):
    assert got == expected, f"{what} is {got!r}, not {expected!r}"


def eventually(what, condition, seconds=15):
    """Metadata may lag behind an answer: tries until `condition` is true, within a bound."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
