"""Data and statements from a seed: schemas, rows out of order in partitions, windows, filters, groups and aggregates.

An expression is text that Leat and DuckDB read alike; what they write differently is a pair.
"""

import json
import random
from dataclasses import dataclass, field

UNITS = [("MILLISECOND", 1), ("SECOND", 1_000), ("MINUTE", 60_000), ("HOUR", 3_600_000)]
TYPES = {"INT": "INTEGER", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE", "STRING": "VARCHAR", "BOOLEAN": "BOOLEAN"}
NAMES = ["amount", "Price", "kind", "member", "page", "SIZE_OF", "flag", "city", "n1", "n2", "score", "word"]
WORDS = ["", "a", "ab", "abc", "b", "B", "Ærlig", "日本", "it's", "x y", 'quo"te', "100%", "\\", "zz", "😀"]


@dataclass
class Data:
    """A topic's rows, in the order in which they are sent."""

    name: str
    partitions: int
    columns: list  # (name, type)
    rows: list  # (partition, offset, time, values, the partition's newest time before it)
    records: list  # the same as `leat produce` takes them, and some that are no rows
    disorder: int
    unit_ms: int
    # Whether rows come late.
    late: bool
    # Whether the time is the record's in ksqlDB's dialect; else it is a column.
    by_record: bool

    def of(self, *types):
        return [name for name, kind in self.columns if kind in types]


@dataclass
class Statement:
    flink: bool
    window: tuple  # kind, then milliseconds
    keys: list  # expressions
    aggregates: list  # (Leat's, DuckDB's, how it is compared)
    where: str
    having: str
    # What the watermark stays behind the newest row, and what windows wait beyond that.
    disorder: int
    grace: int
    emit: str
    leat: str = field(default="", init=False)

    @property
    def is_session(self):
        return self.window[0] == "session"


def data(seed):
    rng = random.Random(seed)
    columns = [("taken", "BIGINT")]
    for name in rng.sample(NAMES, rng.randint(3, 7)):
        columns.append((name, rng.choice(list(TYPES))))
    # Something to group by, and something to add.
    columns += [("k", "STRING"), ("v", "INT")]
    unit_ms = rng.choice(UNITS)[1]
    partitions = rng.choice([1, 1, 2, 3, 4])
    late = rng.random() < 0.35
    disorder = rng.choice([3, 10, 30] if late else [0, 1, 3, 10, 30]) * unit_ms
    nulls = rng.choice([0, 0, 0.1, 0.5])
    few = rng.sample(WORDS, rng.randint(1, 5))
    made = Data(f"d{seed}", partitions, columns, [], [], disorder, unit_ms, late,
                rng.random() < 0.3)
    clocks = [rng.randrange(0, 1_700_000_000_000)] * partitions
    newest, offsets = [None] * partitions, [0] * partitions
    step = rng.choice([1, 2, 5]) * unit_ms
    for _ in range(rng.choice([1, 5, 40, 150, 150, 150, 400, 400]) if rng.random() < 0.95 else 0):
        partition = rng.randrange(partitions)
        leap = 20 * step if rng.random() < 0.1 else 0
        clocks[partition] += rng.choice([0, 1, rng.randrange(step + 1), step, leap])
        time = max(0, clocks[partition] - (rng.randint(0, disorder) if rng.random() < 0.5 else 0))
        values = [time] + [a_value(rng, kind, few, nulls) for _, kind in columns[1:]]
        fields = {name: it for (name, _), it in zip(columns, values) if it is not None or rng.random() < 0.5}
        value = json.dumps(fields, ensure_ascii=rng.random() < 0.5)
        made.records.append({"partition": partition, "timestamp": time, "value": value})
        made.rows.append((partition, offsets[partition], time, values, newest[partition]))
        newest[partition] = max(newest[partition] or 0, time)
        offsets[partition] += 1
        if rng.random() < 0.01:
            # A record that is no row is set aside, and moves nothing.
            value = rng.choice(["{", "[1]", None])
            made.records.append({"partition": partition, "timestamp": time + 10**9, "value": value})
            offsets[partition] += 1
    return made


def a_value(rng, kind, few, nulls):
    if rng.random() < nulls:
        return None
    if kind == "INT":
        return rng.choice([0, 1, -1, rng.randint(-10, 10), rng.randint(-1000, 1000)])
    if kind == "BIGINT":
        return rng.choice([rng.randint(-5, 5), rng.randint(-(10**12), 10**12)])
    if kind == "DOUBLE":
        return rng.choice([0.1, 0.2, -0.5, round(rng.uniform(-100, 100), 2), rng.uniform(-1e4, 1e4)])
    if kind == "BOOLEAN":
        return rng.random() < 0.5
    return rng.choice(few) if rng.random() < 0.9 else rng.choice(WORDS)


def statement(data, rng):
    flink = rng.random() < 0.5
    emit = rng.choice(["QUERY"] * 6 + ["FINAL", "CHANGES", "ON TIME"])
    window = a_window(data, rng, flink)
    if data.late:
        # Both lie below the disorder, mostly, so that rows come late.
        behind, grace = (rng.randint(0, data.disorder // data.unit_ms) * data.unit_ms for _ in range(2))
    else:
        # A row that lies a session's gap after its last one, and at the watermark, finds it closed: hence one more.
        behind, grace = data.disorder + (window[0] == "session"), rng.randint(0, 3) * data.unit_ms
    disorder, grace = (behind, 0) if flink else (0, behind + (0 if data.late else grace))
    keys = group_keys(data, rng, flink)
    aggregates = [an_aggregate(data, rng) for _ in range(rng.randint(1, 5))]
    where = condition(data, rng) if rng.random() < 0.4 else ""
    having = a_having(data, rng) if rng.random() < 0.25 else ""
    return Statement(flink, window, keys, aggregates, where, having, disorder, grace, emit)


def a_window(data, rng, flink):
    unit = data.unit_ms
    kind = rng.choice(["tumble", "hop", "session"] + (["cumulate"] if flink else []))
    if data.late and kind == "session":
        # Which of a session's rows are late depends on the rows that were: the batch side has no word for that.
        kind = "hop"
    offset = rng.choice([0, 0, 0, rng.randint(1, 9) * unit])
    if kind == "tumble":
        return (kind, rng.choice([1, 2, 5, 10, 60]) * unit, offset)
    advance = rng.choice([1, 2, 3, 5, 10]) * unit
    if kind == "session":
        return (kind, advance)
    size = advance * rng.choice([1, 2, 3, 6, 20])
    if kind == "hop" and not flink and rng.random() < 0.3:
        size += rng.randint(0, 2) * unit
    return (kind, size, advance, offset)


def group_keys(data, rng, flink):
    text, whole, yes = data.of("STRING"), data.of("INT"), data.of("BOOLEAN")
    choices = [rng.choice(text), "k", rng.choice(whole), f"{rng.choice(whole)} % {rng.randint(2, 7)}",
               f"UPPER({rng.choice(text)})", f"CASE WHEN {condition(data, rng)} THEN 'yes' ELSE 'no' END"] + yes[:1]
    fewest = 0 if flink else 1
    return rng.sample(sorted(set(choices)), rng.randint(fewest, 2))


def condition(data, rng, depth=0):
    ints, texts = data.of("INT"), data.of("STRING")
    if depth < 2 and rng.random() < 0.35:
        one, other = condition(data, rng, depth + 1), condition(data, rng, depth + 1)
        return rng.choice([f"({one} AND {other})", f"({one} OR {other})", f"NOT ({one})"])
    whole, text = rng.choice(ints), rng.choice(texts)
    choices = [
        f"{whole} {rng.choice(['<', '<=', '>', '>=', '=', '<>'])} {rng.randint(-5, 5)}",
        f"{whole} BETWEEN {rng.randint(-5, 0)} AND {rng.randint(0, 50)}",
        f"{text} LIKE '{rng.choice(['a%', '%b', '_', '%b%', '%'])}'",
        f"{text} {rng.choice(['IN', 'NOT IN'])} ('a', 'abc', 'it''s')",
        f"{text} {rng.choice(['<', '>='])} 'ab'",
        f"{rng.choice(data.columns)[0]} IS {rng.choice(['', 'NOT '])}NULL",
        f"{rng.choice(ints)} + {whole} > {rng.randint(-5, 5)}",
        f"COALESCE({whole}, 0) % 2 = 0",
    ]
    choices += [f"{name}" for name in data.of("BOOLEAN")[:1]]
    choices += [f"{name} > {rng.randint(-10, 10)}.5" for name in data.of("DOUBLE")[:1]]
    return rng.choice(choices)


def an_int(data, rng):
    one, other = rng.choice(data.of("INT")), rng.choice(data.of("INT"))
    return rng.choice([one, one, f"{one} + {other}", f"{one} * {rng.randint(-3, 3)} - {other}", f"ABS({one})",
                       f"COALESCE({one}, {other}, 7)", f"CHAR_LENGTH({rng.choice(data.of('STRING'))})",
                       f"CASE WHEN {condition(data, rng)} THEN {one} ELSE {rng.randint(0, 9)} END"])


def an_aggregate(data, rng):
    """As Leat has it, as DuckDB has it, and whether it is `exact`, `close`, or a `sum` of a list."""
    kept = condition(data, rng) if rng.random() < 0.25 else ""
    keep = f" FILTER (WHERE {kept})" if kept else ""
    doubles, whole = data.of("DOUBLE"), an_int(data, rng)
    some = rng.choice(data.columns)[0]
    ordered = rng.choice(data.of("INT", "BIGINT", "DOUBLE", "STRING"))
    kind = rng.choice(["count", "rows", "distinct", "sum", "extreme", "avg", "spread", "made"])
    if kind == "count":
        return alike(f"COUNT({some}){keep}")
    if kind == "rows":
        return alike(f"COUNT(*){keep}")
    if kind == "distinct":
        leat = rng.choice([f"COUNT(DISTINCT {ordered})", f"COUNT_DISTINCT({ordered})"])
        return (leat + keep, f"COUNT(DISTINCT {ordered}){keep}", "exact")
    if kind == "sum":
        if doubles and rng.random() < 0.5:
            of = rng.choice([doubles[0], f"{doubles[-1]} * 2.5"])
            there = f"{of} IS NOT NULL" + (f" AND ({kept})" if kept else "")
            return (f"SUM({of}){keep}", f"list({of}) FILTER (WHERE {there})", "sum")
        return alike(f"SUM({rng.choice([whole] + data.of('BIGINT'))}){keep}")
    if kind == "extreme":
        return alike(f"{rng.choice(['MIN', 'MAX'])}({rng.choice([ordered, whole])}){keep}")
    if kind == "avg":
        return (*[f"AVG({rng.choice(doubles + [whole])}){keep}"] * 2, "close")
    if kind == "spread":
        name = rng.choice(["VAR_POP", "VAR_SAMP", "STDDEV_POP", "STDDEV_SAMP", "STDDEV"])
        return (*[f"{name}({rng.choice(doubles + [whole])}){keep}"] * 2, "close")
    return alike(rng.choice([f"MAX({whole}) - MIN({whole})", f"SUM({whole}) + COUNT(*)",
                             f"COALESCE(MAX({whole}), -1) * 2", "CASE WHEN COUNT(*) > 3 THEN 'many' ELSE 'few' END"]))


def alike(text):
    return (text, text, "exact")


def a_having(data, rng):
    return rng.choice([f"COUNT(*) > {rng.randint(1, 4)}", f"SUM({an_int(data, rng)}) > 0",
                       f"MIN({data.of('STRING')[0]}) IS NOT NULL",
                       f"MAX(v) - MIN(v) < {rng.randint(0, 500)} AND COUNT(v) >= 1"])
