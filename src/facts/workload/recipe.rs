//! How a container was made: what it would take to make it once more.

use std::path::Path;

use serde_json::Value;

use super::Container;
use super::engine::known;
use crate::facts::Known;
use crate::host::Host;

/// What the Engine says about a container and about its image. Values of variables and labels, and commands, may be
/// secret: who shows something of it masks them.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// `GET /containers/ID/json`.
    pub container: Value,
    /// `Config` of `GET /images/ID/json`: what the container has of its image.
    pub image: Known<Value>,
}

/// Asks how a container was made. Only what is asked for is kept: an answer is some ten kilobytes.
///
/// # Errors
/// When the Engine does not tell about the container.
pub fn recipe(host: &dyn Host, socket: &Path, container: &Container) -> Known<Recipe> {
    let paths = [format!("/containers/{}/json", container.id), format!("/images/{}/json", container.image_id)];
    let mut replies = host.engine(socket, &paths).into_iter();
    let inspection = known(&paths[0], replies.next())?;
    let image = known(&paths[1], replies.next()).map(|mut image| image["Config"].take());
    Ok(Recipe { container: inspection, image })
}
