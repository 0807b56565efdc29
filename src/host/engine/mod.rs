//! The Engine API over its unix socket.
//!
//! hyper's `http1` connection and JSON values, not a typed client: those close their word lists, and one unknown
//! word loses a whole answer. The only place with an asynchronous runtime; what is outside is synchronous.

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::seam::{EngineError, Take};

/// Connections at a time. dockerd's processor is the limit: 4 give nearly all there is, 8 the best.
const WORKERS: usize = 8;
/// Answers that did not come in time, after which the engine is taken for one that hangs.
const PATIENCE: usize = 8;
/// The most that is taken of one answer, in bytes.
const MAX_BODY: usize = 64 << 20;
/// Asked without prefix, since it says which prefix to use.
const VERSION: &str = "/version";
/// Answers with the text `OK`; has no version either.
const PING: &str = "/_ping";

/// Gets each of `paths`, concurrently, and hands each answer over as it comes, with its place in `paths`. Each has
/// `deadline` from the moment that it is asked.
pub(super) fn get_each(socket: &Path, paths: &[String], deadline: Duration, take: Take<'_>) {
    let asked = block_on(async {
        let mut first = Conn::new(socket, deadline);
        let prefix = if paths.iter().all(|path| is_plain(path)) { String::new() } else { first.prefix().await? };
        spread(first, paths, &prefix, take).await;
        Ok(())
    });
    if let Err(error) = asked.and_then(|asked| asked) {
        (0..paths.len()).for_each(|at| take(at, Err(error.clone())));
    }
}

/// Posts to `path`, with a JSON body or none. An empty answer is [`Value::Null`], and so is "not modified", with which the
/// engine says that a container was already started.
///
/// # Errors
/// See [`EngineError`].
pub(super) fn post(socket: &Path, path: &str, body: Option<&Value>, deadline: Duration) -> Result<Value, EngineError> {
    block_on(async {
        let mut conn = Conn::new(socket, deadline);
        let prefix = conn.prefix().await?;
        conn.call(&Method::POST, &format!("{prefix}{path}"), body).await
    })?
}

/// Whether a path is asked without version prefix.
fn is_plain(path: &str) -> bool {
    path == VERSION || path == PING
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, EngineError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|e| EngineError::Broken(format!("no runtime: {e}")))?.block_on(work))
}

/// Asks for all paths with up to [`WORKERS`] connections, of which `first` is one. One lost answer loses no other; but
/// an engine that leaves [`PATIENCE`] questions unanswered is asked nothing more.
async fn spread(first: Conn, paths: &[String], prefix: &str, take: Take<'_>) {
    let full = |path: &String| if is_plain(path) { path.clone() } else { format!("{prefix}{path}") };
    let todo: Arc<Vec<String>> = Arc::new(paths.iter().map(full).collect());
    let next = Arc::new(AtomicUsize::new(0));
    // As many answers wait as there are workers: whoever takes them sets the pace, and memory stays flat.
    let (give, mut answers) = mpsc::channel(WORKERS);
    let mut conn = Some(first);
    for _ in 0..WORKERS.min(paths.len()) {
        let Some(mut own) = conn.take() else { break };
        conn = Some(Conn { late: Arc::clone(&own.late), ..Conn::new(&own.socket, own.deadline) });
        let (todo, next, give) = (Arc::clone(&todo), Arc::clone(&next), give.clone());
        tokio::spawn(async move {
            while let Some((at, path)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, todo.get(i)?)))
            {
                let answer = if own.late.load(Ordering::Relaxed) < PATIENCE {
                    own.call(&Method::GET, path, None).await
                } else {
                    Err(EngineError::Broken(format!("{path}: not asked, the engine left {PATIENCE} without answer")))
                };
                if give.send((at, answer)).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(give);
    while let Some((at, answer)) = answers.recv().await {
        take(at, answer);
    }
}

/// Why one exchange failed.
enum Error {
    /// The connection was closed before the answer began; a kept-alive one may have been, by the engine's own clock.
    Closed(String),
    Engine(EngineError),
}

/// One connection, opened when it is needed and kept.
struct Conn {
    socket: PathBuf,
    deadline: Duration,
    open: Option<SendRequest<Full<Bytes>>>,
    /// Questions, of all connections together, that were not answered in time.
    late: Arc<AtomicUsize>,
}

impl Conn {
    fn new(socket: &Path, deadline: Duration) -> Self {
        Self { socket: socket.to_owned(), deadline, open: None, late: Arc::default() }
    }

    /// The prefix of the engine's own API version. A fixed one breaks: Docker 29's lowest is above 20.10's highest.
    async fn prefix(&mut self) -> Result<String, EngineError> {
        let version = self.call(&Method::GET, VERSION, None).await?;
        match version.get("ApiVersion").and_then(Value::as_str) {
            Some(version) => Ok(format!("/v{version}")),
            None => Err(EngineError::Broken("/version: no ApiVersion in the answer".into())),
        }
    }

    /// One question and its answer, within the deadline.
    async fn call(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, EngineError> {
        // an idle connection may have been closed by the engine; what may change something is never asked twice
        let again = method == Method::GET && self.open.is_some();
        let deadline = self.deadline;
        let exchange = async {
            match self.exchange(method, path, body).await {
                Err(Error::Closed(_)) if again => {
                    self.open = None;
                    self.exchange(method, path, body).await
                }
                answer => answer,
            }
        };
        let answer = match tokio::time::timeout(deadline, exchange).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Error::Engine(error))) => Err(error),
            Ok(Err(Error::Closed(why))) => Err(EngineError::Broken(format!("{path}: connection closed: {why}"))),
            Err(_) => {
                self.late.fetch_add(1, Ordering::Relaxed);
                Err(EngineError::Broken(format!("{path}: no whole answer within {} s", deadline.as_secs_f32())))
            }
        };
        if matches!(answer, Err(EngineError::Broken(_))) {
            self.open = None; // never reuse a connection with half an answer in it
        }
        answer
    }

    async fn exchange(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let closed = |e: hyper::Error| Error::Closed(e.to_string());
        let mut open = match self.open.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => self.connect().await?,
        };
        let mut request = Request::builder().method(method).uri(path).header("host", "docker");
        if body.is_some() {
            // Without it the engine refuses to read a body.
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.map_or_else(Full::default, |body| Full::from(body.to_string())));
        let request = request.map_err(|e| broken(path, e))?;
        open.ready().await.map_err(closed)?;
        let answer = open.send_request(request).await.map_err(closed)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|e| broken(path, body_error(&*e)))?.to_bytes();
        self.open = Some(open);
        read_answer(method, path, status, &body).map_err(Error::Engine)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| Error::Engine(self.unreachable(&e)))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (open, conn) = handshake.map_err(|e| Error::Closed(e.to_string()))?;
        tokio::spawn(conn); // its errors arrive at the request that they concern
        Ok(open)
    }

    fn unreachable(&self, error: &io::Error) -> EngineError {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "no such socket".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            io::ErrorKind::ConnectionRefused => "connection refused, nobody listens".to_owned(),
            _ => error.to_string(),
        };
        EngineError::Unreachable(format!("{}: {why}", self.socket.display()))
    }
}

/// Status before content: an error's content may be anything.
fn read_answer(method: &Method, path: &str, status: StatusCode, body: &[u8]) -> Result<Value, EngineError> {
    let json = serde_json::from_slice::<Value>(body);
    if status == StatusCode::NOT_MODIFIED && method == Method::POST {
        return Ok(Value::Null);
    }
    if !status.is_success() {
        let message = json.ok().and_then(|value| Some(value.get("message")?.as_str()?.to_owned()));
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().chars().take(500).collect());
        return Err(EngineError::Status(status.as_u16(), message));
    }
    if path == PING {
        return Ok(Value::String(String::from_utf8_lossy(body).into_owned()));
    }
    if method == Method::POST && body.is_empty() {
        return Ok(Value::Null);
    }
    json.map_err(|e| EngineError::Broken(format!("{path}: not JSON: {e}")))
}

fn body_error(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    if error.is::<LengthLimitError>() {
        return format!("answer over {} MiB", MAX_BODY >> 20);
    }
    format!("answer broke off: {error}")
}

fn broken(path: &str, why: impl std::fmt::Display) -> Error {
    Error::Engine(EngineError::Broken(format!("{path}: {why}")))
}
