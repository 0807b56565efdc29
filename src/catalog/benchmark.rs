//! Published benchmarks and their numbers. Shared with `build.rs`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A published edition of the CIS Docker Benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Benchmark {
    /// 1.6.0, which docker-bench-security implements.
    V1_6_0,
    /// 1.7.0: the same numbers as 1.6.0.
    V1_7_0,
    /// 1.8.0: its new 2.7 moves what follows in section 2 by one.
    V1_8_0,
}

impl Benchmark {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::V1_6_0, Self::V1_7_0, Self::V1_8_0];
    /// The one that a bare number is read in unless another is asked for.
    pub const DEFAULT: Self = Self::V1_8_0;

    /// Its version: `1.8.0`.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V1_6_0 => "1.6.0",
            Self::V1_7_0 => "1.7.0",
            Self::V1_8_0 => "1.8.0",
        }
    }

    /// Its key in an entry's `references`: `cis-1.8.0`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::V1_6_0 => "cis-1.6.0",
            Self::V1_7_0 => "cis-1.7.0",
            Self::V1_8_0 => "cis-1.8.0",
        }
    }

    /// The one with this key of `references`.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|benchmark| benchmark.key() == key)
    }
}

impl FromStr for Benchmark {
    type Err = String;

    /// Reads `1.8.0` or `cis-1.8.0`.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|benchmark| benchmark.version() == text || benchmark.key() == text).ok_or_else(
            || {
                let known: Vec<&str> = Self::ALL.iter().map(|benchmark| benchmark.version()).collect();
                format!("benchmark `{text}` is not known; there are {}", known.join(", "))
            },
        )
    }
}

impl TryFrom<String> for Benchmark {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())
    }
}

/// Whether the text is a number of a benchmark or of one of its groups: `2`, `1.1`, `1.1.10`.
#[must_use]
pub fn is_number(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.len() < 4 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Orders numbers as a reader does: 1.1.10 after 1.1.9.
#[must_use]
pub fn compare_numbers(left: &str, right: &str) -> Ordering {
    let parts = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect::<Vec<_>>();
    parts(left).cmp(&parts(right))
}

/// Whether the number lies in the group: 1.1.10 in `1.1` and in `1`, not in `1.1.1`.
#[must_use]
pub fn in_group(number: &str, group: &str) -> bool {
    number.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_value() {
        let mut numbers = vec!["2.10", "1.1.10", "10.1", "2.9", "1.1.9", "1.2.1"];
        numbers.sort_by(|left, right| compare_numbers(left, right));
        assert_eq!(numbers, ["1.1.9", "1.1.10", "1.2.1", "2.9", "2.10", "10.1"]);
    }

    #[test]
    fn a_group_ends_at_a_dot() {
        assert!(in_group("1.1.10", "1.1"));
        assert!(in_group("1.1.10", "1"));
        assert!(!in_group("1.1.10", "1.1.1"));
        assert!(!in_group("2.1", "2.1"));
    }

    #[test]
    fn versions_are_read_with_and_without_prefix() {
        assert_eq!("1.7.0".parse(), Ok(Benchmark::V1_7_0));
        assert_eq!("cis-1.6.0".parse(), Ok(Benchmark::V1_6_0));
        assert!("1.5.0".parse::<Benchmark>().unwrap_err().contains("1.6.0, 1.7.0, 1.8.0"));
    }

    #[test]
    fn numbers_are_told_from_words() {
        assert!(is_number("2") && is_number("1.1.10"));
        assert!(!is_number("") && !is_number("2.") && !is_number("v2") && !is_number("1..2"));
    }
}
