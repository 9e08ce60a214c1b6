//! The admin client's properties: the common ones.

use super::common::{CommonConfig, common_setters};
use super::table::table;
use crate::Error;

table! {
    /// Builds an [`Admin`](crate::Admin).
    pub struct AdminConfig with common: CommonConfig;
}

common_setters!(AdminConfig);

impl AdminConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_rows()
    }
}
