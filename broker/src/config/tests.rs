//! The tables against themselves, the sources against each other, and the document against the tables.

use std::collections::BTreeSet;
use std::path::Path;

use super::key::Update;
use super::*;

fn sets(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with(pairs: &[(&str, &str)]) -> Result<Config, Error> {
    Config::load(None, [], &sets(pairs))
}

fn error(pairs: &[(&str, &str)]) -> String {
    with(pairs).expect_err("must be refused").to_string()
}

#[test]
fn every_default_is_a_value_of_its_own_key_in_canonical_form() {
    for key in broker::keys().chain(topic::KEYS.iter().map(|row| &row.key)) {
        if let Some(default) = key.default {
            assert_eq!(key.check(default).as_deref(), Ok(default), "{}", key.name);
        }
        assert!(!key.doc.is_empty(), "{}", key.name);
    }
    let names: Vec<_> = broker::keys().map(|key| key.name).collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "a name is there twice");
    let variables: BTreeSet<_> = broker::KEYS.iter().map(Key::environment).collect();
    assert_eq!(variables.len(), broker::KEYS.len());
}

#[test]
fn a_topic_default_is_what_the_broker_default_gives() {
    let config = Config::default();
    for row in topic::KEYS {
        let (value, source) = topic::value(row, &Overrides::new(), &config);
        assert_eq!(Some(value.as_str()), row.key.default, "{}", row.key.name);
        assert_eq!(source, Source::Default);
        for name in row.falls_back_to {
            assert!(broker::key(name).is_some(), "{name}");
        }
    }
    let defaults = config.topic_defaults();
    assert!(defaults.is_durable());
    assert_eq!(defaults.retention_ms, Some(604_800_000));
    assert_eq!(defaults.retention_bytes, None);
}

#[test]
fn a_later_source_wins_over_an_earlier_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leat.toml");
    std::fs::write(&file, "num.partitions = 2\nlog.segment.bytes = 2048\n[log.retention]\nms = 5\nbytes = 7\n")
        .expect("write");
    let environment = [("LEAT_LOG_RETENTION_MS".to_owned(), "6".to_owned()), ("HOME".to_owned(), "/".to_owned())];
    let config = Config::load(Some(&file), environment, &sets(&[("num.partitions", "9")])).expect("a configuration");
    assert_eq!((config.num_partitions, config.log_retention_ms, config.log_retention_bytes), (9, Some(6), 7));
    assert_eq!(config.log_segment_bytes, 2048);
    let key = broker::key("num.partitions").expect("a key");
    assert_eq!(config.value(key), (Some("9"), Source::Set));
    let levels: Vec<_> = config.synonyms(key).into_iter().map(|synonym| (synonym.value, synonym.source)).collect();
    assert_eq!(levels, [("9".to_owned(), Source::Set), ("1".to_owned(), Source::Default)]);
}

#[test]
fn what_is_altered_while_running_wins_and_can_be_taken_back() {
    let config = with(&[("log.retention.ms", "10")]).expect("a configuration");
    let altered = config.with_dynamic([("log.retention.ms", "20")], [("log.retention.ms", "30")]);
    assert_eq!(altered.log_retention_ms, Some(30));
    let row = topic::key("retention.ms").expect("a key");
    let overrides = Overrides::from([("retention.ms".to_owned(), "40".to_owned())]);
    let (value, source, synonyms) = altered.topic_value(row, &overrides);
    assert_eq!((value.as_str(), source.code()), ("40", 1));
    let codes: Vec<_> =
        synonyms.iter().map(|synonym| (synonym.name, synonym.value.as_str(), synonym.source.code())).collect();
    assert_eq!(
        codes,
        [
            ("retention.ms", "40", 1),
            ("log.retention.ms", "30", 2),
            ("log.retention.ms", "20", 3),
            ("log.retention.ms", "10", 4),
            ("log.retention.hours", "168", 5)
        ]
    );
    let back = altered.with_dynamic([], [("log.retention.ms", "not a number")]);
    assert_eq!(back.log_retention_ms, Some(10));
}

#[test]
fn retention_in_minutes_and_hours_becomes_the_topics_milliseconds() {
    let hours =
        *with(&[("log.retention.hours", "2"), ("log.roll.hours", "1")]).expect("a configuration").topic_defaults();
    assert_eq!((hours.retention_ms, hours.segment_ms), (Some(7_200_000), 3_600_000));
    let minutes = with(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]).expect("a configuration");
    assert_eq!(minutes.topic_defaults().retention_ms, Some(180_000));
    assert_eq!(with(&[("log.retention.hours", "-1")]).expect("a configuration").topic_defaults().retention_ms, None);
}

#[test]
fn a_misspelt_key_is_refused_with_the_nearest_one() {
    assert_eq!(
        error(&[("log.retention.mss", "1")]),
        "--set: unknown key `log.retention.mss`; did you mean `log.retention.ms`?"
    );
    assert_eq!(error(&[("colour", "red")]), "--set: unknown key `colour`");
    let variable = [("LEAT_NUM_PARTITION".to_owned(), "1".to_owned())];
    let problem = Config::load(None, variable, &[]).expect_err("must be refused").to_string();
    assert_eq!(problem, "environment: unknown key `LEAT_NUM_PARTITION`; did you mean `LEAT_NUM_PARTITIONS`?");
}

#[test]
fn a_bad_value_is_refused_with_what_would_be_right() {
    assert_eq!(
        error(&[("num.partitions", "many")]),
        "--set: `num.partitions` = `many`: must be a whole number of at least 1"
    );
    assert_eq!(
        error(&[("compression.type", "zip")]),
        "--set: `compression.type` = `zip`: must be one of uncompressed, zstd, lz4, snappy, gzip, producer"
    );
    assert!(error(&[("listeners", "SSL://:9093")]).contains("only PLAINTEXT is; write PLAINTEXT://HOST:PORT"));
    assert!(error(&[("listeners", "PLAINTEXT://::1:9093")]).contains("brackets"));
    assert!(error(&[("listeners", "")]).contains("at least one"));
    assert!(error(&[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")]).contains("no address that a client"));
    assert!(error(&[("log.dirs", "a,b")]).contains("exactly one"));
    assert!(error(&[("log.retention.ms", "0")]).contains("must be -1 for ever, or at least 1"));
    assert!(error(&[("unclean.leader.election.enable", "true")]).contains("can't be changed from its default, false"));
    assert!(error(&[("node.id", "-1")]).contains("at least 0"));
}

#[test]
fn kafkas_second_names_and_its_inert_keys_with_their_defaults_are_read() {
    let config = with(&[("broker.id", "7"), ("log.dir", "/x"), ("num.network.threads", "3")]).expect("a configuration");
    assert_eq!((config.node_id, config.log_dirs.as_slice()), (7, [Path::new("/x").to_owned()].as_slice()));
}

#[test]
fn variables_that_kubernetes_or_the_command_line_sets_are_left_alone() {
    let names =
        ["LEAT_SERVICE_HOST", "LEAT_PORT", "LEAT_PORT_9092_TCP", "LEAT_UI_SERVICE_PORT", "LEAT_BOOTSTRAP_SERVER"];
    let variables = names.map(|name| (name.to_owned(), "x".to_owned()));
    assert!(Config::load(None, variables, &[]).is_ok());
    assert!(broker::KEYS.iter().all(|key| {
        let name = key.environment();
        !name.contains("_SERVICE_") && !name.contains("_PORT_") && !name.ends_with("_PORT")
    }));
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leat.toml");
    let missing = Config::load(Some(&file), [], &[]).expect_err("must be refused").to_string();
    assert!(missing.contains("leat.toml") && missing.contains("can't be read"), "{missing}");
    std::fs::write(&file, "num.partitions = ").expect("write");
    let broken = Config::load(Some(&file), [], &[]).expect_err("must be refused").to_string();
    assert!(broken.contains("not a TOML file"), "{broken}");
}

#[test]
fn listeners_are_read_and_written_alike() {
    for text in ["PLAINTEXT://127.0.0.1:9092", "PLAINTEXT://[::1]:0", "PLAINTEXT://:9092"] {
        assert_eq!(text.parse::<Listener>().expect("a listener").to_string(), text);
    }
    let bare: Listener = "localhost:9092".parse().expect("a listener");
    assert_eq!(bare.to_string(), "PLAINTEXT://localhost:9092");
}

#[test]
fn what_render_prints_loads_to_the_same() {
    let config = with(&[("log.dirs", "/a \"b\""), ("num.partitions", "3"), ("log.retention.bytes", "5")])
        .expect("a configuration");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leat.toml");
    std::fs::write(&file, config.render()).expect("write");
    let again = Config::load(Some(&file), [], &[]).expect("a configuration");
    for key in broker::KEYS {
        assert_eq!(config.value(key).0, again.value(key).0, "{}", key.name);
    }
}

#[test]
fn topic_values_are_checked_with_the_key_named() {
    assert_eq!(topic::check("retention.ms", " 5 ").as_deref(), Ok("5"));
    assert_eq!(
        topic::check("retention.ms", "x").unwrap_err(),
        "Invalid value x for configuration retention.ms: must be a whole number of at least -1"
    );
    assert_eq!(
        topic::check("retension.ms", "1").unwrap_err(),
        "Unknown topic config name: retension.ms; did you mean `retention.ms`?"
    );
    assert_eq!(topic::check("cleanup.policy", "compact, delete").as_deref(), Ok("compact,delete"));
    assert!(topic::check("cleanup.policy", "zip").is_err());
    assert_eq!(topic::check("cleanup.policy", "").as_deref(), Ok(""));
    assert!(topic::KEYS.iter().filter(|row| row.key.update == Update::Inert).all(|row| row.key.default.is_some()));
}

#[test]
fn jitter_stays_within_its_bound_and_differs_between_partitions() {
    let overrides = Overrides::from(
        [("segment.ms", "1000"), ("segment.jitter.ms", "100")].map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let config = TopicConfig::resolve(&overrides, &Config::default());
    let rolls: BTreeSet<u64> = (0..50).map(|partition| config.roll_ms(partition)).collect();
    assert!(rolls.iter().all(|ms| (900..=1000).contains(ms)) && rolls.len() > 20, "{rolls:?}");
    assert_eq!(Config::default().topic_defaults().roll_ms(3), 604_800_000);
}

#[test]
fn docs_configuration_md_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, document()).expect("write");
    }
    let written = std::fs::read_to_string(&path).expect("docs/configuration.md");
    assert_eq!(written, document(), "run `UPDATE_DOCS=1 cargo test -p leat-broker docs_` and commit the page");
}
