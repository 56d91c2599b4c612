//! Rendering a request: templates to bytes. What is constant was made once, when the run was set up.
//! In: a request of the program and the user's variables. Out: [`VirtualUser::outgoing`].

use super::VirtualUser;
use super::address;
use super::json::Wanted;
use crate::client::wire::host_header;
use crate::clock::Nanos;
use crate::record::Recorder;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use memchr::memmem::Finder;
use scenarios::expr::{EvalError, Scope, Template};
use scenarios::program::{Body, Request, Target};
use url::Url;

/// The parts of a request that never change.
#[derive(Debug)]
pub struct Prepared {
    method: Method,
    /// Path and query, when no template is in them.
    uri: Option<Uri>,
    /// The headers that are always the same, with room for those that are not.
    headers: HeaderMap,
    /// Headers with a template: name, index into the request's `headers`, and where among `headers` it stands.
    rendered: Vec<(HeaderName, usize, usize)>,
    /// `host` is among `headers`.
    names_host: bool,
    /// Where among `headers` the trace context stands, still to be filled in; `None` where the scenario sets it.
    trace: Option<usize>,
    /// The header that carries the request's own id.
    pub(super) echo: Option<HeaderName>,
    /// By `contains` check: the text to find, where it is always the same.
    pub(super) contains: Vec<Option<Finder<'static>>>,
    /// What the request needs of its answer's JSON.
    pub(super) wanted: Wanted,
}

const USER_AGENT: &str = concat!("watertight/", env!("CARGO_PKG_VERSION"));
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Prepared {
    /// Prepares `request` to one of `targets`.
    ///
    /// # Errors
    /// A method, header name or constant part that HTTP does not allow, in a sentence.
    pub fn new(request: &Request, targets: &[Target]) -> Result<Self, String> {
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| format!("`{}` is no method", request.method))?;
        let mut headers = defaults(&request.body);
        let mut rendered = Vec::new();
        for (index, (text, template)) in request.headers.iter().enumerate() {
            let name = HeaderName::try_from(text).map_err(|_| format!("`{text}` is no header name"))?;
            match template.as_constant() {
                None => {
                    headers.insert(&name, HeaderValue::from_static(""));
                    rendered.push((name, index, 0));
                }
                Some(value) => {
                    let value = HeaderValue::try_from(value.to_string())
                        .map_err(|_| format!("header `{text}`: its value holds a line break or control character"))?;
                    headers.insert(name, value);
                }
            }
        }
        let echo = request.guard.echo.as_ref();
        let echo =
            echo.map(|echo| HeaderName::try_from(&echo.send).map_err(|_| format!("`{}` is no header name", echo.send)));
        let names_trace = headers.contains_key(&TRACEPARENT) || rendered.iter().any(|(name, ..)| *name == TRACEPARENT);
        let trace = (!names_trace).then(|| {
            headers.insert(&TRACEPARENT, HeaderValue::from_static(""));
            headers.len() - 1
        });
        // A clone has no room beyond what it holds, so all that is known goes in here.
        let host = targets.get(request.target).filter(|_| !request.whole_url).and_then(|t| Url::parse(&t.url).ok());
        let names_host = match host.as_ref().and_then(host_header) {
            Some(host) if !rendered.iter().any(|(name, ..)| *name == header::HOST) => {
                headers.entry(header::HOST).or_insert(host);
                true
            }
            _ => false,
        };
        for (name, _, place) in &mut rendered {
            *place = headers.keys().position(|known| known == name).unwrap_or(usize::MAX);
        }
        let constant = request
            .path
            .as_constant()
            .filter(|_| !request.whole_url && request.query.iter().all(|(_, t)| t.as_constant().is_some()));
        let uri = match constant {
            Some(_) => Some(uri(request, &mut Constant).map_err(|e| e.0)?),
            None => None,
        };
        Ok(Self {
            method,
            uri,
            headers,
            rendered,
            names_host,
            trace,
            echo: echo.transpose()?,
            contains: request.expect.contains.iter().map(finder).collect(),
            wanted: Wanted::by(request),
        })
    }
}

impl Prepared {
    /// Of the values of a request's rendered headers, those that say who asks, without the scheme before them.
    pub(super) fn secret_headers<'v>(&self, values: &'v [HeaderValue]) -> impl Iterator<Item = &'v str> {
        let names = self.rendered.iter().map(|(name, ..)| name.as_str());
        let secret = names.zip(values).filter(|(name, _)| crate::run::is_secret_header(name));
        secret.filter_map(|(_, value)| value.to_str().ok()).map(|v| v.rsplit_once(' ').map_or(v, |(_, secret)| secret))
    }

    /// The headers, with these values for those that have a template, and this trace context.
    pub(super) fn headers(&self, values: &[HeaderValue], trace: HeaderValue) -> HeaderMap {
        let mut headers = self.headers.clone();
        let rendered = self.rendered.iter().zip(values).map(|((.., place), value)| (*place, value.clone()));
        for (place, value) in rendered.chain(self.trace.map(|place| (place, trace))) {
            // A map keeps the order in which its names came in; counting is cheaper than looking a name up.
            if let Some(blank) = headers.values_mut().nth(place) {
                *blank = value;
            }
        }
        headers
    }
}

fn finder(text: &Template) -> Option<Finder<'static>> {
    text.as_constant().map(|text| Finder::new(&text.to_string()).into_owned())
}

/// Headers that are sent unless the scenario names them.
fn defaults(body: &Body) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br, zstd"));
    let content_type = match body {
        Body::Empty => return headers,
        Body::Json(_) => "application/json",
        Body::Form(_) => "application/x-www-form-urlencoded",
        Body::Text(_) => "text/plain; charset=utf-8",
        Body::Multipart(parts) => &parts.content_type(),
        Body::Bytes { kind, .. } => kind,
    };
    if let Ok(content_type) = HeaderValue::try_from(content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers
}

impl VirtualUser {
    /// Renders `request` into [`VirtualUser::outgoing`].
    pub(super) fn render(&mut self, request: usize, now: Nanos, recorder: &mut Recorder) -> Result<(), EvalError> {
        let run = std::rc::Rc::clone(&self.run);
        let (plan, prepared) = (&run.program.requests[request], &run.prepared[request]);
        self.outgoing_step = plan.step as u16;
        let mut body = std::mem::take(&mut self.outgoing.body);
        body.clear();
        // The one before was handed over to be sent; one like it will do.
        body.reserve(self.outgoing.sent_body.len());
        let trace = self.traceparent();
        self.writes.begin();
        let mut scope = self.scope(now, None, recorder);
        let (uri, target, elsewhere) = match &prepared.uri {
            Some(uri) => (uri.clone(), plan.target, None),
            None if plan.whole_url => {
                let address = address::read(&whole(plan, &mut scope)?, plan.target, &run)?;
                (address.uri, address.target, address.elsewhere)
            }
            None => (uri(plan, &mut scope)?, plan.target, None),
        };
        let mut rendered = Vec::with_capacity(prepared.rendered.len());
        for (name, index, _) in &prepared.rendered {
            rendered.push(header_value(name, &plan.headers[*index].1, &mut scope)?);
        }
        let mut headers = prepared.headers(&rendered, trace);
        if let Some(content_type) = write_body(&plan.body, &mut scope, &mut body)?
            && let Ok(value) = HeaderValue::try_from(content_type)
        {
            headers.insert(header::CONTENT_TYPE, value);
        }
        if let Some(name) = &prepared.echo {
            headers.insert(name.clone(), self.fresh_echo(recorder));
        }
        self.outgoing.request = request;
        self.outgoing.target = target;
        self.outgoing.elsewhere = elsewhere;
        self.outgoing.method = prepared.method.clone();
        self.outgoing.uri = uri;
        self.outgoing.headers = headers;
        self.outgoing.names_host = prepared.names_host;
        self.outgoing.sent_headers = rendered;
        self.outgoing.sent_body = Bytes::new();
        self.outgoing.body = body;
        self.outgoing.timeout_ns = plan.timeout_ns;
        self.outgoing.events.clone_from(&plan.events);
        self.outgoing.upgrade = plan.upgrade;
        self.outgoing.hops = None;
        self.outgoing.sent_cookies = None;
        self.outgoing.aside = false;
        Ok(())
    }

    /// W3C trace context: run, user and request number, so that evidence can be found in the target's traces.
    pub(super) fn traceparent(&self) -> HeaderValue {
        let mut text = self.trace;
        let number = hex(self.requests_sent + 1);
        text[27..35].copy_from_slice(&number);
        text[44..52].copy_from_slice(&number);
        HeaderValue::from_bytes(&text).expect("hexadecimal digits and dashes are a header value")
    }
}

/// A user's trace context, but for the number of the request.
pub(super) type Trace = [u8; 55];

/// The trace context of a run's user.
pub(super) fn trace(run: u64, user: u32) -> Trace {
    let mut text = *b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    text[3..11].copy_from_slice(&hex((run >> 32) as u32));
    text[11..19].copy_from_slice(&hex(run as u32));
    text[19..27].copy_from_slice(&hex(user));
    // A span id may not be all zero; a user's index may be.
    text[36..44].copy_from_slice(&hex(user.wrapping_add(1)));
    text
}

fn hex(value: u32) -> [u8; 8] {
    std::array::from_fn(|place| b"0123456789abcdef"[(value >> (28 - 4 * place) & 15) as usize])
}

fn header_value(name: &HeaderName, template: &Template, scope: &mut dyn Scope) -> Result<HeaderValue, EvalError> {
    let mut text = Vec::with_capacity(64);
    template.write_text(scope, &mut text)?;
    HeaderValue::from_bytes(&text)
        .map_err(|_| EvalError(format!("header `{name}`: its value holds a line break or control character")))
}

/// A whole URL as it stands in the variable, with the step's `query` behind it.
fn whole(plan: &Request, scope: &mut dyn Scope) -> Result<Vec<u8>, EvalError> {
    let mut text = Vec::with_capacity(64);
    plan.path.write_text(scope, &mut text)?;
    write_query(plan, scope, &mut text)?;
    Ok(text)
}

fn uri(plan: &Request, scope: &mut dyn Scope) -> Result<Uri, EvalError> {
    let mut text = Vec::with_capacity(64);
    plan.path.write_percent_encoded(scope, &mut text)?;
    write_query(plan, scope, &mut text)?;
    if text.first() != Some(&b'/') {
        return Err(EvalError(format!("the path `{}` does not start with `/`", String::from_utf8_lossy(&text))));
    }
    let text = Bytes::from(text);
    Uri::from_maybe_shared(text.clone())
        .map_err(|e| EvalError(format!("the path `{}` is no valid URI: {e}", String::from_utf8_lossy(&text))))
}

fn write_query(plan: &Request, scope: &mut dyn Scope, text: &mut Vec<u8>) -> Result<(), EvalError> {
    let mut separator = if text.contains(&b'?') { b'&' } else { b'?' };
    for (name, value) in &plan.query {
        text.push(separator);
        separator = b'&';
        percent_encode(name.as_bytes(), text);
        text.push(b'=');
        let mut plain = Vec::new();
        value.write_text(scope, &mut plain)?;
        percent_encode(&plain, text);
    }
    Ok(())
}

/// Writes the body; answers its content type where that is not the usual one.
fn write_body(body: &Body, scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<Option<String>, EvalError> {
    match body {
        Body::Empty => Ok(None),
        Body::Json(json) => json.write(scope, out).map(|()| None),
        Body::Text(text) => text.write_text(scope, out).map(|()| None),
        Body::Multipart(parts) => parts.write(scope, out),
        Body::Bytes { bytes, .. } => {
            out.extend_from_slice(bytes);
            Ok(None)
        }
        Body::Form(fields) => {
            for (name, value) in fields {
                if !out.is_empty() {
                    out.push(b'&');
                }
                percent_encode(name.as_bytes(), out);
                out.push(b'=');
                let mut plain = Vec::new();
                value.write_text(scope, &mut plain)?;
                percent_encode(&plain, out);
            }
            Ok(None)
        }
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn percent_encode(text: &[u8], out: &mut Vec<u8>) {
    for &c in text {
        if c.is_ascii_alphanumeric() || b"-._~".contains(&c) {
            out.push(c);
        } else {
            out.push(b'%');
            out.push(b"0123456789ABCDEF"[usize::from(c >> 4)]);
            out.push(b"0123456789ABCDEF"[usize::from(c & 15)]);
        }
    }
}

/// A scope for templates that are known to be constant.
struct Constant;

impl Scope for Constant {
    fn load(&mut self, _place: &scenarios::expr::Place) -> scenarios::value::Value {
        scenarios::value::Value::Null
    }
    fn random_bits(&mut self) -> u64 {
        0
    }
    fn marker(&mut self, _audience: Option<&str>) -> String {
        String::new()
    }
    fn now_ms(&mut self) -> i64 {
        0
    }
    fn client_id(&mut self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{hex, trace};

    #[test]
    fn a_trace_context_is_as_w3c_wants_it_and_names_run_and_user() {
        assert_eq!(&hex(0x0123_abcd), b"0123abcd");
        for (run, user) in [(0x0123_4567_89ab_cdef, 7), (u64::MAX, u32::MAX - 1), (1, 0)] {
            let text = String::from_utf8(trace(run, user).to_vec()).unwrap();
            let parts: Vec<&str> = text.split('-').collect();
            assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{text}");
            assert_eq!(parts[1][..16], format!("{run:016x}"));
            assert_eq!(parts[1][16..24], format!("{user:08x}"));
            assert_ne!(&parts[2][..8], "00000000", "{text}");
        }
    }
}
