//! A results folder that cannot be written any more in the middle of a run: measuring goes on, the end says so with exit
//! code 4, and what was stored until then can be read.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// So many steps that a second takes more than 20 kB.
const STEPS: usize = 40;

/// Starts a counting server; answers its port and its count.
fn serve() -> (u16, Arc<AtomicU64>) {
    fn answer(stream: &TcpStream, count: &AtomicU64) -> Option<()> {
        for line in BufReader::new(stream).lines() {
            if line.ok()?.is_empty() {
                count.fetch_add(1, SeqCst);
                (&*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok()?;
            }
        }
        None
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || answer(&stream.unwrap(), &counter));
        }
    });
    (port, count)
}

/// A run of four seconds.
fn scenario(port: u16) -> String {
    let steps: String = (0..STEPS).map(|i| format!("      - GET /{i}\n      - think: 5ms\n")).collect();
    format!(
        "watertight: 1\nname: full\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\njourneys:\n  j:\n    target: t\n    \
         steps:\n{steps}profiles: {{ p: {{ users: 4, for: 4s }} }}\nsla: [ {{ errors: < 1% }} ]\n"
    )
}

/// `sh -c script`, which finds the binary as `$0`, and nothing else of the caller's environment that steers it.
fn sh(program: &str, before: &[&str], script: &str, folder: &Path) -> Output {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WATERTIGHT_")) {
        command.env_remove(name);
    }
    command.args(before).args(["-c", script, env!("CARGO_BIN_EXE_watertight")]);
    command.current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// The number of requests behind the objective, as the summary says it.
#[track_caller]
fn requests(summary: &str) -> u64 {
    let row = summary.lines().find(|l| l.contains("errors < 1%") && !l.contains("GO")).expect(summary);
    row.split_whitespace().next_back().unwrap().replace(',', "").parse().unwrap_or_else(|e| panic!("{e}: {row}"))
}

/// What must be true however the folder was filled; `r` in `folder` holds what was stored.
fn check(output: &Output, served: u64, reason: &str, folder: &Path) {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{out}{err}");
    assert!(!err.contains("panicked"), "{err}");
    // It is said when it happens, once, and at the end.
    assert_eq!(err.matches("measuring goes on").count(), 1, "{err}");
    assert!(err.contains(reason) && err.contains("writes to the results folder failed"), "{err}");
    assert_eq!(requests(&out), served, "the figures are of the whole run\n{out}{err}");
    // A page that could not be written is not named.
    assert_eq!(out.contains("Report:"), folder.join("r/report.html").exists(), "{out}");
    // What was stored are whole lines, and not all of the run.
    let lines = std::fs::read_to_string(folder.join("r/intervals.jsonl")).unwrap();
    assert!(lines.ends_with('\n'), "no line is torn");
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    let again = sh("sh", &[], "\"$0\" report r", folder);
    let words = String::from_utf8_lossy(&again.stdout);
    let stored = requests(&words);
    assert!(0 < stored && stored < served, "{stored} of {served} were stored\n{words}");
}

#[test]
fn a_file_that_may_not_grow_ends_in_4_with_all_figures() {
    let folder = tempfile::tempdir().unwrap();
    let (port, count) = serve();
    std::fs::write(folder.path().join("s.yaml"), scenario(port)).unwrap();
    // Writes beyond the limit fail with an error once the signal that would end the process is ignored.
    let script = "trap '' XFSZ; ulimit -f 80; exec \"$0\" run s.yaml --out r";
    let output = sh("sh", &[], script, folder.path());
    check(&output, count.load(SeqCst), "File too large", folder.path());
}

/// A real full disk: a small tmpfs in a mount namespace of its own, so that nothing is left on the machine.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_in_4_with_all_figures() {
    let folder = tempfile::tempdir().unwrap();
    let (port, count) = serve();
    std::fs::write(folder.path().join("s.yaml"), scenario(port)).unwrap();
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let mount = "mount -t tmpfs -o size=96k none disk";
    let tried = Command::new("unshare").args(["-rm", "sh", "-c", mount]).current_dir(folder.path()).output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        // The disk is gone with its namespace: what it holds is copied out first.
        let script = "mount -t tmpfs -o size=96k none disk || exit 99; \"$0\" run s.yaml --out disk/r; code=$?; \
                      cp -r disk/r r; exit $code";
        let output = sh("unshare", &["-rm", "sh"], script, folder.path());
        check(&output, count.load(SeqCst), "No space left on device", folder.path());
    } else {
        // Where nothing can be mounted, files of the kernel that are always full stand for the disk.
        eprintln!("no tmpfs can be mounted here, so /dev/full is the disk");
        let script = "mkdir r && ln -s /dev/full r/histograms.hlog && exec \"$0\" run s.yaml --out r";
        let output = sh("sh", &[], script, folder.path());
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{err}");
        assert!(err.contains("No space left on device"), "{err}");
    }
}
