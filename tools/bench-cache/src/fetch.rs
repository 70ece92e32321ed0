//! A hit in a remote cache behind nginx, against `curl` of the same bytes and `sha256sum` of the
//! file.
//!
//! Owns: nginx and the two sides. Must not: count the conversion, or the upload.
//! Flow: one machine converts and uploads; then a new machine downloads, and so does curl, in turn.

use crate::machine::{self, Machine, converted, manifest};
use bench_table::{Row, median};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of the weights.
const BYTES: u64 = 400 << 20;

/// Times that each side is measured.
const ROUNDS: usize = 7;

/// Most times of curl and sha256sum that a hit may take.
const TARGET: f64 = 1.1;

/// A running nginx; stopped when dropped.
pub(crate) struct Nginx {
    /// The process.
    process: Child,
    /// Where it listens.
    port: u16,
}

impl Nginx {
    /// Starts it with its files in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = folder.display();
        std::fs::create_dir_all(folder.join("data/team")).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {here}/{name}; "))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log; events {{ \
             worker_connections 512; }} http {{ access_log off; sendfile on; {temporary} server {{ \
             listen 127.0.0.1:{port} backlog=512; root {here}/data; client_max_body_size 0; \
             location / {{ dav_methods PUT; create_full_put_path on; }} }} }}"
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .arg("-e")
            .arg(folder.join("error.log"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port }
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/team", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Measures both sides in turn.
pub(crate) fn rows() -> Vec<Row> {
    let folder = machine::folder();
    let nginx = Nginx::start(folder.path());
    let models = [("model".to_owned(), BYTES)];
    let machine = |name: &str, write| {
        let machine = Machine::new(folder.path(), name).with_remote(&nginx.url(), write);
        machine.write("net.py", "# a network\n");
        machine.write("m.toml", &manifest("net.py", &models));
        machine
    };
    let writer = machine("writer", true);
    assert_eq!(converted(&writer.build(&["m.toml"])), 1);
    let archives: Vec<_> = std::fs::read_dir(folder.path().join("data/team/cas"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [archive] = &archives[..] else { panic!("there is one archive") };
    let url = format!("{}/cas/{}", nginx.url(), archive.file_name().display());
    std::fs::remove_dir_all(writer.cache()).unwrap();

    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let reader = machine("reader", false);
        settle();
        let started = Instant::now();
        assert_eq!(converted(&reader.build(&["m.toml"])), 0);
        ours.push(started.elapsed());
        std::fs::remove_dir_all(reader.cache()).unwrap();
        reader.clean();

        let file = folder.path().join("by-hand");
        settle();
        let started = Instant::now();
        assert!(
            Command::new("curl")
                .args(["-s", "-o"])
                .arg(&file)
                .arg(&url)
                .status()
                .unwrap()
                .success()
        );
        let output = Command::new("sha256sum").arg(&file).output().unwrap();
        by_hand.push(started.elapsed());
        assert!(
            output.stdout.starts_with(archive.file_name().as_encoded_bytes()),
            "the digest is the name"
        );
        std::fs::remove_file(file).unwrap();
    }
    let what = format!("a remote hit of {} MiB, against `curl` and `sha256sum`", BYTES >> 20);
    vec![Row::ratio(what, median(ours), median(by_hand), TARGET)]
}

/// Waits until what was written before is on the disk, so that neither side pays for the other's.
fn settle() {
    assert!(Command::new("sync").status().unwrap().success());
}
