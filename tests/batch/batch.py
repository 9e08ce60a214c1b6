"""Leat's final results against batch SQL over the same rows in DuckDB, for statements and data made from seeds.

    batch.py --tool target/release/leat --cases 300 [--seed N]

A case is one statement. A data set has a seed and some statements; `--seed N` runs that one alone.
"""

import argparse
import json
import math
import random
import re
import signal
import sys
import time

import duckdb

import cases
import over
import texts
from leat import Leat, Refused, millis

STATEMENTS = 6
OVERS = 2
PATIENCE_S = 20
LATE_NOTICE = " rows were late for a window."


class Different(Exception):
    pass


def by_window(statement, rows):
    """{(window's start, its end, the group): its values}; no window comes twice."""
    found, keys = {}, len(statement.keys)
    for row in rows:
        name = (millis(row[-2]), millis(row[-1]), *row[:keys])
        if name in found:
            raise Different(f"a window comes twice: {name}")
        found[name] = list(row[keys:-2])
    return found


def same(ours, theirs, how):
    if how == "sum" and theirs is not None:
        theirs = math.fsum(theirs)
    if ours is None or theirs is None:
        return ours is theirs
    if how == "close":
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-6)
    return type(ours) is type(theirs) and ours == theirs


def by_row(rows):
    """{(the row's partition, its offset): its values}; no row comes twice."""
    found = {tuple(row[:2]): list(row[2:]) for row in rows}
    if len(found) != len(rows):
        raise Different("a row comes twice")
    return found


def compare(how, ours, theirs):
    for name in sorted(ours.keys() | theirs.keys(), key=repr):
        one, other = ours.get(name), theirs.get(name)
        is_there = one is not None and other is not None
        if not is_there or not all(map(same, one, other, how)):
            raise Different(f"window and group, or row, {name}\n  Leat    {one}\n  DuckDB  {other}\n"
                            f"  ({len(ours)} of them in Leat, {len(theirs)} in DuckDB)")


def how(statement):
    return [each[2] for each in (statement.aggregates if hasattr(statement, "aggregates") else statement.calls)]


class Batch:
    def __init__(self, leat):
        self.leat = leat
        self.duck = duckdb.connect(config={"threads": 1})
        self.statements = self.windows = self.rows = self.late = self.tables = 0

    def data_set(self, seed):
        data = cases.data(seed)
        rng = random.Random(f"statements of {seed}")
        text, columns = texts.rows_table(data)
        self.duck.execute(text, columns)
        self.leat.sql(texts.stream(data))
        each = [cases.statement(data, rng) for _ in range(STATEMENTS)]
        made = []
        try:
            # Some pipelines see the rows come, others find them.
            early = {at for at, it in enumerate(each) if it.emit != "QUERY" and rng.random() < 0.5}
            for at, statement in enumerate(each):
                source = self.source(data, statement, at, made)
                table = "" if statement.emit == "QUERY" else f"{data.name}_t{at}"
                statement.leat = texts.leat(statement, source, table)
                if at in early:
                    self.begin(statement, table, made)
            self.produce(data, rng)
            for at, statement in enumerate(each):
                table = f"{data.name}_t{at}"
                if statement.emit != "QUERY" and at not in early:
                    self.begin(statement, table, made)
                self.run(data, statement, table)
            for at in range(OVERS):
                self.over(data, over.statement(data, rng), len(each) + at, made)
        finally:
            for drop in reversed(made):
                self.leat.sql(drop)
            self.leat.sql(f"DROP STREAM {data.name} DELETE TOPIC;")

    def source(self, data, statement, at, made):
        if not statement.flink:
            return data.name
        name = f"{data.name}_f{at}"
        self.leat.sql(texts.flink_source(data, statement.disorder, name))
        made.append(f"DROP TABLE {name};")
        return name

    def begin(self, statement, table, made):
        try:
            self.leat.sql(statement.leat)
        except Refused as refused:
            raise Different(f"{statement.leat}\n{refused}") from None
        made.append(f"DROP TABLE {table} DELETE TOPIC;")

    def produce(self, data, rng):
        for from_ in range(0, len(data.records), 150):
            codec = rng.choice(["none", "gzip", "snappy", "lz4", "zstd"])
            self.leat.produce(data.name, data.records[from_ : from_ + 150], codec)

    def run(self, data, statement, table):
        late = self.duck.execute(texts.late(statement)).fetchall() if not statement.is_session else []
        try:
            if statement.emit == "QUERY":
                ours = self.query(statement, late)
            else:
                self.leat.sql(f"ADVANCE {self.source_of(statement, data, table)} TO TIMESTAMP '{texts.END}';")
                self.leat.settle(table)
                ours = self.table(statement, table, late)
        except (Refused, Different) as different:
            raise Different(f"{statement.leat}\n{texts.duck(statement)}\n{different}") from None
        self.statements += 1
        self.tables += statement.emit != "QUERY"
        self.windows += len(ours)
        self.late += len(late)

    def over(self, data, statement, at, made):
        statement.leat = over.leat(statement, self.source(data, statement, at, made))
        try:
            (due,) = self.duck.execute(over.late(statement)).fetchone()
            ours = by_row(self.asked(statement, due))
            compare(how(statement), ours, by_row(self.duck.execute(over.duck(statement)).fetchall()))
        except (Refused, Different) as different:
            raise Different(f"{statement.leat}\n{over.duck(statement)}\n{different}") from None
        self.statements += 1
        self.rows += len(ours)
        self.late += due

    def asked(self, statement, due):
        """The rows of a query that reads to the end, of which so many have to be late."""
        rows, notices = self.leat.sql(statement.leat, until_end=True)
        told = sum(int(it.removesuffix(LATE_NOTICE)) for it in notices if it.endswith(LATE_NOTICE))
        if told != due:
            raise Different(f"{told} rows are late in Leat, {due} by the definition")
        return rows

    def query(self, statement, late):
        ours = by_window(statement, self.asked(statement, len({(p, o) for p, o, _, _ in late})))
        compare(how(statement), ours, self.batch(statement, late))
        return ours

    def table(self, statement, table, late):
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                told = self.told_late(table)
                if told != set(late):
                    due = set(late)
                    raise Different(f"late in Leat only: {told - due}\nby the definition only: {due - told}")
                ours = self.results(statement, table)
                # What Leat reports is taken away, not what it should.
                compare(how(statement), ours, self.batch(statement, sorted(told)))
                return ours
            except Different:
                # The pipeline is at its end; what it sent may not have been written yet.
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def results(self, statement, table):
        """The newest value of each window and group, which has to be marked as the last."""
        newest, finals = {}, set()
        for record in self.leat.consume(table):
            key = json.loads(record["key"])
            group = [key[f"g{at}"] for at in range(len(statement.keys))]
            name = (millis(key["window_start"]), millis(key["window_end"]), *group)
            if name in finals:
                raise Different(f"a window that was final comes again: {record}")
            if any(header["key"] == "leat.final" for header in record.get("headers", [])):
                finals.add(name)
            if record["value"] is None:
                newest.pop(name, None)
                continue
            value = json.loads(record["value"])
            newest[name] = [value[f"a{at}"] for at in range(len(statement.aggregates))]
        if not newest.keys() <= finals:
            raise Different(f"windows that were never final: {newest.keys() - finals}")
        return newest

    def source_of(self, statement, data, table):
        return table.replace("_t", "_f") if statement.flink else data.name

    def told_late(self, table):
        told = set()
        for record in self.leat.consume(f"{table}-late"):
            headers = {header["key"]: header["value"] for header in record["headers"]}
            for window in headers["leat.windows"].split(","):
                bounds = re.fullmatch(r"(-?\d+)-(-?\d+)", window).groups()
                told.add((int(headers["leat.partition"]), int(headers["leat.offset"]), *map(int, bounds)))
        return told

    def batch(self, statement, late):
        columns = ", ".join(f"unnest(${at + 1}::BIGINT[]) AS {name}" for at, name in enumerate(["p", "o", "ws", "we"]))
        values = [[row[at] for row in late] for at in range(4)]
        self.duck.execute(f"CREATE OR REPLACE TEMP TABLE late AS SELECT {columns}", values)
        return by_window(statement, self.duck.execute(texts.duck(statement)).fetchall())


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tool", required=True, help="the leat program")
    arguments.add_argument("--cases", type=int, default=300, help="statements to run")
    arguments.add_argument("--from", dest="first", type=int, default=1, help="the first seed")
    arguments.add_argument("--seed", type=int, help="only this data set")
    asked = arguments.parse_args()
    # The broker is stopped also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    leat, begun, failed, seed = Leat(asked.tool), time.monotonic(), 0, asked.first
    try:
        batch = Batch(leat)
        while batch.statements + failed < asked.cases:
            seed = seed if asked.seed is None else asked.seed
            try:
                batch.data_set(seed)
            except Different as different:
                failed += 1
                print(f"seed {seed}:\n{different}\n", flush=True)
            seed += 1
            if asked.seed is not None or failed >= 10:
                break
    finally:
        leat.stop()
    print(f"{batch.windows} windows and {batch.rows} rows of {batch.statements} statements, {batch.tables} of them tables, "
          f"{batch.late} times a row was late for a window, {time.monotonic() - begun:.0f} s")
    print(f"{batch.statements} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
