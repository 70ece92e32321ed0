//! Where the remote cache is, as users write it.
//!
//! Owns: reading `COREML_REMOTE`; keeping credentials out of everything that is printed.
//! Flow: `cargo.rs` → [`Remote::parse`] → `store.rs` opens it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a request may take before the remote counts as down, by default.
const PATIENCE: Duration = Duration::from_secs(20);

/// A remote cache and what may be done with it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remote {
    /// Where it is.
    pub(super) location: Location,
    /// What stands in the header `Authorization`.
    pub(super) authorization: Option<String>,
    /// How a bucket is reached, or why it is not; `None` until [`Remote::with_aws`].
    #[cfg(feature = "s3")]
    pub(super) access: Option<Result<super::bucket::Access, String>>,
    /// Whether converted models are written to it (`COREML_REMOTE_WRITE`).
    pub write: bool,
    /// How long a request may take, apart from the transfer of an archive
    /// (`COREML_REMOTE_TIMEOUT`).
    pub patience: Duration,
}

/// Where a remote cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A folder.
    Folder(PathBuf),
    /// A server: URL without credentials and without `/` at its end.
    Server(String),
    /// An S3-compatible bucket, wherever that is.
    Bucket {
        /// Its name.
        name: String,
        /// What the names of all objects begin with; without `/` around it.
        prefix: String,
    },
}

impl Remote {
    /// Reads a location: an absolute path, `file://`, `http://`, `https://` or `s3://`.
    ///
    /// Errors: the end of a sentence that begins with what is read; it never repeats credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        let remote = |location, authorization| Self {
            location,
            authorization,
            #[cfg(feature = "s3")]
            access: None,
            write: false,
            patience: PATIENCE,
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            if !Path::new(text).is_absolute() {
                return Err(
                    "must be an absolute path, or a URL that begins with file://, http://, \
                    https:// or s3://"
                        .into(),
                );
            }
            return Ok(remote(Location::Folder(text.into()), None));
        };
        match scheme {
            "file" => match rest.strip_prefix("localhost").unwrap_or(rest) {
                path if path.starts_with('/') => Ok(remote(Location::Folder(path.into()), None)),
                _ => Err("names a file:// URL without an absolute path".into()),
            },
            "http" | "https" => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let (credentials, host) = match authority.rsplit_once('@') {
                    Some((credentials, host)) => (Some(credentials), host),
                    None => (None, authority),
                };
                if host.is_empty()
                    || path.contains(['?', '#'])
                    || host.contains(['?', '#', '\\'])
                    || !text.is_ascii()
                {
                    return Err("names a URL that is not of the form https://host/path".into());
                }
                let url = format!("{scheme}://{host}{}", path.trim_end_matches('/'));
                Ok(remote(Location::Server(url), credentials.map(basic)))
            }
            "s3" => bucket(rest).map(|location| remote(location, None)),
            _ => Err(format!(
                "begins with {scheme}://, and only file://, http://, https:// and s3:// are known"
            )),
        }
    }

    /// Adds the token that the server asks for; it takes the place of credentials in the URL.
    pub fn with_token(mut self, token: &str) -> Self {
        self.authorization = Some(format!("Bearer {token}"));
        self
    }

    /// Adds what AWS's usual variables, and the files that they name, say of keys, region and
    /// endpoint. Only buckets need it, and only with the feature `s3`.
    ///
    /// Parameters: `variable` — returns a variable's value. An error in them is reported when
    /// the bucket is needed.
    pub fn with_aws(self, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        #[cfg(feature = "s3")]
        if matches!(self.location, Location::Bucket { .. }) {
            return Self { access: Some(super::bucket::Access::read(variable)), ..self };
        }
        drop(variable);
        self
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::Folder(path) => write!(f, "{}", path.display()),
            Location::Server(url) => f.write_str(url),
            Location::Bucket { name, prefix } if prefix.is_empty() => write!(f, "s3://{name}"),
            Location::Bucket { name, prefix } => write!(f, "s3://{name}/{prefix}"),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Remote");
        debug
            .field("location", &self.location)
            .field("authorization", &self.authorization.as_ref().map(|_| "…"));
        debug.field("write", &self.write).field("patience", &self.patience).finish()
    }
}

/// Reads what stands behind `s3://`.
fn bucket(text: &str) -> Result<Location, String> {
    let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
    let prefix = prefix.trim_matches('/');
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
    if name.len() < 3
        || !name.bytes().all(is_name)
        || (!prefix.is_empty() && prefix.split('/').any(odd))
    {
        return Err(
            "names a bucket that is not of the form s3://bucket/prefix; keys do not belong in it"
                .into(),
        );
    }
    Ok(Location::Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
}

/// Returns the header for `user:password` from a URL.
fn basic(credentials: &str) -> String {
    format!("Basic {}", base64(&percent_decoded(credentials)))
}

/// Returns the bytes of a part of a URL.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| text_of(tail.get(..2)?)).flatten();
        (bytes, rest) = match escaped {
            Some(byte) => ([bytes, vec![byte]].concat(), &tail[2..]),
            None => ([bytes, vec![*first]].concat(), tail),
        };
    }
    bytes
}

/// Returns the number that two hexadecimal digits write.
fn text_of(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns `bytes` in base 64, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = (group >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit > chunk.len() { '=' } else { char::from(DIGITS[index]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_paths_and_urls() {
        let location = |text: &str| Remote::parse(text).map(|remote| remote.location);
        assert_eq!(location("/a b"), Ok(Location::Folder("/a b".into())));
        assert_eq!(location("file:///a"), Ok(Location::Folder("/a".into())));
        assert_eq!(location("https://h:1/a/"), Ok(Location::Server("https://h:1/a".into())));
        let bucket = |name: &str, prefix: &str| {
            Ok(Location::Bucket { name: name.into(), prefix: prefix.into() })
        };
        assert_eq!(location("s3://models"), bucket("models", ""));
        assert_eq!(location("s3://a.b-c/the team/x/"), bucket("a.b-c", "the team/x"));
        for wrong in [
            "a/b",
            "file://a",
            "https://",
            "https://h/?x",
            "ftp://h",
            "http://u@/x",
            "s3://b",
            "s3://id:secret@bucket",
            "s3://bucket/../x",
            "s3:///x",
        ] {
            assert!(!location(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
        assert_eq!(Remote::parse("s3://models/team/").unwrap().to_string(), "s3://models/team");
    }

    #[test]
    fn credentials_go_into_the_header_and_nowhere_else() {
        let remote = Remote::parse("https://us%40er:se%3Acret@host/path").unwrap();
        assert_eq!(remote.authorization.as_deref(), Some("Basic dXNAZXI6c2U6Y3JldA=="));
        assert_eq!(remote.to_string(), "https://host/path");
        let shown =
            format!("{remote:?} {:?}", Remote::parse("http://h").unwrap().with_token("secret"));
        assert!(!shown.contains("cret") && !shown.contains("dXNA"), "{shown}");
        assert!(!Remote::parse("https://user:secret@host?x").unwrap_err().contains("secret"));
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}
