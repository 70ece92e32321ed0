//! A remote cache behind HTTP: nginx with WebDAV, bazel-remote, any server with GET and PUT, or an
//! S3-compatible bucket.
//!
//! Owns: requests, timeouts, attempts, and what each status means.   Must not: follow redirects,
//! which could lead anywhere; show credentials.
//! Flow: `store.rs` → here.

use super::fault::Fault;
use super::layout::Part;
use super::location::Remote;

use std::fs::File;
use std::io::{Read, Seek};
use std::time::Duration;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, RequestBuilder, SendBody};

/// Pauses before further attempts at what failed by chance.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// Slowest transfer that is waited for, in bytes a second.
const SLOWEST: u64 = 128 << 10;

/// How long making a connection may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// Most bytes that a bucket takes at once.
#[cfg(feature = "s3")]
const LARGEST_OBJECT: u64 = 5 << 30;

/// Most bytes that are read of an answer about a failure.
const LARGEST_COMPLAINT: u64 = 64 << 10;

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// How it is addressed.
    address: Address,
    /// How long a request may take, apart from a transfer.
    patience: Duration,
    /// Connections.
    agent: Agent,
}

/// How a server is addressed, and how requests are authorized.
enum Address {
    /// Keys are paths.
    Paths {
        /// URL without credentials.
        url: String,
        /// The header `Authorization`.
        authorization: Option<String>,
    },
    /// Each URL is signed.
    #[cfg(feature = "s3")]
    Bucket(Box<super::bucket::Bucket>),
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paths { url, .. } => f.write_str(url),
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
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

/// The header of requests that store only what is not there yet.
const ONLY_NEW: (&str, &str) = ("if-none-match", "*");

impl Server {
    /// Makes a client of a web server.
    pub(super) fn new(url: &str, remote: &Remote) -> Self {
        let address =
            Address::Paths { url: url.to_owned(), authorization: remote.authorization.clone() };
        Self::at(address, remote)
    }

    /// Makes a client of a bucket.
    #[cfg(feature = "s3")]
    pub(super) fn of_bucket(bucket: super::bucket::Bucket, remote: &Remote) -> Self {
        Self::at(Address::Bucket(Box::new(bucket)), remote)
    }

    /// Makes a client.
    fn at(address: Address, remote: &Remote) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECTING.min(remote.patience)))
            .user_agent(concat!("coreml-build/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
        Self { address, patience: remote.patience, agent: config.build().new_agent() }
    }

    /// Returns how long a request with `size` bytes may take.
    fn limit(&self, size: u64) -> Option<Duration> {
        Some(self.patience + Duration::from_secs(size / SLOWEST))
    }

    /// Returns the URL of a request.
    ///
    /// Parameters: `headers` — what the request is sent with and must not be sent without.
    fn url(&self, method: &str, part: Part, key: &str, headers: &[(&str, &str)]) -> String {
        match &self.address {
            Address::Paths { url, .. } => {
                // Nothing is signed here.
                let _ = (method, headers);
                format!("{url}/{}/{key}", part.folder())
            }
            #[cfg(feature = "s3")]
            Address::Bucket(bucket) => {
                bucket.url(method, &format!("{}/{key}", part.folder()), headers)
            }
        }
    }

    /// Adds what every request has, and how long it may take.
    fn prepared<B>(&self, mut request: RequestBuilder<B>, size: u64) -> RequestBuilder<B> {
        if let Address::Paths { authorization: Some(authorization), .. } = &self.address {
            request = request.header("Authorization", authorization);
        }
        request.config().timeout_global(self.limit(size)).build()
    }

    /// Opens what is stored under `key`.
    pub(super) fn get(
        &self,
        part: Part,
        key: &str,
        size: u64,
    ) -> Result<Option<Box<dyn Read>>, Fault> {
        let response = self.attempts(|| {
            self.prepared(self.agent.get(self.url("GET", part, key, &[])), size).call()
        })?;
        match response.status().as_u16() {
            200 => {
                Ok(Some(Box::new(response.into_body().into_with_config().limit(u64::MAX).reader())))
            }
            404 | 410 if !self.is_bucket() => Ok(None),
            status => match self.complaint(response).as_deref() {
                Some("NoSuchKey") | None if status == 404 => Ok(None),
                code => Err(self.refusal(status, code)),
            },
        }
    }

    /// Returns whether there is something under `key`.
    pub(super) fn has(&self, part: Part, key: &str) -> Result<bool, Fault> {
        let response = self.attempts(|| {
            self.prepared(self.agent.head(self.url("HEAD", part, key, &[])), 0).call()
        })?;
        match response.status().as_u16() {
            200 | 204 => Ok(true),
            404 | 410 => Ok(false),
            status => Err(self.refusal(status, None)),
        }
    }

    /// Stores the content of `file` under `key`.
    ///
    /// Parameters: `replace` — also where there is something already; otherwise that stays.
    pub(super) fn put(
        &self,
        part: Part,
        key: &str,
        file: &File,
        size: u64,
        replace: bool,
    ) -> Result<(), Fault> {
        #[cfg(feature = "s3")]
        if self.is_bucket() && size > LARGEST_OBJECT {
            return Err(Fault::Refused(format!(
                "takes at most 5 GiB at once, and the model has {size} bytes"
            )));
        }
        let (mut status, mut code) = self.put_once(part, key, file, size, !replace)?;
        if self.is_bucket() && !replace && matches!(status, 409 | 501) {
            // 409: another client stores the same just now; 501: this server knows no conditions,
            // so it is asked first.
            if self.has(part, key)? {
                return Ok(());
            }
            (status, code) = self.put_once(part, key, file, size, status == 409)?;
        }
        match status {
            // 412: another client was first, and has stored the same.
            200 | 201 | 202 | 204 | 412 => Ok(()),
            405 | 409 | 501 if !self.is_bucket() => Err(Fault::Refused(format!(
                "does not take files (HTTP {status}): it needs PUT, and has to make folders by \
                itself"
            ))),
            400 if part == Part::Records && !self.is_bucket() => Err(Fault::Refused(
                "does not take records (HTTP 400): bazel-remote wants to be started with \
                --disable_http_ac_validation"
                    .into(),
            )),
            status => Err(self.refusal(status, code.as_deref())),
        }
    }

    /// Sends the content of `file`; returns the status, and what the server says about a failure.
    fn put_once(
        &self,
        part: Part,
        key: &str,
        file: &File,
        size: u64,
        only_new: bool,
    ) -> Result<(u16, Option<String>), Fault> {
        let headers: &[(&str, &str)] = if only_new { &[ONLY_NEW] } else { &[] };
        let response = self.attempts(|| {
            let mut file = file;
            file.rewind().map_err(Error::Io)?;
            let mut request =
                self.agent.put(self.url("PUT", part, key, headers)).header("Content-Length", size);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            self.prepared(request, size).send(SendBody::from_reader(&mut file))
        })?;
        let status = response.status();
        Ok((status.as_u16(), if status.is_success() { None } else { self.complaint(response) }))
    }

    /// Returns whether this is a bucket.
    fn is_bucket(&self) -> bool {
        !matches!(self.address, Address::Paths { .. })
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

    /// Returns the code by which a bucket's server names a failure, such as `AccessDenied`.
    fn complaint(&self, response: ureq::http::Response<Body>) -> Option<String> {
        if !self.is_bucket() {
            return None;
        }
        let mut text = String::new();
        response
            .into_body()
            .into_reader()
            .take(LARGEST_COMPLAINT)
            .read_to_string(&mut text)
            .ok()?;
        let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
        // It ends up in a message: nothing else than such a name does.
        let is_code = !code.is_empty()
            && code.len() <= 40
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_code.then(|| code.to_owned())
    }

    /// Returns what a status other than success means.
    ///
    /// Parameters: `code` — from [`Self::complaint`].
    fn refusal(&self, status: u16, code: Option<&str>) -> Fault {
        let answer = code.map_or(format!("HTTP {status}"), |code| format!("HTTP {status}, {code}"));
        Fault::Refused(match status {
            300..=399 if self.is_bucket() => {
                format!("is in another region ({answer}): set AWS_REGION to the bucket's")
            }
            300..=399 => {
                format!(
                    "redirects to somewhere else ({answer}), which is not followed: name the final \
                    address"
                )
            }
            403 if code == Some("RequestTimeTooSkewed") => {
                format!("refuses ({answer}): set this machine's clock")
            }
            401 | 403 if self.is_bucket() => format!(
                "refuses ({answer}): check the keys, and that they allow GetObject, ListBucket \
                and, to write, PutObject"
            ),
            401 | 403 => {
                format!(
                    "refuses ({answer}): check COREML_REMOTE_TOKEN, or the user and password in \
                    the URL"
                )
            }
            404 => format!("has no such bucket ({answer})"),
            413 | 507 => format!("has no room for the model ({answer})"),
            _ => format!("answers {answer}"),
        })
    }
}

/// Sorts what an attempt gave.
fn outcome(result: Result<ureq::http::Response<Body>, Error>) -> Attempt {
    match result {
        Ok(response) if response.status().is_server_error() && response.status() != 501 => {
            Attempt::Again(format!("fails (HTTP {})", response.status().as_u16()))
        }
        Ok(response) if response.status() == 429 => {
            Attempt::Again("is asked too often (HTTP 429)".into())
        }
        Ok(response) => Attempt::Answer(response),
        // After so long a silence another attempt would time out too.
        Err(Error::Timeout(_)) => Attempt::Never(Fault::Down("does not answer in time".into())),
        Err(
            error @ (Error::HostNotFound
            | Error::Tls(_)
            | Error::Rustls(_)
            | Error::BadUri(_)
            | Error::Http(_)),
        ) => Attempt::Never(Fault::Down(format!("cannot be reached: {error}"))),
        Err(error) => Attempt::Again(format!("cannot be reached: {error}")),
    }
}
