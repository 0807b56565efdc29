//! The command lines behind [`Query`] and [`Command`].

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::host::process;
use crate::host::seam::{Answer, Command, Query};
use crate::threads::joined;

/// For children that answer at once on a host that is well. One that has much to do is not to be taken for silent: what
/// was not answered once and is later reads as a host that moved on.
const SHORT: Duration = Duration::from_secs(30);
/// For commands that systemd or the kernel works on.
const WORK: Duration = Duration::from_secs(90);
/// `dockerd --validate` reads one file.
const VALIDATE: Duration = Duration::from_secs(30);
/// Compose reads its files; version 1 is slow to start.
const COMPOSE: Duration = Duration::from_mins(1);
/// Compose stops a container, which may take as long as its grace, and makes it anew, for each of a service.
const COMPOSE_UP: Duration = Duration::from_mins(5);
/// A package install with its download, and the wait for another package manager's lock.
const INSTALL: Duration = Duration::from_mins(15);

/// How often a question is asked again that a signal broke off.
const AGAIN: usize = 3;

/// Asks a child that only reads. Whoever ends us may end all processes of our unit or session, and we go on to take
/// back what was done: a question that was broken off is asked again.
pub(super) fn ask(query: &Query) -> io::Result<Answer> {
    let mut answer = once(query);
    for _ in 0..AGAIN {
        match answer {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => answer = once(query),
            _ => break,
        }
    }
    answer
}

/// Asks each of these, beside each other: of all units in one go, since each child costs more than its answer.
pub(super) fn ask_all(queries: &[Query]) -> Vec<io::Result<Answer>> {
    let units: Vec<&str> = queries.iter().filter_map(unit).collect();
    std::thread::scope(|scope| {
        let shown = scope.spawn(|| show_all(&units));
        // one that was started before is joined later, so all of them run
        let others = queries.iter().map(|query| unit(query).is_none().then(|| scope.spawn(|| ask(query))));
        let others: Vec<_> = others.collect();
        let mut shown = joined(shown).into_iter();
        let mut next = || shown.next().unwrap_or_else(|| Err(io::Error::other("systemctl show: no answer")));
        others.into_iter().map(|other| other.map_or_else(&mut next, joined)).collect()
    })
}

/// The unit that a query is about.
fn unit(query: &Query) -> Option<&str> {
    match query {
        Query::UnitShow(unit) => Some(unit),
        _ => None,
    }
}

/// Shows all of these units by one child. What it says that is not plainly one answer for each is asked for one by one.
fn show_all(units: &[&str]) -> Vec<io::Result<Answer>> {
    if units.len() > 1
        && let Ok(all) = process::run("systemctl", &[&["show", "--no-pager", "--"], units].concat(), &[], SHORT)
        && let Some(each) = apart(&all, units.len())
    {
        return each.into_iter().map(Ok).collect();
    }
    units.iter().map(|unit| ask(&Query::UnitShow((*unit).to_owned()))).collect()
}

/// What `systemctl show` says about `count` units, each for itself: an empty line is between two of them, and each has one
/// `Id=`. `None`: it failed, complained, or has another form.
fn apart(all: &Answer, count: usize) -> Option<Vec<Answer>> {
    let blocks: Vec<&str> = all.stdout.split("\n\n").collect();
    let one = |block: &&str| block.lines().filter(|line| line.starts_with("Id=")).count() == 1;
    if !all.ok() || !all.stderr.is_empty() || blocks.len() != count || !blocks.iter().all(one) {
        return None;
    }
    // as it would have been shown alone: with a newline at its end
    let answer = |block: &str| Answer { stdout: format!("{}\n", block.trim_end_matches('\n')), ..Answer::default() };
    Some(blocks.into_iter().map(answer).collect())
}

fn once(query: &Query) -> io::Result<Answer> {
    match query {
        Query::UnitShow(unit) => process::run("systemctl", &["show", "--no-pager", "--", unit.as_str()], &[], SHORT),
        Query::AuditStatus => process::run("auditctl", &["-s"], &[], SHORT),
        Query::AuditRules => process::run("auditctl", &["-l"], &[], SHORT),
        Query::AuditVersion => process::run("auditctl", &["-v"], &[], SHORT),
        Query::DockerdVersion => process::run("dockerd", &["--version"], &[], SHORT),
        // without a config there is no context and no plugin, so nothing but the client itself is asked
        Query::DockerVersion => process::run("docker", &["--version"], &[("DOCKER_CONFIG", "/nonexistent")], SHORT),
    }
}

/// Runs one command that changes something. The answer is that of the command itself; what prepares it
/// (`reset-failed`) may fail.
pub(super) fn run(command: &Command) -> io::Result<Answer> {
    match command {
        Command::Install { argv } => {
            program(argv, &[("DEBIAN_FRONTEND", "noninteractive"), ("NEEDRESTART_SUSPEND", "1")], INSTALL)
        }
        Command::Enable(unit) => systemctl(&["enable", "--", unit]),
        Command::Disable(unit) => systemctl(&["disable", "--", unit]),
        Command::Start(unit) => queue("start", unit),
        Command::Stop(unit) => systemctl(&["stop", "--no-block", "--", unit]),
        Command::Restart(unit) => queue("restart", unit),
        Command::Reload(unit) => systemctl(&["reload", "--", unit]),
        Command::ResetFailed(units) => {
            let units = units.iter().map(String::as_str);
            systemctl(&["reset-failed", "--"].into_iter().chain(units).collect::<Vec<_>>())
        }
        Command::DaemonReload => systemctl(&["daemon-reload"]),
        Command::LoadAuditRules => process::run("augenrules", &["--load"], &[], WORK),
        Command::AddAuditRule(rule) => process::run("auditctl", &arguments(rule), &[], SHORT),
        Command::RemoveAuditRule(rule) => process::run("auditctl", &removal(rule)?, &[], SHORT),
        Command::ValidateDaemon { argv } => {
            // measured with 26.1.5: it creates the user dockremap before it validates anything
            if argv.iter().any(|arg| arg.starts_with("--userns-remap")) {
                return Err(refused("dockerd --validate with --userns-remap would create a user"));
            }
            program(argv, &[], VALIDATE)
        }
        Command::ComposeCheck(_) | Command::ComposeHash { .. } => compose(command, COMPOSE),
        Command::ComposeUp { .. } => compose(command, COMPOSE_UP),
        Command::RemoveContainer { id, socket } => client("docker", &["rm", "--", id], socket, WORK),
        Command::ArmTimer { unit, seconds, argv } => {
            process::run("systemd-run", &timer(unit, *seconds, argv), &[], SHORT)
        }
        Command::DisarmTimer(unit) => disarm(unit),
    }
}

fn systemctl(args: &[&str]) -> io::Result<Answer> {
    process::run("systemctl", args, &[], WORK)
}

/// Starts or restarts without waiting: docker.service has no start timeout, so a waiting systemctl may hang for ever.
/// `reset-failed` clears the start counter: three starts in 60 s lock the unit even when they succeed.
fn queue(verb: &str, unit: &str) -> io::Result<Answer> {
    systemctl(&["reset-failed", "--", unit])?;
    systemctl(&queued(verb, unit))
}

fn queued<'a>(verb: &'a str, unit: &'a str) -> [&'a str; 4] {
    [verb, "--no-block", "--", unit]
}

/// A command given as a whole; its program must be an absolute path, as it was shown.
fn program(argv: &[String], extra: &[(&str, &str)], timeout: Duration) -> io::Result<Answer> {
    match argv.split_first() {
        Some((path, args)) if path.starts_with('/') => process::run(path, args, extra, timeout),
        _ => Err(refused("a command needs a program's absolute path")),
    }
}

fn compose(command: &Command, timeout: Duration) -> io::Result<Answer> {
    let Some((project, argv)) = command.compose_argv() else { return Err(refused("no command of compose's")) };
    let Some(socket) = &project.socket else {
        return Err(refused("compose without a socket would choose an Engine itself"));
    };
    let program =
        project.tool.program().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "compose: not installed"))?;
    client(program, &argv, socket, timeout)
}

/// A client of the Engine that is meant, whatever context or configuration the caller has: of the environment it gets
/// the home of root alone, for the `~` in compose files.
fn client<A: AsRef<OsStr>>(program: &str, args: &[A], socket: &Path, timeout: Duration) -> io::Result<Answer> {
    let host = format!("unix://{}", socket.display());
    let extra = [("HOME", "/root"), ("DOCKER_CONFIG", "/nonexistent"), ("DOCKER_HOST", host.as_str())];
    process::run(program, args, &extra, timeout)
}

/// `--collect`: a failed rollback does not leave a failed unit that blocks the name of the next run. A rollback goes on
/// when its unit is stopped: its children have to be spared then, and it takes longer than systemd waits by itself.
fn timer(unit: &str, seconds: u64, argv: &[String]) -> Vec<String> {
    let mut args = vec![
        format!("--unit={unit}"),
        format!("--on-active={seconds}s"),
        "--timer-property=AccuracySec=1s".into(),
        "--property=KillMode=mixed".into(),
        "--property=TimeoutStopSec=300s".into(),
        "--collect".into(),
        "--".into(),
    ];
    args.extend_from_slice(argv);
    args
}

/// Stops the timer alone: its service may be the rollback that is running right now.
fn disarm(unit: &str) -> io::Result<Answer> {
    let (timer, service) = (format!("{unit}.timer"), format!("{unit}.service"));
    let answer = systemctl(&["stop", "--", &timer])?;
    systemctl(&["reset-failed", "--", &timer, &service])?;
    Ok(answer)
}

/// The arguments that remove a rule listed by `auditctl -l`.
fn removal(rule: &str) -> io::Result<Vec<String>> {
    let mut args = arguments(rule);
    let undo = match args.first().map(String::as_str) {
        Some("-w") => "-W",
        Some("-a" | "-A") => "-d",
        _ => return Err(refused(&format!("audit rule `{rule}`: neither a watch nor a syscall rule"))),
    };
    args[0] = undo.into();
    Ok(args)
}

/// A listed rule as an argument array. auditctl quotes nothing, so a blank belongs to the value unless an option
/// follows it.
fn arguments(rule: &str) -> Vec<String> {
    let option = |word: &str| word.len() == 2 && word.starts_with('-') && word.as_bytes()[1].is_ascii_alphabetic();
    let mut args: Vec<String> = Vec::new();
    for word in rule.trim().split(' ') {
        match args.last_mut() {
            Some(value) if !option(word) && !option(value) => {
                value.push(' ');
                value.push_str(word);
            }
            _ => args.push(word.to_owned()),
        }
    }
    args
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_shown_together_come_apart_or_are_asked_for_one_by_one() {
        let all = |stdout: &str| Answer { stdout: stdout.into(), ..Answer::default() };
        let both = all("Id=a.service\nDescription=A\n\nId=b.service\nLoadState=not-found\n");
        let each = apart(&both, 2).unwrap();
        assert_eq!(each, [all("Id=a.service\nDescription=A\n"), all("Id=b.service\nLoadState=not-found\n")]);
        for odd in [
            Answer { status: 1, ..both.clone() },
            Answer { stderr: "Unit name b is not valid.".into(), ..both.clone() },
            all("Id=a.service\nStatusText=one\n\ntwo\n"),
            all("Id=a.service\n"),
            all("Id=a.service\nX=\n\nId=b.service\n\nId=c.service\n"),
        ] {
            assert_eq!(apart(&odd, 2), None, "{odd:?}");
        }
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let unit = |name: &str| Query::UnitShow(name.to_owned());
        let queries = [unit("no-such-1.service"), Query::DockerVersion, unit("no-such-2.service"), Query::AuditVersion];
        // which of these programs are here differs; that each question has its own answer does not
        let told = |answer: io::Result<Answer>| {
            let said = answer.map_err(|error| error.to_string())?;
            let own = said.stdout.lines().find(|line| line.starts_with("Id=")).map(str::to_owned);
            Ok::<_, String>((said.status, own.unwrap_or(said.stdout), said.stderr))
        };
        for (query, answer) in queries.iter().zip(ask_all(&queries)) {
            assert_eq!(told(answer), told(ask(query)), "{query:?}");
        }
    }

    #[test]
    fn listed_rules_become_their_removal() {
        for (rule, want) in [
            ("-w /etc/docker -p wa -k docker", vec!["-W", "/etc/docker", "-p", "wa", "-k", "docker"]),
            ("-w /etc/my docker -p r -k a -k b", vec!["-W", "/etc/my docker", "-p", "r", "-k", "a", "-k", "b"]),
            (
                "-a always,exit -S all -F path=/usr/bin/runc -F perm=wa -F key=docker",
                vec!["-d", "always,exit", "-S", "all", "-F", "path=/usr/bin/runc", "-F", "perm=wa", "-F", "key=docker"],
            ),
            ("-a never,task", vec!["-d", "never,task"]),
        ] {
            assert_eq!(removal(rule).unwrap(), want);
        }
        for rule in ["-D", "", "No rules", "-e 0"] {
            assert_eq!(removal(rule).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{rule}");
        }
    }

    #[test]
    fn the_dead_man_timer_runs_an_argument_array() {
        let argv = ["/var/lib/x/seaworthy".to_owned(), "rollback".into(), "--yes".into()];
        assert_eq!(
            timer("seaworthy-1", 300, &argv).join(" "),
            "--unit=seaworthy-1 --on-active=300s --timer-property=AccuracySec=1s --property=KillMode=mixed \
             --property=TimeoutStopSec=300s --collect -- /var/lib/x/seaworthy rollback --yes"
        );
    }

    #[test]
    fn no_start_is_waited_for() {
        assert_eq!(queued("restart", "docker.service").join(" "), "restart --no-block -- docker.service");
    }

    #[test]
    fn a_relative_program_and_a_validation_that_writes_are_refused() {
        for command in [
            Command::Install { argv: vec!["apt-get".into(), "install".into()] },
            Command::Install { argv: vec![] },
            Command::ValidateDaemon { argv: vec!["/bin/echo".into(), "--userns-remap=default".into()] },
        ] {
            assert_eq!(run(&command).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{command:?}");
        }
    }

    #[test]
    fn an_install_is_noninteractive() {
        let answer = run(&Command::Install { argv: vec!["/usr/bin/env".into()] }).unwrap();
        assert!(answer.stdout.contains("DEBIAN_FRONTEND=noninteractive\n"), "{}", answer.stdout);
        assert!(answer.stdout.contains("NEEDRESTART_SUSPEND=1\n"), "{}", answer.stdout);
    }
}
