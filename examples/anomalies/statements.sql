-- Readings may come ten seconds out of order.
CREATE TABLE usage (
    host STRING,
    cpu DOUBLE,
    memory DOUBLE,
    at TIMESTAMP(3),
    WATERMARK FOR at AS at - INTERVAL '10' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'usage',
    'format' = 'json',
    'partitions' = '3',
    'idle' = 'never',
    'scan.startup.mode' = 'earliest-offset'
);

-- Readings far above the mean of the five minutes up to them.
CREATE STREAM anomalies AS
    SELECT host, at, cpu, AVG(cpu) OVER w AS cpu_mean, memory, AVG(memory) OVER w AS memory_mean, COUNT(*) OVER w AS readings
    FROM usage
    WINDOW w AS (PARTITION BY host ORDER BY at RANGE BETWEEN INTERVAL '5' MINUTES PRECEDING AND CURRENT ROW)
    QUALIFY cpu > 2 * AVG(cpu) OVER w OR memory > AVG(memory) OVER w + 15;

-- Memory that grew by much from one reading to the next.
CREATE STREAM jumps AS
    SELECT host, at, LAG(memory) OVER w AS before, memory AS after
    FROM usage
    WINDOW w AS (PARTITION BY host ORDER BY at)
    QUALIFY memory - LAG(memory) OVER w > 20;
