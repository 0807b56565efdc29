//! Points in time, as documents carry them.

/// Seconds since the epoch as RFC 3339 in UTC.
pub fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_epoch_is_1970() {
        assert_eq!(super::rfc3339(0), "1970-01-01T00:00:00Z");
    }
}
