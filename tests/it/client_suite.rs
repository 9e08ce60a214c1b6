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
