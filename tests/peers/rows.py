"""Rows of a topic from a seed, and the windows over them; the records of each partition are out of order by less than
DISORDER_MS."""

import json
import random

PARTITIONS = 4
ROWS = 3000
DISORDER_MS = 5000
WORDS = ["a", "ab", "b", "Ærlig", "日本", "it's", 'quo"te', "x y"]


def records(seed):
    rng = random.Random(seed)
    keys = [f"key-{n}" for n in range(rng.choice([1, 3, 12]))]
    pace = rng.choice([50, 400, 2000])
    begin = 1_700_000_000_000 + rng.randrange(10**7)
    clocks = [begin + rng.randrange(20_000) for _ in range(PARTITIONS)]
    made = []
    for _ in range(ROWS):
        partition = rng.randrange(PARTITIONS)
        # Now and then a pause, so that sessions end.
        clocks[partition] += rng.randrange(2 * pace) + (60_000 if rng.random() < 0.01 else 0)
        taken = clocks[partition] - (rng.randrange(DISORDER_MS) if rng.random() < 0.5 else 0)
        row = {
            "taken": taken,
            "k": rng.choice(keys) if rng.random() < 0.98 else None,
            "w": rng.choice(WORDS) if rng.random() < 0.9 else None,
            "v": rng.choice([0, 1, -1, rng.randint(-10_000, 10_000)]) if rng.random() < 0.9 else None,
            "d": rng.choice([0.1, -0.5, rng.uniform(-1e4, 1e4)]) if rng.random() < 0.9 else None,
        }
        made.append({"partition": partition, "timestamp": taken, "value": json.dumps(row, ensure_ascii=False)})
    return made


def windows(seed):
    """Milliseconds: tumbling, hopping (size, advance), growing (most, step), a session's gap."""
    rng = random.Random(f"windows of {seed}")
    advance = rng.choice([1000, 5000])
    step = rng.choice([2000, 10_000])
    return {"tumble": [rng.choice([1000, 10_000, 60_000])], "hop": [advance * rng.choice([2, 6]), advance],
            "cumulate": [step * rng.choice([2, 6]), step], "session": [rng.choice([500, 2000, 15_000])]}
