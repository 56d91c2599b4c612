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
fn what_the_isolation_check_goes_by_is_said_before_anything_is_sent() {
    let lines = |steps: &str, faults: &str| {
        let text = format!(
            "watertight: 1\nname: i\ntargets: {{ t: 'http://127.0.0.1:1' }}\n\
             roles: {{ u: {{ accounts: {{ count: 2, values: {{ id: 'u{{{{ index }}}}' }} }} }} }}\n\
             journeys: {{ j: {{ as: u, target: t, steps: [ {steps} ] }} }}\n\
             profiles: {{ p: {{ users: 2, for: 10s{faults} }} }}\n"
        );
        let (plan, _) = parse(&super::file::source(&text), &|_| None).expect("the file is right");
        scenarios::explain::isolation(&compile(&plan).expect("it compiles"))
    };
    let nothing = lines("GET /a", "");
    assert!(nothing.len() == 1 && nothing[0].starts_with("nothing can be found"), "{nothing:?}");
    let half = lines("{ PUT /a: { json: { n: '{{ marker }}' } } }, GET /a", "");
    assert_eq!(half[0], "markers are written at PUT /a ($.n)");
    assert!(half.len() == 2 && half[1].contains("`expect: { marker: own }`"), "{half:?}");
    let set = lines("{ set: { n: '{{ marker }}' } }, 'PUT /a?n={{ n }}'", "");
    assert!(set.len() == 1 && !set[0].contains("nothing"), "it may be written through a variable: {set:?}");
    let socket = lines("{ websocket /ws: { steps: [ { send: '{{ marker }}' } ] } }", "");
    assert_eq!(socket[0], "markers are written at websocket /ws (message)");
    let all = "{ 'PUT /a/{{ marker }}/b?q={{ marker }}': { headers: { X-Note: '{{ marker }}' }, form: { f: 'x{{ marker }}' } } }, \
               { POST /m: { multipart: { file: '{{ marker }}' } } }, { POST /t: { body: '{{ marker }}' } }, \
               { POST /w: { json: { a: [ 1, { 'b c': 'see {{ 1 == 1 ? marker : 0 }}' } ], w: '{{ marker_words() }}' } } }";
    assert_eq!(
        lines(all, "")[0],
        "markers are written at PUT /a/{{ marker }}/b?q={{ marker }} (path segment 2, query q, header x-note, form f), \
         POST /m (part file), POST /t (body), POST /w ($.a[1][\"b c\"])"
    );
    let ids =
        "{ PUT /a: { json: { id: '{{ client_id() }}', n: '{{ marker }}' } } }, { GET /a: { expect: { marker: own } } }";
    let whole = lines(ids, "");
    assert_eq!(whole[1], "they have to come back at GET /a");
    assert!(whole.len() == 4 && whole[2].contains("`identity`"), "{whole:?}");
    assert!(whole[3].contains("equal_ids: true"), "{whole:?}");
    let equal = ", faults: { equal_ids: true }";
    assert_eq!(lines(ids, equal).len(), 3);
    let named = ids.replace("expect: {", "identity: { $.id: '{{ account.id }}' }, expect: {");
    assert_eq!(lines(&named, equal).len(), 2);
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
