//! What each key of the language is good for: form, meaning, unit, range and default.
//! In: the name of a definition. Out: its keys. The parser's tables say which keys there are; keys that the language
//! names and that are not built yet may stand here before their time.

use super::shapes::{self as s, Key};

/// What a percentile says.
pub(super) const PERCENTILE: &str =
    "A percentile of the response time, p50 to p99.99, such as `< 200ms`. Judged only with enough samples for it.";

macro_rules! keys {
    ($($name:literal: $shape:ident, $about:literal;)*) => {
        &[$(Key { name: $name, shape: s::$shape, about: $about }),*]
    };
}

/// The keys of a definition; empty for a name that nobody knows.
pub(super) fn of(definition: &str) -> &'static [Key] {
    TABLES.iter().find(|(name, _)| *name == definition).map_or(&[], |(_, keys)| keys)
}

/// Every definition with its keys.
pub(super) const TABLES: &[(&str, &[Key])] = &[
    ("file", FILE),
    ("target", TARGET),
    ("tls", TLS),
    ("limits", LIMITS),
    (
        "watch",
        keys! {
            "path": text, "A path with Prometheus text, or a whole URL.";
            "every": duration, "From one reading to the next. At least 1s; default 5s.";
        },
    ),
    ("role", ROLE),
    ("auth", AUTH),
    ("oauth2", OAUTH2),
    ("part", PART),
    ("named_part", NAMED_PART),
    ("file_body", FILE_BODY),
    ("network", NETWORK),
    ("moment", MOMENT),
    ("accounts", ACCOUNTS),
    ("column", COLUMN),
    ("data_table", DATA),
    ("journey", JOURNEY),
    ("before", BEFORE),
    ("once", ONCE),
    ("step_think", &[THINK]),
    ("step_repeat", &[REPEAT, STEPS]),
    ("step_while", WHILE),
    ("step_if", IF),
    ("step_choose", keys! { "choose": branches, "One of several branches, drawn by weight anew each time."; }),
    ("branch", BRANCH),
    ("step_set", keys! { "set": values, "Variables and their values: a constant, or one `{{ expression }}`."; }),
    (
        "step_group",
        keys! {
            "group": text, "The name under which the steps are timed as one, from the first's start to the last's end.";
            "steps": steps, "The steps that are timed as one.";
            "on_failure": on_failure, "What a failure of its steps means. Default: the journey's.";
        },
    ),
    ("step_call", keys! { "call": text, "The name of a fragment whose steps are played here."; }),
    (
        "step_probe",
        keys! {
            "probe": probe, "A request for data of somebody else, `{{ stranger.id }}`; it must be refused (401, 403, 404) or carry none of their markers.";
        },
    ),
    (
        "probe_form",
        keys! {
            "request": request, "The request that must be refused.";
            "stranger": text, "The role whose data is asked for. Default: the journey's own role.";
        },
    ),
    (
        "step_pace",
        keys! { "pace": delay, "The least time from one iteration's start to the next one's. First step only."; },
    ),
    (
        "step_for_each",
        keys! {
            "for_each": any, "A bare expression that gives a list, or a list as it is; 100,000 items at most.";
            "as": text, "The variable that holds the item. Default: `item`.";
            "steps": steps, "What is done with each item.";
        },
    ),
    (
        "step_poll",
        keys! {
            "poll": text, "A request, `GET /path`, that is sent again and again until `until` holds; its options stand beside it.";
            "every": duration, "From one try's due time to the next. At least 1ms; default 1s.";
            "within": duration, "The longest time for all of them; afterwards the step fails. Default 30s.";
            "until": text, "A bare expression over `last` and what is saved. Default: the status is below 400.";
            "target": text, "The target. Default: the journey's.";
            "headers": text_map, "Headers; they win over the journey's.";
            "query": text_map, "Query parameters, percent-encoded.";
            "json": any, "A JSON body.";
            "form": text_map, "A form body.";
            "body": text, "A body as it is.";
            "timeout": duration, "The longest time for one try. Default: the target's.";
            "expect": expect, "What the answer must be like that is there at last.";
            "save": saves, "What is taken from the answers; of the last one all of it must be there.";
            "identity": text_map, "JSONPath → what it must be: the answer must be about me.";
            "tags": texts, "Words by which objectives select steps.";
            "name": text, "The name in every table. Default: `METHOD path` as written.";
            "on_failure": on_failure, "What a failure of this step means. Default: the journey's.";
        },
    ),
    (
        "retry",
        keys! {
            "on": any, "Status codes, classes such as `5xx`, and the words `timeout` and `connection`.";
            "times": positive, "Attempts after the first one, 1 to 100. Default 1.";
            "wait": delay, "From the end of an attempt to the next one. Default 1s.";
        },
    ),
    (
        "step_parallel",
        keys! { "parallel": steps, "Requests that are sent at once, each on a connection of its own; goes on when the last is done."; },
    ),
    ("step_rendezvous", keys! { "rendezvous": map, "Waits for other users: `{ name, users, within }`."; }),
    (
        "rendezvous",
        keys! {
            "name": text, "The name of the meeting point; whoever names it meets there, also from other journeys.";
            "users": positive, "How many users go on together.";
            "within": duration, "How long the first who comes waits at most; then all who are there go on. Default 30s.";
        },
    ),
    ("step_log", keys! { "log": text, "A line that `watertight trace` shows; nothing in a run."; }),
    ("step_stop", keys! { "stop": what_stops, "Ends the `iteration`, the `user`, or the whole `run`."; }),
    ("step_join", keys! { "join": text, "From now on data of this audience may reach me."; }),
    ("step_leave", keys! { "leave": text, "From now on data of this audience may not reach me any more."; }),
    (
        "step_switch_account",
        keys! { "switch_account": text, "`next`: go on as another account on the same connection."; },
    ),
    ("step_send", keys! { "send": any, "A message: text, `{ json: … }` or `{ base64: … }`."; }),
    (
        "step_receive",
        keys! {
            "receive": any, "What the awaited message is like; others are skipped, and scanned all the same.";
            "within": duration, "How long to wait at most.";
            "save": saves, "What is taken from the message.";
        },
    ),
    ("step_close", keys! { "close": whole, "Closes the WebSocket with this code; 1000 is the usual one."; }),
    ("payload", keys! { "json": any, "A text message that is JSON."; "base64": text, "A binary message, as base64."; }),
    ("socket", SOCKET),
    (
        "events",
        keys! {
            "text": text, "JSONPath of the piece of text in each event's data; the pieces are joined before they are scanned.";
            "until": any, "The last event: its data as text, such as `[DONE]`, or JSON path → value. Default: the end of the stream.";
        },
    ),
    ("request", REQUEST),
    ("probe_request", REQUEST),
    ("expect", EXPECT),
    (
        "expect_body",
        keys! {
            "contains": texts, "Text, or a list of texts, that the body must hold. Templates are allowed.";
            "matches": texts, "Patterns (Rust's `regex`) that the body must match.";
        },
    ),
    (
        "condition_map",
        keys! {
            "matches": text, "A pattern (Rust's `regex`) that the value must match.";
            "exists": flag, "`true`: the value must be there; `false`: it must not.";
        },
    ),
    ("saved", SAVED),
    ("echo", ECHO),
    ("profile", PROFILE),
    (
        "stage",
        keys! {
            "users": whole, "Virtual users at the end of the stage, 0 to 1,000,000.";
            "arrivals": rate, "Iterations that start per time at the end of the stage, such as `20/s`; 0 to 1,000,000/s.";
            "for": duration, "The length of the stage.";
            "ramp": duration, "The part of `for` within which the level is reached. Default 0s: at once, four users a millisecond.";
        },
    ),
    ("faults", FAULTS),
    (
        "abandon",
        keys! {
            "chance": share, "The share of the requests that are given up, 0% to 100%. Default 5%.";
            "after": delay, "How long after sending, `2ms..20ms`. Default: at a random point of the step's usual response time.";
            "how": how, "`reset` (TCP RST, as an app that is killed) or `close` (FIN, as a closed tab). Default `reset`.";
            "at": place, "Only there: before the `head` is read, in mid-`body`, in mid-`stream` (`events`), after a `message` (WebSocket). `after` counts from there. Default: wherever it is by then.";
        },
    ),
    ("objective", OBJECTIVE),
    (
        "of",
        keys! {
            "target": texts, "Requests to these targets.";
            "journey": texts, "Requests of these journeys.";
            "step": texts, "Steps of these names, as in the tables.";
            "tag": texts, "Steps with one of these tags.";
        },
    ),
    (
        "abort",
        keys! {
            "abort_when": text, "What ends the run at once, NO-GO: `errors > 50% over 10s`; also `mean` or a percentile; 1s to 1h.";
            "of": of, "Which requests are watched. Default: all.";
            "in": texts, "The profiles in which it holds. Default: all.";
        },
    ),
    (
        "containment",
        keys! {
            "errors": limit, "By how many percentage points more of the healthy users' requests may fail, `< 1pp`.";
            "mean": limit, "How much longer the healthy users' mean response time may be, `< 20%`.";
        },
    ),
    (
        "gate",
        keys! {
            "requires": texts, "Profiles that must have run as written for the suite to be a GO.";
            "isolation": isolation, "`required`: isolation must be proven in each of them. Default `report`.";
            "signoffs": texts, "Names that somebody must sign with `watertight sign`.";
        },
    ),
    (
        "waiver",
        keys! {
            "objective": text, "The objective whose miss is let through, by its name or as the report writes it.";
            "reason": text, "Why.";
            "by": text, "Who answers for it.";
            "until": text, "The last day on which it holds, `2026-12-31`; 90 days ahead at most.";
        },
    ),
];

const THINK: Key = Key {
    name: "think",
    shape: s::delay,
    about: "A pause as a person makes it: `2s`, drawn evenly from `1s..4s`, `normal(2s, 500ms)` or `exponential(2s)`.",
};

const REPEAT: Key = Key {
    name: "repeat",
    shape: s::number_or_text,
    about: "How many times the steps are played: a whole number, at least 0, or one `{{ expression }}`.",
};

const STEPS: Key = Key { name: "steps", shape: s::steps, about: "The steps, in order." };

const FILE: &[Key] = keys! {
    "watertight": version, "The version of the language: 1.";
    "name": text, "The name in reports. Default: the file's name.";
    "import": texts, "Other files whose sections are taken over.";
    "targets": targets, "The services under test: a name, and a URL or a map.";
    "roles": roles, "Who plays: roles with their accounts.";
    "data": tables, "Tables of data, `{{ data.NAME.COLUMN }}`: a row for each iteration.";
    "fragments": fragments, "Steps by name, for `call`.";
    "setup": once, "Played once by one user before the load, in no figure. Its variables are there in every journey. If it fails there is no load.";
    "teardown": once, "Played once by one user after the load, however that ended, in no figure.";
    "journeys": journeys, "What users do. Each virtual user plays one of them again and again.";
    "mix": mix, "Shares of the users by journey, whole numbers. Default: alike.";
    "profiles": profiles, "How much load, for how long, and how it comes. `run` takes the first.";
    "sla": objectives, "What must hold. Without errors or availability here, `errors < 5%` is added.";
    "gate": gate, "What a whole suite (`run --all`) must show besides.";
    "waivers": waivers, "Misses that are let through for a while, with a name and a date.";
};

const TARGET: &[Key] = keys! {
    "url": text, "The base address, `http://` or `https://`, or `unix:/path` for a socket of this machine.";
    "timeout": duration, "The longest time for one request, connecting included. At least 1ms; default 30s.";
    "connect_timeout": duration, "The longest time to connect. At least 1ms; default 5s.";
    "watch": watch, "A path or whole URL with Prometheus text, read during the run for the objectives that name a series.";
    "health": text, "A path that must answer 2xx before any load starts.";
    "http": http, "The version of HTTP: 1 (default), 2 (agreed upon in TLS), h2c (2 without TLS), auto (what TLS agrees upon, else 1).";
    "tls": tls, "How TLS is spoken.";
    "proxy": text, "A proxy on the way: `http://user:password@host:port`.";
    "source_addresses": texts, "Our own addresses to connect from, taken in turn. Default: the system's choice.";
    "resolve": resolve, "When the host's name is resolved: `once` per worker (default) or `per_connection`.";
    "redirects": whole, "Redirects that are followed at most, 0 to 50. Default 10.";
    "limits": limits, "What an answer may be at most; more fails the request.";
    "share_connections": positive, "So many connections for all users, 1 to 1,000,000, which is said in the report. Default: each user has its own.";
};

const TLS: &[Key] = keys! {
    "ca": text, "A PEM file with authorities to trust besides the system's.";
    "cert": text, "A PEM file with our own certificate.";
    "key": text, "A PEM file with its key.";
    "server_name": text, "The name that is asked for instead of the URL's host.";
    "insecure": flag, "`true`: accept any certificate. Default `false`.";
};

const LIMITS: &[Key] = keys! {
    "head": text, "The head, 8192B to 64MiB. Default 256KiB.";
    "headers": positive, "How many headers, 1 to 10,000. Default 100.";
    "body": text, "The body, before and after decoding, 1B to 1GiB. Default 16MiB.";
    "json_depth": positive, "How deep JSON may be nested, 1 to 127. Default 127.";
};

const ROLE: &[Key] = keys! {
    "accounts": accounts, "One row is one account and one virtual user: a CSV file with a header line, or a map.";
    "may_see": text_map, "Role → a bare expression over `owner` and `account`: whose data may legitimately reach this role.";
    "reuse": reuse, "`wrap`: more users than rows are allowed; users of one row are one owner. Default: too few rows are an error.";
};

const ACCOUNTS: &[Key] = keys! {
    "file": text, "A CSV file whose header line names the columns.";
    "count": positive, "How many rows are made up, 1 to 1,000,000.";
    "values": values, "Columns with templates over `index`, which counts from 0.";
    "columns": columns, "What is special about columns.";
};

const COLUMN: &[Key] = keys! {
    "secret": flag, "`true`: masked in every output. Columns named password, token or secret are masked without asking.";
};

const DATA: &[Key] = keys! {
    "file": text, "A CSV file whose header line names the columns.";
    "order": order, "`in_order` (each user starts at its own index) or `random`. Default `in_order`.";
};

const JOURNEY: &[Key] = keys! {
    "as": text, "The role that plays it. Default: anonymous users without account.";
    "target": text, "The target of its requests. Default: the file's only target.";
    "before": before, "Played once per virtual user, before its first iteration: a list of steps, or a map.";
    "headers": text_map, "Headers of every request of `steps` and `after`.";
    "steps": steps, "One iteration. At least one step.";
    "after": steps, "Played when the user leaves.";
    "on_failure": on_failure, "When a step fails: `give_up` this iteration, as a person would, or `continue`. Default `give_up`.";
    "after_failure": delay, "First and longest wait after a failed iteration, doubling in between. Default `1s..30s`.";
    "cookies": cookies, "`per_user`: kept as in a browser; `per_iteration`: each iteration is a new visitor. Default `per_user`.";
    "auth": auth, "How requests say who sends them: `basic`, `bearer` or `oauth2`.";
    "connections": connections, "`per_user`: kept; `per_iteration`: made anew for each iteration. Default `per_user`.";
};

const BEFORE: &[Key] = keys! {
    "steps": steps, "The steps.";
    "again": duration, "They are played again when this time has passed.";
    "on_status": status, "They are played again when a step is answered so, and that step is repeated once.";
};

const ONCE: &[Key] = keys! {
    "steps": steps, "The steps.";
    "as": text, "The role whose first account plays them. Default: nobody in particular.";
    "target": text, "The target of its requests, unless they name another. Needed if there are several.";
    "headers": text_map, "Headers of every request.";
    "auth": auth, "How every request says who it is.";
    "within": duration, "The most time that it may take; then it is cut and counts as failed. Default 5m for `setup`, 1m for `teardown`.";
};

const WHILE: &[Key] = keys! {
    "while": text, "A bare expression: the steps are played as long as it is true.";
    "max": positive, "Most rounds, 1 to 1,000,000. Default 1000.";
    "steps": steps, "The steps of a round.";
};

const IF: &[Key] = keys! {
    "if": text, "A bare expression that is true or false.";
    "then": steps, "Played if it is true.";
    "else": steps, "Played if it is false.";
};

const BRANCH: &[Key] = keys! {
    "weight": whole, "Its share beside the other branches', 0 to 1,000,000. Default 1.";
    "steps": steps, "The steps of the branch.";
};

const REQUEST: &[Key] = keys! {
    "target": text, "The target. Default: the journey's.";
    "headers": text_map, "Headers; they win over the journey's.";
    "query": text_map, "Query parameters, percent-encoded.";
    "json": any, "A JSON body. Strings may hold templates; one that is exactly one `{{ }}` keeps its type.";
    "form": text_map, "A form body, `application/x-www-form-urlencoded`.";
    "body": body, "A body as it is, or `{ file: … }`; `text/plain` unless a header says otherwise.";
    "multipart": multipart, "A body of several parts, `multipart/form-data`.";
    "auth": auth, "How this request says who sends it.";
    "timeout": duration, "The longest time for this request. At least 1ms; default: the target's.";
    "redirects": whole, "Redirects that are followed at most, 0 to 50. Default: the target's.";
    "retry": map, "When and how often it is sent again; every attempt is its own sample.";
    "abandon": abandons, "The share of these requests that are given up in mid-flight, or a map. Default: the profile's.";
    "expect": expect, "What the answer must be like. Default: a status below 400.";
    "save": saves, "Variables and where in the answer they are found. A value that is not there fails the step.";
    "identity": text_map, "JSONPath → what it must be: the answer must be about me.";
    "echo": echo, "Binds answers to requests: `{ send: HEADER, read: HEADER }`.";
    "revokes": text, "A saved credential that must not be accepted any more afterwards.";
    "events": events, "The answer is a stream of server-sent events.";
    "tags": texts, "Words by which objectives select steps.";
    "name": text, "The name in every table. Default: `METHOD path` as written.";
    "on_failure": on_failure, "What a failure of this step means. Default: the journey's.";
};

const SOCKET: &[Key] = keys! {
    "target": text, "The target. Default: the journey's.";
    "headers": text_map, "Headers of the upgrade; they win over the journey's.";
    "query": text_map, "Query parameters of the upgrade, percent-encoded.";
    "timeout": duration, "The longest time for the upgrade, and for saying one message. Default: the target's.";
    "abandon": abandons, "The share of upgrades and messages at which the connection is given up. Default: the profile's.";
    "auth": any, "How the upgrade says who connects.";
    "tags": texts, "Words by which objectives select steps.";
    "name": text, "The name in every table. Default: `websocket path` as written.";
    "on_failure": on_failure, "What a failure means: of the upgrade, of a message, of the connection. Default: the journey's.";
    "heartbeat": duration, "A ping so often. Default: none.";
    "steps": steps, "What is done while it is open: `send`, `receive`, `close`, and any other step.";
};

const AUTH: &[Key] = keys! {
    "basic": pair, "User and password, sent in base64.";
    "bearer": text, "A token.";
    "oauth2": oauth2, "A token that is fetched in `before` and renewed when it is due; each request for it is a step.";
};

const OAUTH2: &[Key] = keys! {
    "token_url": text, "Where tokens come from: a whole URL, or a path of the journey's target.";
    "grant": grant, "`client_credentials` or `password` (with a refresh token if one is given). Default `client_credentials`.";
    "client_id": text, "The client's id.";
    "client_secret": text, "The client's secret.";
    "client_in": client_in, "Where id and secret stand: `form`, or `header` (basic auth). Default `form`.";
    "scope": text, "What is asked for.";
    "audience": text, "Whom the token is for.";
    "username": text, "With `grant: password`: whose token.";
    "password": text, "With `grant: password`: the password.";
};

const PART: &[Key] = keys! {
    "text": text, "Text; may hold templates.";
    "file": text, "A file, read once, at most 16 MiB.";
    "base64": text, "Bytes in base64.";
    "filename": text, "The name that is sent. Default: the file's.";
    "type": text, "The content type. Default: by the file's name.";
};

const NAMED_PART: &[Key] = keys! {
    "name": text, "The name of the part.";
    "text": text, "Text; may hold templates.";
    "file": text, "A file, read once, at most 16 MiB.";
    "base64": text, "Bytes in base64.";
    "filename": text, "The name that is sent. Default: the file's.";
    "type": text, "The content type. Default: by the file's name.";
};

const FILE_BODY: &[Key] = keys! {
    "file": text, "A file, read once, at most 16 MiB.";
    "type": text, "The content type. Default: by the file's name.";
};

const NETWORK: &[Key] = keys! {
    "delay": duration, "Added when connecting and to the first byte of each direction of a request. At most 60s.";
    "rate": text, "Most bytes a second in each direction of a connection, such as `1MB/s`. At least 1kB/s.";
};

const MOMENT: &[Key] = keys! {
    "mark": text, "What the timeline says.";
    "run": texts, "A command, started without a shell in the scenario's folder; text is split at blanks, a list is taken as it is.";
};

const ECHO: &[Key] = keys! {
    "send": text, "The header in which every request carries a fresh id.";
    "read": text, "Where its answer repeats the id: a header, or a JSONPath.";
};

const EXPECT: &[Key] = keys! {
    "status": status, "200, a class such as `2xx`, or a list. Default: below 400.";
    "json": conditions, "JSONPath → a value, a comparison such as `\"< 3\"`, `{ matches: … }` or `{ exists: … }`.";
    "body": expect_body, "What the body holds.";
    "header": conditions, "Header → a value or condition.";
    "under": duration, "The longest response time of this answer.";
    "that": text, "A bare expression; it sees what this answer saved.";
    "marker": marker, "`own`: one of my markers must come back; `permitted`: one that I may see, once a write of such a one was accepted and is of a kind that is shown there; `latest`: that of my newest acknowledged write.";
    "first_event": text, "The longest time to the first event.";
    "event_gap": text, "The longest time between two events.";
    "events": any, "How many events there must be.";
};

const SAVED: &[Key] = keys! {
    "json": text, "A JSONPath (RFC 9535); a definite one saves the value, any other a list.";
    "header": text, "A header's value.";
    "regex": text, "A pattern on the body: its first group, or the whole match.";
    "cookie": text, "The value of a cookie that the answer sets, or a redirect on the way to it.";
    "css": text, "A CSS selector in an HTML body.";
    "attribute": text, "With `css`: the attribute instead of the text.";
    "credential": flag, "`true`: must never be issued to two accounts; masked everywhere.";
    "secret": flag, "`true`: masked in every output.";
    "default": any, "The value when nothing is found. Default: the step fails.";
};

const PROFILE: &[Key] = keys! {
    "preset": preset, "What holds where the profile is silent: `smoke`, `sustained`, `burst`, `spike`, `soak`, `chaos`, `ladder`, `capacity`, `canary`.";
    "users": users, "Virtual users (closed load), 1 to 1,000,000; with `preset: ladder` a list of rungs.";
    "arrivals": arrivals, "Iterations that start per time (open load), such as `20/s`; a list of rungs, or the range of `preset: capacity`, `1/s..40/s`.";
    "stages": stages, "Levels one after the other, all `users` or all `arrivals`.";
    "for": duration, "How long, warm-up not counted.";
    "each": duration, "The length of each rung of a ladder, or of each step of a canary.";
    "hold": duration, "The length of each trial of a capacity search.";
    "spacing": spacing, "How arrivals are spaced: `even` or `poisson`.";
    "max_users": positive, "Most users of an open load at once, 1 to 1,000,000. Default 1000; an arrival that finds none idle is dropped and counted.";
    "warm_up": duration, "Played first, shown apart and not judged. Default 0s, or the preset's.";
    "ramp": duration, "The part of `for` within which the load is reached. Default 0s: at once, four users a millisecond.";
    "graceful_stop": duration, "How long users may finish their iteration at the end. Default 30s.";
    "cool_down": duration, "A pause after the profile.";
    "isolation": isolation, "`required`: unproven isolation makes the verdict INCONCLUSIVE. Default `report`.";
    "faults": faults, "What is provoked on purpose. All off by default.";
    "network": network, "A slower network: `{ delay: 50ms, rate: 1MB/s }`. Its time is part of every response time.";
    "cookies": cookies, "As in a journey, for all of them.";
    "connections": connections, "As in a journey, for all of them.";
    "share_connections": positive, "As in a target, for all that say nothing themselves.";
    "at": moments, "Moments on the timeline: `{ 2m: { mark: restart } }`.";
    "extends": text, "Another profile that this one changes.";
    "new": text, "With `preset: canary`: the target with the new version.";
    "old": text, "With `preset: canary`: the target that it takes over from. Default: each journey's own.";
    "steps": texts, "With `preset: canary`: the growing shares of the users that it serves. Default [5%, 25%, 50%, 100%].";
};

const FAULTS: &[Key] = keys! {
    "abandon": abandons, "Share of the requests that are given up in mid-flight, or a map.";
    "reconnect": share, "Share of the requests before which the user connects anew, 0% to 100%.";
    "slow_reader": share, "Share of the answers that are read slowly.";
    "think_zero": share, "Share of the think times that are left out.";
    "large_body": share, "Share of the JSON bodies with more than 64 KiB of blanks before them.";
    "malformed": share, "Beside so large a share of the requests a stranger sends what is no HTTP.";
    "oversize_headers": share, "Beside so large a share of the requests a stranger sends far too large headers.";
    "cohort": share, "Share of the users that suffer all this, above 0% and below 100%. Default: everybody; with `containment` 20%.";
    "equal_ids": flag, "`client_id()` counts 1, 2, 3 … for every user instead of a UUID.";
    "same_url_burst": share, "Share of the requests that wait, 250ms at most, for others to ask for the same URL; all go out at one instant.";
    "reload_burst": share, "Share of the GETs that wait, 1s at most and no more than once a second, for other users' GETs to the same target; all go out at one instant, and each is given up and asked for again, up to five times, before its answer is heard out.";
    "swap_connection": share, "Share of the requests that go over a connection which another user has just left, as behind a proxy. HTTP/1.1 only.";
    "switch_account": share, "Share of the iterations after which the user goes on as another account; without `after`, and so without a log-out, without its cookies.";
};

const OBJECTIVE: &[Key] = keys! {
    "of": of, "Which requests it is about. Default: all but probes.";
    "in": texts, "The profiles in which it holds. Default: all.";
    "warn": warn, "The same statistic with a limit that only warns.";
    "must": flag, "`false`: a miss warns instead of failing. Default `true`.";
    "name": text, "Its name in reports.";
    "each": duration, "It has to hold in every window of this length.";
    "mode": mode, "`confident`: the whole 95% interval has to keep the limit, not the figure alone. Default `point`.";
    "mean": limit, "The mean response time, `< 100ms`.";
    "max": limit, "The largest response time.";
    "min": limit, "The smallest value of a watched series.";
    "errors": limit, "The share of requests that failed or timed out, `< 1%`. A missed or unsent message and a broken WebSocket count too.";
    "availability": limit, "The share of requests that were answered as expected, `>= 99.9%`.";
    "completed": limit, "The share of iterations that were played to the end, `>= 99%`.";
    "rate": limit, "Requests that were answered as expected per time, `>= 500/s`.";
    "capacity": limit, "With `preset: capacity`: the highest rate at which all else holds, `>= 500/s`.";
    "dropped": limit, "The share of arrivals that found no free user.";
    "iterations": limit, "Completed iterations per time.";
    "uptime": limit, "The share of the time in which the target answered.";
    "longest_outage": limit, "The longest time without an answer as expected.";
    "recovery": limit, "The time until it was well again after a fault.";
    "rate_limit": text, "The rate that the target states for each user, `10/s`: 429 with Retry-After comes above it, and only above it.";
    "connections_ok": limit, "The share of connections that could be made; of a `websocket`, of upgrades that were granted.";
    "watch": text, "A series of a target's metrics, such as `patient.process_resident_memory_bytes`, or an expression of them.";
    "growth": limit, "How much a watched series may grow, `< 5% per 24h`.";
    "regress": limit, "How much worse than the baseline it may be.";
    "share": any, "With `each`: in how many windows it has to hold, `99%`. Default: in all.";
    "containment": containment, "How far the faults of some users may harm the others: `{ errors: < 1pp, mean: < 20% }`.";
    "variation": any, "How much a watched series may vary.";
    "returns": any, "Whether a series returns to where it was.";
    "for": any, "For how long it has to hold.";
};
