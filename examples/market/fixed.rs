//! A price or a quantity: an exact decimal, held in hundred-millionths.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

const DECIMALS: usize = 8;
const ONE: u128 = 10u128.pow(DECIMALS as u32);
/// Larger numbers, from 10^18 on, are refused: so the sums of a capture fit an `i128`, whatever it says.
const MOST: u128 = i128::MAX as u128 >> 40;

/// An exact non-negative decimal.
///
/// Two prices are one level of a book only if they are equal to the last digit, which `f64` does
/// not promise. 128 bits, because the quantities of the cheapest coins (10^13 and more) overflow 64
/// at this scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Fixed(u128);

impl Fixed {
    pub(crate) const ZERO: Self = Self(0);

    /// `units` of the last decimal of a number that is written with `decimals` of them.
    #[cfg(test)]
    pub(crate) fn from_units(units: u64, decimals: u32) -> Self {
        Self(u128::from(units) * 10u128.pow(DECIMALS as u32 - decimals))
    }

    /// The number in hundred-millionths, for arithmetic.
    pub(crate) fn units(self) -> i128 {
        self.0 as i128
    }
}

impl FromStr for Fixed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() {
            return Err("not a decimal number");
        }
        // Exchanges pad with zeros; digits other than zero past the scale would be lost.
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > DECIMALS {
            return Err("more than 8 decimals");
        }
        let mut units: u128 = 0;
        for digit in whole.bytes().chain(decimals.bytes()) {
            if !digit.is_ascii_digit() {
                return Err("not a decimal number");
            }
            units = units
                .checked_mul(10)
                .and_then(|units| units.checked_add(u128::from(digit - b'0')))
                .ok_or("number too large")?;
        }
        let missing = (DECIMALS - decimals.len()) as u32;
        let units = units.checked_mul(10u128.pow(missing));
        match units {
            Some(units) if units <= MOST => Ok(Self(units)),
            _ => Err("number too large"),
        }
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:0width$}", self.0 % ONE, width = DECIMALS);
        let decimals = decimals.trim_end_matches('0');
        write!(f, "{}", self.0 / ONE)?;
        if decimals.is_empty() {
            return Ok(());
        }
        write!(f, ".{decimals}")
    }
}

impl<'de> Deserialize<'de> for Fixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Decimal;

        impl Visitor<'_> for Decimal {
            type Value = Fixed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number in quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Fixed, E> {
                text.parse()
                    .map_err(|reason| E::custom(format_args!("{reason}: {text:?}")))
            }
        }

        deserializer.deserialize_str(Decimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_does_not_change_a_number() {
        let plain: Fixed = "61837.6".parse().unwrap();
        assert_eq!("61837.60000000".parse(), Ok(plain));
        assert_eq!("061837.6000000000".parse(), Ok(plain));
        assert_eq!(plain.to_string(), "61837.6");
        assert_eq!("35".parse(), Ok(Fixed::from_units(35, 0)));
        assert_eq!("0.00000000".parse(), Ok(Fixed::ZERO));
    }

    #[test]
    fn numbers_that_f64_cannot_tell_apart_differ() {
        let (a, b) = ("90071992547.40992001", "90071992547.40992002");
        assert_eq!(a.parse::<f64>(), b.parse::<f64>());
        assert_ne!(a.parse::<Fixed>(), b.parse::<Fixed>());
    }

    #[test]
    fn quantities_past_64_bits_are_exact() {
        let text = "4821000000000000.5";
        assert_eq!(text.parse::<Fixed>().unwrap().to_string(), text);
    }

    #[test]
    fn a_number_that_could_overflow_a_sum_is_refused() {
        let most = Fixed(MOST);
        assert_eq!(most.to_string().parse(), Ok(most));
        assert!(Fixed(MOST + 1).to_string().parse::<Fixed>().is_err());
        assert!(most.units().checked_mul(1 << 40).is_some());
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        let huge = "9".repeat(40);
        for text in [
            "",
            ".",
            ".5",
            "-1",
            "1e5",
            "1.2.3",
            "1,5",
            "0.123456789",
            &huge,
        ] {
            assert!(text.parse::<Fixed>().is_err(), "{text:?} was accepted");
        }
    }
}
