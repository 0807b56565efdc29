//! Containers that only making anew would mend: the printed command makes them, with all that they had.

use crate::hosts::{containers, says, seaworthy};
use crate::machine::Machine;

/// An image that brings some of everything, and a container that has more of it.
const MADE: &str = r#"set -e
lab-image
mkdir -p /root/shop "/srv/it's, odd" && cd /root/shop
printf '%s\n' 'FROM busybox:1' 'ENV OF_IMAGE=1' 'LABEL base=yes' 'VOLUME /cache' 'EXPOSE 80' 'WORKDIR /srv' \
  'ENTRYPOINT ["sh", "-c"]' 'CMD ["sleep 77777"]' >Dockerfile
DOCKER_BUILDKIT=0 docker build -q -t shop:1 . 2>&1
docker network create front && docker network create --subnet 10.77.0.0/24 back && docker volume create data
docker run -d --name many --hostname h.example --domainname example --workdir /tmp --entrypoint /bin/sh \
  -e PLAIN=hunter2 -e "TWO=a b'c" -e EMPTY= -e OF_IMAGE=2 -l tier=front -l "note=it's \$HOME" -l api.token=hunter2 \
  -p 8080:80 -p 127.0.0.1:9090:90/udp --expose 4000 \
  -v data:/data -v /srv:/host:ro,rshared --mount "type=bind,\"source=/srv/it's, odd\",target=/odd" \
  --mount type=volume,target=/anon --tmpfs /scratch:size=1m,mode=1777 --mount type=tmpfs,target=/mem,tmpfs-size=1048576 \
  --network back --ip 10.77.0.9 --network-alias db --dns 10.0.0.1 --dns-search example --dns-option ndots:2 \
  --add-host other:10.0.0.2 --restart on-failure:3 --cap-add SYS_ADMIN --cap-add CHOWN --cap-drop MKNOD \
  --security-opt seccomp=unconfined --group-add 44 --ulimit nofile=100:200 --sysctl net.ipv4.ip_unprivileged_port_start=80 \
  --shm-size 32m --init --stop-signal SIGINT --stop-timeout 3 --health-cmd 'true && echo "ok"' --health-interval 1500ms \
  --health-retries 2 --log-opt max-size=1m --oom-score-adj 100 -i -t --device /dev/null:/dev/gone:rw --pid host \
  shop:1 -c 'trap "exit" INT; echo "a  b"; sleep 99999 & wait' --password hunter2
docker network connect --alias web front many
docker run -d --name plain --restart always shop:1
docker run -d --name of-compose -l com.docker.compose.project=x -l com.docker.compose.service=y busybox:1 sleep 9999
docker exec many sh -c 'echo kept >/cache/a; echo kept >/anon/a'
"#;

/// All that a container was given, but for what its id changes.
const GIVEN: &str = "jq -S '.[0] | {Path, Args, Config, HostConfig, Mounts, Networks: (.NetworkSettings.Networks \
    | map_values({IPAMConfig, Aliases: [.Aliases[]? | select(. == \"web\" or . == \"db\")]}))} \
    | .Config.Env |= sort | .HostConfig.Binds |= sort | .Mounts |= (map(del(.Mode)) | sort_by(.Destination))'";

/// What the checks ask for, written into what there was.
const WANTED: &str = ".Config.User = \"65534:65534\" | .HostConfig.CapAdd = [\"CHOWN\"] \
    | .HostConfig.CapDrop = [\"MKNOD\", \"NET_RAW\"] | .HostConfig.NanoCpus = 1500000000 | .HostConfig.PidMode = \"\" \
    | .HostConfig.PortBindings.\"80/tcp\"[0].HostIp = \"127.0.0.1\" | .HostConfig.ReadonlyRootfs = true \
    | .HostConfig.SecurityOpt = [\"no-new-privileges\"] | .HostConfig.Tmpfs.\"/run\" = \"\" | .HostConfig.Tmpfs.\"/tmp\" = \"\" \
    | (.Mounts[] | select(.Destination == \"/host\")).Propagation = \"rprivate\" \
    | .HostConfig.Binds = ([\"data:/data\", \"/srv:/host:ro\", \"\\(.Mounts[] | select(.Destination == \"/cache\").Name):/cache\"] | sort) \
    | (.Mounts[] | select(.Destination == \"/anon\").Name) as $anon \
    | .HostConfig.Mounts |= map(if .Target == \"/anon\" then .Source = $anon else . end)";

/// How a capability is written, and what limits it gets, the engine and the kernel decide.
const EITHER: &str = "jq -S '.HostConfig |= (.CapAdd |= map(sub(\"^CAP_\"; \"\")) | .CapDrop |= map(sub(\"^CAP_\"; \"\")) \
    | del(.Memory, .MemorySwap, .PidsLimit))'";

fn made_anew(suite: &str) {
    let host = Machine::host(suite);
    host.ok(MADE);
    let running = containers(&host);
    let plan = seaworthy(&host, "plan --check container.*", 0).stdout;
    says(&plan, &["# by hand: container many made anew passes container.user 4.1", "# by hand: container plain"]);
    says(&plan, &["docker update --restart no plain.old", "--network \"${NETWORK:?}\" shop:1"]);
    assert!(!plan.contains("hunter2") && !plan.contains("of-compose made anew"), "{plan}");
    assert!(plan.lines().all(|line| line.starts_with("# ")), "{plan}");
    assert_eq!(containers(&host), running, "nothing is made anew by printing how");

    host.ok("seaworthy facts --output /root/facts.json 2>&1");
    let recorded = host.ok("seaworthy plan --facts /root/facts.json --check container.* 2>/dev/null");
    says(&recorded, &["# then: docker run --detach --name many", "--env-file many.env"]);
    assert!(!host.ok("cat /root/facts.json").contains("hunter2"));

    host.ok(&format!("docker inspect many | {GIVEN} >/root/before.json"));
    host.ok("cd /root && seaworthy plan --check container.* --subject container:many --format json 2>/dev/null \
         | jq -r '.advised[] | .before[], .command' >anew.sh");
    // As it is printed it does not run.
    let unfilled = host.sh("cd /root && tail -n 1 anew.sh | bash");
    assert!(unfilled.status != 0 && unfilled.stderr.contains("parameter null or not set"), "{unfilled:?}");
    assert_eq!(containers(&host), running);

    let filled =
        "ADDRESS=127.0.0.1 CPUS=1.5 MEMORY=64m PIDS_LIMIT=64 SECRET_1=hunter2 SECRET_2=hunter2 USER_ID=65534:65534";
    host.ok(&format!("cd /root && {filled} bash -e anew.sh 2>&1"));
    assert_eq!(host.ok("stat -c %a /root/many.env"), "600");
    let wanted = host.ok(&format!("jq '{WANTED}' /root/before.json | {EITHER}"));
    let now = host.ok(&format!("docker inspect many | {GIVEN} | {EITHER}"));
    crate::hosts::same(&wanted, &now, "it is not as it was, but for what the checks ask for");
    assert_eq!(host.ok("docker exec many cat /cache/a /anon/a"), "kept\nkept");
    let open = "seaworthy audit --check container.* --subject container:many --format json 2>/dev/null \
                | jq -r '.findings[] | select(.verdict == \"fail\") | .check'";
    assert_eq!(host.ok(open), "", "what fails still");
    // Back, as it is told.
    let back = plan.lines().find_map(|line| line.split_once("stays in many.old; back: `")).expect("the way back").1;
    host.ok(&format!("{} 2>&1", back.trim_end_matches('`')));
    let (before, again) = (host.ok("cat /root/before.json"), host.ok(&format!("docker inspect many | {GIVEN}")));
    crate::hosts::same(&before, &again, "the way back is not exact");
}

#[test]
fn the_printed_command_makes_a_container_anew_on_bookworm() {
    made_anew("bookworm");
}

#[test]
fn the_printed_command_makes_a_container_anew_on_trixie() {
    made_anew("trixie");
}
