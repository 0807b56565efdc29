//! Bind mounts: read-only, private.

use super::EditError;
use super::place::Place;
use super::step::{New, Step};
use super::text::{is_interpolated, split};

/// One of `volumes`.
struct Mount<'t> {
    place: Place<'t>,
    form: Form<'t>,
}

enum Form<'t> {
    /// `[SOURCE:]TARGET[:OPTIONS]`
    Short { source: Option<&'t str>, target: &'t str, options: Option<&'t str> },
    /// A mapping.
    Long { target: &'t str },
}

impl<'t> Mount<'t> {
    fn of(place: Place<'t>) -> Result<Option<Self>, EditError> {
        let Some(node) = place.node() else { return Ok(None) };
        let form = match node.text() {
            Some(text) => match split(text, ':')[..] {
                ref parts if parts.contains(&"") => return Err(place.refuse(format!("`{text}` has an empty part"))),
                [target] => Form::Short { source: None, target, options: None },
                [source, target] => Form::Short { source: Some(source), target, options: None },
                [source, target, options] => Form::Short { source: Some(source), target, options: Some(options) },
                _ => return Err(place.refuse(format!("`{text}` is no mount with source, target and options"))),
            },
            None => match place.get("target").text()? {
                Some(target) => Form::Long { target },
                None => return Err(place.refuse("a mount without `target`")),
            },
        };
        Ok(Some(Self { place, form }))
    }

    fn target(&self) -> &'t str {
        match self.form {
            Form::Short { target, .. } | Form::Long { target } => target,
        }
    }

    fn is_bind(&self) -> Result<bool, EditError> {
        match self.form {
            Form::Short { source, .. } => Ok(source.is_some_and(|source| source.starts_with(['/', '.', '~', '$']))),
            Form::Long { .. } => Ok(self.place.get("type").literal()? == Some("bind")),
        }
    }
}

fn mounts<'t>(service: &Place<'t>) -> Result<Vec<Mount<'t>>, EditError> {
    let mounts: Result<Vec<_>, _> = service.get("volumes").items()?.into_iter().map(Mount::of).collect();
    Ok(mounts?.into_iter().flatten().collect())
}

/// The paths in the container that something is mounted on.
pub(super) fn targets(service: &Place<'_>) -> Result<Vec<String>, EditError> {
    Ok(mounts(service)?.iter().map(|mount| mount.target().to_owned()).collect())
}

/// Whether two paths of a container are one; options behind a colon are none of it.
pub(super) fn same_path(a: &str, b: &str) -> bool {
    let path = |text: &str| text.split(':').next().unwrap_or_default().trim_end_matches('/').to_owned();
    path(a) == path(b)
}

/// The bind mount on a path.
fn bind<'t>(service: &Place<'t>, target: &str) -> Result<Mount<'t>, EditError> {
    let mounts = mounts(service)?;
    let unclear = mounts.iter().find(|mount| is_interpolated(mount.target())).map(|mount| mount.place.clone());
    match mounts.into_iter().find(|mount| same_path(mount.target(), target)) {
        Some(mount) if mount.is_bind()? => Ok(mount),
        Some(mount) => Err(mount.place.refuse(format!("what is mounted on `{target}` is no directory of the host"))),
        None => match unclear {
            Some(place) => Err(place.refuse(format!("no mount on `{target}`, unless a variable says so"))),
            None => Err(service.refuse(format!("no mount on `{target}`"))),
        },
    }
}

pub(super) fn read_only(service: &Place<'_>, target: &str) -> Result<Vec<Step>, EditError> {
    let mount = bind(service, target)?;
    let Form::Short { options, .. } = mount.form else {
        let place = mount.place.get("read_only");
        return match place.truth()? {
            Some(true) => Ok(Vec::new()),
            _ => Ok(vec![place.put(New::Bare("true".into()))?]),
        };
    };
    match options {
        None => rewrite(&mount.place, None, "ro"),
        Some(options) if is_interpolated(options) => Err(mount.place.refuse_variable(options)),
        Some(options) if options.split(',').any(|option| option == "ro") => Ok(Vec::new()),
        Some(options) if options.split(',').any(|option| option == "rw") => {
            let new: Vec<&str> = options.split(',').map(|option| if option == "rw" { "ro" } else { option }).collect();
            rewrite(&mount.place, Some(options), &new.join(","))
        }
        Some(options) => rewrite(&mount.place, Some(options), &format!("{options},ro")),
    }
}

pub(super) fn private(service: &Place<'_>, target: &str) -> Result<Vec<Step>, EditError> {
    let mount = bind(service, target)?;
    let is_shared = |option: &str| matches!(option, "shared" | "rshared");
    let Form::Short { options, .. } = mount.form else {
        let place = mount.place.get("bind").get("propagation");
        return match place.literal()? {
            Some(there) if is_shared(there) => Ok(vec![place.put(New::instead_of(place.node(), "rprivate"))?]),
            _ => Ok(Vec::new()),
        };
    };
    match options {
        Some(options) if is_interpolated(options) => Err(mount.place.refuse_variable(options)),
        Some(options) if options.split(',').any(is_shared) => {
            let private = |option| if is_shared(option) { "rprivate" } else { option };
            let new: Vec<&str> = options.split(',').map(private).collect();
            rewrite(&mount.place, Some(options), &new.join(","))
        }
        _ => Ok(Vec::new()),
    }
}

/// Gives a mount in one text new options, in place of the old ones at its end.
fn rewrite(place: &Place<'_>, old: Option<&str>, options: &str) -> Result<Vec<Step>, EditError> {
    let text = place.text()?.unwrap_or_default();
    let mount = old.and_then(|old| text.strip_suffix(old)?.strip_suffix(':')).unwrap_or(text);
    Ok(vec![place.put(New::instead_of(place.node(), format!("{mount}:{options}")))?])
}
