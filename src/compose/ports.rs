//! Published ports, bound to one address.

use std::net::IpAddr;

use super::EditError;
use super::place::Place;
use super::step::{New, Step};
use super::text::{is_interpolated, split};

pub(super) fn bind(service: &Place<'_>, address: IpAddr) -> Result<Vec<Step>, EditError> {
    if address.is_unspecified() {
        return Err(EditError::new(0, format!("{address} is no single address")));
    }
    let mut steps = Vec::new();
    for place in service.get("ports").items()? {
        let Some(node) = place.node() else { continue };
        let step = match node.text() {
            Some(text) => short(&place, text, address)?.map(|new| place.put(New::instead_of(Some(node), new))),
            None => long(&place, address)?,
        };
        steps.extend(step.transpose()?);
    }
    Ok(steps)
}

/// `[[ADDRESS:][PORT]:]CONTAINER[/PROTOCOL]`, as the engine takes it apart: from the end. `None`: it is bound already.
fn short(place: &Place<'_>, text: &str, address: IpAddr) -> Result<Option<String>, EditError> {
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let parts = split(text, ':');
    let (container, rest) = parts.split_last().map_or(("", &[][..]), |(last, rest)| (*last, rest));
    let container = split(container, '/')[0];
    let Some((port, own)) = rest.split_last() else {
        // Any free port of the host; where a variable stands there may be more than a port in it.
        return if is_ports(container) { Ok(Some(format!("{host}::{text}"))) } else { Err(unclear(place, text)) };
    };
    if !is_ports(container) && !is_interpolated(container) {
        return Err(unclear(place, text));
    }
    if own.is_empty() {
        return if is_ports(port) || has_port_as_default(port) {
            Ok(Some(format!("{host}:{text}")))
        } else {
            Err(unclear(place, text))
        };
    }
    let own = own.join(":");
    if is_interpolated(&own) {
        return Err(place.refuse_variable(text));
    }
    if !is_everywhere(place, &own)? {
        return Ok(None);
    }
    if !(port.is_empty() || is_ports(port) || is_interpolated(port)) {
        return Err(unclear(place, text));
    }
    Ok(Some(format!("{host}:{}", &text[own.len() + 1..])))
}

/// `host_ip`, of a port written as a mapping.
fn long(place: &Place<'_>, address: IpAddr) -> Result<Option<Result<Step, EditError>>, EditError> {
    if place.get("target").text()?.is_none() {
        return Err(place.refuse("a port without `target`"));
    }
    let own = place.get("host_ip");
    match own.literal()? {
        Some(there) if !is_everywhere(&own, there)? => Ok(None),
        _ => Ok(Some(own.put(New::instead_of(own.node(), address.to_string())))),
    }
}

/// Whether an address means all of them; none does.
fn is_everywhere(place: &Place<'_>, own: &str) -> Result<bool, EditError> {
    let bare = own.strip_prefix('[').and_then(|own| own.strip_suffix(']')).unwrap_or(own);
    match bare.parse::<IpAddr>() {
        _ if bare.is_empty() => Ok(true),
        Ok(own) => Ok(own.to_canonical().is_unspecified()),
        Err(_) => Err(place.refuse(format!("`{own}` is no address"))),
    }
}

/// A port, or a range of them.
fn is_ports(text: &str) -> bool {
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty();
    text.splitn(2, '-').all(is_port)
}

/// `${NAME:-8080}`: whatever else the variable could hold, it is meant to be a port.
fn has_port_as_default(text: &str) -> bool {
    let Some(inner) = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')) else { return false };
    let name = inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    name.len() < inner.len() && name.strip_prefix(":-").or_else(|| name.strip_prefix('-')).is_some_and(is_ports)
}

fn unclear(place: &Place<'_>, text: &str) -> EditError {
    if is_interpolated(text) {
        return place.refuse_variable(text);
    }
    place.refuse(format!("`{text}` is no port that is published"))
}
