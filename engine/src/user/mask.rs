//! Masking: what is secret leaves no trace in evidence, in whatever form it stands there.
//! In: text for a file or a screen. Out: the same with secrets replaced by `***`.

use super::VirtualUser;
use crate::client::answer::{Answer, Via};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::HeaderMap;
use scenarios::program::{Save, SaveSource};
use scenarios::value::Value;

/// Shorter values would blot out half of every text; a secret that short is none.
const SHORTEST: usize = 4;

/// Bytes on either side of what was found that evidence may show or know of.
const NEAR: usize = 4 << 10;
/// Accounts whose secrets are looked for at most: a millisecond's work.
const MOST_LOOKED_UP: usize = 10_000;

impl VirtualUser {
    /// Replaces this user's secrets and those that stand in the scenario itself.
    pub(super) fn mask(&self, text: &str) -> String {
        self.mask_with(text, None)
    }

    /// As [`Self::mask`], and what `request` would have saved of `answer` as a secret had it not failed.
    pub(super) fn mask_answer(&self, text: &str, request: usize, answer: Option<&Answer<'_>>) -> String {
        hidden(self.mask(text), &self.unsaved_secrets(request, answer))
    }

    /// What `request` would have saved of `answer` as a secret, in the forms in which it may stand somewhere.
    pub(super) fn unsaved_secrets(&self, request: usize, answer: Option<&Answer<'_>>) -> Vec<String> {
        let plan = &self.run.program.requests[request];
        let mut secret = plan.saves.iter().filter(|s| s.secret || s.credential).peekable();
        let mut forms = Vec::new();
        if let (Some(answer), Some(_)) = (answer, secret.peek()) {
            let json = serde_json::from_slice(answer.document()).unwrap_or_default();
            let page = super::checks::page(plan, answer);
            let found = |save: &Save| super::checks::find(save, &json, answer, page.as_ref());
            for value in secret.filter_map(|save| found(save).or_else(|| self.cookie_on_the_way(save))) {
                each_form(&value, &mut |form| forms.push(form));
            }
        }
        forms
    }

    /// What `step` would save as a secret of a text that came there, whoever's it is, in the forms in which it may stand
    /// in it: evidence shows what nobody has saved yet, or somebody else's.
    pub(super) fn secrets_in(&self, step: usize, text: &[u8]) -> Vec<String> {
        let is_of_text = |save: &&Save| matches!(save.source, SaveSource::Json(_) | SaveSource::Regex(_));
        let saves = self.run.program.saves_at(step).filter(|s| s.secret || s.credential).filter(is_of_text);
        let mut saves = saves.peekable();
        if saves.peek().is_none() {
            return Vec::new();
        }
        let (json, headers) = (serde_json::from_slice(text).unwrap_or_default(), HeaderMap::new());
        let answer = super::socket::answer_of(text, &headers, Via::default(), 0);
        let mut found = Vec::new();
        for value in saves.filter_map(|save| super::checks::find(save, &json, &answer, None)) {
            each_form(&value, &mut |form| found.push(form));
        }
        found
    }

    /// Secret columns of any account that stand near `offset` in a text: a list that leaks is about many.
    pub(super) fn secrets_near(&self, text: &[u8], offset: usize) -> Vec<String> {
        let window = &text[offset.saturating_sub(NEAR).min(text.len())..text.len().min(offset.saturating_add(NEAR))];
        let program = &self.run.program;
        let mut found = Vec::new();
        for (role, row) in (0..program.account_count().min(MOST_LOOKED_UP)).filter_map(|n| program.account(n)) {
            for (value, _) in row.iter().zip(&program.roles[role].secret).filter(|(_, secret)| **secret) {
                let mut look = |form: String| {
                    if form.len() >= SHORTEST && memchr::memmem::find(window, form.as_bytes()).is_some() {
                        found.push(form);
                    }
                };
                let plain = value.to_string();
                // Most look the same in every form, and there are many.
                match plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
                    true => look(plain),
                    false => each_form(value, &mut look),
                }
            }
        }
        found
    }

    /// As [`Self::mask`], and the secret columns of another account.
    pub(super) fn mask_with(&self, text: &str, other: Option<u32>) -> String {
        hidden(text.to_owned(), &self.secrets(other))
    }

    /// This user's secrets, those that stand in the scenario itself and the secret columns of another account, in the
    /// forms in which they may stand somewhere.
    pub(super) fn secrets(&self, other: Option<u32>) -> Vec<String> {
        let program = &self.run.program;
        let mut forms = Vec::new();
        let mut add = |value: &Value| each_form(value, &mut |form| forms.push(form));
        for account in std::iter::once(self.account).chain(self.switch.former()).chain(other) {
            if let Some((role, row)) = program.account(account as usize) {
                let secret = row.iter().zip(&program.roles[role].secret).filter(|(_, secret)| **secret);
                secret.for_each(|(value, _)| add(value));
            }
        }
        self.run.secrets.iter().for_each(&mut add);
        // What was put together for this request, such as a name and a password in base64.
        let prepared = &self.run.prepared[self.outgoing.request];
        for value in prepared.secret_headers(&self.outgoing.sent_headers) {
            add(&Value::text(value));
        }
        for slot in &self.run.secret_slots[self.journey] {
            add(&self.slots[usize::from(*slot)]);
        }
        forms
    }
}

/// `text` without these secrets.
fn hidden(mut text: String, secrets: &[String]) -> String {
    for secret in secrets {
        if text.contains(secret) {
            text = text.replace(secret, "***");
        }
    }
    text
}

/// The forms of a value that is long enough to be a secret: as it is, percent-encoded, escaped as in JSON, and in base64;
/// of a list or a map those of each value in it.
fn each_form(value: &Value, tell: &mut dyn FnMut(String)) {
    match value {
        Value::Text(_) | Value::Int(_) | Value::Float(_) => {}
        Value::List(items) => return items.iter().for_each(|item| each_form(item, tell)),
        Value::Map(members) => return members.iter().for_each(|(_, member)| each_form(member, tell)),
        Value::Null | Value::Bool(_) => return,
    }
    let plain = value.to_string();
    if plain.len() < SHORTEST {
        return;
    }
    let mut encoded = Vec::new();
    super::render::percent_encode(plain.as_bytes(), &mut encoded);
    let encoded = String::from_utf8_lossy(&encoded).into_owned();
    let escaped = serde_json::Value::String(plain.clone()).to_string();
    let escaped = escaped.trim_matches('"').to_owned();
    // Without the padding, which stands behind it in whatever form; both alphabets where they differ.
    let coded = STANDARD_NO_PAD.encode(&plain);
    let (in_urls, in_queries) =
        (coded.replace('+', "-").replace('/', "_"), coded.replace('+', "%2B").replace('/', "%2F"));
    [plain, encoded, escaped, coded, in_urls, in_queries].into_iter().for_each(tell);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let mut text = r#"p@ss "w/0 p%40ss%20%22w%2F0 p@ss \"w/0 12345 ab"#.to_owned();
        let hide = |text: &mut String, value: &Value| {
            let mut forms = Vec::new();
            each_form(value, &mut |form| forms.push(form));
            *text = hidden(std::mem::take(text), &forms);
        };
        for value in [Value::text("p@ss \"w/0"), Value::Int(12345), Value::text("ab"), Value::Null] {
            hide(&mut text, &value);
        }
        assert_eq!(text, "*** *** *** *** ab");
        // `base64()` of a secret, in a body, a URL's own alphabet, and a query.
        let mut text = "x=PDw_Pz8-Pg== PDw/Pz8+Pg== q=PDw%2FPz8%2BPg%3D%3D".to_owned();
        hide(&mut text, &Value::text("<<???>>"));
        assert_eq!(text, "x=***== ***== q=***%3D%3D");
        let mut text = "tick-0001, tick-0002".to_owned();
        hide(&mut text, &Value::from_json(&serde_json::json!([{ "t": "tick-0001" }, "tick-0002", true])));
        assert_eq!(text, "***, ***");
    }
}
