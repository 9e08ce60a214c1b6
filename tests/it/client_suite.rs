//! The client crate's own suite, which it runs against Apache Kafka, here against the broker under test.

#[path = "../../client/tests/suite/mod.rs"]
mod suite;

macro_rules! tests {
    ($($name:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            suite::$name(&crate::harness::target().bootstrap()).await;
        }
    )*};
}

suite::for_each_test!(tests);

/// Those of groups run as soon as the broker has a coordinator.
macro_rules! group_tests {
    ($($name:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if crate::harness::is_leat() && !leat_protocol::ApiKey::FindCoordinator.api().served {
                eprintln!("skipped: Leat has no group coordinator");
                return;
            }
            suite::$name(&crate::harness::target().bootstrap()).await;
        }
    )*};
}

suite::for_each_group_test!(group_tests);
