//! A remote cache behind HTTP: as it should be, down, and hostile. Whatever it does, the build is
//! right or says why not.

use crate::package::{ONE, Package, build, cached, entries_of, message};
use crate::remote::{NOWHERE, content, machine};
use crate::server::{Answer, Files, Server};
use crate::stand_in::StandIn;
use coreml_build::Build;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// What the tests of this file start with.
struct Team {
    /// The package.
    package: Package,
    /// The server, which has the package's model.
    server: Server,
    /// What the machine gave that converted the model.
    good: Build,
    /// Converts.
    python: StandIn,
}

impl Team {
    /// Converts a model on a machine that may write.
    fn new() -> Self {
        let (package, python, server) =
            (Package::new(&[("m.toml", ONE)]), StandIn::converting(), Server::start());
        let good =
            build(machine(&package, "writer", &python.python(), &server.url(""), true), "m.toml");
        assert_eq!((cached(&good), good.warnings.as_slice()), (vec![false], &[] as &[String]));
        Self { package, server, good, python }
    }

    /// Builds on a new machine that has this interpreter.
    fn build(&self, name: &str, python: &Path) -> Build {
        let mut options =
            machine(&self.package, name, python, &self.server.url("user:s3cret@"), false);
        options.remote.as_mut().unwrap().patience = Duration::from_secs(2);
        build(options, "m.toml")
    }

    /// Asserts that a new machine refuses what the server gives, with one line that says `said`,
    /// and converts by itself.
    #[track_caller]
    fn refuses(&self, said: &str) {
        let converted = self.build("fallback", &self.python.python());
        assert_eq!(cached(&converted), [false], "nothing was taken");
        assert_eq!(content(&converted), content(&self.good), "and the result is right");
        let [warning] = &converted.warnings[..] else {
            panic!("one line, not {:#?}", converted.warnings)
        };
        assert!(warning.contains(said), "{warning}");
        assert!(
            warning.contains("the remote cache http://127.0.0.1:") && !warning.contains("s3cret"),
            "{warning}"
        );
        assert!(!warning.contains('\n'), "{warning:?}");
        let cache = self.package.path("cache-fallback");
        assert!(entries_of(&cache.join("v1/tmp")).is_empty(), "nothing is left over");
        assert_eq!(entries_of(&cache.join("v1/entries")).len(), 1);
        for folder in ["cache-fallback", "out-fallback"] {
            std::fs::remove_dir_all(self.package.path(folder)).unwrap();
        }
    }

    /// Returns path and content of the record of the model.
    fn record(files: &Files) -> (String, Value) {
        let records = files.iter().filter(|(path, _)| path.contains("/ac/"));
        let mut records = records
            .map(|(path, file)| (path.clone(), serde_json::from_slice::<Value>(file).unwrap()));
        records.find(|(_, record)| record.get("archive").is_some()).unwrap()
    }

    /// Changes the record.
    fn edit_record(&self, edit: impl FnOnce(&mut Value)) {
        self.server.with_files(|files| {
            let (path, mut record) = Self::record(files);
            edit(&mut record);
            files.insert(path, record.to_string().into_bytes());
        });
    }

    /// Puts another archive in the place of the right one; the record follows in all that it says.
    fn replace_archive(&self, tar: &[u8]) {
        let archive = compress(tar);
        self.server.with_files(|files| {
            let (path, mut record) = Self::record(files);
            record["archive"] = json!(sha256(&archive));
            record["size"] = json!(archive.len());
            files.insert(path, record.to_string().into_bytes());
            files.insert(format!("/team/cas/{}", sha256(&archive)), archive);
        });
    }

    /// Returns the right archive, decompressed.
    fn tar(&self) -> Vec<u8> {
        let archive = self.server.with_files(|files| {
            let (_, record) = Self::record(files);
            files[&format!("/team/cas/{}", record["archive"].as_str().unwrap())].clone()
        });
        let mut tar = Vec::new();
        lz4_flex::frame::FrameDecoder::new(archive.as_slice()).read_to_end(&mut tar).unwrap();
        tar
    }

    /// Returns the files of the right archive.
    fn members(&self) -> Vec<(String, Vec<u8>)> {
        let tar = self.tar();
        let mut archive = tar::Archive::new(tar.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), content)
        });
        entries.collect()
    }
}

/// Compresses.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns the digest.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a tar archive of files, and of what `more` appends.
fn tar_of(members: &[(String, Vec<u8>)], more: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in members {
        let header = header(path, content.len() as u64, tar::EntryType::Regular);
        builder.append(&header, content.as_slice()).unwrap();
    }
    more(&mut builder);
    builder.into_inner().unwrap()
}

/// Returns a tar header whose path is written as it is, however wrong.
fn header(path: &str, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_size(size);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

#[test]
fn a_server_gives_what_it_was_given() {
    let team = Team::new();
    let read = team.build("reader", Path::new(NOWHERE));
    assert_eq!((cached(&read), read.warnings.as_slice()), (vec![true], &[] as &[String]));
    assert_eq!(content(&read), content(&team.good));
    let requests = team.server.requests();
    assert!(requests.iter().any(|(method, ..)| method == "PUT"), "{requests:?}");
    assert!(requests.iter().any(|(.., header)| header == "Basic dXNlcjpzM2NyZXQ="), "{requests:?}");
}

#[test]
fn who_writes_first_wins() {
    let team = Team::new();
    let before = team.server.with_files(|files| files.clone());
    // The second machine does not see what is there until it writes.
    team.server.lies(|method, _, _| {
        (method == "GET").then(|| Answer::Status("404 Not Found", Vec::new()))
    });
    let options =
        machine(&team.package, "second", &team.python.python(), &team.server.url(""), true);
    let second = build(options, "m.toml");
    assert_eq!((cached(&second), second.warnings.as_slice()), (vec![false], &[] as &[String]));
    let archives = |files: &Files| files.keys().filter(|path| path.contains("/cas/")).count();
    assert_eq!(Team::record(&before), team.server.with_files(|files| Team::record(files)));
    assert!(team.server.with_files(|files| archives(files)) >= archives(&before));
}

#[test]
fn a_server_that_is_down_or_broken() {
    let team = Team::new();
    team.server
        .lies(|_, _, _| Some(Answer::Status("500 Internal Server Error", b"<html>oops".to_vec())));
    team.refuses("fails (HTTP 500); the build goes on without it");
    team.server.lies(|_, _, _| Some(Answer::Status("403 Forbidden", Vec::new())));
    team.refuses("refuses (HTTP 403): check COREML_REMOTE_TOKEN");
    team.server.lies(|_, _, _| Some(Answer::Bytes(Vec::new())));
    team.refuses("cannot be reached");
    team.server.lies(|_, _, _| Some(Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())));
    team.refuses("cannot be reached");
    let started = Instant::now();
    team.server.lies(|_, _, _| {
        Some(Answer::Slow(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec()))
    });
    team.refuses("the build goes on without it");
    team.server.lies(|_, _, _| Some(Answer::Slow(b"HTTP/1.1 200 OK\r\nX: ".to_vec())));
    team.refuses("does not answer in time; the build goes on without it");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn a_server_that_recovers_is_used() {
    let team = Team::new();
    let failures = std::sync::atomic::AtomicUsize::new(2);
    team.server.lies(move |_, _, _| {
        let failing = failures.fetch_update(
            std::sync::atomic::Ordering::SeqCst,
            std::sync::atomic::Ordering::SeqCst,
            |left| left.checked_sub(1),
        );
        failing.is_ok().then(|| Answer::Status("503 Service Unavailable", Vec::new()))
    });
    let read = team.build("reader", Path::new(NOWHERE));
    assert_eq!((cached(&read), read.warnings.as_slice()), (vec![true], &[] as &[String]));
}

#[test]
fn redirects_lead_nowhere() {
    let team = Team::new();
    let elsewhere = Server::start();
    elsewhere.with_files(|files| *files = team.server.with_files(|files| files.clone()));
    let target = elsewhere.url("");
    team.server.lies(move |_, path, _| {
        let location =
            format!("HTTP/1.1 302 Found\r\nLocation: {target}{path}\r\nContent-Length: 0\r\n\r\n");
        Some(Answer::Bytes(location.into_bytes()))
    });
    team.refuses("redirects to somewhere else (HTTP 302), which is not followed");
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn web_pages_and_nonsense_in_place_of_records() {
    let team = Team::new();
    let page = b"<!DOCTYPE html><html><body>Please log in</body></html>".to_vec();
    team.server.lies(move |_, _, _| Some(Answer::Status("200 OK", page.clone())));
    team.refuses("answers with something that is no list of files, but a web page");
    let endless = vec![b' '; 17 << 20];
    team.server.lies(move |_, _, _| Some(Answer::Status("200 OK", endless.clone())));
    team.refuses("answers with more bytes than any record has");
    team.server.lies(|_, path, files| {
        let (record, _) = Team::record(files);
        (path == record).then(|| Answer::Status("200 OK", b"{\"version\": 1}".to_vec()))
    });
    team.refuses("answers with something that is no record");
}

#[test]
fn lists_that_lead_out_of_the_package() {
    for list in [json!(["/etc/passwd"]), json!(["../../secret"]), json!([""])] {
        let team = Team::new();
        let text = json!({ "version": 1, "inputs": list }).to_string().into_bytes();
        team.server.lies(move |_, path, files| {
            let (record, _) = Team::record(files);
            (path.contains("/ac/") && path != record)
                .then(|| Answer::Status("200 OK", text.clone()))
        });
        team.refuses("has a list of files that leads out of the package");
    }
}

#[test]
fn records_that_promise_something_else() {
    for (key, value, said) in [
        ("fingerprint", json!("0".repeat(64)), "has the record of another entry under this name"),
        ("archive", json!("../../../etc/passwd"), "has a record whose digests are none"),
        ("archive", json!("0".repeat(64)), "has a record, but not its archive"),
        ("size", json!(u64::MAX), "announces more than the 16 GiB"),
        ("unpacked", json!(20_u64 << 30), "announces more than the 16 GiB"),
        ("unpacked", json!(1), "entry.json has another digest or size than announced"),
        ("size", json!(100), "is not what it should be"),
        ("size", json!(1 << 30), "is not what it should be"),
        ("digest", json!("0".repeat(64)), "entry.json has another digest"),
        ("description", json!("0".repeat(64)), "entry.json is not the announced one"),
        ("version", json!(2), "has a record of version 2"),
    ] {
        let team = Team::new();
        team.edit_record(|record| record[key] = value);
        team.refuses(said);
    }
}

#[test]
fn archives_that_are_cut_short_or_swapped() {
    let team = Team::new();
    team.server.lies(|_, path, files| {
        path.contains("/cas/").then(|| {
            let file = &files[path];
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
            Answer::Bytes([head.as_bytes(), &file[..file.len() / 2]].concat())
        })
    });
    team.refuses("is not what it should be");
    team.server.lies(|_, path, files| {
        path.contains("/cas/")
            .then(|| Answer::Status("200 OK", files[path][..files[path].len() - 7].to_vec()))
    });
    team.refuses("is not what it should be");
    team.server.lies(|_, path, files| {
        path.contains("/cas/")
            .then(|| Answer::Status("200 OK", [files[path].as_slice(), b"more"].concat()))
    });
    team.refuses("does not have the");
    team.server.lies(|_, path, _| {
        path.contains("/cas/").then(|| Answer::Status("200 OK", b"<html>".to_vec()))
    });
    team.refuses("is not what it should be");
    team.server.lies(|_, path, files| {
        path.contains("/cas/").then(|| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", files[path].len());
            Answer::Slow([head.as_bytes(), &files[path][..100]].concat())
        })
    });
    team.refuses("is not what it should be");
}

#[test]
fn every_altered_byte_is_noticed() {
    let team = Team::new();
    let members = team.members();
    for (number, (path, _)) in members.iter().enumerate() {
        let mut altered = members.clone();
        let content = &mut altered[number].1;
        let middle = content.len() / 2;
        content[middle] ^= 1;
        team.replace_archive(&tar_of(&altered, |_| {}));
        let said = if path == "entry.json" {
            "entry.json is not the announced one"
        } else {
            "was altered"
        };
        team.refuses(said);
    }
}

#[test]
fn archives_with_what_does_not_belong_there() {
    let team = Team::new();
    let members = team.members();
    let extra = |path: &'static str, kind: tar::EntryType, link: &'static str| {
        tar_of(&members, |builder| {
            let mut header = header(path, 0, kind);
            if !link.is_empty() {
                header.set_link_name(link).unwrap();
                header.set_cksum();
            }
            builder.append(&header, std::io::empty()).unwrap();
        })
    };
    use tar::EntryType as Kind;
    for (tar, said) in [
        (extra("../../outside", Kind::Regular, ""), "\"../../outside\" does not belong there"),
        (extra("/tmp/outside", Kind::Regular, ""), "\"/tmp/outside\" does not belong there"),
        (extra("model.mlpackage/extra", Kind::Regular, ""), "does not belong there"),
        (extra("report.json", Kind::Regular, ""), "bytes instead of"),
        (extra("link", Kind::Symlink, "/etc/passwd"), "is not a regular file, but Symlink"),
        (extra("link", Kind::Link, "report.json"), "is not a regular file, but Link"),
        (
            extra("model.mlpackage/folder", Kind::Directory, ""),
            "is not a regular file, but Directory",
        ),
        (extra("device", Kind::Block, ""), "is not a regular file, but Block"),
        (extra("pipe", Kind::Fifo, ""), "is not a regular file, but Fifo"),
        (extra("long", Kind::GNULongName, ""), "is not a regular file, but GNULongName"),
        (extra("pax", Kind::XHeader, ""), "is not a regular file, but XHeader"),
        (tar_of(&members[..members.len() - 1], |_| {}), "is missing"),
        (tar_of(&members[1..], |_| {}), "does not begin with entry.json"),
        (tar_of(&[], |_| {}), "the archive is empty"),
        (b"not a tar archive".to_vec(), "is not what it should be"),
        (tar_of(&[members.clone(), vec![members[1].clone()]].concat(), |_| {}), "is there twice"),
    ] {
        team.replace_archive(&tar);
        team.refuses(said);
    }
    assert!(!Path::new("/tmp/outside").exists());
}

#[test]
fn a_description_that_lists_paths_elsewhere() {
    let team = Team::new();
    for path in ["../outside", "model.mlpackage/../../outside", "/etc/x", "samples/a\\b", "other/x"]
    {
        let mut members = team.members();
        let mut description: Value = serde_json::from_slice(&members[0].1).unwrap();
        description["files"][path] = json!({ "size": 1, "sha256": sha256(b"x") });
        members[0].1 = description.to_string().into_bytes();
        members.push((path.to_owned(), b"x".to_vec()));
        let (before, size) =
            (team.members(), members.iter().skip(1).map(|member| member.1.len()).sum::<usize>());
        team.replace_archive(&tar_of(&members, |_| {}));
        team.edit_record(|record| {
            record["description"] = json!(sha256(&members[0].1));
            record["unpacked"] = json!(size);
        });
        team.refuses(if path.starts_with("model") {
            "does not fit the files"
        } else {
            "which belongs to no entry"
        });
        team.replace_archive(&tar_of(&before, |_| {}));
        team.edit_record(|record| record["description"] = json!(sha256(&before[0].1)));
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    let team = Team::new();
    let members = team.members();
    // A gigabyte of zeros, in a few megabytes, where a small file should be; and behind everything.
    let mut file = Vec::new();
    let mut encoder = lz4_flex::frame::FrameEncoder::new(&mut file);
    let start = tar_of(&members, |_| {});
    encoder.write_all(&start).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap();
    team.server.with_files(|files| {
        let (path, mut record) = Team::record(files);
        record["archive"] = json!(sha256(&file));
        record["size"] = json!(file.len());
        files.insert(path, record.to_string().into_bytes());
        files.insert(format!("/team/cas/{}", sha256(&file)), file);
    });
    let started = Instant::now();
    team.refuses("does not have the");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let mut large = members[..1].to_vec();
    large.push((members[1].0.clone(), vec![0; 64 << 20]));
    team.replace_archive(&tar_of(&large, |_| {}));
    team.refuses("bytes instead of");
}

#[test]
fn a_server_that_cannot_store_is_a_warning() {
    let (package, python, server) =
        (Package::new(&[("m.toml", ONE)]), StandIn::converting(), Server::start());
    for (status, said) in [
        ("405 Not Allowed", "does not take files (HTTP 405)"),
        ("409 Conflict", "has to make folders by itself"),
        ("413 Too Large", "has no room for the model"),
        ("401 Unauthorized", "refuses (HTTP 401)"),
    ] {
        server.lies(move |method, _, _| {
            (method == "PUT").then(|| Answer::Status(status, Vec::new()))
        });
        let name = &status[..3];
        let converted =
            build(machine(&package, name, &python.python(), &server.url(""), true), "m.toml");
        assert_eq!(cached(&converted), [false]);
        let [warning] = &converted.warnings[..] else { panic!("{:?}", converted.warnings) };
        assert!(warning.contains(said), "{warning}");
    }
}

#[test]
fn offline_the_server_is_not_asked() {
    let team = Team::new();
    team.server.requests();
    let mut options =
        machine(&team.package, "offline", Path::new(NOWHERE), &team.server.url(""), false);
    options.python.offline = true;
    let failed = build(options, "m.toml");
    assert!(message(&failed).contains("COREML_PYTHON"));
    assert!(
        failed.warnings[0].contains("is not asked, because the network is forbidden"),
        "{:?}",
        failed.warnings
    );
    assert!(team.server.requests().is_empty());
}
