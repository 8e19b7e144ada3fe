//! What an index is of: which keys, which part of their values, and how that is read.
//!
//! Said option by option with the names that queries have, so that an index reads like the query that it is for.
//! Definitions are all that is kept of an index on disk.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    engine::{DATABASES, KeyRef, MAX_KEY_BYTES},
    error::{Error, Result},
    search::{MAX_DIMENSIONS, Metric, Pointer, Reading},
};

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// What an index keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexOf {
    /// Values in their order, read as this.
    Values(Reading),
    /// Vectors by nearness.
    Vectors {
        /// How many numbers a vector has; values with others are left out.
        dimensions: usize,
        /// How distance is measured.
        metric: Metric,
    },
}

/// The definition of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    name: String,
    database: u8,
    prefix: Vec<u8>,
    field: Option<Pointer>,
    of: IndexOf,
}

/// As it is written in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    database: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_as: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
}

impl IndexDefinition {
    /// An index of the values of all keys of a database, as numbers, until options say otherwise.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that is not 1 to 64 of `A-Z a-z 0-9 _ . : -`, and a database
    /// that there is not.
    pub fn new(name: &str, database: u8) -> Result<Self> {
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_sign) {
            return Err(Error::invalid(format!(
                "an index is named with 1 to {MAX_NAME_BYTES} of A-Z a-z 0-9 _ . : -"
            )));
        }
        if database >= DATABASES {
            return Err(Error::invalid(format!("there is no database {database}")));
        }
        let of = IndexOf::Values(Reading::Number);
        Ok(Self { name: name.to_owned(), database, prefix: Vec::new(), field: None, of })
    }

    /// Says one option by its name, in any case: `prefix`, `field`, `value_as`, or `dimensions` and then `metric`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an unknown name, or a value that the option cannot have.
    pub fn option(&mut self, name: &str, value: &[u8]) -> Result<()> {
        match name.to_ascii_lowercase().as_str() {
            "prefix" if value.len() > MAX_KEY_BYTES => {
                return Err(Error::invalid(format!("a prefix has at most {MAX_KEY_BYTES} bytes")));
            }
            "prefix" => self.prefix = value.to_vec(),
            "field" => self.field = Some(Pointer::parse(value)?).filter(|_| !value.is_empty()),
            "value_as" => self.of = IndexOf::Values(Reading::parse(value)?),
            "dimensions" => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                let number = number.filter(|number| (1..=MAX_DIMENSIONS).contains(number));
                let dimensions = number.ok_or_else(|| {
                    Error::invalid(format!("dimensions is a number from 1 to {MAX_DIMENSIONS}"))
                })?;
                self.of = IndexOf::Vectors { dimensions, metric: Metric::default() };
            }
            "metric" => match &mut self.of {
                IndexOf::Vectors { metric, .. } => *metric = Metric::parse(value)?,
                IndexOf::Values(_) => {
                    return Err(Error::invalid("metric is for vectors: say dimensions first"));
                }
            },
            _ => {
                return Err(Error::invalid(format!(
                    "'{name}' is no option of an index: there are prefix, field, value_as, dimensions and metric"
                )));
            }
        }
        Ok(())
    }

    /// Reads options as words, name and value in turn.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`option`](Self::option), and for a name without a value.
    pub fn parse(name: &str, database: u8, words: &[&[u8]]) -> Result<Self> {
        let mut definition = Self::new(name, database)?;
        for pair in words.chunks(2) {
            let option = String::from_utf8_lossy(pair[0]);
            let missing = || Error::invalid(format!("{} needs a value behind it", option.to_uppercase()));
            definition.option(&option, pair.get(1).ok_or_else(missing)?)?;
        }
        Ok(definition)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The numbered database.
    pub fn database(&self) -> u8 {
        self.database
    }

    /// What the keys begin with.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The field of JSON values that it is of; `None` for whole values.
    pub fn field(&self) -> Option<&Pointer> {
        self.field.as_ref()
    }

    /// What it keeps.
    pub fn of(&self) -> IndexOf {
        self.of
    }

    /// Whether an entry of this key belongs to it.
    pub(crate) fn covers(&self, key: KeyRef<'_>) -> bool {
        key.database == self.database && key.member.is_empty() && key.key.starts_with(&self.prefix)
    }

    /// The definitions in a file's text.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is none, naming it.
    pub(super) fn read_all(text: &[u8]) -> Result<Vec<Self>> {
        let written: Vec<Written> = serde_json::from_slice(text)
            .map_err(|error| Error::invalid("these are no definitions of indexes").caused_by(error))?;
        written.into_iter().map(Self::of_written).collect()
    }

    fn of_written(written: Written) -> Result<Self> {
        let mut definition = Self::new(&written.name, written.database)?;
        if let Some(prefix) = written.prefix_base64 {
            let prefix = STANDARD.decode(prefix);
            definition.prefix =
                prefix.map_err(|error| Error::invalid("prefix_base64 is no base64").caused_by(error))?;
        }
        let options = [
            ("prefix", written.prefix),
            ("field", written.field),
            ("value_as", written.value_as),
            ("dimensions", written.dimensions.map(|dimensions| dimensions.to_string())),
            ("metric", written.metric),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                definition.option(name, value.as_bytes())?;
            }
        }
        Ok(definition)
    }

    /// Definitions as a file's text.
    pub(super) fn write_all<'a>(definitions: impl Iterator<Item = &'a Self>) -> Result<Vec<u8>> {
        let written: Vec<Written> = definitions.map(Self::written).collect();
        serde_json::to_vec_pretty(&written).map_err(|error| {
            Error::new(crate::ErrorKind::Internal, "cannot write definitions").caused_by(error)
        })
    }

    fn written(&self) -> Written {
        let prefix = String::from_utf8(self.prefix.clone());
        let (value_as, dimensions, metric) = match self.of {
            IndexOf::Values(reading) => (Some(reading.name().to_owned()), None, None),
            IndexOf::Vectors { dimensions, metric } => {
                (None, Some(dimensions), Some(metric.name().to_owned()))
            }
        };
        Written {
            name: self.name.clone(),
            database: self.database,
            prefix_base64: prefix.is_err().then(|| STANDARD.encode(&self.prefix)),
            prefix: prefix.ok(),
            field: self.field.as_ref().map(ToString::to_string),
            value_as,
            dimensions,
            metric,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IndexDefinition, IndexOf};
    use crate::search::Metric;

    fn words(text: &str) -> Vec<&[u8]> {
        text.split_whitespace().map(str::as_bytes).collect()
    }

    #[test]
    fn definitions_come_back_from_their_file() {
        let mut binary = IndexDefinition::new("c", 15).expect("a good name");
        binary.option("prefix", b"\xff\0").expect("any bytes");
        let definitions = [
            IndexDefinition::parse("a", 0, &words("PREFIX user: field /age Value_As number")).expect("good"),
            IndexDefinition::parse("b.2", 3, &words("field /a~1b/0 dimensions 128 metric cosine"))
                .expect("good"),
            binary,
        ];
        let text = IndexDefinition::write_all(definitions.iter()).expect("text");
        assert_eq!(IndexDefinition::read_all(&text).expect("the same"), definitions);
        assert_eq!(definitions[1].of(), IndexOf::Vectors { dimensions: 128, metric: Metric::Cosine });
    }

    #[test]
    fn what_is_said_wrong_is_refused() {
        for name in ["", "a b", "ä", &"x".repeat(65)] {
            assert!(IndexDefinition::new(name, 0).is_err(), "{name}");
        }
        assert!(IndexDefinition::new("a", 16).is_err());
        for options in
            ["prefix", "dimensions 0", "dimensions 99999", "metric l2", "value_as float", "field x", "size 1"]
        {
            assert!(IndexDefinition::parse("a", 0, &words(options)).is_err(), "{options}");
        }
        for text in ["", "{}", "[{}]", r#"[{"name":"a","other":1}]"#, r#"[{"name":"a","prefix_base64":"?"}]"#]
        {
            assert!(IndexDefinition::read_all(text.as_bytes()).is_err(), "{text}");
        }
    }
}
