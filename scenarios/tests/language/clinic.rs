//! The shipped model file compiles to what it says.

use scenarios::program::Control;
use scenarios::{Program, compile, deal_users, library, parse, render};

fn clinic() -> Program {
    let source = library::source("clinic").expect("the clinic is shipped");
    match parse(&source, &|_| None) {
        Ok((plan, warnings)) => {
            assert!(warnings.is_empty(), "{}", render(&warnings, &source, false));
            compile(&plan).expect("an accepted plan compiles")
        }
        Err(mistakes) => panic!("{}", render(&mistakes, &source, false)),
    }
}

#[test]
fn the_model_file_has_no_mistake_and_no_warning() {
    let program = clinic();
    assert_eq!(program.profiles[0].name, "demo");
    assert_eq!(program.profiles[0].load.most_users(), 20);
    assert_eq!(deal_users(&program, 20), [12, 3, 5]);
    assert_eq!(program.account_count(), 2500);
    assert_eq!(program.account_name(2003), "c-3");
}

#[test]
fn the_model_file_can_prove_isolation() {
    let program = clinic();
    let own = program.steps.iter().filter(|s| s.control == Some(Control::Own)).count();
    assert!(own >= 3, "own markers must come back at several steps");
    let probes: Vec<_> = program.requests.iter().filter_map(|r| r.probe.as_ref()).collect();
    assert_eq!(probes.len(), 1);
    assert!(probes[0].control_step.is_some());
    assert!(program.requests.iter().any(|r| r.plants_marker));
    assert!(program.requests.iter().flat_map(|r| &r.saves).any(|s| s.credential));
}

#[test]
fn the_demo_is_short_and_busy() {
    let program = clinic();
    let demo = program.estimate("demo").expect("the first profile");
    assert_eq!(demo.duration_s, 22.0);
    assert!(demo.requests.is_some_and(|n| (500..5_000).contains(&n)), "{demo:?}");
}
