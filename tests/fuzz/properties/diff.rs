//! A diff that says it can be patched makes the new text of the old one, and no secret shows, neither in a diff nor
//! in masked text.
//!
//! Input: path, mode before and after; the text before, the text after (a part that is `-`: no file).

use seaworthy::plan::diff::{Rendered, masked, render};
use seaworthy::plan::{FileChange, FileState};

use super::patch;

const SECRET: &str = "hunter2";

/// The property.
pub fn check(data: &[u8]) {
    let Some([head, old, new]) = super::parts(data) else { return };
    let mut head = head.split('\n');
    let path = head.next().unwrap_or_default();
    let mut state = |text: &str| {
        let mode = head.next().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0o644) & 0o7777;
        let content = Some(text.to_owned());
        if text == "-" { FileState::Absent } else { FileState::Present { dir: false, mode, uid: 0, gid: 0, content } }
    };
    let (before, after) = (state(old), state(new));
    shown(&FileChange { path: format!("/{path}").into(), before, after, interim: None, secret: false });
    hides(old);
    hides(new);
}

/// Renders a change and holds it to all that a diff promises.
pub(super) fn shown(change: &FileChange) -> Rendered {
    let rendered = render(change, &|uid, gid| format!("{uid}:{gid}"));
    let text = |state: &FileState| match state {
        FileState::Present { content, .. } => content.clone(),
        FileState::Absent => None,
    };
    let (old, new) = (text(&change.before).unwrap_or_default(), text(&change.after).unwrap_or_default());
    if rendered.patchable {
        assert_eq!(patch::apply(&old, &rendered.text).as_deref(), Some(new.as_str()), "{old:?} by {}", rendered.text);
    }
    let known = ["#", "--- ", "+++ ", "@@ ", " ", "+", "-", "\\ ", "diff --git ", "new file", "deleted file"];
    for line in rendered.text.split_terminator('\n') {
        assert!(known.iter().any(|start| line.starts_with(start)), "{line:?} in {}", rendered.text);
    }
    assert!(rendered.text.is_empty() || rendered.text.ends_with('\n'));
    let named = change.path.to_string_lossy().contains(SECRET);
    if !named && is_named(&old) && is_named(&new) {
        assert!(!rendered.text.contains(SECRET), "a secret shows in {}", rendered.text);
    }
    rendered
}

/// Masked text shows no secret, and JSON stays JSON.
fn hides(text: &str) {
    let hidden = masked(text);
    assert!(!is_named(text) || !hidden.contains(SECRET), "a secret shows in {hidden:?}");
    if serde_json::from_str::<serde_json::Value>(text).is_ok() {
        assert!(serde_json::from_str::<serde_json::Value>(&hidden).is_ok(), "{text:?} became {hidden:?}");
    }
}

/// Whether the secret stands nowhere but behind a name that tells what it is.
fn is_named(text: &str) -> bool {
    let names = ["password=", "PASSWORD=", "\"password\": \"", "--token=", "password: "];
    text.match_indices(SECRET).all(|(at, _)| {
        let in_url = text[..at].ends_with("://me:") && text[at + SECRET.len()..].starts_with('@');
        in_url || names.iter().any(|name| text[..at].ends_with(name))
    })
}
