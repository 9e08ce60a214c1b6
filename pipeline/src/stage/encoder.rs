//! Results as the bytes of a record.

use crate::format;
use crate::plan::{Field, Format, Output, Timestamps};
use crate::value::{Type, Value};

/// Writes the key or the value of a pipeline's results.
#[derive(Debug)]
pub(crate) struct Encoder {
    format: Format,
    timestamps: Timestamps,
    fields: Vec<(String, Type)>,
}

impl Encoder {
    pub(crate) fn new(output: &Output, format: Format, fields: &[Field]) -> Encoder {
        let fields = fields.iter().map(|field| (field.name.clone(), field.of.clone())).collect();
        Encoder { format, timestamps: output.timestamps, fields }
    }

    pub(crate) fn encode(&self, values: &[Value]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(64);
        format::encode(&self.fields, values, self.format, self.timestamps, &mut out);
        (self.format != Format::None).then_some(out)
    }
}
