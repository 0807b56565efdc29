//! Rules about images and the swarm in words.

use super::rule::{ImageRule, SwarmRule};

/// What an image has to be like.
pub(super) fn image_words(rule: ImageRule) -> &'static str {
    match rule {
        ImageRule::Healthcheck => "The image has a health check; `HEALTHCHECK NONE` is none.",
        ImageRule::UpdateAlone => {
            "No step of the image's history refreshes a package index (`apt-get update` and its like) without \
             installing something in the same step. Steps of the image below it are in that history too."
        }
        ImageRule::Add => {
            "No step of the image's history is ADD, but for the one that unpacks the root file system as its first \
             layer."
        }
        ImageRule::Secrets => {
            "No environment variable, build argument or option in the image's history has a name that means a secret \
             and a value; then the verdict is `pass`, as far as names tell, else `manual` with the names. Values are \
             never shown or recorded."
        }
    }
}

/// What the swarm has to be like.
pub(super) fn swarm_words(rule: SwarmRule) -> &'static str {
    match rule {
        SwarmRule::Unused => {
            "The engine is in no swarm. A node that is alone and runs no service fails; one that shares a swarm, or \
             runs services, is `manual`."
        }
        SwarmRule::Managers => {
            "The engine counts an odd number of managers, and seven at the most. Only managers can tell."
        }
        SwarmRule::Listen => {
            "The daemon's sockets for 2377/tcp and 7946/tcp and udp are open on one address each, not on all of them. \
             4789/udp is the kernel's and always open on all: a firewall is what keeps it."
        }
        SwarmRule::Overlay => {
            "Each overlay network that this node knows has the option `encrypted`, with a value other than false. The \
             swarm's own network `ingress` is `manual` while it is not encrypted."
        }
        SwarmRule::Secrets => {
            "The swarm has a secret. Without one the verdict is `manual`: not every service needs any. Only managers \
             can tell."
        }
        SwarmRule::Autolock => "The swarm's setting for autolock is on. Only managers can tell.",
        SwarmRule::UnlockKey => {
            "By a person: when the unlock key was changed is written nowhere. Without autolock there is none, and the \
             check does not apply. Only managers can tell."
        }
        SwarmRule::CertExpiry => {
            "Certificates of nodes are good for 48 hours at the most. Up to 90 days, the default, it is `manual`; \
             beyond that it fails. Only managers can tell."
        }
        SwarmRule::Ca => {
            "By a person: the verdict is `manual` and says how old the swarm is and how often its root certificate was \
             changed. Only managers can tell."
        }
        SwarmRule::DataPlane => {
            "By a person: the engine does not say which address the data of overlay networks goes by. With a single \
             node nothing goes anywhere, and the check does not apply."
        }
    }
}
