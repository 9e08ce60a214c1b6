"""A group member by kcat, told what to do by groups.py. kcat can only join, read and leave, and commits by itself."""

import json
import re
import subprocess
import sys
import threading

from member import say, serve


class Member:
    def __init__(self, bootstrap):
        self.bootstrap, self.joined = bootstrap, False

    @staticmethod
    def name_of(error):
        return type(error).__name__

    def join(self, group, topic, strategy, instance, session_ms):
        settings = {"partition.assignment.strategy": strategy, "session.timeout.ms": session_ms, "heartbeat.interval.ms": 300,
                    "auto.offset.reset": "earliest", "auto.commit.interval.ms": 100}
        if instance != "-":
            settings["group.instance.id"] = instance
        options = [word for name, value in settings.items() for word in ("-X", f"{name}={value}")]
        self.kcat = subprocess.Popen(["kcat", "-b", self.bootstrap, "-u", "-J", *options, "-G", group, topic],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.readers = [threading.Thread(target=read, args=[self.kcat]) for read in (records, rebalances)]
        for reader in self.readers:
            reader.start()
        return ["joining"]

    def commit(self, _how):
        return ["committed"]

    def leave(self):
        self.kcat.terminate()
        self.kcat.wait(20)
        for reader in self.readers:
            reader.join()
        return ["left"]


def records(kcat):
    for line in kcat.stdout:
        record = json.loads(line)
        say("record", record["partition"], record["offset"], record["key"])


def rebalances(kcat):
    """`% Group G rebalanced (memberid M): assigned: T [0], T [1]`, and what is an error."""
    for line in kcat.stderr:
        if found := re.search(r"rebalanced .*: (assigned|revoked): (.*)", line):
            say(found[1], *sorted(int(p) for p in re.findall(r"\[(\d+)\]", found[2])))
        elif "fenced" in line:
            say("lost", "FENCED_INSTANCE_ID", line.strip())
        elif "ERROR" in line:
            say("lost", "UNKNOWN", line.strip())
        else:
            sys.stderr.write(line)


serve("kcat", Member)
