//! What `patch` does with a diff, as strictly as can be: every line where the hunk says, no fuzz, no offset.

/// The new text. `None`: the diff does not fit.
pub(super) fn apply(old: &str, diff: &str) -> Option<String> {
    let lines: Vec<&str> = old.split_inclusive('\n').collect();
    let (mut new, mut at) = (String::new(), 0);
    let mut rest = diff.split_inclusive('\n').skip_while(|line| !line.starts_with("@@ ")).peekable();
    while let Some(head) = rest.next() {
        let (start, mut gone, mut come) = hunk(head)?;
        new += &lines.get(at..start)?.concat();
        at = start;
        while gone + come > 0 {
            let line = rest.next()?;
            let (sign, text) = line.split_at_checked(1)?;
            let text = match rest.next_if(|next| next.starts_with('\\')) {
                Some(_) => text.strip_suffix('\n')?,
                None => text,
            };
            let (in_old, in_new) = (sign != "+", sign != "-");
            if !matches!(sign, " " | "-" | "+") || (in_old && *lines.get(at)? != text) {
                return None;
            }
            at += usize::from(in_old);
            gone = gone.checked_sub(usize::from(in_old))?;
            come = come.checked_sub(usize::from(in_new))?;
            if in_new {
                new += text;
            }
        }
    }
    Some(new + &lines.get(at..)?.concat())
}

/// How many old lines stand before a hunk, and how many old and new ones it has.
fn hunk(head: &str) -> Option<(usize, usize, usize)> {
    let (old, new) = head.strip_prefix("@@ -")?.strip_suffix(" @@\n")?.split_once(" +")?;
    let side = |text: &str| match text.split_once(',') {
        Some((start, len)) => Some((start.parse::<usize>().ok()?, len.parse::<usize>().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    let ((start, gone), (_, come)) = (side(old)?, side(new)?);
    Some((if gone == 0 { start } else { start.checked_sub(1)? }, gone, come))
}
