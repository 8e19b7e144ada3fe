//! Vectors in values, and how far apart two of them are.
//!
//! A vector is a JSON array of numbers, a JSON number (one dimension), or 4 bytes a dimension that are no text, as
//! clients of Redis send them: 32-bit floats, least significant byte first. Distances are computed in 64-bit floats and
//! rise with dissimilarity, whichever metric.

use crate::error::{Error, Result};

/// The most dimensions of a vector.
pub const MAX_DIMENSIONS: usize = 32 * 1024;

/// How far apart two vectors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// The Euclidean distance.
    #[default]
    L2,
    /// One less the cosine of the angle between them: 0 to 2.
    Cosine,
    /// One less the inner product.
    InnerProduct,
}

impl Metric {
    /// Reads `l2`, `cosine` or `ip`, in any case.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for any other name.
    pub fn parse(name: &[u8]) -> Result<Self> {
        [Self::L2, Self::Cosine, Self::InnerProduct]
            .into_iter()
            .find(|metric| metric.name().as_bytes().eq_ignore_ascii_case(name))
            .ok_or_else(|| Error::invalid("metric is one of l2, cosine and ip (inner product)"))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::Cosine => "cosine",
            Self::InnerProduct => "ip",
        }
    }

    /// The distance of two vectors of equal dimensions; `None` where there is none, as between a direction
    /// and the zero vector.
    pub(crate) fn distance(self, one: &[f64], other: &[f64]) -> Option<f64> {
        let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        let distance = match self {
            Self::L2 => one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
            Self::InnerProduct => 1.0 - product(one, other),
            Self::Cosine => {
                let lengths = (product(one, one) * product(other, other)).sqrt();
                1.0 - product(one, other) / lengths
            }
        };
        distance.is_finite().then_some(distance)
    }
}

/// Reads a vector that somebody searches with.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for what is none, has too many dimensions, or a number that is not finite.
pub(crate) fn parse_wanted(bytes: &[u8]) -> Result<Vec<f64>> {
    let vector = of_json(bytes).or_else(|| of_floats(bytes)).ok_or_else(|| {
        Error::invalid(
            "this is no vector: send a JSON array of numbers, or 4 bytes (a little-endian float) a dimension",
        )
    })?;
    if vector.is_empty() || vector.len() > MAX_DIMENSIONS {
        return Err(Error::invalid(format!("a vector has from 1 to {MAX_DIMENSIONS} dimensions")));
    }
    if !vector.iter().all(|number| number.is_finite()) {
        return Err(Error::invalid("a vector's numbers are finite: this one has NaN or an infinity"));
    }
    Ok(vector)
}

/// The vector that a value is, if it is one of so many dimensions.
pub(crate) fn of_value(bytes: &[u8], dimensions: usize) -> Option<Vec<f64>> {
    let fits =
        |vector: &Vec<f64>| vector.len() == dimensions && vector.iter().all(|number| number.is_finite());
    let floats = || (bytes.len() == dimensions * 4).then(|| of_floats(bytes)).flatten();
    of_json(bytes).filter(fits).or_else(|| floats().filter(fits))
}

fn of_json(bytes: &[u8]) -> Option<Vec<f64>> {
    match bytes.trim_ascii().first()? {
        b'[' => serde_json::from_slice(bytes).ok(),
        b'-' | b'0'..=b'9' => serde_json::from_slice(bytes).ok().map(|number| vec![number]),
        _ => None,
    }
}

/// Whatever can be read as text is none: four letters are no number.
fn of_floats(bytes: &[u8]) -> Option<Vec<f64>> {
    let (floats, rest) = bytes.as_chunks::<4>();
    let is_text = || std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(|sign| !sign.is_control()));
    (rest.is_empty() && !is_text())
        .then(|| floats.iter().map(|float| f64::from(f32::from_le_bytes(*float))).collect())
}

#[cfg(test)]
mod tests {
    use super::{Metric, of_value, parse_wanted};

    #[test]
    fn vectors_are_read_from_json_and_from_floats() {
        let floats: Vec<u8> = [1.0f32, -2.5].iter().flat_map(|float| float.to_le_bytes()).collect();
        assert_eq!(parse_wanted(b"[1, -2.5]").unwrap(), [1.0, -2.5]);
        assert_eq!(parse_wanted(&floats).unwrap(), [1.0, -2.5]);
        assert_eq!(parse_wanted(b"42").unwrap(), [42.0]);
        assert_eq!(of_value(&floats, 2), Some(vec![1.0, -2.5]));
        assert_eq!(of_value(b"7", 1), Some(vec![7.0]));
    }

    #[test]
    fn what_is_no_vector_is_refused_or_left_out() {
        let not_finite = f32::NAN.to_le_bytes();
        let many = format!("[{}1]", "1,".repeat(super::MAX_DIMENSIONS));
        for wanted in [
            &b""[..],
            b"[]",
            b"[1,[2]]",
            b"[1,null]",
            b"[1e999]",
            b"abc",
            b"four",
            &not_finite,
            many.as_bytes(),
        ] {
            assert!(parse_wanted(wanted).is_err(), "{}", String::from_utf8_lossy(wanted));
        }
        for value in
            [&b"[1,2,3]"[..], b"{}", b"[1,\"2\"]", b"abc", b"eight at", &[not_finite, not_finite].concat()]
        {
            assert_eq!(of_value(value, 2), None);
        }
    }

    #[test]
    fn distances_rise_with_dissimilarity() {
        let distance = |metric: Metric, one: &[f64], other: &[f64]| metric.distance(one, other);
        assert_eq!(distance(Metric::L2, &[0.0, 0.0], &[3.0, 4.0]), Some(5.0));
        assert_eq!(distance(Metric::InnerProduct, &[1.0, 2.0], &[3.0, 4.0]), Some(-10.0));
        assert_eq!(distance(Metric::Cosine, &[2.0, 0.0], &[0.0, 5.0]), Some(1.0));
        assert_eq!(distance(Metric::Cosine, &[2.0, 0.0], &[-1.0, 0.0]), Some(2.0));
        assert_eq!(distance(Metric::Cosine, &[0.0, 0.0], &[1.0, 0.0]), None);
    }
}
