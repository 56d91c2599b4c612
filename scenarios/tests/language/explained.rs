//! The listing and the graph of the shipped model file: every operation is there, every way ends at one.

use scenarios::explain::{describe, graph, listing, ways};
use scenarios::program::Op;
use scenarios::{Program, compile, library, parse};

fn clinic() -> Program {
    let source = library::source("clinic").expect("the clinic is shipped");
    let (plan, _) = parse(&source, &|_| None).expect("the clinic is right");
    compile(&plan).expect("an accepted plan compiles")
}

#[test]
fn every_operation_of_the_model_file_is_listed_and_leads_to_another() {
    let program = clinic();
    let listing = listing(&program);
    for journey in &program.journeys {
        for (pc, op) in (0..).zip(&journey.ops) {
            let line = format!("{pc:>4}  {}\n", describe(&program, journey, op));
            assert!(listing.contains(&line), "`{line}` is missing in {}", journey.name);
            let ways = ways(pc, op);
            assert_eq!(ways.is_empty(), matches!(op, Op::End), "{line}");
            assert!(ways.iter().all(|(to, _)| (*to as usize) < journey.ops.len()), "{line}");
        }
    }
}

#[test]
fn the_graph_draws_each_operation_once_and_no_jump() {
    let program = clinic();
    for journey in &program.journeys {
        let graph = graph(&program, &journey.name).expect("it is there");
        for (pc, op) in journey.ops.iter().enumerate() {
            let drawn = ["[", "(", "{"].iter().map(|s| graph.matches(&format!("    op{pc}{s}")).count()).sum::<usize>();
            let in_an_empty_section = journey.before + 1 == journey.steps && pc as u32 == journey.before
                || journey.after as usize + 1 == journey.ops.len() && pc as u32 == journey.after;
            let wanted = usize::from(!matches!(op, Op::Jump(_)) && !in_an_empty_section);
            assert_eq!(drawn, wanted, "op {pc} of {}:\n{graph}", journey.name);
        }
    }
    assert!(graph(&program, "nobody").is_none());
}
