//! AWS's signature, version 4, in the query of a URL: who has the URL may do this one request, for
//! some minutes.
//!
//! Owns: the canonical form of a request and the keys that are derived for it. Must not: know
//! buckets, or send anything.
//! Flow: `bucket.rs` → [`presigned`].

use crate::digest::{hexadecimal, of_bytes};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a signed URL is good for: until the request is begun, not until it ends.
const VALID: Duration = Duration::from_secs(15 * 60);

/// Name of the algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature is made with.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    /// Names the keys.
    pub(super) access_key_id: String,
    /// The secret.
    pub(super) secret_access_key: String,
    /// Goes with keys that are good for a while only.
    pub(super) session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials { … }")
    }
}

/// A request that is to be signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// `GET`, `HEAD` or `PUT`.
    pub(super) method: &'a str,
    /// `http` or `https`.
    pub(super) scheme: &'a str,
    /// Host, and port where it is not the scheme's own: as it stands in the header `Host`.
    pub(super) host: &'a str,
    /// Absolute path, not yet encoded.
    pub(super) path: &'a str,
    /// Headers that must be sent as they are here: lower-case name and value, sorted.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The region, as the server calls it.
    pub(super) region: &'a str,
}

/// Returns the URL with which `request` may be made.
pub(super) fn presigned(
    request: Request<'_>,
    credentials: &Credentials,
    time: SystemTime,
) -> String {
    let Request { method, scheme, host, path, headers, region } = request;
    let moment = moment(time);
    let day = moment.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/s3/aws4_request");
    let names: Vec<_> =
        std::iter::once("host").chain(headers.iter().map(|(name, _)| *name)).collect();
    let names = names.join(";");
    let path = encoded(path, true);
    // In the order that the canonical form asks for.
    let mut query = vec![
        ("X-Amz-Algorithm", ALGORITHM.to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", credentials.access_key_id)),
        ("X-Amz-Date", moment.clone()),
        ("X-Amz-Expires", VALID.as_secs().to_string()),
    ];
    query.extend(credentials.session_token.clone().map(|token| ("X-Amz-Security-Token", token)));
    query.push(("X-Amz-SignedHeaders", names.clone()));
    let query: Vec<_> =
        query.iter().map(|(name, value)| format!("{name}={}", encoded(value, false))).collect();
    let query = query.join("&");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical =
        format!("{method}\n{path}\n{query}\nhost:{host}\n{lines}\n{names}\nUNSIGNED-PAYLOAD");
    let text = format!("{ALGORITHM}\n{moment}\n{scope}\n{}", of_bytes(canonical.as_bytes()));
    let first = format!("AWS4{}", credentials.secret_access_key).into_bytes();
    let key = [day, region, "s3", "aws4_request"]
        .into_iter()
        .fold(first, |key, part| authenticated(&key, part));
    format!(
        "{scheme}://{host}{path}?{query}&X-Amz-Signature={}",
        hexadecimal(&authenticated(&key, &text))
    )
}

/// Returns the authentication code of `text`.
fn authenticated(key: &[u8], text: &str) -> Vec<u8> {
    // Keys of any length are good for this code, so that there is always one.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|code| code.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// Returns `text` as it stands in a URL: everything but letters, digits and `-._~` as `%XX`.
fn encoded(text: &str, with_slashes: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            b'/' if with_slashes => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Returns a time as `20130524T000000Z`.
fn moment(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}{month:02}{:02}T{hour:02}{minute:02}{:02}Z", days + 1, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of AWS's own example.
    fn example() -> Credentials {
        Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        let at = |seconds| moment(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "19700101T000000Z");
        assert_eq!(at(951_782_399), "20000228T235959Z");
        assert_eq!(at(951_782_400), "20000229T000000Z");
        assert_eq!(at(1_369_353_600), "20130524T000000Z");
        assert_eq!(at(1_735_689_599), "20241231T235959Z");
        assert_eq!(at(4_107_542_400), "21000301T000000Z");
    }

    #[test]
    fn a_signature_is_that_of_the_client_library_of_aws() {
        let request = Request {
            method: "PUT",
            scheme: "https",
            host: "examplebucket.s3.amazonaws.com",
            path: "/the team/test.txt",
            headers: &[("if-none-match", "*")],
            region: "us-east-1",
        };
        let credentials = Credentials { session_token: Some("a+b/c=".into()), ..example() };
        let url = presigned(request, &credentials, UNIX_EPOCH + Duration::from_secs(1_369_353_600));
        // What botocore 1.44.8 makes of the same.
        let signature = "413034b4a4895a9f11f3a801d9d22d87452cb689c2cd68b0abe7b1a1b8421437";
        assert_eq!(url.rsplit_once("X-Amz-Signature="), Some((&url[..url.len() - 80], signature)));
    }

    #[test]
    fn what_is_signed_changes_the_signature() {
        let headers = [("if-none-match", "*")];
        let plain = Request {
            method: "PUT",
            scheme: "https",
            host: "h",
            path: "/b/a b/ü",
            headers: &[],
            region: "eu-central-1",
        };
        let time = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let url = presigned(plain, &example(), time);
        assert!(
            url.starts_with(
                "https://h/b/a%20b/%C3%BC?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA"
            ),
            "{url}"
        );
        let conditional = presigned(Request { headers: &headers, ..plain }, &example(), time);
        assert!(conditional.contains("X-Amz-SignedHeaders=host%3Bif-none-match&"), "{conditional}");
        let token = Credentials { session_token: Some("a+b/c=".into()), ..example() };
        let temporary = presigned(plain, &token, time);
        assert!(
            temporary.contains("&X-Amz-Security-Token=a%2Bb%2Fc%3D&X-Amz-SignedHeaders=host&"),
            "{temporary}"
        );
        let signature = |url: &str| url.rsplit_once('=').map(|(_, signature)| signature.to_owned());
        assert_ne!(signature(&url), signature(&conditional));
        assert_ne!(signature(&url), signature(&temporary));
        assert_eq!(format!("{token:?}"), "Credentials { … }");
    }
}
