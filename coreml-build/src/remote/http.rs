//! A remote cache behind HTTP: nginx with WebDAV, bazel-remote, or anything that has GET and PUT.
//!
//! Owns: requests, timeouts, attempts, and what each status means. Must not: follow redirects, which could lead anywhere;
//! show credentials.
//! Flow: `store.rs` → here.

use super::location::Remote;
use super::store::{Fault, Part};
use std::fs::File;
use std::io::{Read, Seek};
use std::time::Duration;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, SendBody};

/// Pauses before further attempts at what failed by chance.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// Slowest transfer that is waited for, in bytes a second.
const SLOWEST: u64 = 128 << 10;

/// How long making a connection may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// URL without credentials.
    url: String,
    /// The header `Authorization`.
    authorization: Option<String>,
    /// How long a request may take, apart from a transfer.
    patience: Duration,
    /// Connections.
    agent: Agent,
}

/// What came of one attempt.
enum Attempt {
    /// An answer.
    Answer(ureq::http::Response<Body>),
    /// Nothing this time; another attempt may do.
    Again(String),
    /// Nothing, and another attempt would not help.
    Never(Fault),
}

impl Server {
    /// Makes a client.
    pub(super) fn new(url: &str, remote: &Remote) -> Result<Self, String> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECTING.min(remote.patience)))
            .user_agent(concat!("coreml-build/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
        Ok(Self {
            url: url.to_owned(),
            authorization: remote.authorization.clone(),
            patience: remote.patience,
            agent: config.build().new_agent(),
        })
    }

    /// Returns how long a request with `size` bytes may take.
    fn limit(&self, size: u64) -> Option<Duration> {
        Some(self.patience + Duration::from_secs(size / SLOWEST))
    }

    /// Opens what is stored under `key`.
    pub(super) fn get(&self, part: Part, key: &str, size: u64) -> Result<Option<Box<dyn Read>>, Fault> {
        let url = format!("{}/{}/{key}", self.url, part.folder());
        let response = self.attempts(|| {
            let mut request = self.agent.get(&url);
            if let Some(authorization) = &self.authorization {
                request = request.header("Authorization", authorization);
            }
            request.config().timeout_global(self.limit(size)).build().call()
        })?;
        match response.status().as_u16() {
            200 => Ok(Some(Box::new(response.into_body().into_with_config().limit(u64::MAX).reader()))),
            404 | 410 => Ok(None),
            status => Err(refusal(status)),
        }
    }

    /// Returns whether there is something under `key`.
    pub(super) fn has(&self, part: Part, key: &str) -> Result<bool, Fault> {
        let url = format!("{}/{}/{key}", self.url, part.folder());
        let response = self.attempts(|| {
            let mut request = self.agent.head(&url);
            if let Some(authorization) = &self.authorization {
                request = request.header("Authorization", authorization);
            }
            request.config().timeout_global(self.limit(0)).build().call()
        })?;
        match response.status().as_u16() {
            200 | 204 => Ok(true),
            404 | 410 => Ok(false),
            status => Err(refusal(status)),
        }
    }

    /// Stores the content of `file` under `key`.
    ///
    /// Parameters: `replace` — also where there is something already; otherwise that stays.
    pub(super) fn put(&self, part: Part, key: &str, file: &File, size: u64, replace: bool) -> Result<(), Fault> {
        let url = format!("{}/{}/{key}", self.url, part.folder());
        let response = self.attempts(|| {
            let mut file = file;
            file.rewind().map_err(Error::Io)?;
            let mut request = self.agent.put(&url).header("Content-Length", size);
            if !replace {
                request = request.header("If-None-Match", "*");
            }
            if let Some(authorization) = &self.authorization {
                request = request.header("Authorization", authorization);
            }
            let body = SendBody::from_reader(&mut file);
            request.config().timeout_global(self.limit(size)).build().send(body)
        })?;
        match response.status().as_u16() {
            // 412: somebody was first, and has stored the same.
            200 | 201 | 202 | 204 | 412 => Ok(()),
            405 | 409 | 501 => Err(Fault::Refused(format!(
                "does not take files (HTTP {}): it needs PUT, and has to make folders by itself",
                response.status().as_u16()
            ))),
            status => Err(refusal(status)),
        }
    }

    /// Calls `request` until there is an answer, or it is clear that there will be none.
    fn attempts(
        &self,
        request: impl Fn() -> Result<ureq::http::Response<Body>, Error>,
    ) -> Result<ureq::http::Response<Body>, Fault> {
        let mut pauses = PAUSES.iter();
        loop {
            match outcome(request()) {
                Attempt::Answer(response) => return Ok(response),
                Attempt::Never(fault) => return Err(fault),
                Attempt::Again(problem) => match pauses.next() {
                    Some(pause) => std::thread::sleep(*pause),
                    None => return Err(Fault::Down(problem)),
                },
            }
        }
    }
}

/// Sorts what an attempt gave.
fn outcome(result: Result<ureq::http::Response<Body>, Error>) -> Attempt {
    match result {
        Ok(response) if response.status().is_server_error() && response.status() != 501 => {
            Attempt::Again(format!("fails (HTTP {})", response.status().as_u16()))
        }
        Ok(response) if response.status() == 429 => Attempt::Again("is asked too often (HTTP 429)".into()),
        Ok(response) => Attempt::Answer(response),
        // Whoever was silent for so long would be silent again.
        Err(Error::Timeout(_)) => Attempt::Never(Fault::Down("does not answer in time".into())),
        Err(error @ (Error::HostNotFound | Error::Tls(_) | Error::Rustls(_) | Error::BadUri(_) | Error::Http(_))) => {
            Attempt::Never(Fault::Down(format!("cannot be reached: {error}")))
        }
        Err(error) => Attempt::Again(format!("cannot be reached: {error}")),
    }
}

/// Returns what a status other than success means.
fn refusal(status: u16) -> Fault {
    Fault::Refused(match status {
        300..=399 => {
            format!("redirects to somewhere else (HTTP {status}), which is not followed: name the final address")
        }
        401 | 403 => format!("refuses (HTTP {status}): check COREML_REMOTE_TOKEN, or the user and password in the URL"),
        413 | 507 => format!("has no room for the model (HTTP {status})"),
        _ => format!("answers HTTP {status}"),
    })
}
