//! The timeline cut into contiguous blocks, to learn how much one request says about the next.
//! In: a run result and what to count in a point. Out: blocks for [`stats`](crate::stats).

use crate::stats::{self, Block};
use engine::run_result::{Point, RunResult, StepTotals};

/// Most blocks: enough for a variance, few enough that a block outlasts a stall (Schmeiser: 10 to 30).
const MOST_BLOCKS: usize = 20;

/// Fewest blocks for an interval: below, the spread between blocks is itself a guess.
const LEAST_BLOCKS: usize = 5;

/// The measured points (warm-up left out).
pub fn measured_points(result: &RunResult) -> impl Iterator<Item = &Point> {
    result.timeline.iter().filter(|p| p.t_s >= 0.0)
}

/// At most 20 contiguous blocks; `of` gives a point's sum and its number of samples.
pub fn blocks(result: &RunResult, of: impl Fn(&Point) -> (f64, f64)) -> Vec<Block> {
    let values: Vec<(f64, f64)> = measured_points(result).map(of).collect();
    let parts = values.len().min(MOST_BLOCKS);
    (0..parts)
        .map(|i| {
            let part = &values[i * values.len() / parts..(i + 1) * values.len() / parts];
            Block { sum: part.iter().map(|v| v.0).sum(), n: part.iter().map(|v| v.1).sum() }
        })
        .collect()
}

/// How dependent the samples of some steps are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dependence {
    /// Design effect, at least 1.
    pub design_effect: f64,
    /// Blocks that it was learnt from.
    pub blocks: usize,
}

impl Dependence {
    /// The effective n of `n` samples; `None` if the run is too short to know it.
    pub fn effective_n(&self, n: f64) -> Option<f64> {
        let is_known = self.blocks >= LEAST_BLOCKS;
        is_known.then(|| stats::effective_n(n, self.design_effect, self.blocks))
    }
}

/// Dependence of a share, from its proportion in each block. `None`: fewer than two blocks held samples.
pub fn of_share(blocks: &[Block]) -> Option<Dependence> {
    let ratio = stats::ratio(blocks)?;
    let n = blocks.iter().map(|b| b.n).sum();
    let single = ratio.value * (1.0 - ratio.value);
    Some(Dependence { design_effect: stats::design_effect(&ratio, n, single), blocks: ratio.blocks })
}

/// Half the width of a 95 % interval by batch means; `None` with too few blocks.
pub fn half_width(blocks: &[Block]) -> Option<f64> {
    let ratio = stats::ratio(blocks).filter(|r| r.blocks >= LEAST_BLOCKS)?;
    Some(stats::t_quantile(ratio.blocks) * ratio.variance.sqrt())
}

/// Blocks of summed response time over the steps `ids`.
pub fn response_blocks(result: &RunResult, ids: &[usize]) -> Vec<Block> {
    blocks(result, |point| {
        let steps = ids.iter().filter_map(|&i| point.steps.get(i));
        steps.fold((0.0, 0.0), |(sum, n), s| (sum + s.response_sum_ns as f64, n + s.responses as f64))
    })
}

/// Dependence of response times, from their mean in each block.
pub fn of_response(result: &RunResult, ids: &[usize], totals: &StepTotals) -> Option<Dependence> {
    let blocks = response_blocks(result, ids);
    let ratio = stats::ratio(&blocks)?;
    let n = blocks.iter().map(|b| b.n).sum();
    Some(Dependence { design_effect: stats::design_effect(&ratio, n, variance(totals)), blocks: ratio.blocks })
}

/// Variance of one response time, ns².
fn variance(totals: &StepTotals) -> f64 {
    let Some(mean) = totals.response.mean_ns() else {
        return 0.0;
    };
    let squares: f64 = totals
        .response
        .histogram
        .iter_recorded()
        .map(|v| {
            let middle = totals.response.histogram.median_equivalent(v.value_iterated_to());
            (middle as f64 * 1e3 - mean).powi(2) * v.count_since_last_iteration() as f64
        })
        .sum();
    squares / totals.response.count() as f64
}
