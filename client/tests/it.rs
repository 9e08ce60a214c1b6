//! The suite against the broker that `LEAT_TEST_BOOTSTRAP` names: Apache Kafka or Leat.

mod suite;

macro_rules! tests {
    ($($name:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).try_init();
            match std::env::var("LEAT_TEST_BOOTSTRAP") {
                Ok(bootstrap) => suite::$name(&bootstrap).await,
                Err(_) => eprintln!("skipped: LEAT_TEST_BOOTSTRAP names no broker"),
            }
        }
    )*};
}

suite::for_each_test!(tests);
