//! What a container has beyond its image: its command, variables, labels, health check.

use serde_json::Value;

use super::line::{Line, joined};
use crate::facts::workload::Recipe;
use crate::facts::{Container, Image};

/// Of `Config`, what is said here, means nothing on Linux, or says how somebody was attached to the first start.
pub(super) const KNOWN: &[&str] = &[
    "ArgsEscaped",
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "Cmd",
    "Domainname",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Hostname",
    "Image",
    "Labels",
    "MacAddress",
    "OnBuild",
    "OpenStdin",
    "Shell",
    "StdinOnce",
    "StopSignal",
    "StopTimeout",
    "Tty",
    "User",
    "Volumes",
    "WorkingDir",
];

/// Nothing, where the image is gone or not known: then all is said.
fn inherited(recipe: &Recipe) -> &Value {
    recipe.image.as_ref().unwrap_or(&Value::Null)
}

/// Options from `Config` that the image does not give. What is run is [`command`].
pub(super) fn options(line: &mut Line, recipe: &Recipe, container: &Container) {
    let (config, image) = (&recipe.container["Config"], inherited(recipe));
    let own = |key: &str| if config[key] == image[key] { &Value::Null } else { &config[key] };
    // Else the engine's: the first digits of the id, or the host's name in its network and its names.
    let shared = [&container.namespaces.network, &container.namespaces.uts];
    let shared = shared.iter().any(|mode| *mode == "host" || mode.starts_with("container:"));
    if !shared && !config["Hostname"].as_str().is_some_and(|name| container.id.starts_with(name)) {
        line.given("hostname", &config["Hostname"]);
    }
    line.given("domainname", &config["Domainname"]);
    line.given("user", own("User"));
    line.given("workdir", own("WorkingDir"));
    line.given("mac-address", &config["MacAddress"]);
    line.given("stop-signal", own("StopSignal"));
    if let Some(seconds) = config["StopTimeout"].as_i64() {
        line.option("stop-timeout", seconds.to_string());
    }
    for (key, name) in [("OpenStdin", "interactive"), ("Tty", "tty")] {
        if config[key] == Value::Bool(true) {
            line.flag(name);
        }
    }
    let bound = &recipe.container["HostConfig"]["PortBindings"];
    for (port, _) in config["ExposedPorts"].as_object().into_iter().flatten() {
        if image["ExposedPorts"].get(port).is_none() && bound.get(port).is_none() {
            line.option("expose", port.as_str());
        }
    }
    let labels = config["Labels"].as_object().into_iter().flatten();
    let labels = labels.filter(|(key, value)| image["Labels"].get(key.as_str()) != Some(value));
    line.pairs("label", &Value::Object(labels.map(|(key, value)| (key.clone(), value.clone())).collect()));
    if config["Healthcheck"] != image["Healthcheck"] {
        health(line, &config["Healthcheck"]);
    }
    environment(line, recipe, container);
}

fn health(line: &mut Line, check: &Value) {
    let words: Vec<String> =
        check["Test"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let Some((kind, test)) = words.split_first() else { return };
    let what = "a word of its health check";
    match kind.as_str() {
        "NONE" => line.flag("no-healthcheck"),
        "CMD-SHELL" => {
            let test = line.told_all(test, what).join(" ");
            line.option("health-cmd", test);
        }
        _ => {
            // The command line knows checks for a shell only; in quotes it reads these words.
            let test = line.told_all(test, what);
            line.option("health-cmd", joined(&test));
            line.notes.push("its health check runs without a shell now, and would run in one".into());
        }
    }
    let times = [
        ("Interval", "health-interval"),
        ("Timeout", "health-timeout"),
        ("StartPeriod", "health-start-period"),
        ("StartInterval", "health-start-interval"),
    ];
    for (key, name) in times {
        // In nanoseconds, which the command line takes with that unit too.
        match check[key].as_i64().filter(|time| *time > 0) {
            Some(time) if time % 1_000_000_000 == 0 => line.option(name, format!("{}s", time / 1_000_000_000)),
            Some(time) => line.option(name, format!("{time}ns")),
            None => {}
        }
    }
    line.given("health-retries", &check["Retries"]);
}

/// Values never show: they go from the container to a file of root's, and from there to the new one.
fn environment(line: &mut Line, recipe: &Recipe, container: &Container) {
    let all = |config: &Value| -> Vec<String> {
        config["Env"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let inherited = all(inherited(recipe));
    let own: Vec<String> =
        all(&recipe.container["Config"]).into_iter().filter(|entry| !inherited.contains(entry)).collect();
    // A file of variables has one a line, and takes `#` for a comment.
    let fits = |entry: &&String| {
        let name = entry.split('=').next().unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        !name.is_empty() && name.bytes().all(plain) && !entry.contains(['\n', '\r']) && entry.contains('=')
    };
    let (plain, odd): (Vec<&String>, Vec<&String>) = own.iter().partition(fits);
    let names: Vec<&str> = plain.iter().filter_map(|entry| Some(entry.split_once('=')?.0)).collect();
    if !names.is_empty() {
        let file = format!("{}.env", container.name);
        line.option("env-file", file.as_str());
        let format = "{{range .Config.Env}}{{println .}}{{end}}";
        line.before.push(format!(
            "(umask 077; docker inspect --format '{format}' {} | grep -E '^({})=' >{file})",
            container.name,
            names.join("|")
        ));
    }
    for entry in odd {
        let name = entry.split('=').next().unwrap_or_default();
        line.option("env", name);
        line.notes.push(format!("the value of {name} has to be in your environment: it does not fit into a file"));
    }
}

/// The image and what is run in it.
pub(super) fn command(line: &mut Line, recipe: &Recipe, container: &Container, images: &[Image]) {
    let texts = |config: &Value, key: &str| -> Vec<String> {
        config[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (config, image) = (&recipe.container["Config"], inherited(recipe));
    let (entry, mut args) = (texts(config, "Entrypoint"), texts(config, "Cmd"));
    let what = "a word of its command";
    if entry == texts(image, "Entrypoint") {
        if args == texts(image, "Cmd") {
            args = Vec::new();
        } else if args.is_empty() {
            line.notes.push("it runs without the command of its image, which no option says".into());
        }
    } else {
        // With one of its own, the command of the image does not count.
        let (first, rest) = entry.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        line.option("entrypoint", first);
        args = rest.iter().cloned().chain(args).collect();
    }
    let name = &container.image;
    let tagged = |image: &&Image| image.tags.iter().any(|tag| tag == name || *tag == format!("{name}:latest"));
    let moved = images.iter().find(tagged).is_some_and(|image| image.id != container.image_id);
    if moved {
        line.notes.push(format!("{name} is another image by now: this takes the one that it runs"));
        line.word(container.image_id.as_str());
    } else {
        line.word(name.as_str());
    }
    for word in line.told_all(&args, what) {
        line.word(word);
    }
}
