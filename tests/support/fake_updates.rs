//! What dockerd makes of a change of a container that exists, and of the swarm.

use std::path::Path;

use serde_json::{Value, json};

use seaworthy::catalog::ContainerSetting;
use seaworthy::facts::Container;
use seaworthy::host::Host;
use seaworthy::plan::LiveState;

use super::fake_docker::FakeDocker;
use super::fake_host::FakeHost;

/// An answer, or a status with the Engine's words.
type Answered = Result<Value, (u16, String)>;

/// The swarm of a manager.
#[derive(Clone, Debug)]
pub(crate) struct FakeCluster {
    pub(crate) id: String,
    /// Grows with each change.
    pub(crate) version: u64,
    pub(crate) spec: Value,
    /// Somebody has to unlock it.
    pub(crate) locked: bool,
}

/// The unlock key that every swarm in memory has.
pub(crate) const UNLOCK_KEY: &str = "SWMKEY-1-neverseen";

/// `GET /swarm/unlockkey`: empty while autolock is off.
pub(super) fn unlock_key(cluster: &FakeCluster) -> Value {
    let on = cluster.spec["EncryptionConfig"]["AutoLockManagers"] == true;
    json!({ "UnlockKey": if on { UNLOCK_KEY } else { "" } })
}

impl FakeHost {
    /// `POST /networks/NAME/connect` and `disconnect`; measured with 20.10.24 and 26.1.5, as is what is refused.
    pub(super) fn move_container(&mut self, socket: &Path, call: &str, body: &Value) -> Answered {
        let (name, what) = call.split_once('/').unwrap_or((call, ""));
        let there = self.engine(socket, &["/networks".to_owned()]).pop();
        let listed = there.and_then(Result::ok).unwrap_or_default();
        if !listed.as_array().into_iter().flatten().any(|one| one["Name"] == name) {
            return Err((404, format!("network {name} not found")));
        }
        let id = body["Container"].as_str().unwrap_or_default();
        let shown = self.engine(socket, &[format!("/containers/{id}/json")]).pop().and_then(Result::ok);
        let Some(one) = shown.as_ref().and_then(Container::read) else {
            return Err((404, format!("No such container: {id}")));
        };
        let LiveState::Networks { mut names } = LiveState::of(ContainerSetting::Network, &one) else {
            return Err((500, "no networks".into()));
        };
        match (names.iter().position(|on| on == name), what) {
            (None, "connect") => names.push(name.into()),
            (Some(at), "disconnect") => drop(names.remove(at)),
            (Some(_), _) => {
                return Err((403, format!("endpoint with name {} already exists in network {name}", one.name)));
            }
            (None, _) => return Err((500, format!("container {id} is not connected to network {name}"))),
        }
        let address = |name: String| (name, json!({ "IPAddress": "172.30.0.2" }));
        let own = self.docker.containers.iter_mut().find(|one| one.id == id);
        own.expect("it was shown").networks = Some(names.into_iter().map(address).collect());
        Ok(Value::Null)
    }
}

impl FakeDocker {
    /// `POST /swarm/update?version=N`.
    pub(super) fn update_swarm(&mut self, version: &str, body: &Value) -> Answered {
        let Some(cluster) = self.cluster.as_mut().filter(|cluster| !cluster.locked) else {
            return Err((503, "This node is not a swarm manager.".into()));
        };
        if version != cluster.version.to_string() {
            return Err((500, "rpc error: code = Unknown desc = update out of sequence".into()));
        }
        if body["CAConfig"]["NodeCertExpiry"].as_i64().is_none_or(|long| long < 3_600_000_000_000) {
            return Err((
                400,
                "rpc error: code = InvalidArgument desc = minimum certificate expiry time is: 1h0m0s".into(),
            ));
        }
        cluster.version += 3;
        cluster.spec = body.clone();
        Ok(Value::Null)
    }

    /// `Swarm` of `GET /info`.
    pub(super) fn told_swarm(&self, info: &mut Value) {
        let swarm = &mut info["Swarm"];
        swarm["LocalNodeState"] = if self.swarm { "active" } else { "inactive" }.into();
        let Some(cluster) = &self.cluster else { return };
        if cluster.locked {
            swarm["LocalNodeState"] = "locked".into();
            swarm["ControlAvailable"] = false.into();
            swarm["Cluster"] = Value::Null;
            return;
        }
        swarm["ControlAvailable"] = true.into();
        swarm["Cluster"]["ID"] = cluster.id.clone().into();
        swarm["Cluster"]["Version"]["Index"] = cluster.version.into();
        swarm["Cluster"]["Spec"] = cluster.spec.clone();
    }

    /// `POST /containers/ID/update` on a container whose `HostConfig` is `now`: what dockerd refuses, and what it takes
    /// (moby `daemon/update.go`, `container/container_unix.go`; measured with 20.10.24 and 26.1.5).
    pub(crate) fn update(&mut self, id: &str, now: &Value, body: &Value) -> Answered {
        let Some(one) = self.containers.iter_mut().find(|one| one.id == id) else {
            return Err((404, format!("No such container: {id}")));
        };
        let refused = |why: &str| Err((409, format!("Cannot update container {id}: {why}")));
        // What is 0 was not given.
        let given = |key: &str| body[key].as_i64().filter(|value| *value != 0);
        let has = |key: &str| now[key].as_i64().unwrap_or(0);
        let (memory, swap) = (given("Memory"), given("MemorySwap"));
        if memory.is_some_and(|memory| memory < 6 << 20) {
            return Err((400, "Minimum memory limit allowed is 6MB".into()));
        }
        if memory.is_some_and(|memory| memory > has("MemorySwap")) && swap.is_none() {
            return refused(
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
            );
        }
        if swap.is_some_and(|swap| swap > 0 && swap < memory.unwrap_or(0)) {
            return Err((400, "Minimum memoryswap limit should be larger than memory limit, see usage".into()));
        }
        if given("CpuQuota").is_some_and(|quota| quota > 0) && has("NanoCpus") > 0 {
            return refused("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
        }
        let policy = &body["RestartPolicy"];
        let named = policy["Name"].as_str().filter(|name| !name.is_empty());
        if named.is_some() && one.remove {
            return refused("Restart policy cannot be updated because AutoRemove is enabled for the container");
        }
        for key in ["Memory", "MemorySwap", "CpuQuota", "CpuPeriod"] {
            if let Some(value) = given(key) {
                one.updated.insert(key.into(), value.into());
            }
        }
        if let Some(limit) = body["PidsLimit"].as_i64() {
            one.updated.insert("PidsLimit".into(), limit.max(0).into());
        }
        if let Some(name) = named {
            one.restarts = name != "no";
            one.updated.insert("RestartPolicy".into(), policy.clone());
        }
        Ok(json!({"Warnings": null}))
    }
}
