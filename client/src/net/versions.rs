//! What a broker said it speaks.

use leat_protocol::ApiKey;

/// A broker's range of versions per API.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    ranges: Vec<(i16, i16, i16)>,
}

impl Versions {
    /// From rows of API key, oldest and newest version.
    pub(crate) fn new(ranges: impl IntoIterator<Item = (i16, i16, i16)>) -> Self {
        Self { ranges: ranges.into_iter().collect() }
    }

    pub(crate) fn range(&self, api: ApiKey) -> Option<(i16, i16)> {
        let row = self.ranges.iter().find(|(key, _, _)| *key == api as i16);
        row.map(|(_, oldest, newest)| (*oldest, *newest))
    }

    /// The newest version that both sides know, at most `newest`.
    pub(crate) fn pick(&self, api: ApiKey, newest: Option<i16>) -> Result<i16, String> {
        let ours = api.versions();
        let Some(theirs) = self.range(api) else {
            return Err(format!("does not serve {}", api.name()));
        };
        let most = ours.max.min(theirs.1).min(newest.unwrap_or(i16::MAX));
        if most < ours.min || most < theirs.0 {
            let (oldest, latest) = theirs;
            return Err(format!(
                "serves {} v{oldest} to v{latest}, this client speaks v{} to v{}",
                api.name(),
                ours.min,
                ours.max.min(newest.unwrap_or(i16::MAX)),
            ));
        }
        Ok(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_wins_and_a_gap_is_explained() {
        let versions = Versions::new([(3, 0, 9), (0, 90, 99)]);
        assert_eq!(versions.pick(ApiKey::Metadata, None), Ok(9));
        assert_eq!(versions.pick(ApiKey::Metadata, Some(4)), Ok(4));
        assert!(versions.pick(ApiKey::Produce, None).unwrap_err().contains("v90 to v99"));
        assert!(versions.pick(ApiKey::Fetch, None).unwrap_err().contains("does not serve"));
    }
}
