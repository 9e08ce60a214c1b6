//! `leat log dump` and `leat log verify`, on what a broker has written.

use crate::leat::{Running, command, leat};

#[test]
fn a_log_is_dumped_and_verified_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let broker = Running::start(&["--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let input = folder.path().join("lines");
    std::fs::write(&input, "one\ntwo\nthree\n").unwrap();
    for args in [&["topic", "create", "t"][..], &["produce", "t", input.to_str().unwrap()]] {
        let output = command(args).env("LEAT_BOOTSTRAP_SERVER", &broker.bootstrap).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    drop(broker);

    let partition = data.join("t-0");
    let partition = partition.to_str().unwrap();
    let dumped = leat(&["log", "dump", partition]).ok();
    assert!(dumped.contains("00000000000000000000.log"), "{dumped}");
    leat(&["log", "verify", partition]).ok();

    let segment = data.join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(3).position(|window| window == b"two").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    leat(&["log", "verify", partition]).failed(1);
    leat(&["log", "verify", "no-such-folder"]).failed(1);
}
