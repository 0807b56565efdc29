//! Texts of compose files: interpolation, truth, sizes.

/// Whether compose would put the value of a variable in (`$NAME`, `${NAME}`; `$$` is a dollar).
pub(super) fn is_interpolated(text: &str) -> bool {
    text.replace("$$", "").contains('$')
}

/// A literal text as it has to be written, so that compose reads it back as it is.
pub(super) fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// The parts between separators that stand neither in `${…}` nor in brackets.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' || depth > 0 => depth += 1,
            '[' if depth == 0 && at == start => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ if c == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
        before = c;
    }
    parts.push(&text[start..]);
    parts
}

/// What compose takes for true and false, of YAML 1.1 and in quotes too.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "on" => Some(true),
        "false" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// Bytes of `512m`, `1.5gb`, `1073741824`: units are powers of 1024, whatever their case.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[number.len()..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(1 << unit),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "below 2^60 and not negative; compose cuts the fraction of a byte off as well"
        )]
        Err(_) => match number.parse::<f64>() {
            Ok(number) if (0.0..1e6).contains(&number) => Some((number * (1u64 << unit) as f64) as u64),
            _ => None,
        },
    }
}

/// Bytes as compose files write them: in the largest unit that fits without a rest.
pub(super) fn size(bytes: u64) -> String {
    let units = [(30, "g"), (20, "m"), (10, "k")];
    match units.into_iter().find(|(unit, _)| bytes.trailing_zeros() >= *unit) {
        Some((unit, name)) => format!("{}{name}", bytes >> unit),
        None => bytes.to_string(),
    }
}
