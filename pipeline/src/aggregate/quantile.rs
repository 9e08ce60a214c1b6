//! Approximate quantiles: DDSketch (Masson, Rim, Lee, VLDB 2019). A quantile is within 1% of a true value.
//!
//! A sketch counts values in buckets that grow by a constant factor, so it is the same for any order and any split. KLL
//! and t-digest, which libraries offer, draw random numbers or depend on the order.

use std::collections::BTreeMap;

use crate::codec::{Corrupt, Reader, put_int, put_len, put_uint};

/// The relative error.
const ERROR: f64 = 0.01;
const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);
/// Nearer to zero than this is zero.
const TINY: f64 = 1e-300;

/// A sketch of numbers. All doubles fit into some 140,000 buckets; what one order of magnitude takes is 116.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Quantiles {
    /// By sign and magnitude; the bucket of a negative value is below that of zero.
    buckets: BTreeMap<(i8, i32), u64>,
    count: u64,
}

impl Quantiles {
    /// Takes a number; NaN is left out.
    pub(crate) fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        *self.buckets.entry(bucket(value)).or_default() += 1;
        self.count += 1;
    }

    pub(crate) fn merge(&mut self, other: &Quantiles) {
        for (&bucket, count) in &other.buckets {
            *self.buckets.entry(bucket).or_default() += count;
        }
        self.count += other.count;
    }

    /// The value that a share `q` of all is not above.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q.clamp(0.0, 1.0) * self.count.checked_sub(1)? as f64).floor() as u64;
        let mut seen = 0;
        for (&(sign, magnitude), count) in &self.buckets {
            seen += count;
            if seen > rank {
                // A negative value's magnitude is held negated, so that buckets are in the order of values.
                let magnitude = if sign < 0 { -magnitude } else { magnitude };
                let middle = 2.0 * GAMMA.powi(magnitude) / (GAMMA + 1.0);
                return Some(f64::from(sign) * middle);
            }
        }
        None
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buckets.len() * 32
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.buckets.len());
        for (&(sign, magnitude), &count) in &self.buckets {
            put_int(out, i64::from(sign));
            put_int(out, i64::from(magnitude));
            put_uint(out, count);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Quantiles, Corrupt> {
        let mut sketch = Quantiles::default();
        for _ in 0..reader.len()? {
            let sign = i8::try_from(reader.int()?).map_err(|_| Corrupt("a bucket's sign"))?;
            let magnitude = i32::try_from(reader.int()?).map_err(|_| Corrupt("a bucket's place"))?;
            let count = reader.uint()?;
            sketch.count = sketch.count.checked_add(count).ok_or(Corrupt("a count is too large"))?;
            sketch.buckets.insert((sign.signum(), magnitude), count);
        }
        Ok(sketch)
    }
}

fn bucket(value: f64) -> (i8, i32) {
    if value.abs() < TINY {
        return (0, 0);
    }
    let magnitude = (value.abs().min(f64::MAX).ln() / GAMMA.ln()).ceil() as i32;
    if value < 0.0 { (-1, -magnitude) } else { (1, magnitude) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let mut sketch = Quantiles::default();
        (-1_000..=9_000).for_each(|value| sketch.add(f64::from(value)));
        for (q, expected) in [(0.0, -1000.0), (0.05, -500.0), (0.1, 0.0), (0.5, 4000.0), (0.99, 8900.0), (1.0, 9000.0)]
        {
            let value = sketch.quantile(q).unwrap();
            assert!((value - expected).abs() <= 0.0101 * f64::abs(expected), "{q}: {value}, not {expected}");
        }
        assert_eq!(Quantiles::default().quantile(0.5), None);
    }

    #[test]
    fn it_comes_back() {
        let mut sketch = Quantiles::default();
        [-1.5, 0.0, 1e-310, 3.0, f64::INFINITY, f64::NAN].iter().for_each(|&value| sketch.add(value));
        let mut out = Vec::new();
        sketch.encode(&mut out);
        assert_eq!(Quantiles::decode(&mut Reader::new(&out)).unwrap(), sketch);
        assert_eq!(sketch.count, 5);
    }
}
