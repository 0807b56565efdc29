//! Plans for containers that come from compose files.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shell::{Said, seaworthy};

/// `web` of this recorded host, unhardened, as one of a compose project.
const HOST: &str = "fixtures/hosts/debian-13-containers.json";
const WEB: &str = "/containers/1a76c4494f388f7d36e518d75f85e68b1c244fb7380c0ccbceb7ade41767ea7b/json";
const PLAIN: &str = "services:\n  web:\n    image: web:1\n";

/// A recorded host with a compose project, its files by name.
struct Project {
    dir: TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)], compose: bool) -> Self {
        let mut recording: Value = serde_json::from_str(&fs::read_to_string(HOST).unwrap()).unwrap();
        let stat = |kind: &str, size: usize| json!({ "kind": kind, "mode": 0o644, "uid": 0, "gid": 0, "nlink": 1, "size": size, "mtime": 0, "dev": "0:61" });
        let names: Vec<String> = files.iter().map(|(name, _)| format!("/srv/shop/{name}")).collect();
        let labels = json!({
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "web",
            "com.docker.compose.project.working_dir": "/srv/shop",
            "com.docker.compose.project.config_files": names.join(","),
        });
        let web = &mut recording["engine"][WEB];
        let web = if web.get("Ok").is_some() { &mut web["Ok"] } else { web };
        web["Config"]["Labels"] = labels;
        let all = recording["files"].as_object_mut().unwrap();
        for dir in ["/srv", "/srv/shop"] {
            all.insert(dir.into(), json!({ "stat": stat("dir", 4096) }));
        }
        for tree in ["/.git", "/srv/.git", "/srv/shop/.git"] {
            all.insert(tree.into(), json!({ "absent": true }));
        }
        for (name, (_, text)) in names.into_iter().zip(files) {
            all.insert(name, json!({ "stat": stat("file", text.len()), "content": text }));
        }
        if compose {
            all.insert("/usr/bin/docker-compose".into(), json!({ "stat": stat("file", 1) }));
        }
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("host.json"), recording.to_string()).unwrap();
        Self { dir }
    }

    fn plan(&self, more: &[&str]) -> Said {
        let facts = self.dir.path().join("host.json");
        let mut args = vec!["plan", "--facts", facts.to_str().unwrap(), "--subject", "container:web"];
        args.extend(more);
        seaworthy(&args)
    }
}

#[test]
fn nothing_is_made_anew_unless_it_is_asked_for() {
    let project = Project::new(&[("compose.yaml", PLAIN)], true);
    let held = project.plan(&["--check", "container.no-new-privileges"]).exits(0);
    assert!(held.out.contains("include with `--recreate`"), "{}", held.out);
    let check = "container.no-new-privileges";
    let written = project.plan(&["--check", check, "--accept", check]).exits(2);
    assert!(written.out.contains("+    security_opt: [\"no-new-privileges:true\"]\n"), "{}", written.out);
    assert!(
        !written.out.contains("# run:") && written.out.contains("by `--recreate` or by `docker-compose"),
        "{}",
        written.out
    );
}

#[test]
fn with_recreate_each_service_is_made_anew_once() {
    let project = Project::new(&[("compose.yaml", PLAIN)], true);
    let checks = ["--check", "container.*", "--accept", "container.capabilities,container.read-only", "--recreate"];
    let said = project.plan(&checks).exits(2);
    assert_eq!(said.out.matches("# run: docker-compose").count(), 1, "{}", said.out);
    assert!(said.out.contains("up --detach --no-deps --no-build --scale web=1 web"), "{}", said.out);
    for line in ["+    read_only: true\n", "+    cap_drop: [\"NET_RAW\"]\n", "no-new-privileges:true"] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    let json = project.plan(&[&checks[..], &["--format", "json"]].concat()).exits(2).json();
    let last = json["changes"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &json["disruption"]), (&json!("recreate-service"), &json!("recreate-containers")));
    let checks: Vec<&str> = last["checks"].as_array().unwrap().iter().map(|check| check.as_str().unwrap()).collect();
    assert_eq!(checks, ["container.capabilities", "container.no-new-privileges", "container.read-only"]);
}

#[test]
fn without_compose_files_alone_are_written() {
    let project = Project::new(&[("compose.yaml", PLAIN)], false);
    let check = ["--check", "container.no-new-privileges", "--recreate"];
    let held = project.plan(&check).exits(0);
    assert!(held.out.contains("include with `--accept container.no-new-privileges`"), "{}", held.out);
    let written = project.plan(&[&check[..], &["--accept", "container.no-new-privileges"]].concat()).exits(2);
    assert!(
        written.out.contains("compose is not installed here") && !written.out.contains("# run:"),
        "{}",
        written.out
    );
}

#[test]
fn of_several_files_the_one_that_says_it_is_edited() {
    let over = "services:\n  web:\n    cap_add: [SYS_ADMIN]\n    security_opt: [\"no-new-privileges:false\"]\n";
    let project = Project::new(&[("compose.yaml", PLAIN), ("over.yaml", over)], true);
    let plan = |check: &str| project.plan(&["--check", check, "--accept", check]);
    let said = plan("container.no-new-privileges").exits(2);
    assert!(said.out.contains("+++ b/srv/shop/over.yaml") && !said.out.contains("/compose.yaml\n+++"), "{}", said.out);
    let said = plan("container.read-only").exits(2);
    assert!(
        said.out.contains("+++ b/srv/shop/compose.yaml") && !said.out.contains("b/srv/shop/over.yaml"),
        "{}",
        said.out
    );
    let both = "services:\n  web:\n    image: web:1\n    security_opt: [\"no-new-privileges:false\"]\n";
    let project = Project::new(&[("compose.yaml", both), ("over.yaml", over)], true);
    let said =
        project.plan(&["--check", "container.no-new-privileges", "--accept", "container.no-new-privileges"]).exits(0);
    assert!(said.out.contains("both say `security_opt` for web"), "{}", said.out);
}

const LIVE: &str = "container.memory,container.cpu,container.pids-limit,container.restart-policy";

#[test]
fn what_runs_gets_its_limit_in_the_file_too() {
    let project = Project::new(&[("compose.yaml", PLAIN)], true);
    let config = project.dir.path().join("config.toml");
    fs::write(&config, "[values.containers.web]\nmemory = \"256m\"\ncpus = 1.5\npids-limit = 200\n").unwrap();
    let checks = ["--check", LIVE, "--accept", LIVE, "--config"];
    let said = project.plan(&[&checks[..], &[config.to_str().unwrap()]].concat()).exits(2);
    for line in [
        "+    mem_limit: \"256m\"\n",
        "+    cpus: 1.5\n",
        "+    pids_limit: 200\n",
        "+    restart: \"on-failure:5\"\n",
        "# run: docker update --memory 256m",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    assert!(!said.out.contains("write it there too") && !said.out.contains("# run: docker-compose"), "{}", said.out);
}

#[test]
fn values_are_held_to_what_compose_takes() {
    let project = Project::new(&[("compose.yaml", PLAIN)], true);
    let config = project.dir.path().join("config.toml");
    for (line, told) in [
        ("user = \"0:0\"", "`0:0` is no UID"),
        ("usr = \"1000\"", "write `user`"),
        ("address = \"0.0.0.0\"", "no address of one interface"),
        ("capabilities = [\"ALL\"]", "no single capability"),
        ("tmpfs = [\"tmp\"]", "no absolute path"),
    ] {
        fs::write(&config, format!("[values.compose.\"shop/web\"]\n{line}\n")).unwrap();
        let said = project.plan(&["--config", config.to_str().unwrap()]).exits(1);
        assert!(said.all().contains(told) && said.all().contains("config.toml:2"), "{told}: {}", said.all());
    }
}
