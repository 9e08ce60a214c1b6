//! A sum of doubles that is exact: the same for any order and any split, and rounded once, at the end.
//!
//! Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates" (1997): the sum is held as
//! doubles that do not overlap. Rounding at the end is that of Python's `math.fsum`.

use crate::codec::{Corrupt, Reader, put_double, put_len};

/// An exact sum.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExactSum {
    /// Smallest first; they do not overlap, so there are at most some 40, and mostly one or two.
    parts: Vec<f64>,
    /// The sum of what is not finite, and of what grew beyond a double.
    special: f64,
}

impl ExactSum {
    pub(crate) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.special += value;
            return;
        }
        let mut x = value;
        let mut kept = 0;
        for at in 0..self.parts.len() {
            let mut y = self.parts[at];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                self.parts[kept] = low;
                kept += 1;
            }
            x = high;
        }
        self.parts.truncate(kept);
        if x.is_finite() {
            if x != 0.0 || kept == 0 {
                self.parts.push(x);
            }
        } else {
            self.special += x;
            self.parts.clear();
        }
    }

    pub(crate) fn merge(&mut self, other: &ExactSum) {
        self.special += other.special;
        other.parts.iter().for_each(|&part| self.add(part));
    }

    /// The sum, correctly rounded.
    pub(crate) fn value(&self) -> f64 {
        if self.special != 0.0 {
            return self.special;
        }
        let mut parts = self.parts.iter().rev().copied();
        let Some(mut high) = parts.next() else { return 0.0 };
        let mut low = 0.0;
        let rest = parts.by_ref();
        for part in rest.by_ref() {
            let before = high;
            high = before + part;
            low = part - (high - before);
            if low != 0.0 {
                break;
            }
        }
        // Half way between two doubles: what is below decides.
        if let Some(below) = rest.next()
            && (low < 0.0 && below < 0.0 || low > 0.0 && below > 0.0)
        {
            let doubled = low * 2.0;
            let up = high + doubled;
            if doubled == up - high {
                high = up;
            }
        }
        high
    }

    pub(crate) fn bytes(&self) -> usize {
        self.parts.capacity() * 8
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_double(out, self.special);
        put_len(out, self.parts.len());
        self.parts.iter().for_each(|&part| put_double(out, part));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<ExactSum, Corrupt> {
        let special = reader.double()?;
        let count = reader.len()?;
        let mut sum = ExactSum { parts: Vec::new(), special };
        for _ in 0..count {
            sum.parts.push(reader.double()?);
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        values.iter().for_each(|&value| sum.add(value));
        sum
    }

    #[test]
    fn what_doubles_lose_is_kept() {
        assert_eq!(sum(&[0.1; 10]).value(), 1.0);
        assert_eq!(sum(&[1e16, 1.0, -1e16]).value(), 1.0);
        assert_eq!(sum(&[1e308, 1.0, -1e308, 1e-300]).value(), 1.0);
        assert_eq!(sum(&[]).value(), 0.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]).value(), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).value().is_nan());
        assert_eq!(sum(&[-3.0, 3.0]).value(), 0.0);
    }

    proptest! {
        #[test]
        fn order_and_split_change_nothing(
            values in prop::collection::vec(prop::num::f64::NORMAL.prop_map(|v| v % 1e200), 0..50),
            at in any::<prop::sample::Index>(),
        ) {
            let whole = sum(&values);
            let mut backwards = values.clone();
            backwards.reverse();
            prop_assert_eq!(whole.value().to_bits(), sum(&backwards).value().to_bits());
            let (a, b) = values.split_at(at.index(values.len() + 1));
            let mut merged = sum(b);
            merged.merge(&sum(a));
            prop_assert_eq!(whole.value().to_bits(), merged.value().to_bits());
            let mut out = Vec::new();
            merged.encode(&mut out);
            let back = ExactSum::decode(&mut Reader::new(&out)).unwrap();
            prop_assert_eq!(back.value().to_bits(), whole.value().to_bits());
        }
    }
}
