CREATE STREAM lines (at STRING, line STRING) WITH (
    kafka_topic='lines', value_format='JSON', partitions=3,
    timestamp='at', timestamp_format='yyyy-MM-dd HH:mm:ss', idle='never'
);

-- A row for each word, and how often it was seen so far.
CREATE STREAM words AS
    SELECT EXPLODE(REGEXP_SPLIT_TO_ARRAY(LCASE(line), '[^a-z]+')) AS word
    FROM lines
    EMIT CHANGES;

CREATE TABLE word_counts AS
    SELECT word, COUNT(*) AS seen
    FROM words
    WHERE word <> ''
    GROUP BY word
    EMIT CHANGES;

-- The same by the minute.
CREATE TABLE words_by_minute AS
    SELECT word, COUNT(*) AS seen
    FROM lines CROSS JOIN UNNEST(REGEXP_SPLIT_TO_ARRAY(LCASE(line), '[^a-z]+')) AS each (word)
    WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 1 HOUR)
    WHERE word <> ''
    GROUP BY word
    EMIT FINAL;

-- And by three minutes, looked at every minute.
CREATE TABLE words_by_three_minutes AS
    SELECT word, COUNT(*) AS seen
    FROM lines CROSS JOIN UNNEST(REGEXP_SPLIT_TO_ARRAY(LCASE(line), '[^a-z]+')) AS each (word)
    WINDOW HOPPING (SIZE 3 MINUTES, ADVANCE BY 1 MINUTE, GRACE PERIOD 1 HOUR)
    WHERE word <> ''
    GROUP BY word
    EMIT FINAL;
