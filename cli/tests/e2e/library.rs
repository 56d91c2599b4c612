//! The shipped files against a practice clinic each: nobody receives another's data, nothing fails.

use crate::binary::{Desk, Running, shared};
use crate::laws::{count, exit_code};
use practice::{Clinic, Options, Port};
use scenarios::{library, parse};

/// One shipped file at its own clinic, its demo made short.
struct Played {
    name: &'static str,
    desk: Desk,
    clinic: Clinic,
}

impl Played {
    fn prepare(name: &'static str) -> Self {
        let clinic = Clinic::start(Options { port: Port::One(0), defects: Vec::new(), seed: 1 }).unwrap();
        Self { name, desk: Desk::new(), clinic }
    }

    fn start(&self) -> Running {
        let source = library::source(self.name).unwrap();
        let (plan, _) = parse(&source, &|_| None).ok().unwrap();
        let url = self.clinic.urls().patient;
        let targets: Vec<String> =
            scenarios::compile(&plan).unwrap().targets.iter().map(|t| format!("{}={url}", t.name)).collect();
        self.desk.write("s.yaml", &source.text);
        let mut args = vec!["run", "s.yaml", "--users", "6", "--for", "2s", "--out", "r"];
        targets.iter().for_each(|target| args.extend(["--target", target]));
        self.desk.start(&args)
    }
}

/// All at once, because they mostly think.
#[test]
fn each_shipped_file_plays_against_the_healthy_clinic() {
    let _processors = shared();
    let played: Vec<Played> = library::NAMES.iter().map(|name| Played::prepare(name)).collect();
    let running: Vec<Running> = played.iter().map(Played::start).collect();
    for (one, running) in played.iter().zip(running) {
        let (name, ended) = (one.name, running.end());
        let result = one.desk.result("r");
        assert_eq!(ended.code, exit_code(&result), "{name}: {ended}");
        // A busy machine, or so short a time, may leave something open; nothing may be missed.
        assert!(matches!(ended.code, 0 | 3), "{name}: {ended}");
        let isolation = &result["isolation"];
        assert_eq!(count(isolation, "leaks") + count(isolation, "suspects"), 0, "{name}: {ended}");
        let totals = &result["totals"];
        assert!(count(totals, "ok") > 0, "{name}: {totals}");
        assert_eq!(count(totals, "failed") + count(totals, "timed_out"), 0, "{name}: {ended}");
        assert_eq!(count(&totals["iterations"], "gave_up"), 0, "{name}: {ended}");
    }
}
