//! The parts of the cache that whole builds do not reach.

use super::*;

#[test]
fn small_files_appear_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/file");
    write_whole(&path, b"one").unwrap();
    write_whole(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn old_logs_go_when_a_new_one_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let (old, file) = cache.log("old").unwrap();
    file.set_modified(SystemTime::now() - 2 * LOGS_KEPT).unwrap();
    let (recent, _) = cache.log("recent").unwrap();
    assert!(!old.exists() && recent.exists());
    cache.log("new").unwrap();
    assert!(recent.exists());
}

#[test]
fn a_look_up_in_a_cache_that_does_not_exist_is_a_miss_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(&folder.path().join("cache"));
    assert!(matches!(cache.lookup("0123"), Lookup::Miss));
    assert!(cache.recorded_inputs("0123").is_empty());
    assert!(!folder.path().join("cache").exists());
}

#[test]
fn the_cache_is_marked_for_backups() {
    let folder = tempfile::tempdir().unwrap();
    let _temporary = Cache::new(folder.path()).temporary().unwrap();
    let tag = std::fs::read_to_string(folder.path().join("v1/CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
}

#[test]
fn a_lock_is_waited_for_and_freed_with_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let held = cache.lock("key").hold(|| panic!("nobody holds it")).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let lock = cache.lock("key");
        scope.spawn(move || {
            let waiting = sender.clone();
            let _held = lock.hold(|| waiting.send("waiting").unwrap()).unwrap();
            sender.send("held").unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), "waiting");
        assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err());
        drop(held);
        assert_eq!(receiver.recv().unwrap(), "held");
    });
}
