CREATE STREAM scans (parcel STRING, place STRING, status STRING) WITH (
    kafka_topic='scans', value_format='JSON', partitions=3
);

CREATE TABLE parcels AS
    SELECT parcel,
        LATEST_BY_OFFSET(place) AS place,
        LATEST_BY_OFFSET(status) AS status,
        EARLIEST_BY_OFFSET(place) AS sent_from,
        COUNT(*) AS scans
    FROM scans
    GROUP BY parcel
    EMIT CHANGES;
