//! Child processes: found in fixed directories, given an argument array and an empty environment, ended in time.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::seam::Answer;

/// Where programs are looked for. Never the caller's PATH: seaworthy runs as root.
const DIRS: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];
/// The PATH of the children, which start programs themselves (package scripts, augenrules).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What is kept of each stream, in bytes; the rest is read and dropped, so that the child never blocks on us.
const KEEP: usize = 8 << 20;
/// How long a child that has to end may take over it before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long after a child's end its streams are waited for: a service that it started may hold them open for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// Runs a program to its end and returns what it said.
///
/// `program` is a bare name, looked up in fixed directories, or an absolute path. Standard input is empty, the
/// working directory is `/`, the environment is PATH, the locale C and `extra`. The child leads an own process
/// group, so that Ctrl-C at our terminal does not end a package manager half way.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] when there is no such program, [`io::ErrorKind::TimedOut`] when it did not end within
/// `timeout` (its whole group is ended then), [`io::ErrorKind::Interrupted`] when a signal ended it: what it said by
/// then is no answer; otherwise the operating system's.
pub(super) fn run<A: AsRef<OsStr>>(
    program: &str,
    args: &[A],
    extra: &[(&str, &str)],
    timeout: Duration,
) -> io::Result<Answer> {
    let path =
        find(program).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{program}: not installed")))?;
    #[expect(clippy::disallowed_methods, reason = "the one place that starts children")]
    let mut command = std::process::Command::new(path);
    command
        .args(args)
        .env_clear()
        .envs([("PATH", PATH), ("LC_ALL", "C"), ("LANG", "C")])
        .envs(extra.iter().copied())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (done, all_read) = channel();
    let stdout = collect(child.stdout.take(), done.clone());
    let stderr = collect(child.stderr.take(), done);
    let status = wait(&mut child, &all_read, timeout)?.ok_or_else(|| {
        io::Error::new(io::ErrorKind::TimedOut, format!("{program}: did not end within {} s", timeout.as_secs_f32()))
    })?;
    drain(&all_read);
    let status = status.code().ok_or_else(|| {
        let signal = status.signal().unwrap_or_default();
        io::Error::new(io::ErrorKind::Interrupted, format!("{program}: ended by signal {signal}"))
    })?;
    Ok(Answer { status, stdout: text(&stdout), stderr: text(&stderr) })
}

/// The program's path: an absolute one as given, a bare name from [`DIRS`].
fn find(program: &str) -> Option<PathBuf> {
    let runnable = |path: &Path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let path = PathBuf::from(program);
        return (path.is_absolute() && runnable(&path)).then_some(path);
    }
    DIRS.iter().map(|dir| Path::new(dir).join(program)).find(|path| runnable(path))
}

type Kept = Arc<Mutex<Vec<u8>>>;

/// Reads a stream in a thread of its own (both streams at once: a child that fills one while we wait for the other
/// would hang) and tells `done` at its end.
fn collect(stream: Option<impl Read + Send + 'static>, done: Sender<()>) -> Kept {
    let kept = Kept::default();
    let sink = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut chunk = vec![0; 64 << 10];
        let Some(mut stream) = stream else { return };
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => {
                    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = KEEP.saturating_sub(sink.len());
                    sink.extend_from_slice(&chunk[..n.min(room)]);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // the receiver is gone when the child's end was not waited for; nobody has to know then
        let _ = done.send(());
    });
    kept
}

/// Waits for the child's end; `None`: it took too long and was killed. Closed streams are what wakes us, since that
/// is how nearly every child ends; the rest is a poll.
fn wait(child: &mut Child, all_read: &Receiver<()>, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            end(child)?;
            return Ok(None);
        }
        if let Err(RecvTimeoutError::Disconnected) = all_read.recv_timeout(pause) {
            std::thread::sleep(pause);
        }
        pause = (pause * 2).min(Duration::from_millis(25));
    }
}

/// Ends the child's process group: asked first (a package manager then leaves its database whole), then killed. The
/// kernel gives no new process the id of a group that still has members, so what is killed is what we started.
fn end(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let deadline = Instant::now() + GRACE;
    killpg(group, Signal::SIGTERM)?;
    while child.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(25));
    }
    match killpg(group, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => child.wait().map(drop), // ESRCH: all have gone
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until both streams have been read to their end, or [`DRAIN`] is over.
fn drain(all_read: &Receiver<()>) {
    let deadline = Instant::now() + DRAIN;
    while all_read.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
}

fn text(kept: &Kept) -> String {
    String::from_utf8_lossy(&kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn sh(script: &str, timeout: Duration) -> io::Result<Answer> {
        run("sh", &["-c", script], &[("EXTRA", "1")], timeout)
    }

    #[test]
    fn a_missing_program_is_not_found() {
        for name in ["no-such-program-here", "/usr/bin/no-such-program", "bin/sh", "/etc/passwd"] {
            let error = run::<&str>(name, &[], &[], LONG).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}");
        }
    }

    #[test]
    fn status_and_both_streams_come_back() {
        let answer = sh("echo out; echo err >&2; exit 3", LONG).unwrap();
        assert_eq!(answer, Answer { status: 3, stdout: "out\n".into(), stderr: "err\n".into() });
        assert_eq!(sh("echo half; kill -TERM $$", LONG).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    /// A Ctrl-C goes to the whole group that is in front of the terminal: apt and dpkg are not in it.
    #[test]
    fn a_child_leads_a_group_of_its_own() {
        let group = sh("cut -d' ' -f5 /proc/$$/stat; echo $$", LONG).unwrap().stdout;
        let (group, own) = group.trim().split_once('\n').unwrap();
        assert_eq!(group, own);
        assert_ne!(group, nix::unistd::getpgrp().to_string());
    }

    #[test]
    fn the_environment_is_ours_alone() {
        let answer = run::<&str>("env", &[], &[("EXTRA", "1")], LONG).unwrap();
        let mut lines: Vec<_> = answer.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["EXTRA=1", "LANG=C", "LC_ALL=C", &format!("PATH={PATH}")]);
        assert_eq!(sh("cat; pwd", LONG).unwrap().stdout, "/\n");
    }

    #[test]
    fn more_than_is_kept_on_both_streams_does_not_block() {
        let answer = sh("head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2; echo end >&2", LONG).unwrap();
        assert_eq!((answer.status, answer.stdout.len(), answer.stderr.len()), (0, KEEP, KEEP));
    }

    /// Whether a process with this one argument, `sleep`'s, runs.
    fn sleeps(seconds: &str) -> bool {
        sh(&format!("grep -qz '^{seconds}$' /proc/[0-9]*/cmdline 2>/dev/null"), LONG).unwrap().ok()
    }

    #[test]
    fn a_silent_child_and_its_own_children_are_ended_in_time() {
        let begin = Instant::now();
        let waiting = std::thread::spawn(|| {
            sh("trap '' TERM; sleep 86399.125 & trap - TERM; sleep 86399.25; true", Duration::from_secs(1))
        });
        while !(sleeps("86399.125") && sleeps("86399.25")) {
            assert!(begin.elapsed() < Duration::from_secs(1), "never started");
        }
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() < GRACE, "{:?}", begin.elapsed());
        while sleeps("86399.125") || sleeps("86399.25") {
            assert!(begin.elapsed() < GRACE, "still there");
        }
    }

    #[test]
    fn a_child_that_ignores_sigterm_is_killed() {
        let begin = Instant::now();
        let error = sh("trap '' TERM; while :; do sleep 1; done", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() < GRACE * 3);
    }

    #[test]
    fn a_service_left_behind_with_our_pipe_does_not_hold_us() {
        let begin = Instant::now();
        let answer = sh("sleep 5 & echo started", LONG).unwrap();
        assert_eq!(answer.stdout, "started\n");
        assert!(begin.elapsed() < Duration::from_secs(4));
    }
}
