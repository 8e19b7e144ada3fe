//! The part of a value that an index is of, in the form in which the index keeps it.
//!
//! A term is cut to a few bytes: two values never change their order by that, they only may become equal. So a range
//! of terms holds every value of the range of values, and perhaps some at its ends that the query then leaves out.

use super::{IndexDefinition, IndexOf};
use crate::search::{Decimal, Metric, Reading, text_of, vector_of};

/// Bytes of a term.
const TERM_BYTES: usize = 64;

/// What an index keeps of one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// Bytes that compare as the values do.
    Term(Box<[u8]>),
    /// A vector of the index's dimensions.
    Vector(Vec<f64>),
    /// It cannot be read as the index wants it.
    Unreadable,
}

impl IndexDefinition {
    /// The part of a value that is indexed; `None` where the field is missing.
    pub(crate) fn part(&self, value: &[u8]) -> Option<Part> {
        let field = match self.field() {
            None => None,
            Some(field) => Some(field.find(value)?),
        };
        Some(match self.of() {
            IndexOf::Values(reading) => match field {
                None => term(reading, value),
                Some(field) => term(reading, &text_of(field)),
            }
            .map_or(Part::Unreadable, Part::Term),
            IndexOf::Vectors { dimensions, metric } => {
                let vector = vector_of(field.map_or(value, str::as_bytes), dimensions);
                // What has no distance is never found.
                let near = |vector: &Vec<f64>| {
                    metric != Metric::Cosine || vector.iter().any(|number| *number != 0.0)
                };
                vector.filter(near).map_or(Part::Unreadable, Part::Vector)
            }
        })
    }
}

/// The term of a text; `None` where it cannot be read so.
pub(super) fn term(reading: Reading, text: &[u8]) -> Option<Box<[u8]>> {
    let cut = |bytes: &[u8]| bytes[..bytes.len().min(TERM_BYTES)].into();
    match reading {
        Reading::Bytes => Some(cut(text)),
        Reading::Text => std::str::from_utf8(text).is_ok().then(|| cut(text)),
        Reading::Number => Decimal::parse(text).map(|number| cut(&number.sort_key())),
    }
}
