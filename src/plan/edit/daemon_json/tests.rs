use proptest::prelude::*;
use serde_json::{Value, json};

use super::{line_of, read, remove, set};

fn refused(text: &str) -> (usize, usize, String) {
    let error = read(text).unwrap_err();
    // What cannot be read cannot be edited either.
    assert_eq!(set(text, "icc", &json!(false)).unwrap_err(), error);
    assert_eq!(remove(text, "icc").unwrap_err(), error);
    (error.line, error.column, error.message)
}

#[test]
fn refuses_what_dockerd_refuses_with_its_place() {
    let cases: &[(&str, usize, usize, &str)] = &[
        ("{\n  \"icc\": true,\n}\n", 3, 1, "trailing comma"),
        ("{\n  // why\n  \"icc\": true\n}\n", 2, 3, "key must be a string"),
        ("{\"icc\": true}\n{\"ipv6\": true}\n", 2, 1, "one object only"),
        ("{\"icc\": true} x", 1, 15, "one object only"),
        ("[1]", 1, 1, "a list, not an object"),
        ("  null", 1, 3, "null, not an object"),
        ("{\"a\": \"x\ty\"}", 1, 9, "control character"),
        ("{\"a\":\u{a0}1}", 1, 6, "expected value"),
        ("{\"a\": \"\\ud800\"}", 1, 14, "surrogate"),
        ("{'a': 1}", 1, 2, "key must be a string"),
        ("{\"a\": 0x1}", 1, 8, "expected `,` or `}`"),
        ("{\"a\": 1", 1, 7, "EOF"),
        ("{\"a\": NaN}", 1, 7, "expected"),
    ];
    for (text, line, column, part) in cases {
        let (l, c, message) = refused(text);
        assert!(message.contains(part), "{text:?}: {message}");
        assert_eq!((l, c), (*line, *column), "{text:?}: {message}");
    }
}

#[test]
fn refuses_duplicate_keys_nested_and_without_case() {
    assert_eq!(
        refused("{\n  \"dns\": [],\n  \"dns\": []\n}"),
        (3, 3, "key `dns` is there twice, first in line 2".into())
    );
    assert_eq!(refused("{\"x\": [{\"a\": 1, \"A\": 2}]}").1, 17);
    assert_eq!(refused("{\"icc\": true, \"\\u0069cc\": false}").1, 15);
    assert_eq!(refused("{\"log-opts\": {\"tag\": \"a\",\n\"tag\": \"b\"}}").0, 2);
}

#[test]
fn refuses_known_keys_in_the_wrong_case() {
    assert_eq!(refused("{\n  \"ICC\": true\n}"), (2, 3, "key `ICC` is not known to dockerd, which reads `icc`".into()));
    assert_eq!(refused("{\"Live-Restore\": true}").0, 1);
    // A name in an object of the admin's own choice is no key of dockerd's.
    assert!(read("{\"runtimes\": {\"ICC\": {\"path\": \"/x\"}}}").is_ok());
}

#[test]
fn columns_count_characters_behind_the_mark() {
    assert_eq!(refused("\u{feff}{\"ä\": 1,}").1, 9);
}

#[test]
fn reads_what_dockerd_reads() {
    for text in ["", "\u{feff}", " \n", "{}", "{\n}", "\u{feff}{}\r\n"] {
        assert!(read(text).unwrap().is_empty(), "{text:?}");
    }
    assert_eq!(read("{\"\\u0069cc\": false}").unwrap()["icc"], json!(false));
}

/// Each form of file, and what it is with `icc` set to false.
const FORMS: &[(&str, &str)] = &[
    ("", "{\n  \"icc\": false\n}\n"),
    ("\n", "{\n  \"icc\": false\n}\n"),
    (" \r\n", "{\r\n  \"icc\": false\r\n}\r\n"),
    ("\u{feff}", "\u{feff}{\n  \"icc\": false\n}\n"),
    ("{}", "{\n  \"icc\": false\n}"),
    ("{}\n", "{\n  \"icc\": false\n}\n"),
    ("{ }\n", "{\n  \"icc\": false\n}\n"),
    ("{\n}\n", "{\n  \"icc\": false\n}\n"),
    ("{\r\n}\r\n", "{\r\n  \"icc\": false\r\n}\r\n"),
    ("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1,\n  \"icc\": false\n}\n"),
    ("{\n    \"a\": 1\n}", "{\n    \"a\": 1,\n    \"icc\": false\n}"),
    ("{\n\t\"a\": 1\n}\n", "{\n\t\"a\": 1,\n\t\"icc\": false\n}\n"),
    ("{\n\"a\":1\n}\n", "{\n\"a\":1,\n\"icc\":false\n}\n"),
    ("{\r\n  \"a\": 1\r\n}\r\n", "{\r\n  \"a\": 1,\r\n  \"icc\": false\r\n}\r\n"),
    ("{\"a\":1}", "{\"a\":1,\"icc\":false}"),
    ("{\"a\": 1}", "{\"a\": 1, \"icc\": false}"),
    ("{ \"a\": 1 }\n", "{ \"a\": 1, \"icc\": false }\n"),
    ("{\"a\": 1, \"b\" : 2}\n", "{\"a\": 1, \"b\" : 2, \"icc\" : false}\n"),
    ("{\n\n  \"a\": 1.10,\n\n  \"b\": 1e+22\n\n}\n", "{\n\n  \"a\": 1.10,\n\n  \"b\": 1e+22,\n  \"icc\": false\n\n}\n"),
    ("{\n  \"a\": 1 \t\n}\n", "{\n  \"a\": 1,\n  \"icc\": false \t\n}\n"),
    ("{\"a\": 1,\n \"b\": 2}\n", "{\"a\": 1,\n \"b\": 2,\n \"icc\": false}\n"),
    ("{\n  \"a\"\n  : 1\n}\n", "{\n  \"a\"\n  : 1,\n  \"icc\": false\n}\n"),
    ("\u{feff}{\n  \"icc\" :  true\n}", "\u{feff}{\n  \"icc\" :  false\n}"),
    ("{\"\\u0069cc\": true, \"b\": \"\\u00e9\\/\"}", "{\"\\u0069cc\": false, \"b\": \"\\u00e9\\/\"}"),
    (
        "{\n  \"icc\": true, \"a\": 12345678901234567890123\n}\n",
        "{\n  \"icc\": false, \"a\": 12345678901234567890123\n}\n",
    ),
    ("{\n  \"icc\": false\n}\n", "{\n  \"icc\": false\n}\n"),
];

#[test]
fn sets_a_key_in_every_form() {
    for (before, after) in FORMS {
        assert_eq!(set(before, "icc", &json!(false)).unwrap(), *after, "{before:?}");
        assert_eq!(set(after, "icc", &json!(false)).unwrap(), *after, "second time, {before:?}");
    }
}

#[test]
fn removes_a_key_from_every_place() {
    for (before, after) in [
        ("", ""),
        ("{\n  \"a\": 1.10\n}\n", "{\n  \"a\": 1.10\n}\n"),
        ("{\n  \"icc\": true\n}\n", "{}\n"),
        ("{\n  \"icc\": true,\n  \"b\": 1\n}\n", "{\n  \"b\": 1\n}\n"),
        ("{\r\n\t\"a\": 1,\r\n\t\"icc\": [1,\r\n2],\r\n\t\"b\": 1\r\n}", "{\r\n\t\"a\": 1,\r\n\t\"b\": 1\r\n}"),
        ("\u{feff}{\"a\":1, \"icc\": true }", "\u{feff}{\"a\":1 }"),
    ] {
        assert_eq!(remove(before, "icc").unwrap(), after, "{before:?}");
    }
}

#[test]
fn prints_nested_values_in_the_style_of_the_file() {
    let limits = json!({"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}});
    assert_eq!(
        set("{\n\t\"a\": 1\n}\n", "default-ulimits", &limits).unwrap(),
        "{\n\t\"a\": 1,\n\t\"default-ulimits\": {\n\t\t\"nofile\": {\n\t\t\t\"Name\": \"nofile\",\n\t\t\t\"Hard\": 64000,\n\t\t\t\"Soft\": 64000\n\t\t}\n\t}\n}\n"
    );
    assert_eq!(set("{\"a\":1}", "log-opts", &json!({"x": "1"})).unwrap(), "{\"a\":1,\"log-opts\":{\"x\": \"1\"}}");
    assert_eq!(set("", "dns", &json!(["1.1.1.1", "::1"])).unwrap(), "{\n  \"dns\": [\"1.1.1.1\", \"::1\"]\n}\n");
    let long = json!(vec!["registry.example.org:5000"; 4]);
    assert_eq!(set("", "insecure-registries", &long).unwrap().lines().count(), 8);
}

#[test]
fn touches_only_the_members_that_differ() {
    let text = "{\n  \"features\": { \"buildkit\" : true, \"n\": 1.10 },\n  \"dns\": []\n}\n";
    let wanted = json!({"buildkit": true, "n": 1.10, "containerd-snapshotter": false});
    assert_eq!(
        set(text, "features", &wanted).unwrap(),
        "{\n  \"features\": { \"buildkit\" : true, \"n\": 1.10, \"containerd-snapshotter\": false },\n  \"dns\": []\n}\n"
    );
    let deep = "{\n    \"log-opts\": {\n        \"a\": \"1\",\n        \"b\": \"2\"\n    },\n    \"x\": {}\n}\n";
    assert_eq!(
        set(deep, "log-opts", &json!({"b": "2", "c": {"d": 1}})).unwrap(),
        "{\n    \"log-opts\": {\n        \"b\": \"2\",\n        \"c\": {\n            \"d\": 1\n        }\n    },\n    \"x\": {}\n}\n"
    );
    assert!(set(deep, "x", &json!({"d": 1})).unwrap().ends_with("    \"x\": {\n        \"d\": 1\n    }\n}\n"));
}

#[test]
fn finds_the_line_of_a_key() {
    let text = "\u{feff}{\n  \"a\": {\"icc\": 1},\n\n  \"icc\": true\n}\n";
    assert_eq!(line_of(text, "icc"), Some(4));
    assert_eq!(line_of(text, "b"), None);
    assert_eq!(line_of("", "icc"), None);
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-4000i32..4000).prop_map(|n| Value::from(f64::from(n) / 4.0)),
        "[ -~äö€\\n\\t]{0,12}".prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Blanks as people leave them, seeded so that a document shrinks well.
fn blanks(seed: &mut u64, style: u8) -> &'static str {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let pick = (*seed >> 60) as usize % 4;
    match style {
        0 => "",
        1 => ["", " ", "", " "][pick],
        2 => ["\n  ", "\n", " ", "\n\n\t"][pick],
        _ => ["\r\n    ", "", " ", "\r\n"][pick],
    }
}

fn write(value: &Value, seed: &mut u64, style: u8) -> String {
    let (open, close, parts): (_, _, Vec<String>) = match value {
        Value::Array(list) => ('[', ']', list.iter().map(|value| write(value, seed, style)).collect()),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let (a, b) = (blanks(seed, style), blanks(seed, style));
                format!("{}{a}:{b}{}", Value::from(key.as_str()), write(value, seed, style))
            };
            ('{', '}', map.iter().map(entry).collect())
        }
        leaf => return leaf.to_string(),
    };
    let mut text = String::from(open);
    for (i, part) in parts.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        text += &[blanks(seed, style), comma, blanks(seed, style), part].concat();
    }
    text + blanks(seed, style) + &String::from(close)
}

/// Bytes that two texts share at their start and, apart from those, at their end.
fn shared(a: &str, b: &str) -> usize {
    let head = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let tail = a.as_bytes()[head..].iter().rev().zip(b.as_bytes()[head..].iter().rev()).take_while(|(x, y)| x == y);
    head + tail.count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_touch_nothing_else(
        entries in prop::collection::btree_map("[a-d]{1,2}", value(), 0..5),
        key in "[a-d]{1,2}", new in value(), mut seed in any::<u64>(), style in 0u8..4, mark in any::<bool>(),
    ) {
        let object = Value::Object(entries.clone().into_iter().collect());
        let text = ["", "\u{feff}"][usize::from(mark)].to_owned() + &write(&object, &mut seed, style);

        let edited = set(&text, &key, &new).unwrap();
        let mut wanted = read(&text).unwrap();
        wanted.insert(key.clone(), new.clone());
        prop_assert_eq!(&read(&edited).unwrap(), &wanted);
        prop_assert_eq!(&set(&edited, &key, &new).unwrap(), &edited);
        match entries.get(&key) {
            // Appended: every old byte is still there, in order, around one insertion.
            None if !entries.is_empty() => prop_assert_eq!(shared(&text, &edited), text.len()),
            Some(old) if old == &new => prop_assert_eq!(&edited, &text),
            _ => {}
        }
        let gone = remove(&text, &key).unwrap();
        wanted.shift_remove(&key);
        prop_assert_eq!(&read(&gone).unwrap(), &wanted);
        // Removed: what is left is the old text but for one gap.
        prop_assert_eq!(shared(&gone, &text), gone.len());
        if !entries.contains_key(&key) {
            prop_assert_eq!(&gone, &text);
        }
    }
}
