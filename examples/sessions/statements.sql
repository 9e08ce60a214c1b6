CREATE STREAM page_views (user STRING, page STRING, at BIGINT) WITH (
    kafka_topic='page_views', value_format='JSON', partitions=3, timestamp='at', idle='never'
);

CREATE TABLE visits AS
    SELECT user,
        COUNT(*) AS views,
        COUNT(DISTINCT page) AS pages,
        COLLECT_LIST(page) AS path,
        (WINDOWEND - WINDOWSTART) / 1000 AS duration_s
    FROM page_views
    WINDOW SESSION (30 MINUTES, GRACE PERIOD 2 HOURS)
    GROUP BY user
    EMIT FINAL;
