//! Screens: none, one without colours, one that goes away. None of them changes what a run finds.
#![cfg(unix)]

use crate::binary::{Desk, Running, shared};
use crate::{scenario, server};
use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;

fn file(desk: &Desk) -> server::Server {
    let target = server::good();
    desk.write("s.yaml", &scenario::plain(&target.url, "{ status: 503 }", "{ errors: < 5% }"));
    target
}

#[test]
fn without_a_terminal_there_are_plain_lines_only() {
    let _processors = shared();
    let desk = Desk::new();
    let _target = file(&desk);
    let ended = desk.run(&["run", "s.yaml", "--for", "200ms", "--out", "r"]);
    assert!(!ended.out.contains('\x1b') && !ended.err.contains('\x1b'), "{ended}");
    assert!(ended.out.contains("NO-GO") || ended.out.contains("INCONCLUSIVE"), "{ended}");
    let quiet = desk.run(&["report", "r", "-q"]);
    assert_eq!((quiet.out.lines().count(), quiet.err.as_str(), quiet.code), (1, "", ended.code), "{quiet}");
}

#[test]
fn a_reader_that_went_away_does_not_change_the_exit_code() {
    let _processors = shared();
    let desk = Desk::new();
    let _target = file(&desk);
    for (round, both) in [false, true].into_iter().enumerate() {
        let out = format!("r{round}");
        let mut command = desk.command(&["run", "s.yaml", "--for", "100ms", "--out", &out]);
        command.stdout(closed_pipe());
        if both {
            command.stderr(closed_pipe());
        }
        let ended = Running::new(command).end();
        assert_eq!(ended.code, crate::laws::exit_code(&desk.result(&out)), "{ended}");
    }
    for args in [&["check", "s.yaml"][..], &["completions", "zsh"], &["--help"], &["report", "r0"]] {
        let mut command = desk.command(args);
        command.stdout(closed_pipe()).stderr(closed_pipe());
        let ended = Running::new(command).end();
        let code = if args[0] == "report" { crate::laws::exit_code(&desk.result("r0")) } else { 0 };
        assert_eq!(ended.code, code, "{args:?}: {ended}");
    }
}

/// The writing end of a pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn no_color_is_honoured_on_a_terminal() {
    let _processors = shared();
    let desk = Desk::new();
    let _target = file(&desk);
    let coloured = on_a_terminal(&desk, "r1", None);
    assert!(coloured.contains("\x1b[1;3"), "a terminal has colours: {coloured:?}");
    let plain = on_a_terminal(&desk, "r2", Some("1"));
    assert!(plain.contains("GO") || plain.contains("INCONCLUSIVE"), "{plain:?}");
    let colours = plain.split("\x1b[").skip(1).filter(|rest| {
        rest.find(|c: char| !c.is_ascii_digit() && c != ';').is_some_and(|at| rest[at..].starts_with('m'))
    });
    assert_eq!(colours.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// What a run shows on a terminal of 80 columns.
fn on_a_terminal(desk: &Desk, out: &str, no_color: Option<&str>) -> String {
    let (screen, terminal) = pseudo_terminal();
    let mut command = desk.command(&["run", "s.yaml", "--out", out]);
    command.stdout(Stdio::from(terminal.try_clone().unwrap())).stderr(Stdio::from(terminal));
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let running = Running::new(command);
    let mut shown = Vec::new();
    // On Linux reading fails, instead of ending, when the last writer has closed.
    let mut screen = File::from(screen);
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = screen.read(&mut part) {
        shown.extend_from_slice(&part[..n]);
    }
    let ended = running.end();
    assert_eq!(ended.code, crate::laws::exit_code(&desk.result(out)), "{ended}");
    String::from_utf8_lossy(&shown).into_owned()
}

/// Both ends of a new terminal.
fn pseudo_terminal() -> (OwnedFd, OwnedFd) {
    let (mut screen, mut terminal) = (-1, -1);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both descriptors are out-parameters; name and settings may be null; the size outlives the call.
    let made =
        unsafe { libc::openpty(&mut screen, &mut terminal, std::ptr::null_mut(), std::ptr::null(), &raw const size) };
    assert_eq!(made, 0, "a terminal can be made");
    // SAFETY: the call above has just opened both, and nobody else owns them.
    unsafe { (OwnedFd::from_raw_fd(screen), OwnedFd::from_raw_fd(terminal)) }
}
