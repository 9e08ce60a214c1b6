//! The process, its memory and its disk.

use std::fmt::Display;
use std::fs;

use rustix::process::Resource;
use rustix::time::ClockId;

use super::sheet::{Kind, Sheet};
use crate::server::Server;

pub(super) fn write(server: &Server, sheet: &mut Sheet) {
    let labels: [&dyn Display; 3] = [&env!("CARGO_PKG_VERSION"), &server.cluster_id, &server.node_id];
    let family = ("leat_broker_info", Kind::Gauge, "Always 1.");
    sheet.family(family, ["version", "cluster_id", "node_id"], [(labels, 1)]);
    let family = ("leat_requests_in_flight_bytes", Kind::Gauge, "Memory of requests that are in work.");
    sheet.one(family, server.budget.used());
    if let Ok(volume) = rustix::fs::statvfs(&server.folder) {
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        sheet.one(("leat_disk_size_bytes", Kind::Gauge, "Size of the data folder's volume."), bytes(volume.f_blocks));
        sheet.one(("leat_disk_free_bytes", Kind::Gauge, "Of it, what is free to use."), bytes(volume.f_bavail));
    }
    process(sheet);
}

/// Prometheus' own names for what every process has. What the kernel does not tell is left out.
fn process(sheet: &mut Sheet) {
    let cpu = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    let family = ("process_cpu_seconds_total", Kind::Counter, "CPU time, user and system.");
    sheet.one(family, format_args!("{}.{:09}", cpu.tv_sec, cpu.tv_nsec));
    if let Some(bytes) = resident_bytes() {
        sheet.one(("process_resident_memory_bytes", Kind::Gauge, "Resident memory."), bytes);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        sheet.one(("process_open_fds", Kind::Gauge, "Open file descriptors."), files.count());
    }
    if let Some(files_max) = rustix::process::getrlimit(Resource::Nofile).current {
        sheet.one(("process_max_fds", Kind::Gauge, "File descriptors that may be open."), files_max);
    }
}

/// The second number of `statm` is resident pages.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
