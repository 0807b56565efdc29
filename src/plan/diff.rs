//! The diff of one change, in the form that `patch -p1` and `git apply` take, run in `/`.
//!
//! Mode and owner, which neither tool knows, travel as `#` lines before the hunks. Secrets never show: a line that
//! holds one is no context, and a change that touches one is masked and cannot be patched.

mod hunk;
mod secret;
#[cfg(test)]
mod tests;

pub use secret::{is_secret_value, masked};

use std::fmt::Write as _;
use std::path::Path;

use super::{FileChange, FileState};
use crate::mode;

/// A change as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Comment lines and the diff, each line terminated; empty when nothing changes.
    pub text: String,
    /// Whether both `patch -p1` and `git apply` can make the content change of it. False for masked diffs and for
    /// the few forms that one of the two does not take; a `#` line says which.
    pub patchable: bool,
}

/// Renders a change. `names` gives `OWNER:GROUP` for a user and a group id.
pub fn render(change: &FileChange, names: &dyn Fn(u32, u32) -> String) -> Rendered {
    let mut text = notes(change, names);
    let (old, new) = (content(&change.before), content(&change.after));
    let (known_before, known_after) = (is_known(&change.before), is_known(&change.after));
    if old == new {
        return Rendered { text, patchable: true };
    }
    if !(known_before && known_after) {
        let _ = writeln!(text, "# content not shown {}", shown(&change.path));
        return Rendered { text, patchable: false };
    }
    let diff = hunk::hunks(old.unwrap_or_default(), new.unwrap_or_default(), change.secret);
    for note in &diff.notes {
        let _ = writeln!(text, "# {note}");
    }
    let taken = headers(&mut text, &change.path, old, new);
    let patchable = taken && diff.notes.is_empty();
    text += &diff.text;
    Rendered { text, patchable }
}

/// Whether lines that this change adds, removes or replaces hold secrets.
pub fn touches_secret(change: &FileChange) -> bool {
    let (old, new) = (content(&change.before).unwrap_or_default(), content(&change.after).unwrap_or_default());
    old != new && hunk::hunks(old, new, change.secret).masked
}

fn content(state: &FileState) -> Option<&str> {
    match state {
        FileState::Absent => None,
        FileState::Present { content, .. } => content.as_deref(),
    }
}

/// Whether the content is part of the state: that of an absent file is.
fn is_known(state: &FileState) -> bool {
    !matches!(state, FileState::Present { content: None, .. })
}

/// What the hunks cannot say.
fn notes(change: &FileChange, names: &dyn Fn(u32, u32) -> String) -> String {
    let path = shown(&change.path);
    let mut text = String::new();
    let kind = |dir: &bool| if *dir { "directory" } else { "file" };
    let _ = match (&change.before, &change.after) {
        (FileState::Absent, FileState::Absent) => Ok(()),
        (FileState::Absent, FileState::Present { dir, mode, uid, gid, .. }) => {
            writeln!(text, "# new {} {path} {} {}", kind(dir), mode::text(*mode), names(*uid, *gid))
        }
        (FileState::Present { dir, .. }, FileState::Absent) => writeln!(text, "# deleted {} {path}", kind(dir)),
        (
            FileState::Present { mode: old, uid: old_uid, gid: old_gid, .. },
            FileState::Present { mode: new, uid, gid, .. },
        ) => {
            if old != new {
                let _ = writeln!(text, "# mode {} -> {} {path}", mode::text(*old), mode::text(*new));
            }
            if (old_uid, old_gid) != (uid, gid) {
                let _ = writeln!(text, "# owner {} -> {} {path}", names(*old_uid, *old_gid), names(*uid, *gid));
            }
            Ok(())
        }
    };
    text
}

/// Writes the two header lines. Returns whether both tools take the form.
fn headers(text: &mut String, path: &Path, old: Option<&str>, new: Option<&str>) -> bool {
    let (a, b) = (named('a', path), named('b', path));
    // Without a hunk only git's own headers say that an empty file comes or goes; patch cannot delete one.
    if old.unwrap_or_default().is_empty() && new.unwrap_or_default().is_empty() {
        let what = if old.is_none() { "new" } else { "deleted" };
        let (bare_a, bare_b) = (a.trim_end_matches('\t'), b.trim_end_matches('\t'));
        let git = format!("diff --git {bare_a} {bare_b}\n");
        // The second one ends the first for patch, which else takes the next file's headers for this one's.
        let _ = write!(text, "{git}{what} file mode 100644\n{git}");
        return old.is_none();
    }
    let from = if old.is_some() { &a } else { "/dev/null" };
    let to = if new.is_some() { &b } else { "/dev/null" };
    let _ = writeln!(text, "--- {from}\n+++ {to}");
    true
}

/// `a/etc/x`. A name with blanks needs a TAB behind it, or patch takes its last word for a date and, for a new file,
/// writes nothing and says that all is well.
fn named(side: char, path: &Path) -> String {
    let name = format!("{side}{}", path.display());
    if name.contains(|c: char| c.is_control() || c == '"' || c == '\\') {
        return quoted(&name);
    }
    if name.contains(' ') { name + "\t" } else { name }
}

/// C's quoting, which both tools read.
fn quoted(name: &str) -> String {
    let mut text = String::from('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_ascii_control() => {
                let _ = write!(text, "\\{:03o}", c as u32);
            }
            c => text.push(c),
        }
    }
    text + "\""
}

/// A path in a comment line: it must not end the line.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(char::is_control) { quoted(&text) } else { text }
}
