//! `auth:` of a request or a journey: who asks.
//! In: the map. Out: [`AuthPlan`], its templates still as text.

use crate::diagnostic::{Diagnostic, Span};
use crate::plan::reader::{Fields, Reader, Spec};
use crate::syntax::{Node, Scalar};

pub(super) const AUTH: Spec = Spec { what: "`auth`", keys: &["basic", "bearer", "oauth2"], not_yet: &[] };

pub(super) const OAUTH2: Spec = Spec {
    what: "`oauth2`",
    keys: &[
        "token_url",
        "grant",
        "client_id",
        "client_secret",
        "scope",
        "audience",
        "username",
        "password",
        "client_in",
    ],
    not_yet: &[],
};

/// `auth:` as written.
#[derive(Clone, Debug)]
pub(crate) enum AuthPlan {
    /// `auth: none`: without the journey's.
    None,
    Basic(Scalar, Scalar),
    Bearer(Scalar),
    OAuth2(Box<OAuth2Plan>),
}

/// `oauth2:` as written.
#[derive(Clone, Debug)]
pub(crate) struct OAuth2Plan {
    pub span: Span,
    pub token_url: Scalar,
    /// `grant: password`; else `client_credentials`.
    pub password_grant: bool,
    pub client_id: Option<Scalar>,
    pub client_secret: Option<Scalar>,
    /// `client_in: header`: id and secret go by basic auth; else in the form.
    pub client_in_header: bool,
    /// Further fields of the form.
    pub fields: Vec<(&'static str, Scalar)>,
}

pub(in crate::plan) fn read(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<AuthPlan> {
    let entry = fields.entry("auth")?;
    if entry.value.as_scalar().is_some_and(|s| s.text == "none") {
        return Some(AuthPlan::None);
    }
    let auth = reader.fields(&entry.value, entry.key.span, &AUTH)?;
    let mut ways: Vec<_> = AUTH.keys.iter().filter_map(|key| auth.entry(key)).collect();
    ways.sort_by_key(|way| way.key.span);
    let way = match ways.as_slice() {
        [one] => one,
        [] => {
            // A misspelt way has been reported as an unknown key.
            if matches!(&entry.value, Node::Map(entries, _) if entries.is_empty()) {
                reader.missing(entry.key.span, "`auth`", "bearer", "\"{{ token }}\"");
            }
            return None;
        }
        [first, second, ..] => {
            let message = format!("`auth` is one way to say who asks, and this one has `{}` already", first.key.text);
            reader.push(Diagnostic::error("two-places", second.key.span, message).help("remove one of them"));
            return None;
        }
    };
    match way.key.text.as_str() {
        "basic" => basic(reader, &way.value, way.key.span),
        "bearer" => reader.text_at(auth, "bearer").cloned().map(AuthPlan::Bearer),
        _ => oauth2(reader, &way.value, way.key.span).map(|plan| AuthPlan::OAuth2(Box::new(plan))),
    }
}

fn basic(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<AuthPlan> {
    let Node::List(items, _) = node else {
        reader.expected(at, "`basic` is a list of two: [user, password]", node);
        return None;
    };
    let [user, password] = items.as_slice() else {
        reader.bad_value(at, format!("`basic` is a list of two, [user, password], and here are {}", items.len()));
        return None;
    };
    let user = reader.text(user, at, "the user of `basic`").cloned();
    let password = reader.text(password, at, "the password of `basic`").cloned();
    Some(AuthPlan::Basic(user?, password?))
}

fn oauth2(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<OAuth2Plan> {
    let fields = reader.fields(node, at, &OAUTH2)?;
    let token_url = match fields.entry("token_url") {
        Some(_) => reader.text_at(fields, "token_url").cloned(),
        None => {
            reader.missing(at, "`oauth2`", "token_url", "/oauth/token");
            None
        }
    };
    if let Some(url) = token_url.as_ref().filter(|url| !url.broken) {
        let (host, path) = super::split_host(&url.text);
        let is_whole = url.text.starts_with("http") && crate::plan::check_url(host).is_ok();
        if !(url.text.starts_with('/') || is_whole) || path.contains(char::is_whitespace) && !path.contains("{{") {
            reader.push(
                Diagnostic::error("bad-url", url.span, "`token_url` is a whole URL, or a path of the journey's target")
                    .help("write for example `https://login.example/oauth/token` or `/oauth/token`"),
            );
        }
    }
    let grant = reader.word_at(fields, "grant", &["client_credentials", "password"], &[]);
    let password_grant = grant == Some("password");
    let needed: &[(&str, &str)] = match password_grant {
        true => &[("username", "\"{{ account.username }}\""), ("password", "\"{{ account.password }}\"")],
        false => &[("client_id", "load-test"), ("client_secret", "${CLIENT_SECRET}")],
    };
    let is_known = grant.is_some() || fields.entry("grant").is_none();
    for (key, example) in needed.iter().filter(|_| is_known) {
        if fields.entry(key).is_none() {
            reader.missing(at, "`oauth2` with this grant", key, example);
        }
    }
    let mut further = Vec::new();
    for key in ["scope", "audience", "username", "password"] {
        let of_password = matches!(key, "username" | "password");
        if let Some(entry) = fields.entry(key).filter(|_| of_password && !password_grant) {
            reader.bad_value(entry.key.span, format!("`{key}` goes with `grant: password` only"));
            continue;
        }
        further.extend(reader.text_at(fields, key).map(|text| (key, text.clone())));
    }
    let client_in_header = reader.word_at(fields, "client_in", &["form", "header"], &[]) == Some("header");
    Some(OAuth2Plan {
        span: node.span(),
        token_url: token_url?,
        password_grant,
        client_id: reader.text_at(fields, "client_id").cloned(),
        client_secret: reader.text_at(fields, "client_secret").cloned(),
        client_in_header,
        fields: further,
    })
}
