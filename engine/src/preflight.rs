//! Preflight: is every target there, and healthy, before any load starts?
//! In: the targets of a program. Out: how many health requests were made, or which target is not there and why.

use crate::client::answer::{Ending, Outgoing};
use crate::client::exchange::UserClient;
use crate::client::wire::Wire;
use crate::clock::{Clock, SECOND};
use crate::runtime::Runtime;
use http::{Method, Uri};
use scenarios::program::Target;
use std::time::Duration;

/// Longest time for one health check, ns.
const PATIENCE: u64 = 5 * SECOND;

/// Why the load must not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PreflightError(pub String);

/// Asks each target once: `health:` must answer 2xx; without one a connection must be possible.
/// Answers the number of requests sent.
///
/// # Errors
/// All targets that are not there or not healthy, with their addresses.
pub fn preflight(targets: &[Target]) -> Result<u64, PreflightError> {
    let fail = |e: String| PreflightError(e);
    let runtime = Runtime::new().map_err(|e| fail(format!("the runtime cannot start: {e}")))?;
    let tls = Wire::tls_configs(targets).map_err(fail)?;
    let wire = Wire::new(Clock::starting_in(Duration::ZERO), targets, &tls).map_err(fail)?;
    runtime.block_on(async {
        let mut requests = 0;
        let mut problems = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            match check(&wire, index, target).await {
                Ok(sent) => requests += sent,
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(requests) } else { Err(PreflightError(problems.join("\n"))) }
    })
}

async fn check(wire: &Wire, index: usize, target: &Target) -> Result<u64, String> {
    let Some(health) = &target.health else {
        let connecting =
            tokio::time::timeout(Duration::from_nanos(PATIENCE), crate::client::connect::connect(wire, index, None));
        return match connecting.await {
            Ok(Ok(_)) => Ok(0),
            Ok(Err(crate::client::connect::ConnectError::Target(transport))) => Err(absent(target, transport.name())),
            Ok(Err(crate::client::connect::ConnectError::Ours)) => {
                Err(absent(target, "this machine has no free port or descriptor"))
            }
            Err(_) => Err(absent(target, "no connection within 5 s")),
        };
    };
    let uri: Uri = health.parse().map_err(|e| format!("target `{}`: health path `{health}`: {e}", target.name))?;
    let mut request = Outgoing { target: index, method: Method::GET, uri, timeout_ns: PATIENCE, ..Outgoing::default() };
    let mut client = UserClient::new(wire.targets.len());
    let received = client.exchange(wire, &mut request, wire.clock.now()).await;
    let answer = received.answer();
    match answer.ending {
        Ending::Complete if (200..300).contains(&answer.status) => Ok(1),
        Ending::Complete => Err(format!(
            "target `{}` is not healthy: GET {}{health} answered {}",
            target.name, target.url, answer.status
        )),
        Ending::Failed(transport) => Err(absent(target, transport.name())),
        Ending::TimedOut | Ending::Cut | Ending::Abandoned => Err(absent(target, "no answer within 5 s")),
        Ending::GeneratorError => Err(absent(target, "this machine has no free port or descriptor")),
    }
}

fn absent(target: &Target, why: &str) -> String {
    format!("target `{}` at {} is not reachable: {why}", target.name, target.url)
}
