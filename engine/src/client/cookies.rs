//! Cookies: a jar per virtual user, as in a browser; nothing is held for users that were never given one.
//! In: `set-cookie` headers. Out: the `cookie` header for a URL.

use cookie_store::CookieStore;
use http::{HeaderMap, HeaderValue, header};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use url::Url;

/// Cookies kept per user; a flood beyond it is not stored.
const MOST_COOKIES: usize = 200;
/// Bytes of one `set-cookie` that are looked at.
const LONGEST_COOKIE: usize = 8192;

/// One user's cookies.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    /// All lanes of a user share it; they are polled by one thread, and a user without cookies takes no lock.
    store: Arc<OnceLock<Mutex<CookieStore>>>,
}

fn open(store: &Mutex<CookieStore>) -> MutexGuard<'_, CookieStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jar {
    /// Takes in the cookies of an answer.
    pub fn receive(&mut self, headers: &HeaderMap, base: &Url, path: &str) {
        let mut values = headers.get_all(header::SET_COOKIE).iter().peekable();
        if values.peek().is_none() {
            return;
        }
        let Ok(url) = base.join(path) else { return };
        let mut store = open(self.store.get_or_init(Mutex::default));
        for value in values.take(MOST_COOKIES) {
            let Ok(text) = value.to_str() else { continue };
            let name = text.split('=').next().unwrap_or_default().trim();
            // A known cookie may always change: a session that is renewed must not freeze behind a flood of others.
            let has_room =
                || store.iter_unexpired().count() < MOST_COOKIES || store.iter_any().any(|c| c.name() == name);
            if text.len() <= LONGEST_COOKIE && has_room() {
                // A cookie that the rules refuse (wrong domain, secure on http) is simply not stored.
                let _ = store.parse(text, &url);
            }
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.store.get().is_none()
    }

    /// The `cookie` header for a request, if there is any.
    pub fn header(&self, base: &Url, path: &str) -> Option<HeaderValue> {
        let store = open(self.store.get()?);
        let url = base.join(path).ok()?;
        let mut text = String::new();
        for (name, value) in store.get_request_values(&url) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        (!text.is_empty()).then(|| HeaderValue::try_from(text).ok()).flatten()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.store = Arc::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_come_back_on_their_path_only() {
        let base = Url::parse("http://127.0.0.1:8001").unwrap();
        let mut headers = HeaderMap::new();
        headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1; Path=/x"));
        headers.append(header::SET_COOKIE, HeaderValue::from_static("b=2; Path=/"));
        headers.append(header::SET_COOKIE, HeaderValue::from_bytes(b"\xff=3").unwrap());
        let mut jar = Jar::default();
        assert_eq!(jar.header(&base, "/x"), None);
        jar.receive(&headers, &base, "/x/login");
        assert_eq!(jar.header(&base, "/y").unwrap(), "b=2");
        let both = jar.header(&base, "/x/1").unwrap();
        assert!(both == "a=1; b=2" || both == "b=2; a=1", "{both:?}");
        jar.clear();
        assert_eq!(jar.header(&base, "/x"), None);
    }

    #[test]
    fn a_flood_is_bounded() {
        let base = Url::parse("http://127.0.0.1").unwrap();
        let mut jar = Jar::default();
        for round in 0..10 {
            let mut headers = HeaderMap::new();
            for i in 0..100 {
                headers.append(header::SET_COOKIE, HeaderValue::try_from(format!("c{round}-{i}=1")).unwrap());
            }
            jar.receive(&headers, &base, "/");
        }
        let first = HeaderValue::from_static("c0-0=renewed");
        let headers = HeaderMap::from_iter([(header::SET_COOKIE, first)]);
        jar.receive(&headers, &base, "/");
        assert!(jar.header(&base, "/").unwrap().to_str().unwrap().contains("c0-0=renewed"));
        assert_eq!(open(jar.store.get().expect("cookies came")).iter_any().count(), MOST_COOKIES);
    }
}
