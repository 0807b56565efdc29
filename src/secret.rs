//! Which names mean a secret. Errs on the side of hiding.

/// In a name they mean a secret wherever they stand.
pub(crate) const ANYWHERE: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "credential", "apikey"];

/// In a name they mean a secret only as a word: `authorization-plugins` and `tlskey` are none.
pub(crate) const WORDS: &[&str] = &["auth", "auths", "key", "pwd"];

/// Whether what has this name is a secret, as far as a name can tell.
pub fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == "authorization"
        || ANYWHERE.iter().any(|part| lower.contains(part))
        || words(name).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// The words of `kebab-case`, `SNAKE_CASE`, `dotted.case` and `camelCase`, lower case.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let hump = c.is_ascii_uppercase() && before.is_ascii_lowercase();
        if hump || !c.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words
}
