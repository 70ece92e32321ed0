//! A remote cache in an S3-compatible bucket: where its objects are, and how requests are signed.
//!
//! Owns: addresses of objects. Must not: show keys, or a URL that is signed with them.
//! Flow: `cargo.rs` → [`Access::read`] (`profile.rs`); `http.rs` asks for the URL of each request.

use super::signature::{Credentials, Request, presigned};
use std::time::SystemTime;

/// Where a bucket is, for `http.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Its name.
    pub(super) name: String,
    /// What the names of all objects begin with: empty, or with `/` at its end.
    pub(super) prefix: String,
    /// How it is reached.
    pub(super) access: Access,
}

/// How buckets are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// The server, where it is not AWS's.
    pub(super) endpoint: Option<Endpoint>,
    /// Its region.
    pub(super) region: String,
    /// The keys.
    pub(super) credentials: Credentials,
}

/// A server that speaks S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `http` or `https`.
    scheme: String,
    /// Host, and port where it is not the scheme's own.
    host: String,
    /// What stands before the bucket in a path: empty, or with `/` at its beginning.
    base: String,
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// Errors: it is none, or has credentials in it; they are not repeated.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let wrong =
            || "is not reached: its endpoint is not of the form https://host:port".to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let own_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(wrong()),
        };
        let (host, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.is_empty() || !rest.is_ascii() || rest.contains(['@', '?', '#', '\\', ' ']) {
            return Err(wrong());
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host: host.strip_suffix(own_port).unwrap_or(host).to_owned(),
            base: base.trim_end_matches('/').to_owned(),
        })
    }
}

impl Bucket {
    /// Returns the URL of a request, signed now.
    ///
    /// Parameters: `key` — the object's name behind the prefix; `headers` — sent along: lower-case
    /// names, sorted.
    pub(super) fn url(&self, method: &str, key: &str, headers: &[(&str, &str)]) -> String {
        let Access { endpoint, region, credentials } = &self.access;
        let object = format!("{}{key}", self.prefix);
        let (scheme, host, path) = match endpoint {
            // Servers other than AWS's seldom have a domain for each bucket.
            Some(Endpoint { scheme, host, base }) => {
                (scheme.as_str(), host.clone(), format!("{base}/{}/{object}", self.name))
            }
            // Certificates for all buckets do not cover names with dots.
            None if self.name.contains('.') => {
                ("https", format!("s3.{}", domain(region)), format!("/{}/{object}", self.name))
            }
            None => ("https", format!("{}.s3.{}", self.name, domain(region)), format!("/{object}")),
        };
        let request = Request { method, scheme, host: &host, path: &path, headers, region };
        presigned(request, credentials, SystemTime::now())
    }
}

/// Returns AWS's domain for a region.
fn domain(region: &str) -> String {
    let top = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("{region}.{top}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_have_the_addresses_that_their_servers_give_them() {
        let start = |name: &str, endpoint: Option<&str>, region: &str| {
            let credentials = Credentials {
                access_key_id: "id".into(),
                secret_access_key: "secret".into(),
                session_token: None,
            };
            let endpoint = endpoint.map(|url| Endpoint::parse(url).unwrap());
            let access = Access { endpoint, region: region.into(), credentials };
            let bucket = Bucket { name: name.into(), prefix: "team/".into(), access };
            bucket.url("GET", "ac/0", &[]).split('?').next().unwrap().to_owned()
        };
        assert_eq!(
            start("models", None, "eu-west-1"),
            "https://models.s3.eu-west-1.amazonaws.com/team/ac/0"
        );
        assert_eq!(
            start("a.b.c", None, "cn-north-1"),
            "https://s3.cn-north-1.amazonaws.com.cn/a.b.c/team/ac/0"
        );
        assert_eq!(start("models", Some("http://h:9000/"), "x"), "http://h:9000/models/team/ac/0");
        assert_eq!(start("models", Some("https://h:443/s3"), "x"), "https://h/s3/models/team/ac/0");
        for wrong in ["h:9000", "ftp://h", "https://", "https://u:secret@h", "https://h/?x"] {
            assert!(!Endpoint::parse(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
    }
}
