//! Batches that lie back to back, as in a fetch response or a segment.

use super::{BatchError, BatchHeader};
use bytes::Bytes;

/// Cuts `bytes` into batches, sharing the memory. Each batch lies within what is there; its content is not looked at.
///
/// Ends after the first error. A fetch response may end in the middle of a batch, which shows as
/// [`BatchError::Truncated`]: a consumer stops there and asks again from the next offset.
pub fn split(bytes: &Bytes) -> Split {
    Split { rest: bytes.clone() }
}

/// Iterator made by [`split`].
#[derive(Debug, Clone)]
pub struct Split {
    rest: Bytes,
}

impl Iterator for Split {
    type Item = Result<(BatchHeader, Bytes), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = BatchHeader::parse(&self.rest).and_then(|header| {
            let (need, have) = (header.size(), self.rest.len());
            if need > have {
                return Err(BatchError::Truncated { need, have });
            }
            Ok((header, self.rest.split_to(need)))
        });
        if item.is_err() {
            self.rest.clear();
        }
        Some(item)
    }
}
