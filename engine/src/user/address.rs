//! Whole URLs that are known only when they are rendered: where a saved link leads.
//! In: the rendered text. Out: path and query, and the target or the host of its own that they go to.

use crate::run::Run;
use http::Uri;
use scenarios::expr::EvalError;
use url::Url;

/// Longest address that is followed, bytes; what a target sends beyond it is no link.
const LONGEST: usize = 16 << 10;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub uri: Uri,
    /// Index of the target.
    pub target: usize,
    /// Scheme, host and port, if they are none of the targets'.
    pub elsewhere: Option<Box<str>>,
}

/// Reads `text`: a whole URL, or a path that starts with `/`, which stays on the step's own target.
pub(super) fn read(text: &[u8], own: usize, run: &Run) -> Result<Address, EvalError> {
    let wrong = |why: &str| EvalError(format!("the address of this request {why}"));
    let text = std::str::from_utf8(text).map_err(|_| wrong("is no text"))?.trim();
    if text.len() > LONGEST {
        return Err(wrong("is longer than 16 KiB"));
    }
    if text.starts_with('/') && !text.starts_with("//") {
        let base = Url::parse("http://own").map_err(|_| wrong("cannot be read"))?;
        let url = base.join(text).map_err(|e| wrong(&format!("is no path: {e}")))?;
        return Ok(Address { uri: uri(&url)?, target: own, elsewhere: None });
    }
    let url = Url::parse(text).map_err(|e| wrong(&format!("is neither a path that starts with `/` nor a URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("is no http or https URL"));
    }
    let origin = url.origin();
    let uri = uri(&url)?;
    if run.origins.get(own).and_then(Option::as_ref) == Some(&origin) {
        return Ok(Address { uri, target: own, elsewhere: None });
    }
    match run.origins.iter().position(|known| known.as_ref() == Some(&origin)) {
        Some(target) => Ok(Address { uri, target, elsewhere: None }),
        None => Ok(Address { uri, target: own, elsewhere: Some(origin.ascii_serialization().into()) }),
    }
}

fn uri(url: &Url) -> Result<Uri, EvalError> {
    let text = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    text.parse().map_err(|e| EvalError(format!("the address of this request is no valid URI: {e}")))
}
