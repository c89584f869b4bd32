//! Whole numbers in JSON text, without a detour through floating point.

/// What a JSON number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// A whole number, held to the range of `i64`.
    Whole(i64),
    Fraction,
}

/// Reads a JSON number (`12`, `1e3`, `2.50`); none for any other JSON value.
pub(super) fn read(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent
        .trim_start_matches('+')
        .parse()
        .unwrap_or(if exponent.starts_with('-') { -1_000 } else { 1_000 });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(Number::Whole(0));
    }
    let zeros = exponent - fraction.len() as i64 + (digits.len() - significant.len()) as i64;
    if zeros < 0 {
        return Some(Number::Fraction);
    }
    let magnitude = significant
        .parse::<i64>()
        .ok()
        .and_then(|n| {
            10i64
                .checked_pow(u32::try_from(zeros).ok()?)
                .and_then(|factor| n.checked_mul(factor))
        })
        .unwrap_or(i64::MAX);
    Some(Number::Whole(if negative { -magnitude } else { magnitude }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_by_value_not_by_form() {
        for (text, expected) in [
            ("0", Some(Number::Whole(0))),
            ("-0.0", Some(Number::Whole(0))),
            ("60000", Some(Number::Whole(60_000))),
            ("1e9", Some(Number::Whole(1_000_000_000))),
            ("2.50E1", Some(Number::Whole(25))),
            ("2.5", Some(Number::Fraction)),
            ("1e-3", Some(Number::Fraction)),
            ("-1", Some(Number::Whole(-1))),
            ("1e400", Some(Number::Whole(i64::MAX))),
            ("-99999999999999999999", Some(Number::Whole(-i64::MAX))),
            ("\"1\"", None),
            ("true", None),
            ("[]", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
