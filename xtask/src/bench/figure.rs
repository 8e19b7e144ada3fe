//! A figure: what was measured, ours and a peer's, the bar beside it, and whether it is met.
//!
//! A figure keeps all its rounds, so that a reader of the JSON can see how far they lie apart. Whether
//! a bar is met is told and never acted upon.

use std::fmt;

use serde_json::{Value, json};

use super::{
    peers::Kind,
    samples::{Samples, median},
};

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bar {
    /// Ours divided by the peer's is at most this.
    RatioAtMost(f64),
    /// Ours divided by the peer's is at least this.
    RatioAtLeast(f64),
    /// Ours is at most this, whatever the peer has.
    AtMost(f64),
    /// Ours is at least this.
    AtLeast(f64),
    /// Ours lies between these.
    Between(f64, f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    row: &'static str,
    what: String,
    unit: &'static str,
    ours: Vec<f64>,
    peer: Option<(String, Vec<f64>)>,
    bar: Option<Bar>,
    also: Vec<String>,
}

impl Figure {
    pub(super) fn new(what: impl Into<String>, unit: &'static str, ours: Vec<f64>) -> Self {
        Self { row: "", what: what.into(), unit, ours, peer: None, bar: None, also: Vec::new() }
    }

    /// Ours against Redis, with further peers told beside it.
    pub(super) fn against_redis(what: impl Into<String>, unit: &'static str, samples: &Samples) -> Self {
        let mut figure = Self::new(what, unit, samples.of(Kind::Tresor))
            .against(Kind::Redis.name(), samples.of(Kind::Redis));
        for (kind, samples) in samples.further() {
            figure = figure.also(format!("{} {}", kind.name(), amount(median(samples), unit)));
        }
        figure
    }

    pub(super) fn against(mut self, name: impl Into<String>, samples: Vec<f64>) -> Self {
        self.peer = Some((name.into(), samples));
        self
    }

    pub(super) fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    pub(super) fn also(mut self, text: String) -> Self {
        self.also.push(text);
        self
    }

    pub(super) fn of_row(mut self, row: &'static str) -> Self {
        self.row = row;
        self
    }

    /// The row that it is of.
    pub(super) fn row(&self) -> &str {
        self.row
    }

    fn ratio(&self) -> Option<f64> {
        let theirs = median(&self.peer.as_ref()?.1);
        (theirs > 0.0).then(|| median(&self.ours) / theirs)
    }

    /// Whether the bar is met; `None` where there is none, or nothing to divide by.
    pub(super) fn meets(&self) -> Option<bool> {
        match self.bar? {
            Bar::RatioAtMost(bar) => self.ratio().map(|ratio| ratio <= bar),
            Bar::RatioAtLeast(bar) => self.ratio().map(|ratio| ratio >= bar),
            Bar::AtMost(bar) => Some(median(&self.ours) <= bar),
            Bar::AtLeast(bar) => Some(median(&self.ours) >= bar),
            Bar::Between(low, high) => Some((low..=high).contains(&median(&self.ours))),
        }
    }

    /// Its cells, as the table's columns have them.
    pub(super) fn cells(&self) -> [String; 8] {
        let bar = match self.bar {
            None => String::new(),
            Some(Bar::RatioAtMost(bar)) => format!("ratio ≤ {bar:.2}"),
            Some(Bar::RatioAtLeast(bar)) => format!("ratio ≥ {bar:.2}"),
            Some(Bar::AtMost(bar)) => format!("≤ {}", amount(bar, self.unit)),
            Some(Bar::AtLeast(bar)) => format!("≥ {}", amount(bar, self.unit)),
            Some(Bar::Between(low, high)) => {
                format!("{} to {}", amount(low, self.unit), amount(high, self.unit))
            }
        };
        let verdict = match self.meets() {
            None => "",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        [
            self.row.to_owned(),
            self.what.clone(),
            amount(median(&self.ours), self.unit),
            self.peer.as_ref().map_or_else(String::new, |(name, samples)| {
                format!("{name} {}", amount(median(samples), self.unit))
            }),
            self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            bar,
            verdict.to_owned(),
            self.also.join("; "),
        ]
    }

    fn to_value(&self) -> Value {
        json!({
            "row": self.row,
            "what": self.what,
            "unit": self.unit,
            "ours": median(&self.ours),
            "ours_rounds": self.ours,
            "peer": self.peer.as_ref().map(|(name, _)| name),
            "peers": self.peer.as_ref().map(|(_, samples)| median(samples)),
            "peers_rounds": self.peer.as_ref().map(|(_, samples)| samples),
            "ratio": self.ratio(),
            "bar": self.cells()[5],
            "met": self.meets(),
            "also": self.also,
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, cells @ ..] = self.cells();
        let told: Vec<String> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
        f.write_str(&told.join(" | "))
    }
}

/// All figures for programs to read.
pub(super) fn to_json(machine: &str, figures: &[Figure]) -> String {
    let figures: Vec<Value> = figures.iter().map(Figure::to_value).collect();
    format!("{:#}\n", json!({ "machine": machine, "figures": figures }))
}

/// A number with three digits that mean something, and its unit.
fn amount(number: f64, unit: &str) -> String {
    let digits = match number.abs() {
        large if large >= 100.0 => 0,
        some if some >= 10.0 => 1,
        few if few >= 1.0 => 2,
        _ => 3,
    };
    let space = if unit.is_empty() { "" } else { " " };
    format!("{number:.digits$}{space}{unit}")
}

#[cfg(test)]
mod tests {
    use super::{Bar, Figure};

    #[test]
    fn a_bar_compares_the_medians() {
        let figure = |bar| Figure::new("a", "ns", vec![1.0, 2.0, 9.0]).against("b", vec![4.0]).bar(bar);
        assert_eq!(figure(Bar::RatioAtMost(0.5)).meets(), Some(true));
        assert_eq!(figure(Bar::RatioAtMost(0.49)).meets(), Some(false));
        assert_eq!(figure(Bar::RatioAtLeast(0.51)).meets(), Some(false));
        assert_eq!(figure(Bar::AtMost(2.0)).meets(), Some(true));
        assert_eq!(Figure::new("a", "ns", vec![1.0]).bar(Bar::RatioAtMost(1.0)).meets(), None);
    }
}
