"""Calculates each exercise's expected.jsonl from its data.jsonl, without Leat.

Run it in this folder. A line is a record of a topic; where its key is an object, the last one with that key.
"""

import json
import math
import re
from collections import defaultdict
from datetime import datetime, timezone

MINUTE = 60_000


def millis(text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp() * 1000)


def civil(ms):
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03}"


def windows(ms, size, advance):
    """Those that hold a time: [start, end)."""
    start = ms - ms % advance
    while start + size > ms:
        yield start, start + size
        start -= advance


def word_count(rows):
    words = [(word, millis(row["at"])) for row in rows for word in re.split("[^a-z]+", row["line"].lower()) if word]
    total, tumbling, hopping = defaultdict(int), defaultdict(int), defaultdict(int)
    for word, at in words:
        total[word] += 1
        for window in windows(at, MINUTE, MINUTE):
            tumbling[word, window] += 1
        for window in windows(at, 3 * MINUTE, MINUTE):
            hopping[word, window] += 1
    for word, seen in total.items():
        yield "word_counts", {"word": word}, {"seen": seen}
    for topic, counts in ("words_by_minute", tumbling), ("words_by_three_minutes", hopping):
        for (word, (start, end)), seen in counts.items():
            yield topic, {"word": word, "window_start": start, "window_end": end}, {"seen": seen}


def sales(rows):
    """One partition: a sale is late once another, a minute and more after its window's end, has come before it."""
    watermark, sums = -math.inf, defaultdict(list)
    for row in rows:
        at = millis(row["sold_at"])
        ((start, end),) = windows(at, 5 * MINUTE, 5 * MINUTE)
        if end <= watermark:
            yield "sales_by_category-late", None, row
        else:
            sums[row["category"], start, end].append(row["amount"])
        watermark = max(watermark, at - MINUTE)
    for (category, start, end), amounts in sums.items():
        key = {"category": category, "window_start": civil(start), "window_end": civil(end)}
        yield "sales_by_category", key, {"total": math.fsum(amounts), "sales": len(amounts), "largest": max(amounts)}


def sessions(rows):
    by_user = defaultdict(list)
    for order, row in enumerate(rows):
        by_user[row["user"]].append((row["at"], order, row["page"]))
    for user, views in by_user.items():
        visits = []
        for view in sorted(views):
            if visits and view[0] - visits[-1][-1][0] <= 30 * MINUTE:
                visits[-1].append(view)
            else:
                visits.append([view])
        for visit in visits:
            first, last = visit[0][0], visit[-1][0]
            path = [page for _, _, page in sorted(visit, key=lambda view: view[1])]
            yield "visits", {"user": user, "window_start": first, "window_end": last}, {
                "views": len(path),
                "pages": len(set(path)),
                "path": path,
                "duration_s": (last - first) // 1000,
            }


def fraud(rows):
    used = defaultdict(list)
    for row in rows:
        for window in windows(millis(row["at"]), 10 * MINUTE, 5 * MINUTE):
            used[row["card"], window].append(row)
    for (card, (start, end)), payments in used.items():
        cities = sorted({payment["city"] for payment in payments} - {None})
        if len(cities) >= 3:
            total = math.fsum(payment["amount"] for payment in payments)
            key = {"card": card, "window_start": start, "window_end": end}
            yield "suspects", key, {"places": len(cities), "cities": cities, "total": total}


def iot(rows):
    minutes = defaultdict(list)
    for row in rows:
        device, celsius = row["device"], row["celsius"]
        if isinstance(celsius, str):
            yield "alarms-rejected", device, row
            yield "hot_minutes-rejected", device, row
            continue
        if celsius is not None and (celsius > 80 or (device == "freezer" and celsius > -5)):
            level = "critical" if celsius > 95 else "hot" if celsius > 80 else "thawing"
            yield "alarms", device, {"device": device, "celsius": celsius, "level": level}
        ((start, end),) = windows(row["at"], MINUTE, MINUTE)
        minutes[device, start, end].append(celsius)
    for (device, start, end), all_of in minutes.items():
        known = [celsius for celsius in all_of if celsius is not None]
        if known and math.fsum(known) / len(known) > 65:
            yield "hot_minutes", {"device": device, "window_start": start, "window_end": end}, {
                "mean": math.fsum(known) / len(known),
                "highest": max(known),
                "readings": len(known),
                "above": sum(celsius > 80 for celsius in known),
            }


def parcels(rows):
    by_parcel = defaultdict(list)
    for row in rows:
        if row["parcel"] is not None:
            by_parcel[row["parcel"]].append(row)
    for parcel, scans in by_parcel.items():
        yield "parcels", {"parcel": parcel}, {
            "place": scans[-1]["place"],
            "status": [scan["status"] for scan in scans if scan.get("status")][-1],
            "sent_from": scans[0]["place"],
            "scans": len(scans),
        }


def anomalies(rows):
    """A reading is late once another, more than ten seconds newer, has come before it."""
    newest, by_host = -math.inf, defaultdict(list)
    for row in rows:
        at = millis(row["at"])
        if at < newest - 10_000:
            yield "anomalies-late", row["host"], row
            yield "jumps-late", row["host"], row
        else:
            by_host[row["host"]].append((at, row["cpu"], row["memory"]))
        newest = max(newest, at)
    for host, readings in by_host.items():
        readings.sort()
        for place, (at, cpu, memory) in enumerate(readings):
            recent = [reading for reading in readings if at - 5 * MINUTE <= reading[0] <= at]
            cpu_mean = math.fsum(reading[1] for reading in recent) / len(recent)
            memory_mean = math.fsum(reading[2] for reading in recent) / len(recent)
            if cpu > 2 * cpu_mean or memory > memory_mean + 15:
                yield "anomalies", host, {
                    "at": civil(at),
                    "cpu": cpu,
                    "cpu_mean": cpu_mean,
                    "memory": memory,
                    "memory_mean": memory_mean,
                    "readings": len(recent),
                }
            before = readings[place - 1][2] if place else None
            if before is not None and memory - before > 20:
                yield "jumps", host, {"at": civil(at), "before": before, "after": memory}


def clicks(rows):
    """No profile changes, and no click waits in vain for one that comes: so when each came makes no difference."""
    profiles = {}
    for name in "profiles", "late-profiles":
        with open(f"clicks/{name}.jsonl", encoding="utf-8") as lines:
            profiles.update((profile["id"], profile) for profile in map(json.loads, lines))
    for row in rows:
        profile = profiles.get(row["userid"], {"name": None, "city": None})
        of = {"click": row["click"], "url": row["url"], "name": profile["name"], "city": profile["city"]}
        yield "clicks_of_people", row["userid"], of
        if profile["name"] is None:
            yield "known_clicks-late", row["userid"], row
        elif row["url"].startswith("/shop"):
            yield "known_clicks", row["userid"], {"click": row["click"], "city": profile["city"].upper()}


for folder, exercise in {
    "word-count": word_count,
    "sales": sales,
    "sessions": sessions,
    "fraud": fraud,
    "iot": iot,
    "parcels": parcels,
    "anomalies": anomalies,
    "clicks": clicks,
}.items():
    with open(f"{folder}/data.jsonl", encoding="utf-8") as data:
        results = list(exercise([json.loads(line) for line in data]))
    with open(f"{folder}/expected.jsonl", "w", encoding="utf-8") as expected:
        for topic, key, value in results:
            line = {"topic": topic, "key": key, "value": value}
            expected.write(json.dumps(line, ensure_ascii=False) + "\n")
