use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

use crate::host::testing::TempDir;

/// All answers, in the order of `paths`.
fn get_all(socket: &Path, paths: &[String], deadline: Duration) -> Vec<Result<Value, EngineError>> {
    let mut answers: Vec<_> = paths.iter().map(|_| None).collect();
    get_each(socket, paths, deadline, &mut |at, answer| {
        assert!(answers[at].replace(answer).is_none(), "answered twice: {}", paths[at]);
    });
    answers.into_iter().map(|answer| answer.expect("each is answered")).collect()
}

const DEADLINE: Duration = Duration::from_millis(400);

/// An engine that answers with bytes by request line and notes what it was asked.
struct Fake {
    _dir: TempDir,
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

/// What one request is answered with.
enum Reply {
    /// These bytes; the connection stays.
    Keep(Vec<u8>),
    /// These bytes; then the connection is closed.
    Close(Vec<u8>),
    /// These bytes; then nothing, and the connection stays open.
    Stall(Vec<u8>),
}

impl Fake {
    /// `reply` gets the request line and the number of the request on its connection, from 0.
    fn new(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let dir = TempDir::new();
        let socket = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (asked, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (log, count, reply) = (Arc::clone(&asked), Arc::clone(&connections), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let (log, reply) = (Arc::clone(&log), Arc::clone(&reply));
                std::thread::spawn(move || serve(&stream, &log, &*reply));
            }
        });
        Self { _dir: dir, socket, asked, connections }
    }

    fn get(&self, paths: &[&str]) -> Vec<Result<Value, EngineError>> {
        get_all(&self.socket, &paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(), DEADLINE)
    }

    fn one(&self, path: &str) -> Result<Value, EngineError> {
        self.get(&[path]).remove(0)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: &UnixStream, log: &Mutex<Vec<String>>, reply: &dyn Fn(&str, usize) -> Reply) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    for number in 0.. {
        let Some(request) = lines.next() else { return };
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let request = request.trim_end_matches(" HTTP/1.1").to_owned();
        log.lock().unwrap().push(request.clone());
        let mut stream = stream;
        match reply(&request, number) {
            Reply::Keep(bytes) => stream.write_all(&bytes).unwrap(),
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes);
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
            Reply::Stall(bytes) => {
                stream.write_all(&bytes).unwrap();
                std::thread::sleep(DEADLINE * 10);
                return;
            }
        }
    }
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn version() -> Reply {
    Reply::Keep(http("200 OK", r#"{"ApiVersion":"1.45","Version":"26.1.5"}"#))
}

/// Answers `/version`, and everything else by `reply`.
fn engine(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::new(move |request, number| if request == "GET /version" { version() } else { reply(request, number) })
}

fn is_broken(answer: &Result<Value, EngineError>, word: &str) {
    match answer {
        Err(EngineError::Broken(text)) if text.contains(word) => {}
        other => panic!("{other:?} should be broken by {word}"),
    }
}

#[test]
fn answers_come_in_order_over_few_connections() {
    let fake = engine(|request, _| Reply::Keep(http("200 OK", &json!(request).to_string())));
    let paths: Vec<String> = (0..100).map(|n| format!("/containers/{n}/json")).collect();
    let answers = get_all(&fake.socket, &paths, Duration::from_secs(5));
    for (path, answer) in paths.iter().zip(&answers) {
        assert_eq!(*answer, Ok(json!(format!("GET /v1.45{path}"))));
    }
    assert_eq!(fake.asked().len(), 101);
    assert!(fake.connections.load(Ordering::Relaxed) <= WORKERS);
    assert_eq!(get_all(&fake.socket, &[], DEADLINE), []);
}

#[test]
fn version_and_ping_have_no_prefix() {
    let fake = engine(|_, _| Reply::Keep(http("200 OK", "OK")));
    let answers = fake.get(&["/_ping", "/version"]);
    assert_eq!(answers[0], Ok(json!("OK")));
    assert_eq!(answers[1].as_ref().unwrap()["Version"], "26.1.5");
    let mut asked = fake.asked();
    asked.sort();
    assert_eq!(asked, ["GET /_ping", "GET /version"]);
}

#[test]
fn chunked_and_close_delimited_answers_are_whole() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n";
    let fake = engine(move |request, _| match request {
        "GET /v1.45/chunked" => Reply::Keep(chunked.into()),
        _ => Reply::Close(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[1,2]".to_vec()),
    });
    assert_eq!(fake.get(&["/chunked", "/closed"]), [Ok(json!({"a": 1})), Ok(json!([1, 2]))]);
}

#[test]
fn a_broken_answer_is_that_answer_alone() {
    let fake = engine(|request, _| match request {
        "GET /v1.45/silent" => Reply::Stall(vec![]),
        "GET /v1.45/stalls" => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\"".to_vec()),
        "GET /v1.45/short" => Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\"".to_vec()),
        "GET /v1.45/text" => Reply::Keep(http("200 OK", "<html>")),
        _ => Reply::Keep(http("200 OK", "true")),
    });
    let begin = Instant::now();
    let answers = fake.get(&["/silent", "/stalls", "/short", "/text", "/a", "/b", "/c", "/d", "/e", "/f"]);
    assert!(begin.elapsed() < DEADLINE * 3, "{:?}", begin.elapsed());
    is_broken(&answers[0], "within");
    is_broken(&answers[1], "within");
    is_broken(&answers[2], "broke off");
    is_broken(&answers[3], "not JSON");
    assert!(answers[4..].iter().all(|answer| *answer == Ok(json!(true))), "{answers:?}");
}

#[test]
fn bytes_that_drip_do_not_stretch_the_deadline() {
    let dir = TempDir::new();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(b"H").is_ok() {
            std::thread::sleep(DEADLINE / 8);
        }
    });
    let begin = Instant::now();
    assert!(matches!(get_all(&socket, &["/version".into()], DEADLINE)[..], [Err(EngineError::Broken(_))]));
    assert!(begin.elapsed() < DEADLINE * 3);
}

#[test]
fn an_error_carries_status_and_message() {
    let fake = engine(|request, _| match request {
        "GET /v1.45/json" => Reply::Keep(http("404 Not Found", r#"{"message":"no such network"}"#)),
        _ => Reply::Keep(http("502 Bad Gateway", "proxy\n")),
    });
    assert_eq!(
        fake.get(&["/json", "/text"]),
        [Err(EngineError::Status(404, "no such network".into())), Err(EngineError::Status(502, "proxy".into()))]
    );
}

#[test]
fn a_dropped_idle_connection_is_asked_again_by_get_alone() {
    let fake = engine(|request, number| match number {
        0 if request.starts_with("GET") => Reply::Keep(http("200 OK", "1")),
        _ => Reply::Close(vec![]), // as an engine whose idle time is over: the request is not looked at
    });
    assert_eq!(fake.one("/info"), Ok(json!(1)));
    assert_eq!(fake.asked(), ["GET /version", "GET /v1.45/info", "GET /v1.45/info"]);

    is_broken(&post(&fake.socket, "/containers/a/start", None, DEADLINE), "closed");
    assert_eq!(fake.asked()[3..], ["GET /version", "POST /v1.45/containers/a/start"]);
}

#[test]
fn a_post_may_answer_with_nothing() {
    let fake = engine(|request, _| match request {
        "POST /v1.45/start" => Reply::Keep(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        "POST /v1.45/started" => Reply::Keep(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        "POST /v1.45/json" => Reply::Keep(http("200 OK", r#"{"Warnings":null}"#)),
        _ => Reply::Keep(http("409 Conflict", r#"{"message":"in use"}"#)),
    });
    let post = |path| post(&fake.socket, path, None, DEADLINE);
    assert_eq!(post("/start"), Ok(Value::Null));
    assert_eq!(post("/started"), Ok(Value::Null));
    assert_eq!(post("/json"), Ok(json!({"Warnings": null})));
    assert_eq!(post("/other"), Err(EngineError::Status(409, "in use".into())));
}

#[test]
fn a_version_that_fails_fails_them_all() {
    let fake = Fake::new(|_, _| Reply::Keep(http("200 OK", r#"{"Version":"x"}"#)));
    for answer in fake.get(&["/info", "/networks"]) {
        is_broken(&answer, "ApiVersion");
    }
}

#[test]
fn nobody_there_says_why() {
    let dir = TempDir::new();
    let why = |name: &str| match get_all(&dir.path().join(name), &["/info".into()], DEADLINE).remove(0) {
        Err(EngineError::Unreachable(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(why("none").ends_with("/none: no such socket"));
    drop(UnixListener::bind(dir.path().join("left")).unwrap());
    assert!(why("left").contains("nobody listens"));
    if !nix::unistd::geteuid().is_root() {
        let _listener = UnixListener::bind(dir.path().join("private")).unwrap();
        std::fs::set_permissions(dir.path().join("private"), std::fs::Permissions::from_mode(0o000)).unwrap();
        assert!(why("private").ends_with("permission denied"));
    }
}

#[test]
fn one_question_that_hangs_costs_its_own_answer_only() {
    let fake =
        engine(
            |request, _| {
                if request.contains("/7/") { Reply::Stall(Vec::new()) } else { Reply::Keep(http("200 OK", "{}")) }
            },
        );
    let paths: Vec<String> = (0..50).map(|n| format!("/containers/{n}/json")).collect();
    let answers = get_all(&fake.socket, &paths, DEADLINE);
    for (at, answer) in answers.iter().enumerate() {
        if at == 7 { is_broken(answer, "no whole answer") } else { assert_eq!(*answer, Ok(json!({}))) }
    }
}

#[test]
fn an_engine_that_hangs_is_not_asked_a_thousand_times() {
    let fake = engine(|_, _| Reply::Stall(Vec::new()));
    let paths: Vec<String> = (0..1000).map(|n| format!("/containers/{n}/json")).collect();
    let answers = get_all(&fake.socket, &paths, DEADLINE);
    assert!(fake.asked().len() <= 1 + PATIENCE + WORKERS, "{}", fake.asked().len());
    is_broken(&answers[0], "no whole answer");
    is_broken(&answers[999], "not asked");
}
