//! A cleaned segment takes the place of those that it was made from.

use std::sync::Arc;

use super::Log;
use super::manifest::{Manifest, Swapped};
use crate::error::Result;
use crate::segment::Segment;
use crate::segment::name::{self, Part};

/// A cleaned segment on stable storage, which the manifest names already: whatever happens now, the next start finds it.
#[derive(Debug)]
pub struct Swap {
    pub(crate) segment: Arc<Segment>,
    pub(crate) sources: Vec<Arc<Segment>>,
    pub(crate) swapped: Swapped,
    pub(crate) manifest: Manifest,
}

impl Log {
    /// Swaps a cleaned segment in. Readers that are in the old ones read on; nobody else finds them. Writes and syncs nothing.
    ///
    /// Segments that were trimmed away meanwhile stay away.
    pub fn swap_in(&mut self, swap: Swap) -> Result<()> {
        self.shared.check_online()?;
        let Swap { segment, sources, swapped, manifest } = swap;
        let view = self.shared.view.load_full();
        let is_source = |segment: &Arc<Segment>| sources.iter().any(|source| Arc::ptr_eq(source, segment));
        let Some(place) = view.segments.iter().position(is_source) else {
            let cleaned = |part| name::cleaned_path(&self.folder, swapped.base_offset, part);
            return Part::ALL.into_iter().try_for_each(|part| super::open::remove(&self.env, &cleaned(part)));
        };
        let count = view.segments[place..].iter().take_while(|segment| is_source(segment)).count();
        self.publish_view(|view| {
            view.segments.splice(place..place + count, [segment.clone()]);
            view.clean_end = manifest.clean_end;
            if manifest.first_index > view.first_index {
                (view.first_index, view.previous_term) = (manifest.first_index, manifest.previous_term);
            }
        });
        for source in &sources {
            source.retire();
        }
        let replaced = view.segments[place..place + count].iter().map(|source| source.base_offset);
        let replaced = replaced.filter(|base| swapped.covers(*base));
        if let Err(error) = swapped.finish(&self.env, &self.folder, Part::ALL, replaced) {
            self.shared.take_offline(&format!("a cleaned segment could not be swapped in: {error}"));
            return Err(error);
        }
        segment.unpin();
        self.sync.segment_made();
        Ok(())
    }
}
