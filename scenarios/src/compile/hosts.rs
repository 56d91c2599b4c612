//! Whole URLs: which target one goes to, by scheme, host and port; a host that is none of the targets becomes one.
//! In: a request's key. Out: the index of its target.

use super::Lowering;
use super::journeys::Builder;
use crate::diagnostic::Diagnostic;
use crate::plan::{RequestPlan, TargetPlan, plain_target, split_host};
use crate::syntax::{Scalar, Style};

impl Lowering<'_> {
    /// A target of the file, or a host of a whole URL.
    pub(super) fn target_plan(&self, index: usize) -> Option<&TargetPlan> {
        self.plan.targets.iter().chain(&self.foreign).nth(index)
    }
}

impl Builder<'_, '_> {
    /// Where a whole URL goes; `None` for a path.
    pub(super) fn whole_target(&mut self, plan: &RequestPlan) -> Option<usize> {
        let written = &plan.key.text[plan.path_at..];
        if !written.starts_with("http") {
            return None;
        }
        if let Some(target) = &plan.target {
            let message = "a whole URL says itself where it goes";
            let mistake = Diagnostic::error("two-places", target.span, message);
            self.lowering.push(mistake.help("remove `target`, or write the path alone"));
        }
        let (host, _) = split_host(written);
        let wanted = origin(host);
        let targets = self.lowering.plan.targets.iter().chain(&self.lowering.foreign);
        let known = targets.map(|t| origin(&t.url)).position(|known| known == wanted);
        Some(known.unwrap_or_else(|| {
            let name = Scalar::new("", host, Style::Quoted, plan.key.span);
            self.lowering.foreign.push(plain_target(name, host.to_owned()));
            self.lowering.plan.targets.len() + self.lowering.foreign.len() - 1
        }))
    }
}

/// Scheme, host and port of an address that has been checked.
fn origin(url: &str) -> (String, String) {
    let (host, _) = split_host(url);
    let lower = host.to_lowercase();
    let (scheme, authority) = lower.split_once("://").unwrap_or(("", &lower));
    let port = if scheme == "https" { ":443" } else { ":80" };
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let authority = if has_port { authority.to_owned() } else { format!("{authority}{port}") };
    (scheme.to_owned(), authority)
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (a, b, same) in [
            ("http://A.test/x", "http://a.test:80", true),
            ("https://a.test", "https://a.test:443/y?z", true),
            ("https://a.test", "http://a.test", false),
            ("http://[::1]", "http://[::1]:80", true),
            ("http://[::1]:8080", "http://[::1]", false),
        ] {
            assert_eq!(origin(a) == origin(b), same, "{a} {b}");
        }
    }
}
