//! Decimal numbers of any size, compared as they are written.
//!
//! Nothing is rounded: a number is a sign, the place of its first digit that is not zero, and the digits
//! from there to the last that is not zero. Two of them compare by these in turn, without arithmetic, so
//! `9007199254740993` and `1e400` find their places where a 64-bit float would not.

use std::cmp::Ordering;

/// Exponents may have so many digits; what has more is no number.
const MAX_EXPONENT_DIGITS: usize = 15;

/// A number, borrowed from its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    is_negative: bool,
    /// The power of ten of the first digit, plus one; of zero nothing is compared but the sign of others.
    place: i64,
    /// Digits before the point and behind it, without zeros at both ends.
    digits: (&'a [u8], &'a [u8]),
}

impl<'a> Decimal<'a> {
    /// Reads `12`, `-0.5`, `.5`, `+6.02e23`, blanks around it allowed; `None` for anything else.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (is_negative, rest) = sign(text.trim_ascii());
        let (whole, rest) = digits(rest);
        let (fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => digits(rest),
            None => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => parse_exponent(exponent)?,
            _ => return None,
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        Some(Self::new(is_negative, (whole, fraction), exponent))
    }

    fn new(is_negative: bool, (whole, fraction): (&'a [u8], &'a [u8]), exponent: i64) -> Self {
        let whole_start = without_leading_zeros(whole);
        let (place, digits) = match whole_start {
            [] => {
                let start = without_leading_zeros(fraction);
                (-((fraction.len() - start.len()) as i64), (&whole[..0], start))
            }
            start => (start.len() as i64, (start, fraction)),
        };
        let (whole, fraction) = (digits.0, without_trailing_zeros(digits.1));
        let whole = if fraction.is_empty() { without_trailing_zeros(whole) } else { whole };
        let is_zero = whole.is_empty() && fraction.is_empty();
        Self { is_negative: is_negative && !is_zero, place: place + exponent, digits: (whole, fraction) }
    }

    fn is_zero(&self) -> bool {
        self.digits.0.is_empty() && self.digits.1.is_empty()
    }

    /// Less than, equal to or greater than another number, exactly.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| if number.is_zero() { 0 } else { 1 - 2 * i8::from(number.is_negative) };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let digits = |number: &Self| number.digits.0.iter().chain(number.digits.1);
        let by_size = self.place.cmp(&other.place).then_with(|| digits(self).cmp(digits(other)));
        if self.is_negative { by_size.reverse() } else { by_size }
    }

    /// Bytes that compare as the number does, byte by byte.
    pub(crate) fn sort_key(&self) -> Vec<u8> {
        const NEGATIVE: u8 = 0;
        const ZERO: u8 = 1;
        const POSITIVE: u8 = 2;
        if self.is_zero() {
            return vec![ZERO];
        }
        let mut key = vec![POSITIVE];
        // The sign bit the other way round: places below zero come before those above.
        key.extend_from_slice(&(self.place ^ i64::MIN).to_be_bytes());
        key.extend(self.digits.0.iter().chain(self.digits.1));
        if self.is_negative {
            // Everything the other way round, and behind a number those with more digits no longer.
            key[0] = NEGATIVE;
            key[1..].iter_mut().for_each(|byte| *byte = !*byte);
            key.push(u8::MAX);
        }
        key
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (is_negative, text) = sign(text);
    let (all, rest) = digits(text);
    let significant = without_leading_zeros(all);
    if all.is_empty() || !rest.is_empty() || significant.len() > MAX_EXPONENT_DIGITS {
        return None;
    }
    let exponent = significant.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    Some(if is_negative { -exponent } else { exponent })
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len())..]
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    &digits[..digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Decimal;

    fn number(text: &str) -> Decimal<'_> {
        Decimal::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn numbers_stand_in_their_order() {
        let rising = [
            "-1e400",
            "-100000000000000000000000",
            "-12.5",
            "-12.05",
            "-1",
            "-0.001",
            "0",
            "1e-400",
            ".0009",
            "1e-3",
            "0.5",
            "00.75",
            "1",
            "9.99",
            "10",
            "9007199254740992",
            "9007199254740993",
            "1e16",
            "1E+400",
        ];
        for (place, one) in rising.iter().enumerate() {
            for (other_place, other) in rising.iter().enumerate() {
                assert_eq!(number(one).compare(&number(other)), place.cmp(&other_place), "{one} {other}");
                let by_key = number(one).sort_key().cmp(&number(other).sort_key());
                assert_eq!(by_key, place.cmp(&other_place), "{one} {other}");
            }
        }
    }

    #[test]
    fn one_number_has_many_spellings() {
        for spelling in ["10", "+10", "010", "10.", "10.000", "1e1", "100e-1", ".1e2", " 10\n", "1E+0001"] {
            assert!(number("10").compare(&number(spelling)).is_eq(), "{spelling}");
        }
        for zero in ["-0", "0.0", "0e99", ".0", "-000.000e-5"] {
            assert!(number("0").compare(&number(zero)).is_eq(), "{zero}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in
            ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "nan", "inf", "1 2", "1e9999999999999999"]
        {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimals_compare_as_whole_numbers_do(
            one in (-100_000i64..100_000, 0u32..12), other in (-100_000i64..100_000, 0u32..12),
        ) {
            let text = |(mantissa, exponent): (i64, u32)| format!("{mantissa}e{}", i64::from(exponent) - 6);
            let whole = |(mantissa, exponent): (i64, u32)| i128::from(mantissa) * 10i128.pow(exponent);
            let (first, second) = (text(one), text(other));
            let expected = whole(one).cmp(&whole(other));
            prop_assert_eq!(number(&first).compare(&number(&second)), expected);
            prop_assert_eq!(number(&first).sort_key().cmp(&number(&second).sort_key()), expected);
        }
    }
}
