"""A statement as Leat is told it, in either dialect, and as DuckDB is."""

from cases import TYPES, UNITS

END = "2100-01-01 00:00:00"


def stream(data):
    """ksqlDB's dialect: the stream, with its topic."""
    columns = ", ".join(f"{name} {kind}" for name, kind in data.columns)
    time = "" if data.by_record else ", timestamp='taken'"
    return (f"CREATE STREAM {data.name} ({columns}) WITH (kafka_topic='{data.name}', value_format='JSON', "
            f"partitions={data.partitions}{time}, idle='never', future='never');")


def flink_source(data, disorder, name):
    """Flink's dialect: a source over the same topic, to which the disorder belongs."""
    columns = ", ".join(f"{column} {kind}" for column, kind in data.columns)
    return (f"CREATE TABLE {name} ({columns}, ts AS TO_TIMESTAMP_LTZ(taken, 3), "
            f"WATERMARK FOR ts AS ts - {interval(disorder)}) WITH ('connector'='kafka', 'topic'='{data.name}', "
            f"'format'='json', 'idle'='never', 'future'='never');")


def interval(ms):
    return f"INTERVAL '{ms // 1000}{'.%03d' % (ms % 1000) if ms % 1000 else ''}' SECOND"


def length(ms):
    name, unit = next((name, unit) for name, unit in reversed(UNITS) if ms % unit == 0)
    return f"{ms // unit} {name}{'S' if ms != unit else ''}"


def leat(statement, source, table):
    """The statement: a query where `table` is empty."""
    keys = [f"{key} AS g{at}" for at, key in enumerate(statement.keys)]
    values = [f"{ours} AS a{at}" for at, (ours, _, _) in enumerate(statement.aggregates)]
    kind, *ms = statement.window
    if statement.flink:
        bounds = ["window_start", "window_end"]
        arguments = [interval(it) for it in ms]
        if kind in ("hop", "cumulate"):
            arguments[:2] = arguments[1::-1]
        if kind != "session" and ms[-1] == 0:
            arguments.pop()
        # An expression is no column to divide by. Here the groups divide sessions all the same.
        plain = [key for key in statement.keys if key.isidentifier()]
        divided = f" PARTITION BY {', '.join(plain)}" if kind == "session" and plain else ""
        origin = f"TABLE({kind.upper()}(TABLE {source}{divided}, DESCRIPTOR(ts), {', '.join(arguments)}))"
        groups = bounds + statement.keys
    else:
        bounds = ["WINDOWSTART AS ws", "WINDOWEND AS we"]
        grace = f", GRACE PERIOD {length(statement.grace)}" if statement.grace else ", GRACE PERIOD 0 SECONDS"
        offset = f", OFFSET {length(ms[-1])}" if kind != "session" and ms[-1] else ""
        inner = {"tumble": lambda: f"TUMBLING (SIZE {length(ms[0])}{offset}{grace})",
                 "hop": lambda: f"HOPPING (SIZE {length(ms[0])}, ADVANCE BY {length(ms[1])}{offset}{grace})",
                 "session": lambda: f"SESSION ({length(ms[0])}{grace})"}[kind]()
        origin, groups = f"{source} WINDOW {inner}", statement.keys
    text = f"SELECT {', '.join(keys + values + bounds)} FROM {origin}"
    text += f" WHERE {statement.where}" if statement.where else ""
    text += f" GROUP BY {', '.join(groups)}"
    text += f" HAVING {statement.having}" if statement.having else ""
    if not table:
        return text + ("" if statement.flink else " EMIT FINAL") + ";"
    return f"CREATE TABLE {table} AS {text} EMIT {statement.emit};"


def members(statement):
    """Rows with each window that they belong to (`ws`, `we`), in DuckDB's SQL; a session's have none yet."""
    kind, *ms = statement.window
    kept = [f"({statement.where})"] if statement.where else []
    if not statement.flink:
        # A null in the key leaves a row out in ksqlDB's dialect.
        kept += [f"({key}) IS NOT NULL" for key in statement.keys]
    rows = "SELECT * FROM rows" + (f" WHERE {' AND '.join(kept)}" if kept else "")
    if kind == "session":
        return rows
    size, step, offset = ms[0], ms[1] if len(ms) == 3 else ms[0], ms[-1]
    last = floor(step, offset)
    if kind == "cumulate":
        start = floor(size, offset)
        return (f"SELECT *, {start} AS ws, unnest(generate_series({last} + {step}, {start} + {size}, {step})) AS we "
                f"FROM ({rows})")
    starts = f"unnest(generate_series({last}, tm - {size} + 1, -{step}))"
    return f"SELECT *, ws + {size} AS we FROM (SELECT *, {starts} AS ws FROM ({rows}))"


def floor(step, offset):
    return f"(tm - ((tm - {offset}) % {step} + {step}) % {step})"


def late(statement):
    """The rows, with their windows, that are late by the definition."""
    closes = statement.grace + statement.disorder
    return f"SELECT p, o, ws, we FROM ({members(statement)}) WHERE we + {closes} <= newest"


def duck(statement):
    keys = [f"{key} AS g{at}" for at, key in enumerate(statement.keys)]
    values = [f"{theirs} AS a{at}" for at, (_, theirs, _) in enumerate(statement.aggregates)]
    groups = [f"({key})" for key in statement.keys]
    if statement.is_session:
        gap = statement.window[1]
        divided = f"PARTITION BY {', '.join(groups)} " if groups else ""
        before = f"lag(tm) OVER ({divided}ORDER BY tm, p, o)"
        begins = (f"SELECT *, CASE WHEN tm - {before} <= {gap} THEN 0 ELSE 1 END AS fresh FROM ({members(statement)})")
        rows = f"SELECT *, sum(fresh) OVER ({divided}ORDER BY tm, p, o) AS session FROM ({begins})"
        bounds = ["min(tm) AS ws", f"max(tm) + {gap if statement.flink else 0} AS we"]
        groups.append("session")
    else:
        told = "late.p = m.p AND late.o = m.o AND late.ws = m.ws AND late.we = m.we"
        rows = f"SELECT * FROM ({members(statement)}) AS m WHERE NOT EXISTS (FROM late WHERE {told})"
        bounds = ["ws", "we"]
        groups += bounds
    text = f"SELECT {', '.join(keys + values + bounds)} FROM ({rows}) GROUP BY {', '.join(groups)}"
    return text + (f" HAVING {statement.having}" if statement.having else "")


def rows_table(data):
    """DuckDB's table of the rows, and its parameters: a list for each column."""
    kinds = [("p", "INTEGER"), ("o", "BIGINT"), ("tm", "BIGINT"), ("newest", "BIGINT")]
    kinds += [(name, TYPES[kind]) for name, kind in data.columns]
    columns = [[row[at] for row in data.rows] for at in (0, 1, 2, 4)]
    columns += [[row[3][at] for row in data.rows] for at in range(len(data.columns))]
    select = ", ".join(f'unnest(${at + 1}::{kind}[]) AS "{name}"' for at, (name, kind) in enumerate(kinds))
    return f"CREATE OR REPLACE TEMP TABLE rows AS SELECT {select}", columns
