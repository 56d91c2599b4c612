//! Reading an answer's JSON: only the top-level members that the request's paths start with; the rest is checked and
//! skipped, which is what most of the time of a journey step would otherwise go into.
//! In: a request's paths, a body. Out: the members wanted, as a tree.

use scenarios::guard::EchoFrom;
use scenarios::jsonpath::JsonPath;
use scenarios::program::{Request, SaveSource};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use std::fmt;

/// What a request needs of its answer's JSON.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: the body is not parsed.
    Nothing,
    /// These top-level members.
    Members(Vec<String>),
    /// The whole document.
    All,
}

impl Wanted {
    /// What `request` needs.
    pub fn by(request: &Request) -> Self {
        let mut members = Vec::new();
        let saves = request.saves.iter().filter_map(|save| match &save.source {
            SaveSource::Json(path) => Some(path),
            _ => None,
        });
        let checks = request.expect.json.iter().map(|(path, _)| path);
        let echo = request.guard.echo.as_ref().and_then(|echo| match &echo.read {
            EchoFrom::Json(path) => Some(path),
            EchoFrom::Header(_) => None,
        });
        for path in checks.chain(echo).chain(request.identities.iter().map(|i| &i.path)).chain(saves) {
            let path: &JsonPath = path;
            match path.first_name() {
                None => return Self::All,
                Some(name) if members.iter().any(|m| m == name) => {}
                Some(name) => members.push(name.to_owned()),
            }
        }
        if members.is_empty() { Self::Nothing } else { Self::Members(members) }
    }

    /// Reads `body`; null if it is no JSON.
    pub fn read(&self, body: &[u8]) -> Json {
        match self {
            Self::Nothing => Json::Null,
            Self::All => serde_json::from_slice(body).unwrap_or_default(),
            Self::Members(names) => {
                let mut parser = serde_json::Deserializer::from_slice(body);
                let json = Members(names).deserialize(&mut parser);
                json.and_then(|json| parser.end().map(|()| json)).unwrap_or_default()
            }
        }
    }
}

struct Members<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some(wanted) = access.next_key_seed(Name(self.0))? {
            match wanted {
                Some(name) => {
                    map.insert(name.clone(), access.next_value()?);
                }
                None => {
                    access.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Json::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_str<E>(self, _: &str) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
}

/// A member's name, if it is wanted; the others are not even copied.
struct Name<'a>(&'a [String]);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<&'a String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|wanted| *wanted == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(names: &[&str]) -> Wanted {
        Wanted::Members(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let body = br#" {"a":{"deep":[1,2]},"b":"x","a\u0062":7,"c":null} "#;
        assert_eq!(members(&["a", "ab"]).read(body), serde_json::json!({"a": {"deep": [1, 2]}, "ab": 7}));
        assert_eq!(members(&["zz"]).read(body), serde_json::json!({}));
        assert_eq!(Wanted::Nothing.read(body), Json::Null);
    }

    #[test]
    fn what_is_no_json_is_null_and_depth_is_no_danger() {
        for body in ["", "{", "{\"a\":1} x", "{\"a\":1,}", "[1,2]", "7", "\"a\"", "nul"] {
            assert_eq!(members(&["a"]).read(body.as_bytes()), Json::Null, "{body}");
        }
        let deep = format!("{{\"b\":{}1{},\"a\":2}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(members(&["a"]).read(deep.as_bytes()), serde_json::json!({"a": 2}));
        let deep = deep.replace("\"b\"", "\"a\"");
        assert_eq!(members(&["a"]).read(deep.as_bytes()), Json::Null);
    }

    proptest! {
        #[test]
        fn the_members_are_those_of_the_whole_document(text in "\\{(\"[ab]\":(1|true|\"x\"|\\[1,2\\]|\\{\"a\":3\\}),?){0,4}\\}?") {
            let whole: Json = serde_json::from_slice(text.as_bytes()).unwrap_or_default();
            let read = members(&["a"]).read(text.as_bytes());
            prop_assert_eq!(read.get("a"), whole.get("a"));
        }
    }
}
