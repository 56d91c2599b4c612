//! JSONPath: plain paths (`$.a.b[0]`, `$.items[*].id`) by an own fast walk, everything else by RFC 9535.
//! In: the path's text. Out: [`JsonPath`], looked up in parsed JSON.

use crate::value::Value;
use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value as Json;

/// Longest path; longer ones are a slip, not a path.
const MAX_PATH_BYTES: usize = 4096;
/// Deepest brackets in brackets of a filter: the RFC parser tries every reading of each level.
const MAX_BRACKETS: usize = 8;
/// Largest index of RFC 9535 (2^53 - 1).
const MAX_INDEX: i64 = 9_007_199_254_740_991;

/// A compiled path.
#[derive(Clone, Debug)]
pub struct JsonPath {
    text: Box<str>,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// Names and indices only: at most one value.
    Definite(Vec<Step>),
    /// As before with at least one wildcard.
    Many(Vec<Step>),
    /// Filters, slices, `..`, unions.
    Query(Box<JpQuery>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    Index(i64),
    /// `[*]` or `.*`.
    Every,
}

impl JsonPath {
    /// Compiles `text`, which starts with `$`. The error says what is wrong in one sentence.
    ///
    /// # Errors
    /// A sentence that holds the mistake and how to mend it.
    pub fn compile(text: &str) -> Result<Self, String> {
        if !text.starts_with('$') {
            return Err(match text.trim() {
                "" => "a JSONPath starts with `$`, as in `$.id`".into(),
                path => format!("a JSONPath starts with `$`: write `$.{}`", path.trim_start_matches(['.', '$'])),
            });
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(format!("a JSONPath has at most {MAX_PATH_BYTES} characters: shorten it"));
        }
        let way = match plain_steps(text)? {
            Some(steps) if steps.contains(&Step::Every) => Way::Many(steps),
            Some(steps) => Way::Definite(steps),
            None => Way::Query(Box::new(query(text)?)),
        };
        Ok(Self { text: text.into(), way })
    }

    /// The path as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it names at most one value.
    pub fn is_definite(&self) -> bool {
        matches!(self.way, Way::Definite(_))
    }

    /// The name of the top-level member that it starts with: nothing else of the document matters to it.
    /// `None` if it may look anywhere.
    pub fn first_name(&self) -> Option<&str> {
        match &self.way {
            Way::Definite(steps) | Way::Many(steps) => match steps.first()? {
                Step::Name(name) => Some(name),
                Step::Index(_) | Step::Every => None,
            },
            Way::Query(_) => None,
        }
    }

    /// What the path names in `json`: the value of a definite path, a list for any other; `None` when nothing is there.
    pub fn find(&self, json: &Json) -> Option<Value> {
        match &self.way {
            Way::Definite(steps) => walk(steps, json).map(Value::from_json),
            Way::Many(steps) => list(&walk_every(steps, json)),
            Way::Query(query) => {
                let found = js_path_process(query, json).ok()?;
                let found: Vec<&Json> = found.into_iter().map(|r| r.val()).collect();
                list(&found)
            }
        }
    }
}

fn list(found: &[&Json]) -> Option<Value> {
    if found.is_empty() {
        return None;
    }
    Some(Value::List(found.iter().map(|json| Value::from_json(json)).collect()))
}

fn walk<'a>(steps: &[Step], json: &'a Json) -> Option<&'a Json> {
    steps.iter().try_fold(json, |json, step| match step {
        Step::Name(name) => json.get(name),
        Step::Index(index) => json.as_array().and_then(|items| at(items, *index)),
        Step::Every => None,
    })
}

fn walk_every<'a>(steps: &[Step], json: &'a Json) -> Vec<&'a Json> {
    let mut found = vec![json];
    for step in steps {
        let mut next = Vec::new();
        for json in found {
            match (step, json) {
                (Step::Name(name), _) => next.extend(json.get(name)),
                (Step::Index(index), Json::Array(items)) => next.extend(at(items, *index)),
                (Step::Every, Json::Array(items)) => next.extend(items),
                (Step::Every, Json::Object(map)) => next.extend(map.values()),
                _ => {}
            }
        }
        found = next;
    }
    found
}

/// Negative indices count from the end.
fn at(items: &[Json], index: i64) -> Option<&Json> {
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    let index = if index < 0 { items.len().checked_sub(from_end)? } else { from_end };
    items.get(index)
}

/// The steps of a path of names, indices and wildcards; `None` if it holds anything else.
fn plain_steps(text: &str) -> Result<Option<Vec<Step>>, String> {
    let mut steps = Vec::new();
    let mut rest = &text[1..];
    while !rest.is_empty() {
        // White space may stand between two segments; the RFC parser would take it into a name.
        let trimmed = rest.trim_start();
        if trimmed.len() < rest.len() && !trimmed.starts_with(['.', '[']) {
            return Err(format!(
                "`{text}` has a space that does not belong there: remove it, or quote the name as in `['a b']`"
            ));
        }
        rest = trimmed;
        let (step, after) = if let Some(after) = rest.strip_prefix('.') {
            if after.starts_with('.') {
                return Ok(None);
            }
            shorthand(text, after)?
        } else if let Some(after) = rest.strip_prefix('[') {
            match bracket(after) {
                Some(found) => found,
                None => return Ok(None),
            }
        } else if steps.is_empty() && rest.starts_with(is_name_first) {
            return Err(format!("a name follows `$` with a dot: write `$.{}`", &text[1..]));
        } else {
            return Ok(None);
        };
        steps.push(step);
        rest = after;
    }
    Ok(Some(steps))
}

/// After a dot: a name or `*`, and what follows.
fn shorthand<'a>(text: &str, after: &'a str) -> Result<(Step, &'a str), String> {
    if let Some(rest) = after.strip_prefix('*') {
        return Ok((Step::Every, rest));
    }
    let end = after.find(|c| !is_name_first(c) && !char::is_ascii_digit(&c)).unwrap_or(after.len());
    let (name, rest) = after.split_at(end);
    // What people meant to be the name, to show how it is quoted.
    let meant = &after[..after.find(['.', '[', ']', ' ', ')', ',']).unwrap_or(after.len())];
    if name.is_empty() && meant.is_empty() {
        return Err(format!("`{text}` has a dot without a name after it: write the name, or remove the dot"));
    }
    if !name.starts_with(is_name_first) || name != meant {
        return Err(if meant.chars().all(|c| c.is_ascii_digit()) {
            format!("`{meant}` is no name: write `[{meant}]` for an item of a list")
        } else {
            let quoted = meant.replace('\\', "\\\\").replace('\'', "\\'");
            format!("`{meant}` needs quotes in a JSONPath: write `['{quoted}']` instead of `.{meant}`")
        });
    }
    Ok((Step::Name(name.into()), rest))
}

/// After `[`: a single quoted name, an index or `*`, and what follows the `]`; `None` for anything else.
fn bracket(after: &str) -> Option<(Step, &str)> {
    let inner = after.trim_start();
    let (step, rest) = if let Some(rest) = inner.strip_prefix('*') {
        (Step::Every, rest)
    } else if inner.starts_with(['\'', '"']) {
        let (name, rest) = quoted_name(inner)?;
        (Step::Name(name), rest)
    } else {
        let end = inner.find(|c: char| c != '-' && !c.is_ascii_digit())?;
        (Step::Index(index(&inner[..end])?), &inner[end..])
    };
    Some((step, rest.trim_start().strip_prefix(']')?))
}

/// RFC 9535: no leading zeros, no `-0`.
fn index(digits: &str) -> Option<i64> {
    let positive = digits.strip_prefix('-').unwrap_or(digits);
    let is_plain = digits == "0" || positive.starts_with(|c: char| ('1'..='9').contains(&c));
    let value = digits.parse::<i64>().ok().filter(|_| is_plain)?;
    (-MAX_INDEX..=MAX_INDEX).contains(&value).then_some(value)
}

/// A name in quotes at the start of `text`, and what follows.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    // Turned into a JSON string, whose escapes are the same but for the single quote.
    let mut json = String::from("\"");
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => {
                json.push('"');
                return Some((serde_json::from_str(&json).ok()?, &text[i + 1..]));
            }
            '"' => json.push_str("\\\""),
            '\\' => match chars.next()?.1 {
                '\'' if quote == '\'' => json.push('\''),
                '"' if quote == '\'' => return None,
                escaped => json.extend(['\\', escaped]),
            },
            c => json.push(c),
        }
    }
    None
}

fn is_name_first(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic() || !c.is_ascii()
}

/// Everything that is no plain path.
fn query(text: &str) -> Result<JpQuery, String> {
    check_brackets(text)?;
    parse_json_path(text).map_err(|_| {
        format!(
            "`{text}` is not a JSONPath: write it as in `$.a.b[0]`, `$['a b']`, `$.items[*].id`, \
             `$..id` or `$.items[?@.n > 3]`"
        )
    })
}

/// Names the usual slips, and keeps the RFC parser from brackets in brackets without end.
fn check_brackets(text: &str) -> Result<(), String> {
    let mut open = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => loop {
                match chars.next() {
                    Some('\\') => {
                        chars.next();
                    }
                    Some(end) if end == c => break,
                    Some(_) => {}
                    None => {
                        return Err(format!("`{text}` has a quote that is not closed: put `{c}` after the name"));
                    }
                }
            },
            '[' | '(' => {
                open.push(c);
                if open.len() > MAX_BRACKETS {
                    return Err(format!(
                        "`{text}` nests brackets deeper than {MAX_BRACKETS} levels: \
                         save the outer part and read the rest with an expression"
                    ));
                }
            }
            ']' | ')' => {
                let matching = if c == ']' { '[' } else { '(' };
                if open.pop() != Some(matching) {
                    return Err(format!("`{text}` has a `{c}` without its `{matching}`: add one or remove the other"));
                }
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(bracket) => {
            let close = if bracket == '[' { ']' } else { ')' };
            Err(format!("`{text}` has a `{bracket}` that is not closed: add `{close}`"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn clinic() -> Json {
        json!({
            "id": 7,
            "none": null,
            "a b": {"it's": [1, 2, 3]},
            "patients": [
                {"id": "p1", "age": 30, "tags": ["x"]},
                {"id": "p2", "age": 61, "tags": []},
                {"name": "no id", "tags": ["y", "z"]},
            ],
        })
    }

    fn check(path: &str, expected: Option<Json>) {
        let compiled = JsonPath::compile(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(compiled.text(), path);
        let found = compiled.find(&clinic()).map(|v| v.to_json());
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn definite_paths_give_the_value() {
        let check = |path: &str, expected| {
            check(path, expected);
            assert!(JsonPath::compile(path).expect(path).is_definite(), "{path}");
        };
        check("$", Some(clinic()));
        check("$.id", Some(json!(7)));
        check("$['id']", Some(json!(7)));
        check("$[ \"id\" ]", Some(json!(7)));
        check("$.none", Some(Json::Null));
        check("$.nothing", None);
        check("$.id.more", None);
        check("$.patients[0].id", Some(json!("p1")));
        check("$.patients[-1].name", Some(json!("no id")));
        check("$.patients[3]", None);
        check("$.patients[-4]", None);
        check("$.patients[9007199254740991]", None);
        check("$['a b'][\"it's\"][-2]", Some(json!(2)));
        check(r"$['a\u0020b']['it\'s'][0]", Some(json!(1)));
        check("$ .patients [0] .id", Some(json!("p1")));
        check("$.id[0]", None);
    }

    #[test]
    fn other_paths_give_a_list() {
        let check = |path: &str, expected| {
            check(path, expected);
            assert!(!JsonPath::compile(path).expect(path).is_definite(), "{path}");
        };
        check("$.patients[*].id", Some(json!(["p1", "p2"])));
        check("$.patients[*].tags[*]", Some(json!(["x", "y", "z"])));
        check("$.patients.*.age", Some(json!([30, 61])));
        check("$.nothing[*]", None);
        check("$..age", Some(json!([30, 61])));
        check("$.patients[0:2].id", Some(json!(["p1", "p2"])));
        check("$.patients[::-1].id", Some(json!(["p2", "p1"])));
        check("$.patients[?@.age > 40].id", Some(json!(["p2"])));
        check("$.patients[?(@.id=='p1')].age", Some(json!([30])));
        check("$.patients[0,1].id", Some(json!(["p1", "p2"])));
        check("$.patients[?@.age > 99]", None);
    }

    #[test]
    fn mistakes_say_how_to_mend_them() {
        let check = |path: &str, hint: &str| {
            let error = JsonPath::compile(path).expect_err(path);
            assert!(error.contains(hint), "{path}: {error}");
            assert!(!error.contains('\n'), "{path}: {error}");
        };
        check("", "`$.id`");
        check("id", "write `$.id`");
        check(".a.b", "write `$.a.b`");
        check("$id", "write `$.id`");
        check("$.", "dot without a name");
        check("$.a.", "dot without a name");
        check("$.content-type", "`['content-type']`");
        check("$.items.0", "`[0]`");
        check("$.a[", "add `]`");
        check("$.a]", "`]` without");
        check("$['a", "quote that is not closed");
        check("$[01]", "not a JSONPath");
        check("$[-0]", "not a JSONPath");
        check("$[?@.a >]", "not a JSONPath");
        check("$.a b", "quote the name");
        check("$.a ", "remove it");
        check(&"$[?(".repeat(200), "deeper than");
        check(&format!("$.{}", "a".repeat(5000)), "shorten");
        check(&format!("$[?{}1 x{} == 1]", "length(".repeat(7), ")".repeat(7)), "not a JSONPath");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(path in "\\$?[\\[\\].*?@:$'\"a-c0-9(),<=>! \\\\é-]{0,40}") {
            if let Ok(compiled) = JsonPath::compile(&path) {
                compiled.find(&clinic());
            }
        }

        #[test]
        fn any_name_can_be_quoted(name in any::<String>()) {
            let quoted = serde_json::to_string(&name).expect("text is JSON");
            let path = JsonPath::compile(&format!("$[{quoted}]")).expect("a quoted name");
            prop_assert!(path.is_definite());
            let json = json!({ name: 1 });
            prop_assert_eq!(path.find(&json), Some(Value::Int(1)));
        }

        /// The own walk and the RFC crate agree wherever both can read the path.
        #[test]
        fn the_walk_agrees_with_the_crate(
            steps in proptest::collection::vec(
                prop_oneof![
                    Just(".patients"), Just("[*]"), Just(".*"), Just("[0]"), Just("[-1]"),
                    Just(".tags"), Just("['id']"), Just("['a b']"), Just("[\"it's\"]"), Just("[1]"),
                ],
                0..5,
            )
        ) {
            let text = format!("${}", steps.concat());
            let json = clinic();
            let own = JsonPath::compile(&text).expect("a plain path");
            let theirs = js_path_process(&parse_json_path(&text).expect("a path"), &json).expect("found");
            let theirs: Vec<Value> = theirs.into_iter().map(|r| Value::from_json(r.val())).collect();
            let own = match own.find(&json) {
                None => vec![],
                Some(Value::List(items)) if !JsonPath::compile(&text).expect("a path").is_definite() => items.to_vec(),
                Some(value) => vec![value],
            };
            prop_assert_eq!(own, theirs);
        }
    }
}
