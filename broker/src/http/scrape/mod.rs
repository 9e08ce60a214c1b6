//! The text of `/metrics`: what was recorded, then what is walked at this moment.
//!
//! | file | walks |
//! |---|---|
//! | `broker` | this process, its disk, its memory |
//! | `topics` | what clients have moved, by topic |
//! | `partitions` | sizes and offsets: a row for each family |
//! | `replication` | the metadata's leader, and how far followers are behind |
//! | `groups` | consumer groups and their lag |
//! | `pipelines` | rows, watermarks, lag and state of each stage |

mod broker;
mod groups;
mod partitions;
mod pipelines;
mod replication;
mod sheet;
mod topics;

use prometheus::TextEncoder;

use self::sheet::Sheet;
use crate::server::Server;

/// Everything, in Prometheus' text format.
pub(super) async fn text(server: &Server) -> String {
    let mut recorded = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&server.metrics.gather(), &mut recorded) {
        tracing::warn!(%error, "what was recorded could not be written");
    }
    let mut sheet = Sheet::after(recorded);
    broker::write(server, &mut sheet);
    topics::write(server, &mut sheet);
    partitions::count(server, &mut sheet);
    if server.config().leat_metrics_partitions {
        partitions::write(server, &mut sheet);
    }
    replication::write(server, &mut sheet).await;
    groups::write(server, &mut sheet).await;
    pipelines::write(server, &mut sheet);
    sheet.into_text()
}
