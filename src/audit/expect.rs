//! Compares a value with what a check expects. Pure.

use serde_json::Value;

use crate::catalog::Expect;

/// Whether a value is as expected.
pub(super) fn holds(expect: &Expect, value: &Value) -> bool {
    match expect {
        Expect::Equals(wanted) => value == wanted,
        Expect::OneOf(wanted) => wanted.contains(value),
        Expect::NoneOf(unwanted) => !unwanted.contains(value),
        Expect::NonEmpty => !is_empty(value),
        Expect::Empty => is_empty(value),
        Expect::NoPrefix(prefix) => {
            let starts = |v: &Value| v.as_str().is_some_and(|t| t.starts_with(prefix.as_str()));
            !value.as_array().is_some_and(|all| all.iter().any(starts))
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The expectation in words.
pub(super) fn words(expect: &Expect) -> String {
    let list = |all: &[Value]| all.iter().map(show).collect::<Vec<_>>().join(" or ");
    match expect {
        Expect::Equals(value) => show(value),
        Expect::OneOf(all) => list(all),
        Expect::NoneOf(all) => format!("not {}", list(all)),
        Expect::NonEmpty => "it to be set".into(),
        Expect::Empty => "not set".into(),
        Expect::NoPrefix(prefix) => format!("no option `{prefix}…`"),
    }
}

/// A value for people: text without quotes, nothing as `not set`.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        other if is_empty(other) => "not set".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_values_of_every_type_are_empty() {
        for value in [json!(null), json!(""), json!([]), json!({})] {
            assert!(holds(&Expect::Empty, &value) && !holds(&Expect::NonEmpty, &value), "{value}");
        }
        assert!(!holds(&Expect::Empty, &json!(false)));
    }

    #[test]
    fn a_prefix_is_looked_for_in_each_element() {
        let expect = Expect::NoPrefix("dm.basesize".into());
        assert!(holds(&expect, &json!(null)) && holds(&expect, &json!(["overlay2.size=1G"])));
        assert!(!holds(&expect, &json!(["a=b", "dm.basesize=20G"])));
    }
}
