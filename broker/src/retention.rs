//! Retention: now and then, each partition's leader proposes to move its log start past segments that are too old or too many.
//!
//! It only decides; segments are deleted by every replica once the entry is applied.

use std::sync::Arc;
use std::time::Duration;

use leat_storage::{Checkpoint, Env};
use tokio::sync::{oneshot, watch};

use crate::clock::now_ms;
use crate::partition::{Partition, State};
use crate::server::Server;

/// Metadata entries below a saved image are kept up to this size.
const METADATA_BYTES_MAX: u64 = 64 << 20;

/// Checks every partition each `log.retention.check.interval.ms`, until told to stop.
pub(crate) async fn run(server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    loop {
        let interval = Duration::from_millis(server.config().log_retention_check_interval_ms);
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        for partition in server.partitions.all() {
            check(&server, &partition).await;
        }
        trim_metadata(&server).await;
    }
}

async fn check(server: &Server, partition: &Arc<Partition>) {
    let config = partition.config();
    if !config.cleanup_policy.delete || (config.retention_ms.is_none() && config.retention_bytes.is_none()) {
        return;
    }
    // One that was never written to has no folder and nothing to retain.
    if partition.state() == State::Closed && server.folder.join(partition.folder()).exists() {
        server.shard(partition).open(partition).await;
    }
    let Some(reader) = partition.reader().filter(|_| partition.is_settled()) else { return };
    let until = partition.high_watermark();
    match reader.retention_start(now_ms(), config.retention_ms, config.retention_bytes, until) {
        // What a pipeline still needs stays; retention comes back to it.
        Ok(Some(offset)) if offset.min(partition.held_from()) > partition.log_start() => {
            let offset = offset.min(partition.held_from());
            tracing::info!(partition = %partition.folder(), offset, "retention moves the log start");
            server.shard(partition).trim(partition, offset).await;
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(partition = %partition.folder(), %error, "retention could not be decided"),
    }
}

/// The metadata log keeps what its saved image does not cover.
async fn trim_metadata(server: &Server) {
    let metadata = &server.metadata;
    let folder = server.folder.join(metadata.folder());
    let (reply, loaded) = oneshot::channel();
    server.pool.spawn(move || {
        let _ = reply.send(Checkpoint::load(&Env::default(), &folder).ok().flatten());
    });
    let Ok(Some(saved)) = loaded.await else { return };
    let Some(reader) = metadata.reader() else { return };
    let until = saved.end_offset_at_applied;
    if let Ok(Some(offset)) = reader.retention_start(now_ms(), None, Some(METADATA_BYTES_MAX), until)
        && offset > metadata.log_start()
    {
        server.shard(metadata).trim(metadata, offset).await;
    }
}
