//! `at:` of a profile: commands of the user's own, started at their moments while the run goes on.
//! In: the profile's moments. Out: what became of each command. What still runs when the run ends is killed.

use engine::run_result::MarkCommand;
use scenarios::program::{Profile, Program};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Characters of a command's last line that are kept.
const LONGEST_LINE: usize = 200;
/// Bytes of one line that are read before it counts as ended.
const LONGEST_READ: u64 = 64 << 10;

/// The commands of a run that is going on.
#[derive(Debug)]
pub struct Moments {
    thread: Option<JoinHandle<Vec<MarkCommand>>>,
    over: Sender<()>,
}

impl Moments {
    /// Waits for the moments of `profile`; commands start in `folder`. Nothing is started for a profile without any.
    pub fn start(program: &Program, profile: &Profile, folder: &Path) -> Self {
        let (over, wait) = channel();
        let due: Vec<Due> = profile
            .moments
            .iter()
            .filter_map(|m| Some(Due { at_ns: m.at_ns, mark: m.mark.clone(), words: m.run.clone()? }))
            .collect();
        let secrets = program.secrets.clone();
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_path_buf() };
        let thread = (!due.is_empty()).then(|| std::thread::spawn(move || conduct(due, &folder, &secrets, &wait)));
        Self { thread, over }
    }

    /// The run is over: kills what still runs, and says what became of all. `started_unix_ns` is the start of the load.
    pub fn end(self, started_unix_ns: u64) -> Vec<MarkCommand> {
        drop(self.over);
        let mut commands = self.thread.map_or_else(Vec::new, |t| t.join().unwrap_or_default());
        for command in &mut commands {
            command.started_ns = command.started_ns.saturating_sub(started_unix_ns);
        }
        commands
    }
}

/// A command that is still to come.
struct Due {
    at_ns: u64,
    mark: String,
    words: Vec<String>,
}

/// A command under way.
struct Running {
    said: MarkCommand,
    child: Option<Child>,
    last_line: Arc<Mutex<String>>,
}

fn conduct(due: Vec<Due>, folder: &Path, secrets: &[String], over: &Receiver<()>) -> Vec<MarkCommand> {
    // The engine's own start comes so much after this one.
    let zero = unix_ns().saturating_add(u64::try_from(engine::READY.as_nanos()).unwrap_or(0));
    let mut running: Vec<Running> = Vec::new();
    for one in due {
        let wait = zero.saturating_add(one.at_ns).saturating_sub(unix_ns());
        if over.recv_timeout(Duration::from_nanos(wait)) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        running.push(start(&one, folder, secrets));
    }
    // The sender is dropped when the run ends.
    while over.recv().is_ok() {}
    running.into_iter().map(|r| finish(r, secrets)).collect()
}

fn unix_ns() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0)
}

fn start(due: &Due, folder: &Path, secrets: &[String]) -> Running {
    let mut said = MarkCommand {
        mark: due.mark.clone(),
        at_ns: due.at_ns,
        started_ns: unix_ns(),
        command: masked(&due.words.join(" "), secrets),
        ..MarkCommand::default()
    };
    let last_line = Arc::new(Mutex::new(String::new()));
    let (program, args) = due.words.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    let spawned = Command::new(in_folder(program, folder))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = match spawned {
        Ok(mut child) => {
            child.stdout.take().into_iter().for_each(|out| listen(out, &last_line));
            child.stderr.take().into_iter().for_each(|err| listen(err, &last_line));
            Some(child)
        }
        Err(error) => {
            said.outcome = format!("could not be started: {error}");
            None
        }
    };
    Running { said, child, last_line }
}

/// `./roll.sh` stands in the scenario's folder, `kubectl` wherever the system finds it.
fn in_folder(program: &str, folder: &Path) -> PathBuf {
    let path = Path::new(program);
    if path.is_relative() && path.components().count() > 1 || program.starts_with("./") {
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        return folder.join(path);
    }
    path.to_path_buf()
}

/// Remembers the last line that is not empty, of whatever comes.
fn listen(from: impl Read + Send + 'static, last: &Arc<Mutex<String>>) {
    let last = Arc::clone(last);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.by_ref().take(LONGEST_READ).read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text: String = String::from_utf8_lossy(&line).trim().chars().take(LONGEST_LINE).collect();
            if !text.is_empty() {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
            }
            line.clear();
        }
    });
}

fn finish(running: Running, secrets: &[String]) -> MarkCommand {
    let Running { mut said, child, last_line } = running;
    if let Some(mut child) = child {
        match child.try_wait() {
            Ok(Some(status)) => {
                said.exit_code = status.code();
                said.outcome = status.code().map_or("ended by a signal".into(), |code| format!("exit code {code}"));
            }
            _ => {
                // One that ends in this moment is gone already.
                let _ = child.kill();
                let _ = child.wait();
                said.outcome = "killed: it still ran when the run ended".into();
            }
        }
    }
    let line = last_line.lock().unwrap_or_else(PoisonError::into_inner).clone();
    said.last_line = masked(&line, secrets);
    said
}

fn masked(text: &str, secrets: &[String]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() >= 4);
    long.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(words: &[&str], secrets: &[&str]) -> MarkCommand {
        let due = Due { at_ns: 0, mark: "m".into(), words: words.iter().map(ToString::to_string).collect() };
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let mut running = start(&due, Path::new("."), &secrets);
        if let Some(child) = &mut running.child {
            child.wait().expect("it ends");
        }
        finish(running, &secrets)
    }

    #[test]
    fn a_command_tells_its_exit_code_and_shows_no_secret() {
        let said = play(&["sh", "-c", "exit 3", "key-1234567"], &["key-1234567"]);
        assert_eq!((said.exit_code, said.outcome.as_str()), (Some(3), "exit code 3"));
        assert_eq!(said.command, "sh -c exit 3 ***");
    }

    #[test]
    fn a_command_that_is_not_there_is_said_and_nothing_else_happens() {
        let said = play(&["./no-such-program-here"], &[]);
        assert!(said.outcome.starts_with("could not be started"), "{}", said.outcome);
        assert_eq!(said.exit_code, None);
    }

    #[test]
    fn what_still_runs_at_the_end_is_killed() {
        let due = Due { at_ns: 0, mark: "m".into(), words: vec!["sleep".into(), "600".into()] };
        let said = finish(start(&due, Path::new("."), &[]), &[]);
        assert_eq!((said.exit_code, said.outcome.starts_with("killed")), (None, true));
    }
}
