//! Permission bits: taking away, never adding.

/// Keeps others from removing what is not theirs: it only restricts, so no benchmark's maximum takes it away.
const STICKY: u32 = 0o1000;

/// The mode after a fix: what is set now and allowed by `max`; the sticky bit stays.
pub fn masked(old: u32, max: u32) -> u32 {
    old & (max | STICKY)
}

/// The bits that are set now and that `max` does not allow; 0 when the mode is as strict or stricter.
pub fn excess(old: u32, max: u32) -> u32 {
    old & 0o7777 & !(max | STICKY)
}

/// Reads octal text of three or four digits, as in `0644`. `None`: anything else.
pub fn parse(text: &str) -> Option<u32> {
    let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    octal.then(|| u32::from_str_radix(text, 8).ok()).flatten()
}

/// Octal text of four digits.
pub fn text(mode: u32) -> String {
    format!("{mode:04o}")
}

#[cfg(test)]
mod tests {
    use super::{excess, masked, parse, text};

    #[test]
    fn only_takes_bits_away() {
        assert_eq!(masked(0o600, 0o644), 0o600);
        assert_eq!(masked(0o666, 0o644), 0o644);
        assert_eq!(masked(0o070, 0o644), 0o040);
        assert_eq!(masked(0o1777, 0o755), 0o1755);
        assert_eq!(masked(0o4755, 0o755), 0o755);
        for old in 0..0o10000 {
            let new = masked(old, 0o644);
            assert_eq!(new & !old, 0, "{old:o}");
            assert_eq!(excess(new, 0o644), 0, "{old:o}");
            assert_eq!(excess(old, 0o644) == 0, new == old, "{old:o}");
        }
    }

    #[test]
    fn reads_and_writes_octal() {
        assert_eq!(parse("0644"), Some(0o644));
        assert_eq!(parse("755"), Some(0o755));
        for bad in ["", "8", "0o644", "64", "00644", "+644", "0689"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(text(0o40), "0040");
        assert_eq!(text(0o1777), "1777");
    }
}
