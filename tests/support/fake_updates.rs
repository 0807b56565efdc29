//! What dockerd makes of a change of a container that exists.

use serde_json::{Value, json};

use super::fake_docker::FakeDocker;

impl FakeDocker {
    /// `POST /containers/ID/update` on a container whose `HostConfig` is `now`: what dockerd refuses, and what it takes
    /// (moby `daemon/update.go`, `container/container_unix.go`; measured with 20.10.24 and 26.1.5).
    pub(crate) fn update(&mut self, id: &str, now: &Value, body: &Value) -> Result<Value, (u16, String)> {
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
