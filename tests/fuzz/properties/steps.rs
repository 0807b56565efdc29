//! A step of an image's build says the same once what could be secret is hidden in it, and nothing is hidden twice.
//!
//! Input: the line that a builder left.

use seaworthy::facts::images::{Step, masked};

/// The property.
pub fn check(data: &[u8]) {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let hidden = masked(line);
    assert_eq!(Step::read(line), Step::read(&hidden), "{line:?} became {hidden:?}");
    assert_eq!(masked(&hidden), hidden, "{line:?}");
}
