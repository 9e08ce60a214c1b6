CREATE STREAM site_clicks (click INT, userid VARCHAR, url VARCHAR, at BIGINT)
    WITH (kafka_topic='site_clicks', value_format='JSON', timestamp='at', partitions=3, idle='never');

CREATE TABLE people (id VARCHAR PRIMARY KEY, name VARCHAR, city VARCHAR)
    WITH (kafka_topic='people', value_format='JSON', partitions=2);

-- A click whose profile is not there waits an hour of event time for it.
CREATE STREAM clicks_of_people AS
    SELECT c.userid, c.click, c.url, p.name, p.city
    FROM site_clicks c LEFT JOIN people p WAIT 1 HOUR ON c.userid = p.id;

-- Those of nobody that is known come to known_clicks-late instead.
CREATE STREAM known_clicks AS
    SELECT c.userid, c.click, UCASE(p.city) AS city
    FROM site_clicks c JOIN people p WAIT 1 HOUR ON c.userid = p.id
    WHERE p.name IS NULL OR c.url LIKE '/shop%';
