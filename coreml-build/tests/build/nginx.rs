//! The remote cache behind a real nginx, as Debian packs it. Where there is none, the tests say so
//! and stop.

use crate::package::{ONE, Package, build, cached};
use crate::remote::{NOWHERE, content, machine};
use crate::stand_in::StandIn;
use coreml_build::Remote;
use coreml_test_needs::needs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running nginx with WebDAV; stopped when dropped.
struct Nginx {
    /// The process.
    process: Child,
    /// Its port.
    port: u16,
    /// Its files.
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts nginx.
    ///
    /// Parameters: `more` — directives of the server; `$FOLDER` stands for the folder of its files.
    fn start(more: &str) -> Self {
        let places = [
            "/usr/sbin/nginx",
            "/usr/local/sbin/nginx",
            "/usr/bin/nginx",
            "/opt/homebrew/bin/nginx",
        ];
        let program = places.into_iter().find(|program| Path::new(program).exists());
        let program = program.expect("nginx is at one of its places");
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = folder.path().display().to_string();
        std::fs::create_dir_all(folder.path().join("data/team")).unwrap();
        std::fs::write(folder.path().join("users"), "user:{PLAIN}s3cret\n").unwrap();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String =
            temporary.iter().map(|name| format!("  {name}_temp_path {here}/{name};\n")).collect();
        let listen = format!(
            "listen 127.0.0.1:{port}{};\n{more}",
            if more.contains("ssl_") { " ssl" } else { "" }
        );
        // As docs/ci.md has it, with a port and files of the test's own.
        let server = recipe()
            .replace("listen 8080;", &listen.replace("$FOLDER", &here))
            .replace("/srv/coreml", &format!("{here}/data"))
            .replace("/etc/nginx/coreml-users", &format!("{here}/users"));
        let config = format!(
            "daemon off;\nmaster_process off;\npid {here}/pid;\nerror_log \
            {here}/error.log;\nevents {{}}\nhttp {{\n\
             access_log {here}/access.log;\n{temporary}{server}}}\n"
        );
        assert!(config.matches(&here).count() > 9, "everything is in its own folder: {config}");
        if more.contains("ssl") {
            certify(folder.path());
        }
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let process = Command::new(program)
            .args([
                "-p",
                &here,
                "-c",
                &format!("{here}/nginx.conf"),
                "-e",
                &format!("{here}/error.log"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { process, port, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nginx does not start: {}", nginx.log("error.log"));
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }

    /// Returns its URL with `credentials` such as `user:password@`.
    fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}localhost:{}/team", self.port)
    }

    /// Returns one of its logs.
    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Returns the folder of what it serves.
    fn data(&self) -> PathBuf {
        self.folder.path().join("data/team")
    }
}

/// Returns what docs/ci.md says that nginx needs.
fn recipe() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci.md");
    let page = std::fs::read_to_string(page).unwrap();
    page.split_once("```nginx\n").unwrap().1.split("```").next().unwrap().to_owned()
}

/// Makes an authority of the team's own (`ca.pem`), and a certificate of it for `localhost`.
fn certify(folder: &Path) {
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let commands = [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=team -keyout ca-key.pem -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile \
        names -out cert.pem",
    ];
    for command in commands {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(command.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[needs(nginx)]
#[test]
fn one_machine_converts_and_the_others_fetch() {
    let nginx = Nginx::start("");
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let written = build(
        machine(&package, "writer", &python.python(), &nginx.url("user:s3cret@"), true),
        "m.toml",
    );
    assert_eq!((cached(&written), written.warnings.as_slice()), (vec![false], &[] as &[String]));
    assert_eq!(
        crate::package::entries_of(&nginx.data().join("cas")).len(),
        1,
        "{}",
        nginx.log("error.log")
    );
    assert_eq!(crate::package::entries_of(&nginx.data().join("ac")).len(), 2);
    let read =
        build(machine(&package, "reader", Path::new(NOWHERE), &nginx.url(""), false), "m.toml");
    assert_eq!((cached(&read), read.warnings.as_slice()), (vec![true], &[] as &[String]));
    assert_eq!(content(&written), content(&read));
}

#[needs(nginx)]
#[test]
fn only_who_may_write_writes() {
    let nginx = Nginx::start("");
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    for (name, credentials) in [("nobody", ""), ("wrong", "user:wr0ng@")] {
        let refused = build(
            machine(&package, name, &python.python(), &nginx.url(credentials), true),
            "m.toml",
        );
        let [warning] = &refused.warnings[..] else { panic!("{:?}", refused.warnings) };
        assert!(warning.contains("refuses (HTTP 401)") && !warning.contains("wr0ng"), "{warning}");
        assert_eq!(cached(&refused), [false]);
    }
    let token = machine(&package, "token", &python.python(), &nginx.url(""), true);
    let mut options = token.clone();
    options.remote = Some(Remote::parse(&nginx.url("")).unwrap().with_token("t0ken"));
    options.remote.as_mut().unwrap().write = true;
    assert!(!build(options, "m.toml").warnings.iter().any(|warning| warning.contains("t0ken")));
}

#[needs(nginx)]
#[test]
fn what_is_damaged_on_the_server_is_refused() {
    let nginx = Nginx::start("");
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    build(
        machine(&package, "writer", &python.python(), &nginx.url("user:s3cret@"), true),
        "m.toml",
    );
    let [archive] = &crate::package::entries_of(&nginx.data().join("cas"))[..] else { panic!() };
    let mut bytes = std::fs::read(archive).unwrap();
    let last = bytes.len() / 2;
    bytes[last] ^= 0x10;
    std::fs::write(archive, &bytes).unwrap();
    let fallback =
        build(machine(&package, "reader", &python.python(), &nginx.url(""), false), "m.toml");
    assert_eq!(cached(&fallback), [false]);
    assert!(fallback.warnings[0].contains("is not what it should be"), "{:?}", fallback.warnings);
}

#[needs(nginx)]
#[test]
fn a_server_that_was_stopped() {
    let nginx = Nginx::start("");
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let url = nginx.url("");
    drop(nginx);
    let fallback = build(machine(&package, "reader", &python.python(), &url, false), "m.toml");
    assert_eq!(cached(&fallback), [false]);
    let [warning] = &fallback.warnings[..] else { panic!("{:?}", fallback.warnings) };
    assert!(
        warning.contains("cannot be reached") && warning.ends_with("the build goes on without it"),
        "{warning}"
    );
}

#[needs(nginx, openssl)]
#[test]
fn a_certificate_that_nobody_vouches_for() {
    let nginx =
        Nginx::start("ssl_certificate $FOLDER/cert.pem; ssl_certificate_key $FOLDER/key.pem;");
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let url = nginx.url("user:s3cret@").replace("http:", "https:");
    let fallback = build(machine(&package, "reader", &python.python(), &url, true), "m.toml");
    assert_eq!(cached(&fallback), [false]);
    let [warning] = &fallback.warnings[..] else { panic!("{:?}", fallback.warnings) };
    assert!(warning.contains("cannot be reached") && warning.contains("certificate"), "{warning}");
    assert!(!nginx.log("access.log").contains("PUT"));
}

/// Names the URL, the folder of the package and its interpreter for a process that is told whom to
/// trust.
#[cfg(target_os = "linux")]
const TRUSTING: [&str; 2] = ["COREML_BUILD_TEST_URL", "COREML_BUILD_TEST_FOLDER"];

#[needs(nginx, openssl)]
#[test]
#[cfg(target_os = "linux")]
fn a_certificate_of_the_team_s_own_authority() {
    if let [Some(url), Some(folder)] = TRUSTING.map(std::env::var_os) {
        let (url, folder) = (url.into_string().unwrap(), PathBuf::from(folder));
        let mut options = coreml_build::Options::new(
            folder.join("package"),
            folder.join("out-reader"),
            folder.join("cache-reader"),
        );
        options.remote = Some(Remote::parse(&url).unwrap());
        options.python.interpreter = Some(NOWHERE.into());
        let read = build(options, "m.toml");
        assert_eq!((cached(&read), read.warnings.as_slice()), (vec![true], &[] as &[String]));
        return;
    }
    let nginx =
        Nginx::start("ssl_certificate $FOLDER/cert.pem; ssl_certificate_key $FOLDER/key.pem;");
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    // What is there is written beside the server, which serves it.
    let location = nginx.data().display().to_string();
    build(machine(&package, "writer", &python.python(), &location, true), "m.toml");
    // Another process, because its environment says whom it trusts; it is all that docs/ci.md asks
    // for.
    let read = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nginx::a_certificate_of_the_team_s_own_authority", "--nocapture"])
        .env("SSL_CERT_FILE", nginx.folder.path().join("ca.pem"))
        .env(TRUSTING[0], nginx.url("").replace("http:", "https:"))
        .env(TRUSTING[1], package.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&read.stdout) + String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success() && text.contains("1 passed"), "{text}");
    assert!(nginx.log("access.log").contains("GET /team/cas/"));
}
