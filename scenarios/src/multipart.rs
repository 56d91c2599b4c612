//! `multipart/form-data` (RFC 7578): parts made when the file is read, written into a request's body.
//! In: parts with their headers rendered. Out: the body, and a boundary that occurs nowhere in it.

use crate::expr::{EvalError, Scope, Template};
use std::sync::Arc;

/// A compiled `multipart:` body.
#[derive(Clone, Debug)]
pub struct Multipart {
    /// Stands in no constant part.
    boundary: String,
    parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name as written.
    pub name: Box<str>,
    /// Its headers, the empty line after them included.
    pub head: Vec<u8>,
    /// What it carries.
    pub content: Content,
}

/// What a part carries.
#[derive(Clone, Debug)]
pub enum Content {
    /// Text, rendered each time.
    Text(Template),
    /// Bytes of a file or of the scenario itself.
    Bytes(Arc<[u8]>),
}

impl Part {
    /// A part of this name; `kind` is its content type.
    pub fn new(name: &str, filename: Option<&str>, kind: Option<&str>, content: Content) -> Self {
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
        if let Some(filename) = filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
        }
        head.push_str("\r\n");
        if let Some(kind) = kind {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        head.push_str("\r\n");
        Self { name: name.into(), head: head.into_bytes(), content }
    }
}

/// A name between quotes, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

impl Multipart {
    /// A body of `parts`.
    pub fn new(parts: Vec<Part>) -> Self {
        let occurs = |boundary: &str| {
            parts.iter().any(|part| match &part.content {
                Content::Bytes(bytes) => holds(bytes, boundary),
                Content::Text(text) => text.as_constant().is_some_and(|t| t.to_string().contains(boundary)),
            })
        };
        let mut boundary = "----watertight-7MA4YWxkTrZu0gW".to_owned();
        while occurs(&boundary) {
            boundary.push_str("-next");
        }
        Self { boundary, parts }
    }

    /// The content type that goes with the usual boundary.
    pub fn content_type(&self) -> String {
        content_type(&self.boundary)
    }

    /// The names of the parts.
    pub fn names(&self) -> Vec<&str> {
        self.parts.iter().map(|part| &*part.name).collect()
    }

    /// Whether any part evaluates `marker`.
    pub fn uses_marker(&self) -> bool {
        self.templates().any(Template::uses_marker)
    }

    /// The parts that are rendered.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.parts.iter().filter_map(|part| match &part.content {
            Content::Text(text) => Some(text),
            Content::Bytes(_) => None,
        })
    }

    /// Appends the body to `out`. Answers another content type when a rendered part held the usual boundary.
    ///
    /// # Errors
    /// What the first failing template says.
    pub fn write(&self, scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<Option<String>, EvalError> {
        let mut texts = Vec::new();
        for template in self.templates() {
            let mut text = Vec::new();
            template.write_text(scope, &mut text)?;
            texts.push(text);
        }
        let mut boundary = std::borrow::Cow::Borrowed(self.boundary.as_str());
        let in_bytes = |boundary: &str| {
            self.parts.iter().any(|p| matches!(&p.content, Content::Bytes(bytes) if holds(bytes, boundary)))
        };
        while texts.iter().any(|t| holds(t, &boundary)) || (boundary != self.boundary && in_bytes(&boundary)) {
            boundary.to_mut().push_str("-next");
        }
        let mut texts = texts.into_iter();
        for part in &self.parts {
            out.extend_from_slice(b"--");
            out.extend_from_slice(boundary.as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&part.head);
            match &part.content {
                Content::Bytes(bytes) => out.extend_from_slice(bytes),
                Content::Text(_) => out.extend_from_slice(&texts.next().unwrap_or_default()),
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--");
        out.extend_from_slice(boundary.as_bytes());
        out.extend_from_slice(b"--\r\n");
        Ok((boundary != self.boundary).then(|| content_type(&boundary)))
    }
}

fn content_type(boundary: &str) -> String {
    format!("multipart/form-data; boundary={boundary}")
}

fn holds(bytes: &[u8], boundary: &str) -> bool {
    let boundary = boundary.as_bytes();
    bytes.len() >= boundary.len() && bytes.windows(boundary.len()).any(|window| window == boundary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Place;
    use crate::value::Value;

    struct Nothing;

    impl Scope for Nothing {
        fn load(&mut self, _: &Place) -> Value {
            Value::Null
        }
        fn random_bits(&mut self) -> u64 {
            0
        }
        fn marker(&mut self, _: Option<&str>) -> String {
            String::new()
        }
        fn now_ms(&mut self) -> i64 {
            0
        }
        fn client_id(&mut self) -> String {
            String::new()
        }
    }

    fn text(text: &str) -> Content {
        Content::Text(Template::constant(Value::text(text)))
    }

    #[test]
    fn parts_are_written_as_browsers_do() {
        let form = Multipart::new(vec![
            Part::new("no\"te", None, None, text("hello")),
            Part::new("photo", Some("a.png"), Some("image/png"), Content::Bytes(Arc::from(&b"\x00\xff\r\n"[..]))),
        ]);
        let mut out = Vec::new();
        assert_eq!(form.write(&mut Nothing, &mut out), Ok(None));
        let boundary = form.content_type().rsplit('=').next().expect("a boundary").to_owned();
        let mut expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"no%22te\"\r\n\r\nhello\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.png\"\r\n\
             Content-Type: image/png\r\n\r\n"
        )
        .into_bytes();
        expected.extend_from_slice(b"\x00\xff\r\n");
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(out, expected);
    }

    #[test]
    fn the_boundary_stands_in_no_part() {
        let usual = Multipart::new(Vec::new()).boundary;
        let form = Multipart::new(vec![Part::new("a", None, None, text(&usual))]);
        assert!(form.boundary != usual && form.boundary.starts_with(&usual));
        // A template that turns out to hold it: the boundary changes for this request only.
        let form = Multipart { boundary: usual.clone(), parts: form.parts };
        let mut out = Vec::new();
        let other = form.write(&mut Nothing, &mut out).expect("written").expect("another content type");
        assert_eq!(other, format!("multipart/form-data; boundary={usual}-next"));
    }
}
