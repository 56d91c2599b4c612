//! The functions that expressions may call: names, arities, accepted types.
//! In: a name from the parser. Out: its [`Signature`], or an error with "did you mean".

use super::{ExprError, Type};
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Int,
    Float,
    String,
    Random,
    Pick,
    Uuid,
    Now,
    Base64,
    Sha256,
    HmacSha256,
    Json,
    Url,
    Raw,
    Text,
    ClientId,
    Marker,
    MarkerWords,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accept {
    Any,
    Text,
    Number,
    Int,
    List,
    /// Text, number or bool: taken in its text form.
    Scalar,
    /// What has a size.
    Sized,
    NumberOrText,
}

impl Accept {
    /// `Any` types are looked at when the expression runs.
    pub(super) fn takes(self, kind: Type) -> bool {
        match self {
            Self::Any => true,
            Self::Text => matches!(kind, Type::Any | Type::Text),
            Self::Number => matches!(kind, Type::Any | Type::Int | Type::Float),
            Self::Int => matches!(kind, Type::Any | Type::Int),
            Self::List => matches!(kind, Type::Any | Type::List),
            Self::Scalar => !matches!(kind, Type::Null | Type::List | Type::Map),
            Self::Sized => matches!(kind, Type::Any | Type::Text | Type::List | Type::Map),
            Self::NumberOrText => {
                matches!(kind, Type::Any | Type::Int | Type::Float | Type::Text)
            }
        }
    }

    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Text => "text",
            Self::Number => "a number",
            Self::Int => "a whole number",
            Self::List => "a list",
            Self::Scalar => "text, a number or a bool",
            Self::Sized => "text, a list or a map",
            Self::NumberOrText => "a number or text",
        }
    }
}

#[derive(Debug)]
pub(super) struct Signature {
    pub name: &'static str,
    pub function: Function,
    /// Fewest arguments; the most is the number of `parameters`.
    pub least: usize,
    pub parameters: &'static [Accept],
    /// May be written `x.name(…)`.
    pub is_method: bool,
    /// Same arguments, same result: may be folded.
    pub is_pure: bool,
    /// `Any` where it depends on the arguments.
    pub result: Type,
    /// An example, for help.
    pub usage: &'static str,
}

const fn method(
    name: &'static str,
    function: Function,
    parameters: &'static [Accept],
    result: Type,
    usage: &'static str,
) -> Signature {
    Signature { is_method: true, ..pure(name, function, parameters, result, usage) }
}

const fn pure(
    name: &'static str,
    function: Function,
    parameters: &'static [Accept],
    result: Type,
    usage: &'static str,
) -> Signature {
    Signature { name, function, least: parameters.len(), parameters, is_method: false, is_pure: true, result, usage }
}

/// A function that gives something new at each call.
const fn fresh(
    name: &'static str,
    function: Function,
    parameters: &'static [Accept],
    result: Type,
    usage: &'static str,
) -> Signature {
    Signature { is_pure: false, ..pure(name, function, parameters, result, usage) }
}

const TEXTS: &[Accept] = &[Accept::Text, Accept::Text];

pub(super) static SIGNATURES: &[Signature] = &[
    method("size", Function::Size, &[Accept::Sized], Type::Int, "size(list)"),
    method("contains", Function::Contains, TEXTS, Type::Bool, "name.contains('part')"),
    method("startsWith", Function::StartsWith, TEXTS, Type::Bool, "name.startsWith('part')"),
    method("endsWith", Function::EndsWith, TEXTS, Type::Bool, "name.endsWith('part')"),
    method("matches", Function::Matches, TEXTS, Type::Bool, "name.matches('^[a-z]+$')"),
    pure("int", Function::Int, &[Accept::NumberOrText], Type::Int, "int(account.age)"),
    pure("float", Function::Float, &[Accept::NumberOrText], Type::Float, "float(account.height)"),
    pure("double", Function::Float, &[Accept::NumberOrText], Type::Float, "double(account.height)"),
    pure("string", Function::String, &[Accept::Any], Type::Text, "string(user.index)"),
    fresh("random", Function::Random, &[Accept::Number, Accept::Number], Type::Any, "random(1, 6)"),
    fresh("pick", Function::Pick, &[Accept::List], Type::Any, "pick(['a', 'b'])"),
    fresh("uuid", Function::Uuid, &[], Type::Text, "uuid()"),
    fresh("now", Function::Now, &[], Type::Int, "now()"),
    pure("base64", Function::Base64, &[Accept::Scalar], Type::Text, "base64(account.password)"),
    pure("sha256", Function::Sha256, &[Accept::Scalar], Type::Text, "sha256(account.id)"),
    pure(
        "hmac_sha256",
        Function::HmacSha256,
        &[Accept::Scalar, Accept::Scalar],
        Type::Text,
        "hmac_sha256(account.key, 'text')",
    ),
    pure("json", Function::Json, &[Accept::Text], Type::Any, "json(last.body)"),
    pure("url", Function::Url, &[Accept::Scalar], Type::Text, "url(account.name)"),
    pure("raw", Function::Raw, &[Accept::Any], Type::Any, "raw(link)"),
    fresh("text", Function::Text, &[Accept::Int], Type::Text, "text(100)"),
    fresh("client_id", Function::ClientId, &[], Type::Text, "client_id()"),
    Signature { least: 0, ..fresh("marker", Function::Marker, &[Accept::Scalar], Type::Text, "marker('room-7')") },
    fresh("marker_words", Function::MarkerWords, &[], Type::Text, "marker_words()"),
];

/// What people write who know another language, and what it is called here.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("len", "size(x)"),
    ("length", "size(x)"),
    ("count", "size(x)"),
    ("str", "string(x)"),
    ("to_string", "string(x)"),
    ("toString", "string(x)"),
    ("number", "int(x) or float(x)"),
    ("parseInt", "int(x)"),
    ("rand", "random(1, 6)"),
    ("randint", "random(1, 6)"),
    ("choice", "pick(list)"),
    ("sample", "pick(list)"),
    ("includes", "x.contains(y)"),
    ("starts_with", "x.startsWith(y)"),
    ("ends_with", "x.endsWith(y)"),
    ("match", "x.matches('regex')"),
    ("timestamp", "now()"),
    ("urlencode", "url(x)"),
    ("encodeURIComponent", "url(x)"),
    ("has", "'key' in map"),
    ("parse_json", "json(text)"),
    ("lorem", "text(100)"),
];

/// Looks `name` up; the error points at `range`.
pub(super) fn find(name: &str, is_method: bool, range: &Range<usize>) -> Result<&'static Signature, ExprError> {
    let unknown =
        |message, help| ExprError { range: range.clone(), message, help: Some(help), code: "unknown-function" };
    let Some(found) = SIGNATURES.iter().find(|s| s.name == name) else {
        let message = format!("there is no function `{name}`");
        return Err(unknown(message, suggestion(name)));
    };
    if is_method && !found.is_method {
        return Err(unknown(
            format!("`{name}` is not written after a dot"),
            format!("write it as in `{}`", found.usage),
        ));
    }
    Ok(found)
}

fn suggestion(name: &str) -> String {
    if let Some((_, ours)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        return format!("write `{ours}`");
    }
    let lower = name.to_lowercase();
    let near = SIGNATURES
        .iter()
        .map(|s| (strsim::jaro_winkler(&lower, &s.name.to_lowercase()), s))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, found)) => format!("did you mean `{}`, as in `{}`?", found.name, found.usage),
        None => {
            let names: Vec<&str> = SIGNATURES.iter().map(|s| s.name).collect();
            format!("the functions are {}", names.join(", "))
        }
    }
}
