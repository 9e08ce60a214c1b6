CREATE STREAM payments (card STRING, city STRING, amount DOUBLE, at STRING) WITH (
    kafka_topic='payments', value_format='JSON', partitions=2,
    timestamp='at', timestamp_format='yyyy-MM-dd''T''HH:mm:ssX', idle='never'
);

-- A card that is used in three places within ten minutes.
CREATE TABLE suspects AS
    SELECT card, COUNT(DISTINCT city) AS places, COLLECT_SET(city) AS cities, SUM(amount) AS total
    FROM payments
    WINDOW HOPPING (SIZE 10 MINUTES, ADVANCE BY 5 MINUTES, GRACE PERIOD 1 HOUR)
    GROUP BY card
    HAVING COUNT(DISTINCT city) >= 3
    EMIT FINAL;
