use proptest::prelude::*;

use super::*;

fn update(line: &str) -> Option<String> {
    Step::read(line).update_alone
}

#[test]
fn an_update_alone_is_seen_in_every_builder_s_form() {
    for line in [
        "/bin/sh -c apt-get update",
        "|1 TOKEN=x y /bin/sh -c apt-get update",
        "RUN /bin/sh -c apt-get update # buildkit",
        "RUN |2 A=1 B=2 /bin/bash -eo pipefail -c apt-get -qq -y update # buildkit",
        "RUN /bin/sh -c set -eux; \tDEBIAN_FRONTEND=noninteractive apt-get update; rm -rf /x # buildkit",
        "RUN apt-get update",
        "/bin/sh -c sudo -E /usr/bin/apt-get -o Acquire::Retries=3 update && echo install",
        "RUN /bin/sh -c bash -c \"apt-get update\" # buildkit",
    ] {
        assert_eq!(update(line).as_deref(), Some("apt-get update"), "{line}");
    }
    for (line, told) in [
        ("RUN /bin/sh -c apk update\necho done\n # buildkit", "apk update"),
        ("/bin/sh -c yum -y update", "yum update"),
        ("/bin/sh -c dnf update -y && dnf clean all", "dnf update"),
        ("/bin/sh -c zypper --non-interactive refresh", "zypper refresh"),
        ("/bin/sh -c apt update||true", "apt update"),
    ] {
        assert_eq!(update(line).as_deref(), Some(told), "{line}");
    }
}

#[test]
fn an_update_with_an_install_and_the_word_alone_are_none() {
    for line in [
        "/bin/sh -c apt-get update && apt-get install -y curl",
        "RUN /bin/sh -c apt-get update;apt-get upgrade -y # buildkit",
        "RUN /bin/sh -c if true; then apk update; apk add curl; fi # buildkit",
        "RUN /bin/sh -c set -ex\napt-get update\napt-get install -y x\n # buildkit",
        "/bin/sh -c yum install -y update-notifier",
        "/bin/sh -c echo no update here > /note",
        "/bin/sh -c # apt-get update later",
        "/bin/sh -c npm update",
        "/bin/sh -c update-ca-certificates",
        "/bin/sh -c #(nop)  LABEL note=apt-get update",
        "COPY apt-get update /x # buildkit",
        "/bin/sh -c zypper update -y",
        "",
    ] {
        assert_eq!(update(line), None, "{line}");
    }
}

#[test]
fn add_is_an_instruction_and_no_part_of_a_word() {
    let target = |line: &str| {
        let step = Step::read(line);
        (step.instruction == Instruction::Add).then_some(step.target).flatten()
    };
    assert_eq!(target("/bin/sh -c #(nop) ADD file:59d3 in / ").as_deref(), Some("/"));
    assert_eq!(target("ADD app.txt /srv/ # buildkit").as_deref(), Some("/srv/"));
    assert_eq!(target("ADD --chown=1:1 https://u:hunter2@x/y /y # buildkit").as_deref(), Some("/y"));
    for line in
        ["/bin/sh -c #(nop)  ENV ADDRESS=1", "ENV ADDRESS=1", "/bin/sh -c adduser ADD x", "RUN /bin/sh -c ADD x"]
    {
        assert_eq!(target(line), None, "{line}");
    }
}

#[test]
fn names_with_values_are_kept_without_them() {
    let names = |line: &str| Step::read(line).names.join(" ");
    assert_eq!(names("RUN |2 API_KEY=hunter4 EMPTY= /bin/sh -c apk add --repository=x curl"), "--repository API_KEY");
    assert_eq!(names("|1 TOKEN=hunter2 /bin/sh -c make"), "TOKEN");
    assert_eq!(names("RUN /bin/sh -c export PASSWORD=\"hunter2\"; login --token hunter2"), "--token PASSWORD");
    assert_eq!(names("RUN /bin/sh -c PASSWORD=$(cat /run/secrets/x) login --password $PASSWORD --secret -q"), "");
    assert_eq!(names("/bin/sh -c #(nop)  ARG TOKEN=hunter2"), "TOKEN");
    // What ENV sets is read from the image's configuration, where it is not torn at blanks.
    assert_eq!(names("ENV TOKEN=hunter2"), "");
}

#[test]
fn nothing_of_a_value_is_left_in_a_masked_line() {
    for line in [
        "|1 BUILD_TOKEN=hunter2 /bin/sh -c curl -u me:hunter2 https://u:hunter2@x/ -phunter2 --password hunter2",
        "/bin/sh -c #(nop)  ENV DB_PASSWORD=hunter2 PLAIN=hunter2 hunter2",
        "/bin/sh -c #(nop)  CMD [\"sh\" \"-c\" \"login hunter2\"]",
        "RUN /bin/sh -c echo 'hunter2' | login; X=\"a hunter2\" y # buildkit",
        "ADD https://u:hunter2@x/y /y # buildkit",
        "LABEL note=hunter2",
        "hunter2",
        "RUN /bin/sh -c echo hunter2= hunter2== | base64 -d # buildkit",
        "/bin/sh -c #(nop)  CMD [\"login\" \"--x\" \"hunter2=\"]",
    ] {
        let shown = masked(line);
        assert!(!shown.contains("hunter2"), "{line}: {shown}");
    }
    let line = "RUN |1 API_KEY=x /bin/sh -e -c apk update && /sbin/apk add curl # buildkit";
    assert_eq!(masked(line), "RUN |1 API_KEY=******** sh -******** -c apk update && apk add ********");
}

/// Words of which lines are made, those that could be taken for another.
const VOCABULARY: &[&str] = &[
    "RUN",
    "ADD",
    "COPY",
    "ARG",
    "ENV",
    "/bin/sh",
    "-c",
    "-ec",
    "#(nop)",
    "# buildkit",
    "|1",
    "|",
    "||",
    "&&",
    ";",
    "&",
    "apt-get",
    "/usr/bin/apk",
    "update",
    "install",
    "add",
    "yum",
    "A_TOKEN=x",
    "B=",
    "C=$D",
    "--password",
    "--key=v",
    "-pxc",
    "sudo",
    "bash",
    "'quoted'",
    "\"",
    "\\\n",
    "\n",
    "in",
    "/",
    "#",
    "$(x)",
    "=y",
    "--=z",
    "ä=b",
    "********",
];

#[test]
fn a_mark_behind_an_instruction_is_a_word() {
    for line in ["#(nop) ADD RUN #(nop)", "ADD x #(nop)"] {
        assert_eq!(Step::read(line), Step::read(&masked(line)), "{line}");
        assert_eq!(Step::read(line).target.as_deref(), Some("#(nop)"));
    }
}

#[test]
fn what_was_hidden_is_no_target() {
    for line in ["ADD x $P://me@host", "ADD x ********", "ADD x $********", "ADD x ://:29/dnf"] {
        assert_eq!(Step::read(line).target, None, "{line}");
        assert_eq!(Step::read(line), Step::read(&masked(line)), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_masked_line_says_the_same(words in prop::collection::vec(prop::sample::select(VOCABULARY), 0..12)) {
        for line in [words.join(" "), words.concat()] {
            let hidden = masked(&line);
            prop_assert_eq!(Step::read(&line), Step::read(&hidden), "{}", hidden);
            prop_assert_eq!(masked(&hidden), hidden.clone());
        }
    }

    #[test]
    fn no_line_is_too_odd(line in "\\PC{0,60}") {
        prop_assert_eq!(Step::read(&line), Step::read(&masked(&line)));
    }
}
