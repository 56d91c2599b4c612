//! Objectives by windows through the binary: judged at the end, again from the disk, and by another file.

use crate::binary::{Desk, shared};
use crate::{scenario, server};

#[test]
fn windows_are_judged_again_from_what_is_stored_and_by_another_file() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    let text = scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50%, each: 1s }");
    desk.write("a.yaml", &text);
    let first = desk.run(&["run", "a.yaml", "--out", "r"]);
    assert_eq!(first.code, 0, "{first}");
    let judged = desk.result("r")["objectives"][0].clone();
    assert_eq!(judged["id"], "errors < 50% each 1s", "{judged}");
    assert_eq!(judged["windows"]["held"], judged["windows"]["count"], "{judged}");
    assert!(first.out.contains("held in "), "{first}");
    let again = desk.run(&["report", "r"]);
    assert_eq!(again.code, 0, "{again}");
    assert_eq!(desk.result("r")["objectives"][0], judged, "the same fold gives the same answer");
    // Objectives that the run did not know: their windows are counted from the stored seconds.
    desk.write("b.yaml", &text.replace("{ errors: < 50%, each: 1s }", "{ rate: \">= 1000000/s\", each: 1s }"));
    let other = desk.run(&["report", "r", "--sla", "b.yaml"]);
    assert_eq!(other.code, 1, "{other}");
    let judged = desk.result("r")["objectives"][0].clone();
    assert_eq!(judged["outcome"], "fail", "{judged}");
    assert_eq!(judged["windows"]["held"], 0, "{judged}");
}
