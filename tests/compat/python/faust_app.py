"""A Faust worker for compat_faust.py: an agent that counts words into a tumbling table, whose changelog is a topic."""

import os
from datetime import timedelta

import faust

NAME = os.environ["FAUST_NAME"]
app = faust.App(
    NAME, broker=f"kafka://{os.environ['BOOTSTRAP']}".replace(",", ";kafka://"), store="memory://", topic_partitions=3,
    # As many as there are brokers; Faust knows no default of the broker's.
    topic_replication_factor=1 + os.environ["BOOTSTRAP"].count(","), value_serializer="raw", key_serializer="raw",
    datadir=os.environ["FAUST_DATADIR"],
    broker_session_timeout=6, broker_heartbeat_interval=0.5, broker_commit_interval=0.3, broker_max_poll_interval=30,
    stream_recovery_delay=0)
words = app.topic(f"{NAME}-words", key_type=bytes, value_type=bytes)
counts = app.Table("counts", default=int, partitions=3, key_type=str, value_type=int).tumbling(timedelta(seconds=60))


@app.agent(words)
async def count(stream):
    async for event in stream.events():
        # The window is that of the record's own time.
        counts[event.key.decode()] += 1


if __name__ == "__main__":
    app.main()
