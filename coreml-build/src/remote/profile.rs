//! Keys, region and endpoint of buckets, from AWS's usual variables and files.
//!
//! Owns: which of them counts. Must not: start programs or ask servers for keys, or repeat a key in
//! a message.
//! Flow: `bucket.rs` has [`Access`], which is read here; an error is reported when the bucket is
//! needed.

use super::bucket::{Access, Endpoint};
use super::signature::Credentials;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The region of servers that have none, and AWS's default.
const REGION: &str = "us-east-1";

/// Keys of a profile by which others than the build find credentials.
const ELSEWHERE: [&str; 5] =
    ["credential_process", "role_arn", "sso_session", "sso_start_url", "web_identity_token_file"];

/// What a profile says, by key.
type Profile = BTreeMap<String, String>;

impl Access {
    /// Reads variables, and the profile that they name.
    ///
    /// Parameters: `variable` — returns a variable's value.
    /// Errors: the end of a sentence that begins with the remote.
    pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let get = |name: &str| {
            variable(name)
                .and_then(|value| value.into_string().ok())
                .filter(|text| !text.is_empty())
        };
        let (name, profile) = profile(&get)?;
        let value = |names: &[&str], key: &str| {
            names.iter().find_map(|name| get(name)).or_else(|| profile.get(key).cloned())
        };
        let endpoint = value(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], "endpoint_url");
        let region = value(&["AWS_REGION", "AWS_DEFAULT_REGION"], "region")
            .unwrap_or_else(|| REGION.to_owned());
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(
                "is not reached: AWS_REGION, or the profile's, has characters that no region has"
                    .into(),
            );
        }
        Ok(Self {
            endpoint: endpoint.as_deref().map(Endpoint::parse).transpose()?,
            region,
            credentials: credentials(&get, &name, &profile)?,
        })
    }
}

/// Returns the keys: those of the environment, or else of the profile.
fn credentials(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    profile: &Profile,
) -> Result<Credentials, String> {
    let value = |key: &str| profile.get(key).cloned();
    let pairs = [
        (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"), get("AWS_SESSION_TOKEN")),
        (value("aws_access_key_id"), value("aws_secret_access_key"), value("aws_session_token")),
    ];
    for pair in pairs {
        if let (Some(access_key_id), Some(secret_access_key), session_token) = pair {
            return Ok(Credentials { access_key_id, secret_access_key, session_token });
        }
    }
    if ELSEWHERE.iter().any(|key| profile.contains_key(*key)) {
        return Err(format!(
            "has no keys: the profile `{name}` gets them from a role, a sign-on or a program, \
            which is not done here; \
             `eval \"$(aws configure export-credentials --format env)\"` gives them to the build"
        ));
    }
    Err("has no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile \
        that has them"
        .into())
}

/// Returns the profile that the environment names, and its name. The credentials file comes before
/// the config file.
fn profile(get: &impl Fn(&str) -> Option<String>) -> Result<(String, Profile), String> {
    let home = get("HOME").or_else(|| get("USERPROFILE"));
    let file = |variable: &str, name: &str| -> Option<PathBuf> {
        let named = get(variable).map(PathBuf::from);
        named.or_else(|| Some(Path::new(home.as_ref()?).join(".aws").join(name)))
    };
    let named = get("AWS_PROFILE");
    let name = named.clone().unwrap_or_else(|| "default".into());
    let mut found = None;
    for (path, headings) in [
        (file("AWS_CONFIG_FILE", "config"), [format!("profile {name}"), name.clone()]),
        (file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), [name.clone(), name.clone()]),
    ] {
        let Some(path) = path else { continue };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(format!("has no keys: {} cannot be read: {error}", path.display()));
            }
        };
        if let Some(section) = headings.iter().find_map(|heading| section(&text, heading)) {
            found.get_or_insert_with(Profile::new).extend(section);
        }
    }
    match found {
        None if named.is_some() => {
            Err(format!("has no keys: there is no profile `{name}` in AWS's files"))
        }
        found => Ok((name, found.unwrap_or_default())),
    }
}

/// Returns the keys of the section `heading` in a text of AWS's form; nested ones are left out.
fn section(text: &str, heading: &str) -> Option<Profile> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.split_whitespace().eq(heading.split_whitespace());
            if inside {
                found.get_or_insert_with(Profile::new);
            }
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
            && let Some(profile) = &mut found
        {
            profile.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads with these variables.
    fn read(variables: &[(&str, &str)]) -> Result<Access, String> {
        Access::read(|name| {
            variables.iter().find(|variable| variable.0 == name).map(|variable| variable.1.into())
        })
    }

    /// Makes a home with AWS's two files.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let config = "[default]\nregion = eu-west-1\n\n[profile ci]\nregion=eu-north-1\ns3 \
            =\n  endpoint_url = http://no\n\
            endpoint_url = https://minio:9000\n[profile sso]\nsso_session = corp\n";
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        let keys = "# keys\n[default]\naws_access_key_id = default-id\naws_secret_access_key = \
            default-s3cret\n\n\
            [ci]\naws_access_key_id=ci-id\naws_secret_access_key=ci-s3cret\n\
            aws_session_token=ci-t0ken\n";
        std::fs::write(home.path().join(".aws/credentials"), keys).unwrap();
        home
    }

    #[test]
    fn variables_come_before_files() {
        let home = home();
        let home = ("HOME", home.path().to_str().unwrap());
        let default = read(&[home]).unwrap();
        assert_eq!(
            (default.credentials.access_key_id.as_str(), default.region.as_str()),
            ("default-id", "eu-west-1")
        );
        assert_eq!((default.endpoint, default.credentials.session_token), (None, None));
        let ci = read(&[home, ("AWS_PROFILE", "ci")]).unwrap();
        assert_eq!(
            (ci.credentials.secret_access_key.as_str(), ci.region.as_str()),
            ("ci-s3cret", "eu-north-1")
        );
        assert_eq!(ci.credentials.session_token.as_deref(), Some("ci-t0ken"));
        assert_eq!(ci.endpoint, Endpoint::parse("https://minio:9000").ok());
        let mixed = read(&[
            home,
            ("AWS_PROFILE", "ci"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_REGION", "us-west-2"),
            ("AWS_ENDPOINT_URL", "http://a"),
            ("AWS_ENDPOINT_URL_S3", "http://b"),
        ])
        .unwrap();
        assert_eq!(
            (mixed.credentials.access_key_id.as_str(), mixed.region.as_str()),
            ("id", "us-west-2")
        );
        assert_eq!(
            (mixed.credentials.session_token, mixed.endpoint),
            (None, Endpoint::parse("http://b").ok())
        );
    }

    #[test]
    fn what_is_missing_is_named_and_no_key_is_repeated() {
        let home = home();
        let home = ("HOME", home.path().to_str().unwrap());
        for (variables, said) in [
            (vec![], "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
            (vec![home, ("AWS_PROFILE", "none")], "there is no profile `none`"),
            (vec![home, ("AWS_PROFILE", "sso")], "the profile `sso` gets them from a role"),
            (
                vec![home, ("AWS_ENDPOINT_URL", "https://u:ci-s3cret@h")],
                "its endpoint is not of the form",
            ),
            (vec![home, ("AWS_REGION", "a/b")], "AWS_REGION"),
            (vec![("AWS_SECRET_ACCESS_KEY", "ci-s3cret")], "has no keys"),
        ] {
            let error = read(&variables).unwrap_err();
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
        }
        assert!(!format!("{:?}", read(&[home, ("AWS_PROFILE", "ci")])).contains("ci-"));
    }
}
