//! A remote cache with the rules of bazel-remote, which no package registry has: they are those of
//! its HTTP server as its sources have them, enforced by a small server.
//!
//! - A name ends in `ac/` or `cas/` and 64 lower-case hexadecimal digits, whatever stands before;
//!   anything else is 400.
//! - `PUT` has a `Content-Length`; what goes to `cas/` has the SHA-256 that it is named by;
//!   anything else is 400.
//! - What goes to `ac/` is taken as it is only with `--disable_http_ac_validation`; without, 400
//!   and never found.
//! - There are GET, HEAD and PUT, and no conditions: the last one to write stays.

use crate::package::{ONE, Package, TWO, build, cached};
use crate::remote::{NOWHERE, content, machine};
use crate::server::{Answer, Asked, Server};
use crate::stand_in::StandIn;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The rules with `--disable_http_ac_validation`.
fn rules(asked: &Asked) -> Option<Answer> {
    let bad = |why: &str| Some(Answer::Status("400 Bad Request", why.as_bytes().to_vec()));
    let mut parts = asked.path.rsplit('/');
    let (key, part) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_digest =
        key.len() == 64 && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digest || !["ac", "cas"].contains(&part) {
        return bad("resource name must be a SHA256 hash in hex");
    }
    match asked.method.as_str() {
        "GET" | "HEAD" => None,
        "PUT" if !asked.headers.contains_key("content-length") => bad("PUT without Content-Length"),
        "PUT" => {
            let digest: String =
                Sha256::digest(&asked.body).iter().map(|byte| format!("{byte:02x}")).collect();
            if part == "cas" && digest != key { bad("hashes don't match") } else { None }
        }
        _ => Some(Answer::Status("405 Method Not Allowed", Vec::new())),
    }
}

/// The rules without it: what is no action result of Bazel's is neither taken nor found.
fn rules_with_validation(asked: &Asked) -> Option<Answer> {
    rules(asked).or_else(|| match (asked.method.as_str(), asked.path.contains("/ac/")) {
        ("PUT", true) => Some(Answer::Status("400 Bad Request", b"proto: cannot parse".to_vec())),
        (_, true) => Some(Answer::Status("404 Not Found", b"Not found".to_vec())),
        _ => None,
    })
}

#[test]
fn a_server_with_the_rules_of_bazel_remote() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    let server = Server::with_rules(rules);
    let written =
        build(machine(&package, "writer", &python.python(), &server.url(""), true), "m.toml");
    assert_eq!(
        (cached(&written), written.warnings.as_slice()),
        (vec![false, false], &[] as &[String])
    );
    let read =
        build(machine(&package, "reader", Path::new(NOWHERE), &server.url(""), false), "m.toml");
    assert_eq!((cached(&read), read.warnings.as_slice()), (vec![true, true], &[] as &[String]));
    assert_eq!(content(&written), content(&read));
    // The rules bite: the same archive under another name is not taken.
    let asked = Asked {
        method: "PUT".into(),
        path: format!("/team/cas/{}", "0".repeat(64)),
        headers: [("content-length".to_owned(), "1".to_owned())].into(),
        body: b"x".to_vec(),
    };
    assert!(matches!(rules(&asked), Some(Answer::Status("400 Bad Request", _))));
}

#[test]
fn a_server_that_wants_action_results_of_bazel_is_one_warning() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let server = Server::with_rules(rules_with_validation);
    let converted =
        build(machine(&package, "writer", &python.python(), &server.url(""), true), "m.toml");
    assert_eq!(cached(&converted), [false]);
    let [warning] = &converted.warnings[..] else { panic!("{:?}", converted.warnings) };
    assert!(warning.contains("--disable_http_ac_validation"), "{warning}");
}
