//! What the site says about registries: `[[registries]]`.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

/// A registry that images may come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Registry {
    /// As in the names of images, such as `registry.example:5000`; `docker.io` for names without one.
    #[serde(deserialize_with = "host")]
    pub host: String,
    /// Why it may be used without TLS; `None`: it may not.
    #[serde(default, deserialize_with = "reason")]
    pub insecure: Option<String>,
}

/// All of them, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Registries(Vec<Registry>);

impl Registries {
    /// Their hosts; none: the site says nothing about where images come from.
    pub fn hosts(&self) -> Vec<&str> {
        self.0.iter().map(|registry| registry.host.as_str()).collect()
    }

    /// Whether an image of this name, tag or digest comes from one of them. A registry on loopback is none by itself:
    /// what is in it came from somewhere.
    pub fn hold(&self, image: &str) -> bool {
        self.hosts().contains(&registry_of(image))
    }

    /// Why this one may be used without TLS.
    pub fn accepted(&self, host: &str) -> Option<&str> {
        self.0.iter().find(|registry| registry.host == host)?.insecure.as_deref()
    }

    /// What a setting of the daemon gets where the catalogue gives it `value` and it is `now`: of
    /// `insecure-registries`, those that are accepted stay.
    pub fn kept(&self, key: &str, value: &Value, now: &Value) -> Value {
        if key != "insecure-registries" {
            return value.clone();
        }
        let listed = now.as_array().into_iter().flatten();
        let accepted = listed.filter(|host| host.as_str().is_some_and(|host| self.accepted(host).is_some()));
        let kept: Vec<&Value> = value.as_array().into_iter().flatten().chain(accepted).collect();
        json!(kept)
    }
}

fn host<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
    let named = format!("{text}/image");
    if text.is_empty() || !text.bytes().all(plain) || registry_of(&named) != text {
        return Err(D::Error::custom(format!(
            "`{text}` is no registry as images name it, such as registry.example:5000"
        )));
    }
    Ok(text)
}

fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom("`insecure` is the reason why it may be used without TLS"));
    }
    Ok(Some(text))
}

/// The registry in an image's name, when its first part looks like a host; else Docker's own, by the name that it has
/// in names (`reference.ParseNormalizedNamed` in its `distribution/reference`).
pub fn registry_of(image: &str) -> &str {
    const DOCKER: &str = "docker.io";
    let first = image.split_once('/').map(|(first, _)| first);
    match first.filter(|first| first.contains(['.', ':']) || *first == "localhost") {
        None | Some("index.docker.io") => DOCKER,
        Some(registry) => registry,
    }
}
