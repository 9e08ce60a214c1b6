"""`OVER` against DuckDB's: frames by rows and by time, over partitions of the rows that were not late.

A result is known by its row's partition and offset.
"""

from dataclasses import dataclass

import cases
from texts import interval, length

@dataclass
class Statement:
    flink: bool
    keys: list  # expressions
    # (Leat's call, DuckDB's, how it is compared, the frame), without OVER
    calls: list
    where: str
    disorder: int
    grace: int
    leat: str = ""


def statement(data, rng):
    flink = rng.random() < 0.5
    if data.late:
        behind, grace = (rng.randint(0, data.disorder // data.unit_ms) * data.unit_ms for _ in range(2))
    else:
        behind, grace = data.disorder, rng.randint(0, 3) * data.unit_ms
    # The grace is OVER's in both dialects.
    disorder, grace = (behind, grace) if flink else (0, behind + (0 if data.late else grace))
    keys = cases.group_keys(data, rng, True)
    frames = [a_frame(data, rng) for _ in range(rng.randint(1, 3))]
    calls = [a_call(data, rng, rng.choice(frames)) for _ in range(rng.randint(1, 5))]
    where = cases.condition(data, rng) if rng.random() < 0.4 else ""
    return Statement(flink, keys, calls, where, disorder, grace)


def a_frame(data, rng):
    """What goes by rows or by time, and how far back; none for the key's first row."""
    back = None if rng.random() < 0.2 else rng.choice([0, 1, 2, 5, 30])
    if rng.random() < 0.5:
        return ("rows", back)
    return ("range", None if back is None else back * data.unit_ms)


def a_call(data, rng, frame):
    kept = cases.condition(data, rng) if rng.random() < 0.25 else ""
    keep = f" FILTER (WHERE {kept})" if kept else ""
    doubles, whole = data.of("DOUBLE"), cases.an_int(data, rng)
    ordered = rng.choice(data.of("INT", "BIGINT", "DOUBLE", "STRING"))
    kind = rng.choice(["count", "rows", "distinct", "sum", "double", "extreme", "avg", "spread", "edge", "lag", "number"])
    if kind == "rows":
        return (f"COUNT(*){keep}", f"COUNT(*){keep}", "exact", frame)
    if kind == "distinct":
        return (f"COUNT(DISTINCT {ordered}){keep}",) * 2 + ("exact", frame)
    if kind == "sum":
        return (f"SUM({whole}){keep}",) * 2 + ("exact", frame)
    if kind == "double" and doubles:
        there = f"{doubles[0]} IS NOT NULL" + (f" AND ({kept})" if kept else "")
        return (f"SUM({doubles[0]}){keep}", f"list({doubles[0]}) FILTER (WHERE {there})", "sum", frame)
    if kind == "extreme":
        return (f"{rng.choice(['MIN', 'MAX'])}({rng.choice([ordered, whole])}){keep}",) * 2 + ("exact", frame)
    if kind == "avg":
        return (f"AVG({rng.choice(doubles + [whole])}){keep}",) * 2 + ("close", frame)
    if kind == "spread":
        return (f"{rng.choice(['VAR_POP', 'STDDEV_SAMP'])}({whole}){keep}",) * 2 + ("close", frame)
    if kind == "edge" and frame[0] == "rows":
        # Nulls are left out, as in Flink. By time, rows of one time would have no order in DuckDB.
        name = rng.choice(["FIRST_VALUE", "LAST_VALUE"])
        return (f"{name}({ordered})", f"{name}({ordered} IGNORE NULLS)", "exact", frame)
    if kind == "lag":
        arguments = rng.choice([ordered, f"{ordered}, 3", f"{whole}, {rng.randint(0, 5)}, -7"])
        return (f"LAG({arguments})",) * 2 + ("exact", None)
    if kind == "number":
        return ("ROW_NUMBER()",) * 2 + ("exact", None)
    return (f"COUNT({ordered}){keep}",) * 2 + ("exact", frame)


def over(keys, order, frame, grace=""):
    by = f"PARTITION BY {', '.join(keys)} " if keys else ""
    if frame is None:
        return f" OVER ({by}ORDER BY {order}{grace})"
    kind, back = frame
    back = "UNBOUNDED" if back is None else str(back)
    return f" OVER ({by}ORDER BY {order} {kind.upper()} BETWEEN {back} PRECEDING AND CURRENT ROW{grace})"


def leat(statement, source):
    order = "ts" if statement.flink else "ROWTIME"
    grace = f" GRACE PERIOD {length(statement.grace)}" if statement.grace else ""
    values = []
    for at, (ours, _, _, frame) in enumerate(statement.calls):
        if frame and frame[0] == "range" and frame[1] is not None:
            frame = ("range", interval(frame[1]))
        values.append(f"{ours}{over(statement.keys, order, frame, grace)} AS a{at}")
    text = f"SELECT ROWPARTITION AS p, ROWOFFSET AS o, {', '.join(values)} FROM {source}"
    text += f" WHERE {statement.where}" if statement.where else ""
    return text + ("" if statement.flink else " EMIT CHANGES") + ";"


def kept(statement):
    """The rows that count, with whether each is late, by the definition."""
    conditions = [f"({statement.where})"] if statement.where else []
    if not statement.flink:
        conditions += [f"({key}) IS NOT NULL" for key in statement.keys]
    late = f"coalesce(tm + {statement.grace + statement.disorder} < newest, false) AS is_late"
    return f"SELECT *, {late} FROM rows" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")


def late(statement):
    return f"SELECT count(*) FROM ({kept(statement)}) WHERE is_late"


def duck(statement):
    values = []
    for at, (_, theirs, _, frame) in enumerate(statement.calls):
        order = "tm" if frame and frame[0] == "range" else "tm, p, o"
        values.append(f"{theirs}{over([f'({key})' for key in statement.keys], order, frame)} AS a{at}")
    return f"SELECT p, o, {', '.join(values)} FROM ({kept(statement)}) WHERE NOT is_late"
