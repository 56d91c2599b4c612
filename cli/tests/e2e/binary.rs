//! The binary as a user starts it. In: a folder to work in, arguments. Out: exit code, screens, results folders.

use crate::laws::assert_laws;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest time for anything; only what hangs takes so long.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at something awaited.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Verdicts about times want the processors for themselves; all other tests share them.
static PROCESSORS: RwLock<()> = RwLock::new(());

/// Held by a test that may run beside others.
pub fn shared() -> RwLockReadGuard<'static, ()> {
    PROCESSORS.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Held by a test whose verdict depends on times.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    PROCESSORS.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until `probe` finds something.
#[expect(clippy::disallowed_methods, reason = "another process is waited for; only a hang takes the whole patience")]
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A folder of its own in which the binary is started.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for temporary files") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    /// The binary with `args`, not started; nothing of the caller's environment steers it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watertight"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WATERTIGHT_") {
                command.env_remove(name);
            }
        }
        command.env_remove("NO_COLOR").env("RUST_BACKTRACE", "0");
        command.current_dir(self.folder.path()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the binary.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::new(self.command(args))
    }

    /// Starts the binary and waits for its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    /// As [`Desk::run`] with `--out r`, again while the machine is too busy to measure.
    pub fn run_undisturbed(&self, args: &[&str]) -> (Ended, Value) {
        const TIMES: usize = 4;
        for round in 1..=TIMES {
            let folder = format!("r{round}");
            let ended = self.run(&[args, &["--out", &folder]].concat());
            let result = self.result(&folder);
            if result["validity"]["state"] != "void" || result["isolation"]["state"] == "leaking" || round == TIMES {
                return (ended, result);
            }
            assert_eq!(ended.code, 3, "{ended}");
        }
        unreachable!("the last round returns")
    }

    /// The `result.json` of a results folder; it obeys the laws.
    pub fn result(&self, folder: &str) -> Value {
        let result = self.json(&format!("{folder}/result.json"));
        assert_laws(&result);
        result
    }

    pub fn json(&self, name: &str) -> Value {
        let text = self.text(name);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"))
    }

    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = self.text(name);
        text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{name}: {e}\n{l}"))).collect()
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Whole lines of a file that is being written.
    pub fn whole_lines(&self, name: &str) -> usize {
        std::fs::read(self.path(name)).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count())
    }

    /// All files under a folder, with their bytes.
    pub fn files(&self, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(folder), &mut found);
        found
    }
}

/// A binary that has been started. Killed when dropped.
pub struct Running {
    pub child: Child,
    screens: [Option<JoinHandle<String>>; 2],
}

impl Running {
    pub fn new(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let screens = [
            child.stdout.take().map(|pipe| read(Box::new(pipe))),
            child.stderr.take().map(|pipe| read(Box::new(pipe))),
        ];
        Self { child, screens }
    }

    /// Takes over a child whose screens are read elsewhere.
    pub fn adopt(child: Child) -> Self {
        Self { child, screens: [None, None] }
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.expect("sh starts").success());
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let status = until("the end of the binary", || self.child.try_wait().expect("the child can be waited for"));
        let [out, err] = std::mem::take(&mut self.screens)
            .map(|screen| screen.map_or_else(String::new, |s| s.join().expect("the reader does not panic")));
        // A signal has no exit code; -9 stands for a kill.
        let ended = Ended { code: status.code().unwrap_or(-9), out, err };
        assert!(!ended.err.contains("panicked"), "{ended}");
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut pipe: Box<dyn Read + Send>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What a binary that has ended left.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n── stdout\n{}\n── stderr\n{}", self.code, self.out, self.err)
    }
}
