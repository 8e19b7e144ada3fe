//! The samples of interleaved rounds, kept by who gave them, and their medians.
//!
//! Every round asks every peer once, in turn, so that whatever the machine does meanwhile meets all of
//! them alike.

use std::collections::BTreeMap;

use super::peers::Kind;

/// The median; of an even number the mean of the two in the middle. 0 of none.
pub(super) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Samples of one figure, by peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(BTreeMap<Kind, Vec<f64>>);

impl Samples {
    pub(super) fn add(&mut self, kind: Kind, sample: f64) {
        self.0.entry(kind).or_default().push(sample);
    }

    pub(super) fn of(&self, kind: Kind) -> Vec<f64> {
        self.0.get(&kind).cloned().unwrap_or_default()
    }

    /// The peers beyond Redis, in the table's order.
    pub(super) fn further(&self) -> impl Iterator<Item = (Kind, &Vec<f64>)> {
        self.0
            .iter()
            .filter(|(kind, _)| !matches!(kind, Kind::Tresor | Kind::Redis))
            .map(|(kind, samples)| (*kind, samples))
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
    }
}
