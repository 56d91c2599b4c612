//! Forbidden reads: whose data is tried, and what its answer means.
//! In: the answer to a probe. Out: a suspicion, or a count of those that say nothing.

use super::{Foreign, Origin, Spot};
use crate::client::answer::{Answer, Ending};
use crate::isolation::entitlement::may_see;
use crate::record::Recorder;
use crate::run_result::Tier;
use crate::user::VirtualUser;
use rand::RngExt;
use scenarios::program::{Probe, Request};

impl VirtualUser {
    /// An account whose data this user may not see, and whose own request of the probed template has returned its own
    /// marker in this run: so a silence of the probe means something.
    pub(in crate::user) fn draw_stranger(&mut self, probe: &Probe, recorder: &Recorder) -> Option<u32> {
        let candidates = &recorder.controls[probe.control_step?];
        for _ in 0..8 {
            if candidates.is_empty() {
                return None;
            }
            let candidate = candidates[self.random.random_range(0..candidates.len())];
            let its_role = self.run.program.account(candidate as usize).map(|(role, _)| role);
            if its_role == Some(probe.role)
                && candidate != self.account
                && !may_see(&self.run.program, self.account, candidate)
            {
                return Some(candidate);
            }
        }
        None
    }

    pub(super) fn judge_probe(
        &self,
        plan: &Request,
        answer: &Answer<'_>,
        foreign: &[Foreign<'_>],
        recorder: &mut Recorder,
    ) {
        let Some(stranger) = self.stranger else {
            return;
        };
        match answer.status {
            200..=299 if answer.ending == Ending::Complete => {
                // With the stranger's marker it has been reported as proven already.
                if foreign.iter().all(|f| f.owner != stranger || f.marker.is_none()) {
                    let why = "the forbidden read was answered with success, but without a marker of the stranger";
                    let spot = Spot::one("body", answer.body);
                    let key = self.key("probe", Tier::Suspect, plan.step, spot.kind);
                    recorder.leak(key.clone(), || {
                        self.evidence(
                            &key,
                            &Origin::of(plan, answer),
                            spot,
                            (0, 0),
                            self.party(stranger, None),
                            why,
                            "access control hole",
                        )
                    });
                }
            }
            401 | 403 | 404 => {}
            _ => recorder.interval().isolation.probes_indeterminate += 1,
        }
    }
}
