//! Numbers in commands: read as strictly as Redis reads them, written as Redis writes them.
//!
//! Clients rely on what is refused (`+1`, `01`, ` 1`) as much as on what is taken, so nothing here
//! leaves it to `str::parse`. Floating-point increments are added as decimals with 17 digits behind
//! the point, the most that Redis ever shows: within that range there is no rounding noise at all.

use crate::error::{Error, Result};

/// The digits behind the point that INCRBYFLOAT keeps, as Redis does.
const FRACTION_DIGITS: usize = 17;

const ONE: i128 = 10_i128.pow(FRACTION_DIGITS as u32);

/// Longer texts are not floating-point numbers to Redis either.
const LONGEST_FLOAT: usize = 255;

/// Redis's error for a word that should have been an integer.
pub(super) fn not_an_integer() -> Error {
    Error::invalid("value is not an integer or out of range")
}

/// An integer in its one canonical spelling: no plus, no leading zeros, no blanks.
pub(super) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        b"0" if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    // Counted downwards, because there is one more negative number than positive ones.
    let mut number = 0_i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

/// The same, or Redis's error.
pub(super) fn integer(text: &[u8]) -> Result<i64> {
    parse_integer(text).ok_or_else(not_an_integer)
}

/// A cursor or id: the same spelling, but unsigned.
pub(super) fn parse_unsigned(text: &[u8]) -> Option<u64> {
    let canonical = matches!(text, b"0" | [b'1'..=b'9', ..]);
    let text = std::str::from_utf8(text).ok().filter(|_| canonical)?;
    text.parse().ok()
}

/// A number of bytes as CONFIG takes it: digits with an optional unit (`k` 1000, `kb` 1024, `m`, `mb`, `g`, `gb`).
pub(crate) fn parse_bytes(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let factor = match text[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    std::str::from_utf8(&text[..digits]).ok()?.parse::<u64>().ok()?.checked_mul(factor)
}

/// A number to be added by INCRBYFLOAT.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decimal {
    /// In units of 10^-17.
    Fixed(i128),
    /// Beyond that range: as near as a double comes.
    Double(f64),
}

impl Decimal {
    pub(super) const ZERO: Self = Self::Fixed(0);

    /// Reads digits with point and exponent, or `inf`; `None` for anything else, NaN included.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST_FLOAT {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let double: f64 = text.parse().ok()?;
        if double.is_nan() || (double.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit())) {
            return None;
        }
        Some(fixed(text).map_or(Self::Double(double), Self::Fixed))
    }

    /// The sum, or Redis's error when it is no finite number.
    pub(super) fn add(self, other: Self) -> Result<Self> {
        if let (Self::Fixed(one), Self::Fixed(other)) = (self, other)
            && let Some(sum) = one.checked_add(other)
        {
            return Ok(Self::Fixed(sum));
        }
        let sum = self.double() + other.double();
        if sum.is_finite() {
            Ok(Self::Double(sum))
        } else {
            Err(Error::invalid("increment would produce NaN or Infinity"))
        }
    }

    fn double(self) -> f64 {
        match self {
            Self::Fixed(units) => units as f64 / ONE as f64,
            Self::Double(double) => double,
        }
    }

    /// Without exponent and without zeros at the end.
    pub(super) fn text(self) -> String {
        let text = match self {
            Self::Fixed(units) => {
                let (whole, fraction) =
                    (units.unsigned_abs() / ONE as u128, units.unsigned_abs() % ONE as u128);
                let sign = if units < 0 { "-" } else { "" };
                format!("{sign}{whole}.{fraction:0FRACTION_DIGITS$}")
            }
            Self::Double(double) => format!("{double:.FRACTION_DIGITS$}"),
        };
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// The number in units of 10^-17, rounded half to even; `None` where 128 bits do not hold it.
fn fixed(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut shift = exponent.checked_add(FRACTION_DIGITS as i32)?.checked_sub(fraction.len() as i32)?;
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let mut rest = Vec::new();
    if shift < 0 {
        rest = digits.split_off(digits.len().saturating_sub(shift.unsigned_abs() as usize));
        if rest.len() < shift.unsigned_abs() as usize {
            rest.insert(0, b'0'); // What was cut off is below one tenth of a unit.
        }
        shift = 0;
    }
    let mut units = 0_i128;
    for digit in digits {
        units =
            units.checked_mul(10)?.checked_add(i128::from(digit.checked_sub(b'0').filter(|d| *d < 10)?))?;
    }
    if units != 0 {
        units = units.checked_mul(10_i128.checked_pow(shift as u32)?)?;
    }
    let more_than_half = rest.first().is_some_and(|digit| *digit > b'5')
        || (rest.first() == Some(&b'5') && (rest[1..].iter().any(|digit| *digit != b'0') || units % 2 == 1));
    units += i128::from(more_than_half);
    Some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::{Decimal, parse_bytes, parse_integer, parse_unsigned};

    #[test]
    fn integers_have_one_spelling() {
        for number in [0, 1, -1, 9, 10, -10, i64::MAX, i64::MIN] {
            assert_eq!(parse_integer(number.to_string().as_bytes()), Some(number));
        }
        for text in
            ["", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "a", "9223372036854775808"]
        {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_integer(b"-9223372036854775809"), None);
        assert_eq!(parse_unsigned(b"18446744073709551615"), Some(u64::MAX));
        for text in ["", "+1", "01", "-1", "18446744073709551616"] {
            assert_eq!(parse_unsigned(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn units_of_bytes_are_those_of_redis_conf() {
        for (text, bytes) in
            [("0", 0), ("1000", 1000), ("1k", 1000), ("1KB", 1024), ("2mb", 2 << 20), ("1g", 1_000_000_000)]
        {
            assert_eq!(parse_bytes(text.as_bytes()), Some(bytes), "{text}");
        }
        for text in ["", "mb", "1tb", "-1", "1 mb", "18446744073709551615kb"] {
            assert_eq!(parse_bytes(text.as_bytes()), None, "{text:?}");
        }
    }

    fn sum(one: &str, other: &str) -> String {
        let parse = |text: &str| Decimal::parse(text.as_bytes()).expect("a number");
        parse(one).add(parse(other)).map_or_else(|error| error.to_string(), Decimal::text)
    }

    #[test]
    fn sums_are_shown_without_noise_and_without_exponent() {
        for (one, other, expected) in [
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("0.1", "0.2", "0.3"),
            ("3", "-3", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("1e-17", "0", "0.00000000000000001"),
            ("1e-18", "0", "0"),
            ("6e-18", "0", "0.00000000000000001"),
            ("1e-300", "0", "0"),
            (".5", "5.", "5.5"),
            ("+1", "0", "1"),
            ("1e22", "0", "10000000000000000000000"),
            ("1e308", "1e308", "increment would produce NaN or Infinity"),
            ("inf", "1", "increment would produce NaN or Infinity"),
        ] {
            assert_eq!(sum(one, other), expected, "{one} + {other}");
        }
        for text in ["", "nan", "1e999", " 1", "1 ", "a", "1..2", "0x10"] {
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
