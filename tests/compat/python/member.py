"""What the members in Python share: commands from standard input, one line each, answers and events to standard output.
The words are in ../README.md; a member has a method for each command."""

import argparse
import os
import queue
import sys
import threading

WAIT = 20
EPOCH_MS = 1357034400000


def say(*words):
    print(*words, flush=True)


def offsets(found):
    """{partition: offset} as the answers have it."""
    return " ".join(f"{p}:{o}" for p, o in sorted(found.items()) if o >= 0)


def listen(commands):
    for line in sys.stdin:
        commands.put(line)
    commands.put(None)


def serve(client, make):
    """Does what it is told until its input ends; between commands a member that has joined polls."""
    parser = argparse.ArgumentParser(description=f"A group member and admin by {client}, told what to do line by line.")
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    member = make(parser.parse_args().bootstrap)
    commands = queue.Queue()
    threading.Thread(target=listen, args=[commands], daemon=True).start()
    while True:
        try:
            line = commands.get(timeout=0.001 if member.joined else None)
            if line is None:
                break
            name, *words = line.split()
            say(*getattr(member, name.replace("-", "_"))(*words))
        except queue.Empty:
            pass
        except Exception as error:  # told to who gave the command
            say("error", member.name_of(error), repr(error))
        if member.joined:
            try:
                member.poll()
            except Exception as error:
                say("lost", member.name_of(error), repr(error))
                member.leave()
    if member.joined:
        member.leave()
    sys.stdout.flush()
    # Some clients keep a thread that outlives a close.
    os._exit(0)
