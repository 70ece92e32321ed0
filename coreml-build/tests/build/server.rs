//! A small HTTP server for tests: it stores what it is given, until a test makes it lie.
//!
//! Owns: connections and the stored files. Must not: know what the files mean.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the server does with a request: method and path in; the whole answer out, or `None` to
/// answer as it should.
pub(crate) type Lie = dyn Fn(&str, &str, &Files) -> Option<Answer> + Send + Sync;

/// What a server that is stricter than this one says of a request; `None` when it takes it.
pub(crate) type Rules = fn(&Asked) -> Option<Answer>;

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The method.
    pub(crate) method: String,
    /// The path, with what stands behind `?`.
    pub(crate) path: String,
    /// Headers: lower-case name and value.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Stored files by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// An answer that is not the right one.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, then a byte each half second.
    Slow(Vec<u8>),
    /// A status and a body.
    Status(&'static str, Vec<u8>),
}

/// A running server; it runs until the test process ends.
pub(crate) struct Server {
    /// Its address.
    port: u16,
    /// What is shared with its threads.
    shared: Arc<Shared>,
}

/// What the threads of a server share.
struct Shared {
    /// What is stored.
    files: Mutex<Files>,
    /// How it lies.
    lie: Mutex<Box<Lie>>,
    /// What it does not take.
    rules: Rules,
    /// Requests so far: method, path, and the header `Authorization`.
    requests: Mutex<Vec<(String, String, String)>>,
}

impl Server {
    /// Starts an honest server.
    pub(crate) fn start() -> Self {
        Self::with_rules(|_| None)
    }

    /// Starts an honest server that does not take everything.
    pub(crate) fn with_rules(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            files: Mutex::default(),
            lie: Mutex::new(Box::new(|_, _, _| None)),
            rules,
            requests: Mutex::default(),
        });
        let server =
            Self { port: listener.local_addr().unwrap().port(), shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Whoever hangs up gets no answer.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        server
    }

    /// Returns its URL, with `credentials` such as `user:password@`.
    pub(crate) fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}127.0.0.1:{}/team", self.port)
    }

    /// Makes it lie.
    pub(crate) fn lies(
        &self,
        lie: impl Fn(&str, &str, &Files) -> Option<Answer> + Send + Sync + 'static,
    ) {
        *self.shared.lie.lock().unwrap() = Box::new(lie);
    }

    /// Calls `change` with the stored files.
    pub(crate) fn with_files<T>(&self, change: impl FnOnce(&mut Files) -> T) -> T {
        change(&mut self.shared.files.lock().unwrap())
    }

    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<(String, String, String)> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }
}

/// Answers one request.
fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Asked::default()
    };
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        let (name, value) = header.trim_end().split_once(": ").unwrap_or_default();
        asked.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let header = |name: &str| asked.headers.get(name).cloned().unwrap_or_default();
    let (authorization, only_new) = (header("authorization"), header("if-none-match") == "*");
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    asked.body.clone_from(&body);
    let (method, path) = (asked.method.clone(), asked.path.clone());
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push((
        method.clone(),
        path.clone(),
        authorization,
    ));
    let mut files = shared.files.lock().unwrap_or_else(PoisonError::into_inner);
    let lie = shared.lie.lock().unwrap_or_else(PoisonError::into_inner)(&method, &path, &files);
    let lie = lie.or_else(|| (shared.rules)(&asked));
    // What stands behind `?` signs a request, and names nothing.
    let file = path.split('?').next().unwrap_or_default().to_owned();
    let answer = lie.unwrap_or_else(|| match (method.as_str(), files.get(&file)) {
        ("GET", Some(file)) => Answer::Status("200 OK", file.clone()),
        ("HEAD", Some(_)) => Answer::Bytes(
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        ),
        ("PUT", Some(_)) if only_new => Answer::Status("412 Precondition Failed", Vec::new()),
        ("PUT", _) => {
            files.insert(file, body);
            Answer::Status("201 Created", Vec::new())
        }
        _ => Answer::Status("404 Not Found", b"<html>nothing here</html>".to_vec()),
    });
    drop(files);
    let mut stream = stream;
    match answer {
        Answer::Status(status, body) => {
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            )?;
            stream.write_all(&body)
        }
        Answer::Bytes(bytes) => stream.write_all(&bytes),
        Answer::Slow(bytes) => {
            stream.write_all(&bytes)?;
            loop {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    }
}
