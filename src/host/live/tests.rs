#![expect(clippy::disallowed_methods, reason = "a test looks at what was really written")]

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use nix::sys::stat::umask;
use nix::unistd::{getegid, mkfifo};

use super::*;
use crate::host::path::resolve;
use crate::host::testing::TempDir;

fn image() -> (TempDir, LiveHost) {
    let dir = TempDir::new();
    let host = LiveHost::new(Some(dir.path().to_owned())).unwrap();
    (dir, host)
}

fn p(path: &str) -> &Path {
    Path::new(path)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_image_cannot_lead_outside_itself() {
    let (dir, mut host) = image();
    let outside = TempDir::new();
    let secret = outside.file("secret", b"host");
    dir.dir("etc");
    dir.link("absolute", secret.to_str().unwrap());
    dir.link("etc/up", "../../../../../../../../../../etc/hostname");
    dir.link("dir", outside.path().to_str().unwrap());
    for path in ["/absolute", "/etc/up", "/dir/secret", "/etc/../../../../../../../etc/passwd"] {
        assert_eq!(host.read(p(path)).unwrap_err().kind(), ErrorKind::NotFound, "{path}");
    }
    assert_eq!(host.list(p("/dir")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(host.create(p("/dir/new")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(host.remove(p("/dir/secret")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(secret.exists());
    // the same links lead to the image's own files, when it has them
    dir.file(secret.to_str().unwrap(), b"image");
    dir.file("etc/hostname", b"box");
    assert_eq!(host.read(p("/absolute")).unwrap(), b"image");
    assert_eq!(host.read(p("/dir/secret")).unwrap(), b"image");
    assert_eq!(host.read(p("/etc/up")).unwrap(), b"box");
    assert_eq!(resolve(&host, p("/etc/up")).unwrap(), p("/etc/hostname"));
    host.create(&p("/dir").join("new")).unwrap();
    assert!(!outside.path().join("new").exists());
    assert!(dir.path().join(outside.path().strip_prefix("/").unwrap()).join("new").exists());
}

#[test]
fn only_regular_files_are_read() {
    let (dir, host) = image();
    mkfifo(&dir.path().join("pipe"), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(dir.path().join("sock")).unwrap();
    assert_eq!(host.read(p("/pipe")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(host.read(p("/sock")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(host.read(p("/")).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(host.read(p("relative")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(host.stat(p("/sock")).unwrap().kind, FileKind::Socket);
    assert_eq!(host.stat(p("/pipe")).unwrap().kind, FileKind::Other);
    let big = std::fs::File::create(dir.path().join("big")).unwrap();
    big.set_len(MAX_FILE).unwrap();
    assert_eq!(host.read(p("/big")).unwrap().len() as u64, MAX_FILE);
    big.set_len(MAX_FILE + 1).unwrap();
    assert_eq!(host.read(p("/big")).unwrap_err().kind(), ErrorKind::FileTooLarge);
}

#[test]
fn the_running_host_is_read_too() {
    let host = LiveHost::new(None).unwrap();
    assert!(String::from_utf8(host.read(p("/proc/self/mountinfo")).unwrap()).unwrap().contains(" / "));
    assert_eq!(host.read(p("/dev/null")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(host.list(p("/etc")).unwrap().contains(&"passwd".to_owned()));
    assert_eq!(host.user_name(0).as_deref(), Some("root"));
    assert_eq!(host.group("root").unwrap().gid, 0);
    assert_eq!((host.user_name(3_999_999_999), host.group("no-such-group")), (None, None));
    assert!(!host.offline() && host.now() > 1_600_000_000);
    let want = std::fs::symlink_metadata("/proc/self").unwrap();
    let stat = host.stat(p("/proc/self")).unwrap();
    assert_eq!(stat.kind, FileKind::Symlink(std::process::id().to_string()));
    assert_eq!((stat.uid, stat.gid, stat.mode), (want.uid(), want.gid(), want.mode() & 0o7777));
    let exe = std::env::current_exe().unwrap();
    let (stat, want) = (host.stat(&exe).unwrap(), std::fs::metadata(&exe).unwrap());
    assert_eq!(
        (stat.kind, stat.size, stat.nlink, stat.mtime),
        (FileKind::File, want.len(), want.nlink(), want.mtime())
    );
    // the device as mountinfo writes it, so that both can be compared
    let mounts = String::from_utf8(host.read(p("/proc/self/mountinfo")).unwrap()).unwrap();
    let proc = host.stat(p("/proc")).unwrap().dev;
    let listed = |line: &str| line.split(' ').nth(2) == Some(&proc) && line.split(' ').nth(4) == Some("/proc");
    assert!(mounts.lines().any(listed), "{proc}");
    // the kernel's own links can be looked at
    assert_eq!(host.stat(p("/proc/self/exe")).unwrap().kind, FileKind::Symlink(exe.to_string_lossy().into()));
    assert!(
        matches!(host.stat(p("/proc/self/ns/pid")).unwrap().kind, FileKind::Symlink(ns) if ns.starts_with("pid:["))
    );
}

#[test]
fn modes_are_exact_whatever_the_umask() {
    let (dir, mut host) = image();
    let old = umask(Mode::from_bits_truncate(0o077));
    let made = host.make_dir(p("/open"), 0o1777).and_then(|()| host.make_dir(p("/etc"), 0o755));
    let created = host.create(p("/etc/new"));
    umask(old);
    made.unwrap();
    created.unwrap();
    assert_eq!(mode(&dir.path().join("open")), 0o1777);
    assert_eq!(mode(&dir.path().join("etc")), 0o755);
    assert_eq!(mode(&dir.path().join("etc/new")), 0o600);
    assert_eq!(host.create(p("/etc/new")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    host.set_mode(p("/etc/new"), 0o4751).unwrap();
    assert_eq!(host.stat(p("/etc/new")).unwrap().mode, 0o4751);
    assert_eq!(host.set_mode(p("/etc/new"), 0o10_0644).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_file_is_written_replaced_and_removed() {
    let (dir, mut host) = image();
    dir.file("etc/daemon.json", b"old");
    host.create(p("/etc/.new")).unwrap();
    host.append(p("/etc/.new"), b"{").unwrap();
    host.append(p("/etc/.new"), b"}\n").unwrap();
    host.set_owner(p("/etc/.new"), host.euid(), getegid().as_raw()).unwrap();
    host.sync(p("/etc/.new")).unwrap();
    host.rename(p("/etc/.new"), p("/etc/daemon.json")).unwrap();
    host.sync(p("/etc")).unwrap();
    host.sync(p("/")).unwrap();
    assert_eq!(std::fs::read(dir.path().join("etc/daemon.json")).unwrap(), b"{}\n");
    assert_eq!(host.list(p("/etc")).unwrap(), ["daemon.json"]);
    assert_eq!(host.rename(p("/etc/daemon.json"), p("/x")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(host.remove_dir(p("/etc")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    host.remove(p("/etc/daemon.json")).unwrap();
    host.remove_dir(p("/etc")).unwrap();
    assert_eq!(host.stat(p("/etc")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_link_in_the_place_of_a_file_is_never_followed() {
    let (dir, mut host) = image();
    let target = dir.file("target", b"x");
    dir.link("link", "target");
    assert_eq!(host.create(p("/link")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(host.append(p("/link"), b"y").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(host.set_mode(p("/link"), 0o777).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(host.set_xattr(p("/link"), "user.a", b"b").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(host.sync(p("/link")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!((mode(&target), std::fs::read(&target).unwrap()), (0o644, b"x".to_vec()));
    host.set_owner(p("/link"), host.euid(), getegid().as_raw()).unwrap();
    host.remove(p("/link")).unwrap();
    assert!(target.exists());
}

#[test]
fn a_socket_can_get_a_mode() {
    let (dir, mut host) = image();
    let _listener = UnixListener::bind(dir.path().join("sock")).unwrap();
    host.set_mode(p("/sock"), 0o660).unwrap();
    assert_eq!(mode(&dir.path().join("sock")), 0o660);
    assert_eq!(host.append(p("/sock"), b"x").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn extended_attributes_come_back() {
    let (dir, mut host) = image();
    dir.file("f", b"");
    dir.link("l", "f");
    match host.set_xattr(p("/f"), "user.seaworthy", b"a\0b") {
        Err(e) if e.kind() == ErrorKind::Unsupported => return, // a tmpfs before Linux 6.6
        set => set.unwrap(),
    }
    assert!(host.xattrs(p("/f")).unwrap().contains(&("user.seaworthy".into(), b"a\0b".to_vec())));
    assert!(host.xattrs(p("/l")).unwrap().iter().all(|(name, _)| name != "user.seaworthy"));
    assert_eq!(host.remove_xattr(p("/l"), "user.seaworthy").unwrap_err().kind(), ErrorKind::InvalidInput);
    host.remove_xattr(p("/f"), "user.seaworthy").unwrap();
    assert!(host.xattrs(p("/f")).unwrap().iter().all(|(name, _)| name != "user.seaworthy"));
}

#[test]
fn an_image_runs_nothing_and_has_its_own_accounts() {
    let (dir, mut host) = image();
    dir.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n+nis:x:7:7:::\nann:x:4242:4242::/:/bin/sh\n");
    dir.file("etc/group", b"root:x:0:\n# docker:x:1:\ndocker:x:977:ann,bob\nbad:x:none:\n");
    assert_eq!(host.user_name(4242).as_deref(), Some("ann"));
    assert_eq!((host.user_name(7), host.user_name(1)), (None, None));
    assert_eq!(host.group_name(977).as_deref(), Some("docker"));
    let members = vec!["ann".to_owned(), "bob".to_owned()];
    assert_eq!(host.group("docker"), Some(Group { gid: 977, members }));
    assert_eq!((host.group("bad"), host.group("none")), (None, None));
    assert!(host.offline());
    assert_eq!(host.ask(&Query::DockerVersion).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(host.run(&Command::DaemonReload).unwrap_err().kind(), ErrorKind::Unsupported);
    let answers = host.engine(p("/run/docker.sock"), &["/info".into(), "/version".into()]);
    assert!(answers.len() == 2 && answers.iter().all(|a| matches!(a, Err(EngineError::Unreachable(_)))));
    assert!(matches!(host.engine_post(p("/run/docker.sock"), "/x", None), Err(EngineError::Unreachable(_))));
}

#[test]
fn one_lock_at_a_time_in_a_directory_of_our_own() {
    let (dir, mut host) = image();
    let ours = dir.dir("var/lib").join("seaworthy");
    host.lock().unwrap();
    host.lock().unwrap();
    assert_eq!(mode(&ours), 0o700);
    let mut second = LiveHost::new(Some(dir.path().to_owned())).unwrap();
    assert_eq!(second.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(host);
    second.lock().unwrap();
    drop(second);

    let mut third = LiveHost::new(Some(dir.path().to_owned())).unwrap();
    std::fs::set_permissions(&ours, std::fs::Permissions::from_mode(0o770)).unwrap();
    assert_eq!(third.lock().unwrap_err().kind(), ErrorKind::PermissionDenied);
    std::fs::rename(&ours, dir.path().join("var/lib/other")).unwrap();
    std::os::unix::fs::symlink("other", &ours).unwrap();
    std::fs::set_permissions(dir.path().join("var/lib/other"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = third.lock().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[test]
fn the_copy_of_ourselves_is_whole_and_private() {
    let (dir, mut host) = image();
    host.copy_self(p("/seaworthy")).unwrap();
    let copy = dir.path().join("seaworthy");
    assert_eq!(mode(&copy), 0o700);
    let (copied, own) = (std::fs::read(&copy).unwrap(), std::fs::read("/proc/self/exe").unwrap());
    assert!(copied == own, "{} and {} bytes", copied.len(), own.len());
    assert_eq!(host.copy_self(p("/seaworthy")).unwrap_err().kind(), ErrorKind::AlreadyExists);
}
