//! `leat produce` and `leat consume`: what goes in comes out, from the place and in the form asked for.

use serde_json::Value;

use crate::leat::{client, client_reading, topic, unique};

const FLIGHTS: &[u8] = b"carrier,flight,departed\n\
    UA,1545,2013-01-01T10:17Z\nAA,1141,2013-01-01T10:42Z\nUA,1714,2013-01-01T10:33Z\nB6,725,1357036740000\n";

#[test]
fn lines_come_back_as_they_went() {
    let name = topic("lines", 1);
    client_reading(&["produce", &name], b"one\n\n\xc3\xa9t\xc3\xa9\nlast").ok();
    assert_eq!(client(&["consume", &name, "--until", "latest"]).ok(), "one\n\nété\nlast\n");
}

#[test]
fn csv_becomes_keyed_records_at_their_own_time() {
    let name = topic("csv", 1);
    let produce = ["produce", &name, "--input", "csv", "--key", "carrier", "--timestamp", "departed", "--json"];
    let summary: Value = serde_json::from_str(&client_reading(&produce, FLIGHTS).ok()).unwrap();
    assert_eq!(summary["records"], 4);
    assert_eq!(summary["partitions"][0]["last_offset"], 3);

    let shown = client(&["consume", &name, "--until", "latest", "--format", "%t-%p@%o %T %k(%K) %s(%S)\\n"]).ok();
    let first = shown.lines().next().unwrap();
    let value = r#"{"carrier":"UA","flight":1545,"departed":"2013-01-01T10:17Z"}"#;
    assert_eq!(first, format!("{name}-0@0 1357035420000 UA(2) {value}({})", value.len()));
    assert_eq!(shown.lines().count(), 4);
}

#[test]
fn every_place_can_be_the_start_and_the_end() {
    let name = topic("places", 1);
    client_reading(&["produce", &name, "--input", "csv", "--timestamp", "departed"], FLIGHTS).ok();
    let offsets = |args: &[&str]| {
        let all = [&["consume", &name, "--format", "%o "][..], args].concat();
        client(&all).ok()
    };
    assert_eq!(offsets(&["--until", "latest"]), "0 1 2 3 ");
    assert_eq!(offsets(&["--from", "2", "--until", "latest"]), "2 3 ");
    assert_eq!(offsets(&["--from", "-1", "--until", "latest"]), "3 ");
    assert_eq!(offsets(&["--from", "-100", "--count", "2"]), "0 1 ");
    assert_eq!(offsets(&["--from", "latest", "--until", "latest"]), "");
    assert_eq!(offsets(&["--from", "2013-01-01T10:30Z", "--until", "latest"]), "1 2 3 ");
    assert_eq!(offsets(&["--from", "2013-01-01T05:40-05:00", "--count", "1"]), "1 ");
    assert_eq!(offsets(&["--from", "@1357036000000", "--until", "latest"]), "1 2 3 ");
    assert_eq!(offsets(&["--from", "2014-01-01T00:00Z", "--until", "latest"]), "", "nothing is that late");
    assert_eq!(offsets(&["--from", "1", "--until", "3"]), "1 2 ");
    assert_eq!(offsets(&["--until", "2013-01-01T10:30Z"]), "0 ");
    assert_eq!(offsets(&["--until", "-1"]), "0 1 2 ");
    assert_eq!(offsets(&["--count", "0"]), "");
}

#[test]
fn a_whole_record_survives_json_both_ways() {
    let (from, to) = (topic("origin", 2), topic("copy", 2));
    let lines = concat!(
        r#"{"partition":1,"timestamp":1357035420000,"key":"UA","value":"a \"quoted\" line\n"}"#,
        "\n",
        r#"{"partition":0,"timestamp":5,"key":null,"value":null,"headers":[{"key":"h","value":null},{"key":"h","value":"2"}]}"#,
        "\n",
        r#"{"partition":0,"timestamp":7,"key_base64":"/w==","value_base64":"AAE="}"#,
        "\n",
    );
    let produce = |topic: &str, input: &str| {
        let args = ["produce", topic, "--input", "records", "--keep-partition", "--compression", "zstd"];
        client_reading(&args, input.as_bytes()).ok();
    };
    let consume = |topic: &str| {
        let mut shown: Vec<_> =
            client(&["consume", topic, "--until", "latest", "--json"]).ok().lines().map(str::to_owned).collect();
        shown.sort();
        shown
    };
    produce(&from, lines);
    let shown = consume(&from);
    assert_eq!(shown.len(), 3);
    produce(&to, &shown.join("\n"));
    let copied: Vec<_> = consume(&to).iter().map(|line| line.replace(&to, &from)).collect();
    assert_eq!(copied, shown);
}

#[test]
fn every_codec_goes_both_ways() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let name = topic("codec", 1);
        let input: String = (0..2000).map(|i| format!("{codec} {i}\n")).collect();
        client_reading(&["produce", &name, "--compression", codec], input.as_bytes()).ok();
        assert_eq!(client(&["consume", &name, "--until", "latest"]).ok(), input);
    }
}

#[test]
fn a_bad_line_stops_with_its_number_and_what_came_before_is_kept() {
    let name = topic("bad", 1);
    let ended = client_reading(&["produce", &name, "--input", "keyed"], b"a\t1\nb\t2\nc 3\nd\t4\n");
    let error = ended.failed(1);
    assert!(error.contains("standard input, line 3: no key"), "{error}");
    assert_eq!(client(&["consume", &name, "--until", "latest", "--format", "%k=%s "]).ok(), "a=1 b=2 ");
}

#[test]
fn what_does_not_exist_is_4() {
    let missing = unique("missing");
    client(&["consume", &missing, "--timeout", "2"]).failed(4);
    let name = topic("few", 1);
    assert!(client(&["consume", &name, "--partition", "3"]).failed(4).contains("partition 3"));
    assert!(client(&["consume", &name, "--from", "5", "--count", "1"]).failed(4).contains("offset 5"));
    client(&["produce", &name, "no-such-file.txt"]).failed(1);
}
