//! What a container reaches and is reached by: its mounts, networks and ports.

use std::collections::BTreeSet;

use serde_json::Value;

use super::host_config::by_name;
use super::line::{Line, joined};
use crate::facts::Container;
use crate::facts::workload::Recipe;

/// Volumes, bind mounts and file systems in memory.
pub(super) fn mounts(line: &mut Line, recipe: &Recipe) {
    let host = &recipe.container["HostConfig"];
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    line.each("volume", &host["Binds"]);
    line.each("volumes-from", &host["VolumesFrom"]);
    for (path, options) in host["Tmpfs"].as_object().into_iter().flatten() {
        let options = options.as_str().filter(|options| !options.is_empty());
        line.option("tmpfs", options.map_or_else(|| path.clone(), |options| format!("{path}:{options}")));
    }
    let found = || recipe.container["Mounts"].as_array().into_iter().flatten();
    let mut said: BTreeSet<String> = BTreeSet::new();
    for bind in host["Binds"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        said.extend(bind.split(':').nth(1).map(str::to_owned));
    }
    for mount in host["Mounts"].as_array().into_iter().flatten() {
        let target = text(mount, "Target");
        // A volume without a name got one.
        let real = found().find(|one| one["Destination"] == target.as_str() && one["Type"] == "volume");
        let source = real.filter(|_| text(mount, "Source").is_empty()).map(|one| text(one, "Name"));
        match long(mount, source) {
            Some(value) => line.option("mount", value),
            None => line.notes.push(format!("what is mounted at {target} has an option that no option says")),
        }
        said.insert(target);
    }
    // With a volume of the same name what is in it stays.
    let unnamed = found().filter(|mount| mount["Type"] == "volume" && !said.contains(&text(mount, "Destination")));
    for mount in unnamed {
        let mode = if mount["RW"] == Value::Bool(false) { ":ro" } else { "" };
        line.option("volume", format!("{}:{}{mode}", text(mount, "Name"), text(mount, "Destination")));
    }
}

/// The form of `--mount`: fields as in CSV. `None`: it has something that this form does not say.
fn long(mount: &Value, source: Option<String>) -> Option<String> {
    let text = |value: &Value, key: &str| value[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut fields = vec![format!("type={}", text(mount, "Type")?)];
    let source = source.or_else(|| text(mount, "Source"));
    fields.extend(source.map(|source| format!("source={source}")));
    fields.push(format!("target={}", text(mount, "Target")?));
    if mount["ReadOnly"] == Value::Bool(true) {
        fields.push("readonly".into());
    }
    let known = ["Type", "Source", "Target", "ReadOnly", "Consistency", "BindOptions", "VolumeOptions", "TmpfsOptions"];
    let strange = |value: &Value, known: &[&str]| {
        value.as_object().is_some_and(|all| all.iter().any(|(key, value)| !known.contains(&&**key) && !empty(value)))
    };
    let (bind, volume, tmpfs) = (&mount["BindOptions"], &mount["VolumeOptions"], &mount["TmpfsOptions"]);
    let unsaid = strange(mount, &known)
        || strange(bind, &["Propagation"])
        || strange(volume, &["NoCopy", "DriverConfig"])
        || strange(tmpfs, &["SizeBytes", "Mode"]);
    if unsaid {
        return None;
    }
    fields.extend(text(bind, "Propagation").map(|propagation| format!("bind-propagation={propagation}")));
    if volume["NoCopy"] == Value::Bool(true) {
        fields.push("volume-nocopy".into());
    }
    fields.extend(text(&volume["DriverConfig"], "Name").map(|name| format!("volume-driver={name}")));
    for (key, value) in volume["DriverConfig"]["Options"].as_object().into_iter().flatten() {
        fields.push(format!("volume-opt={key}={}", value.as_str()?));
    }
    fields.extend(tmpfs["SizeBytes"].as_i64().filter(|size| *size > 0).map(|size| format!("tmpfs-size={size}")));
    fields.extend(tmpfs["Mode"].as_u64().filter(|mode| *mode > 0).map(|mode| format!("tmpfs-mode={mode:o}")));
    let quoted = |field: &String| {
        let plain = !field.contains([',', '"', '\n', '\r']);
        if plain { field.clone() } else { format!("\"{}\"", field.replace('"', "\"\"")) }
    };
    Some(fields.iter().map(quoted).collect::<Vec<_>>().join(","))
}

/// Nothing, as Go writes it.
pub(super) fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.iter().all(empty),
        Value::Object(all) => all.values().all(empty),
    }
}

/// Ports, names of others, and the networks; those beside the first are joined afterwards.
pub(super) fn network(line: &mut Line, recipe: &Recipe, container: &Container, containers: &[Container]) {
    let host = &recipe.container["HostConfig"];
    let mode = by_name(host["NetworkMode"].as_str().unwrap_or_default(), containers);
    if host["PublishAllPorts"] == Value::Bool(true) {
        line.flag("publish-all");
    }
    for (inside, bindings) in host["PortBindings"].as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten() {
            let part = |key: &str| binding[key].as_str().unwrap_or_default();
            let (address, port) = (part("HostIp"), part("HostPort"));
            let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            let inside = inside.strip_suffix("/tcp").unwrap_or(inside);
            line.option(
                "publish",
                match (address.as_str(), port) {
                    ("", "") => inside.to_owned(),
                    ("", port) => format!("{port}:{inside}"),
                    (address, port) => format!("{address}:{port}:{inside}"),
                },
            );
        }
    }
    for (key, name) in [("Dns", "dns"), ("DnsOptions", "dns-option"), ("DnsSearch", "dns-search")] {
        line.each(name, &host[key]);
    }
    line.each("add-host", &host["ExtraHosts"]);
    for link in host["Links"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        // `/OTHER:/NAME/ALIAS`
        let (other, alias) = link.split_once(':').unwrap_or((link, link));
        let alias = alias.rsplit('/').next().unwrap_or(alias);
        line.option("link", format!("{}:{alias}", other.trim_start_matches('/')));
    }
    let usual = ["", "default", "bridge"].contains(&mode.as_str());
    if !usual {
        line.option("network", mode.as_str());
    }
    for (name, joins) in recipe.container["NetworkSettings"]["Networks"].as_object().into_iter().flatten() {
        let options = joined_as(joins, container);
        let first = *name == mode || usual && name == "bridge";
        if !empty(&joins["DriverOpts"]) {
            line.notes.push(format!("its place in network {name} has options of a driver, which are left out"));
        }
        if first {
            for (option, value) in options {
                line.option(option, value);
            }
        } else if !["host", "none"].contains(&mode.as_str()) {
            let mut words = vec!["docker".to_owned(), "network".into(), "connect".into()];
            for (option, value) in options {
                // Other names for the same two in this command.
                let option = option.strip_prefix("network-").unwrap_or(option);
                words.extend([format!("--{option}"), value]);
            }
            words.extend([name.clone(), container.name.clone()]);
            line.after.push(joined(&words));
        }
    }
}

/// Addresses and names that were asked for in a network.
fn joined_as(joins: &Value, container: &Container) -> Vec<(&'static str, String)> {
    let asked = [("ip", "IPv4Address"), ("ip6", "IPv6Address")];
    let asked =
        asked.iter().filter_map(|(option, key)| Some((*option, joins["IPAMConfig"][*key].as_str()?.to_owned())));
    let mut all: Vec<(&str, String)> = asked.filter(|(_, address)| !address.is_empty()).collect();
    for alias in joins["Aliases"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        // Before 25 the engine adds the first digits of the id itself.
        if !container.id.starts_with(alias) {
            all.push(("network-alias", alias.to_owned()));
        }
    }
    all
}
