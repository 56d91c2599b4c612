//! Masking: what is secret leaves no trace in evidence, in whatever form it stands there.
//! In: text for a file or a screen. Out: the same with secrets replaced by `***`.

use super::VirtualUser;
use crate::client::answer::Answer;
use scenarios::value::Value;

/// Shorter values would blot out half of every text; a secret that short is none.
const SHORTEST: usize = 4;

impl VirtualUser {
    /// Replaces this user's secrets and those that stand in the scenario itself.
    pub(super) fn mask(&self, text: &str) -> String {
        self.mask_with(text, None)
    }

    /// As [`Self::mask`], and what `request` would have saved of `answer` as a secret had it not failed.
    pub(super) fn mask_answer(&self, text: &str, request: usize, answer: Option<&Answer<'_>>) -> String {
        let mut masked = self.mask(text);
        let saves = &self.run.program.requests[request].saves;
        let secret = saves.iter().filter(|s| s.secret || s.credential);
        if let (Some(answer), true) = (answer, secret.clone().count() > 0) {
            let json = serde_json::from_slice(answer.body).unwrap_or_default();
            let page = super::checks::page(&self.run.program.requests[request], answer);
            for save in secret {
                if let Some(value) = super::checks::find(save, &json, answer, page.as_ref()) {
                    hide(&mut masked, &value);
                }
            }
        }
        masked
    }

    /// As [`Self::mask`], and the secret columns of another account.
    pub(super) fn mask_with(&self, text: &str, other: Option<u32>) -> String {
        let program = &self.run.program;
        let mut masked = text.to_owned();
        for account in std::iter::once(self.account).chain(self.switch.former()).chain(other) {
            if let Some((role, row)) = program.account(account as usize) {
                let secret = row.iter().zip(&program.roles[role].secret).filter(|(_, secret)| **secret);
                secret.for_each(|(value, _)| hide(&mut masked, value));
            }
        }
        self.run.secrets.iter().for_each(|value| hide(&mut masked, value));
        // What was put together for this request, such as a name and a password in base64.
        let prepared = &self.run.prepared[self.outgoing.request];
        for value in prepared.secret_headers(&self.outgoing.sent_headers) {
            hide(&mut masked, &Value::text(value));
        }
        for slot in &self.run.secret_slots[self.journey] {
            hide(&mut masked, &self.slots[usize::from(*slot)]);
        }
        masked
    }
}

/// Hides a value as it is, percent-encoded, and escaped as in JSON.
fn hide(text: &mut String, value: &Value) {
    let (Value::Text(_) | Value::Int(_) | Value::Float(_)) = value else { return };
    let plain = value.to_string();
    if plain.len() < SHORTEST {
        return;
    }
    let mut encoded = Vec::new();
    super::render::percent_encode(plain.as_bytes(), &mut encoded);
    let encoded = String::from_utf8_lossy(&encoded).into_owned();
    let escaped = serde_json::Value::String(plain.clone()).to_string();
    let escaped = escaped.trim_matches('"').to_owned();
    for form in [plain, encoded, escaped] {
        if text.contains(&form) {
            *text = text.replace(&form, "***");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let mut text = r#"p@ss "w/0 p%40ss%20%22w%2F0 p@ss \"w/0 12345 ab"#.to_owned();
        for value in [Value::text("p@ss \"w/0"), Value::Int(12345), Value::text("ab"), Value::Null] {
            hide(&mut text, &value);
        }
        assert_eq!(text, "*** *** *** *** ab");
    }
}
