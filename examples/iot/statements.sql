CREATE STREAM readings (device STRING, celsius DOUBLE, at BIGINT) WITH (
    kafka_topic='readings', value_format='JSON', partitions=2, timestamp='at', idle='never'
);

-- Each reading that is out of bounds, at once.
CREATE STREAM alarms AS
    SELECT device, celsius,
        CASE WHEN celsius > 95 THEN 'critical' WHEN celsius > 80 THEN 'hot' ELSE 'thawing' END AS level
    FROM readings
    WHERE celsius > 80 OR (device LIKE 'freez%' AND celsius > -5)
    EMIT CHANGES;

-- Minutes that were hot on the whole.
CREATE TABLE hot_minutes AS
    SELECT device, AVG(celsius) AS mean, MAX(celsius) AS highest, COUNT(celsius) AS readings,
        COUNT(*) FILTER (WHERE celsius > 80) AS above
    FROM readings
    WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 10 MINUTES)
    GROUP BY device
    HAVING AVG(celsius) > 65
    EMIT FINAL;
