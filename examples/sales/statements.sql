-- Sales may come a minute out of order; what comes later than that has missed its window.
CREATE TABLE sales (
    receipt BIGINT,
    category STRING,
    amount DOUBLE,
    sold_at TIMESTAMP(3),
    WATERMARK FOR sold_at AS sold_at - INTERVAL '1' MINUTE
) WITH (
    'connector' = 'kafka',
    'topic' = 'sales',
    'format' = 'json',
    'partitions' = '1',
    'idle' = 'never',
    'scan.startup.mode' = 'earliest-offset'
);

CREATE TABLE sales_by_category AS
    SELECT window_start, window_end, category, SUM(amount) AS total, COUNT(*) AS sales, MAX(amount) AS largest
    FROM TABLE(TUMBLE(TABLE sales, DESCRIPTOR(sold_at), INTERVAL '5' MINUTES))
    GROUP BY window_start, window_end, category;
