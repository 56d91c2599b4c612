//! Answers that a cache on the way could hand to somebody else: private content or a cookie, and nothing that forbids
//! keeping it, or a sign that it was kept. A risk, no proof: it gates nothing and is shown apart.
//! In: an answer, and which markers it held. Out: a finding of the lowest tier, grouped by step.

use super::VirtualUser;
use super::isolation::{Origin, Seen, Spot};
use crate::client::answer::{Answer, Ending, names};
use crate::record::Recorder;
use crate::run_result::{LeakKey, Tier};
use http::{HeaderMap, header};
use scenarios::program::Request;

/// Headers in which caches say what they did.
const SIGNS: [&str; 4] = ["x-cache", "cf-cache-status", "cache-status", "x-cache-status"];

impl VirtualUser {
    /// Notes an answer that should not be kept, and was or may be.
    pub(super) fn lint_cache(&self, plan: &Request, answer: &Answer<'_>, seen: Seen, recorder: &mut Recorder) {
        if answer.ending != Ending::Complete || !(200..300).contains(&answer.status) {
            return;
        }
        let what = if seen.own || seen.permitted {
            "private content"
        } else if names(answer.headers, &header::SET_COOKIE) {
            "a cookie"
        } else {
            return;
        };
        let is_safe_method = matches!(plan.method.as_str(), "GET" | "HEAD");
        let Some(why) = kept(answer.headers).or_else(|| is_safe_method.then(|| may_be_kept(answer.headers)).flatten())
        else {
            return;
        };
        let key = LeakKey { detector: "cache-lint".into(), tier: Tier::Risk, step: plan.step, place: "header".into() };
        recorder.leak(key.clone(), || {
            let why = format!("the answer holds {what}, and {why}");
            let (spot, owner) = (Spot::one("header", b""), self.party(self.account, None));
            self.evidence(&key, &Origin::of(plan, answer), spot, (0, 0), owner, &why, "a cache on the way")
        });
    }
}

/// Whether the answer says that it comes from a cache.
pub(super) fn is_cached(answer: &Answer<'_>) -> bool {
    is_kept(answer.headers)
}

/// Whether these headers say so.
pub(super) fn is_kept(headers: &HeaderMap) -> bool {
    kept(headers).is_some()
}

/// Whether a cache says that it had this answer already.
fn kept(headers: &HeaderMap) -> Option<String> {
    let age = headers.get(header::AGE).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse::<u64>().ok());
    if let Some(age) = age.filter(|age| *age > 0) {
        return Some(format!("`age: {age}` says that it comes from a cache"));
    }
    SIGNS.iter().find_map(|name| {
        let sign = headers.get(*name)?.to_str().ok()?;
        let is_hit = sign.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "hit");
        is_hit.then(|| format!("`{name}: {sign}` says that it comes from a cache"))
    })
}

/// Whether nothing forbids a shared cache to keep it.
fn may_be_kept(headers: &HeaderMap) -> Option<String> {
    let is_private = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok()).any(|control| {
        control
            .split(',')
            .map(|word| word.trim().to_ascii_lowercase())
            .any(|word| word == "no-store" || word == "private" || word.starts_with("private="))
    });
    (!is_private).then(|| "no `cache-control: private` or `no-store` keeps caches from handing it on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(n, v)| (n.parse().expect("a name"), v.parse().expect("a value")));
        pairs.collect()
    }

    #[test]
    fn a_hit_is_read_in_the_words_of_the_usual_caches() {
        for (name, value, is_hit) in [
            ("age", "12", true),
            ("age", "0", false),
            ("age", "old", false),
            ("x-cache", "HIT", true),
            ("x-cache", "Hit from cloudfront", true),
            ("x-cache", "TCP_HIT", true),
            ("x-cache", "MISS", false),
            ("x-cache", "white", false),
            ("cf-cache-status", "DYNAMIC", false),
            ("cache-status", "Edge; hit; ttl=3", true),
        ] {
            assert_eq!(kept(&headers(&[(name, value)])).is_some(), is_hit, "{name}: {value}");
        }
    }

    #[test]
    fn private_and_no_store_forbid_it_and_nothing_else_does() {
        for (control, is_risk) in [
            ("private, no-store", false),
            ("max-age=0, Private", false),
            ("no-store", false),
            ("no-cache", true),
            ("public, max-age=60", true),
            ("x-private", true),
        ] {
            assert_eq!(may_be_kept(&headers(&[("cache-control", control)])).is_some(), is_risk, "{control}");
        }
        assert!(may_be_kept(&HeaderMap::new()).is_some());
    }
}
