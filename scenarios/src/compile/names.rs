//! The names that exist at one place of the file, and where their values come from.
//! In: a path such as `account.id`. Out: its [`Place`], or what was probably meant.

use crate::diagnostic::{did_you_mean, suggestion};
use crate::expr::{ExprError, Last, Names, Place, Slot, Type};
use crate::plan::{Plan, Table};
use crate::value::Value;

/// The names visible at one place.
pub(super) struct Visible<'a> {
    plan: &'a Plan,
    at: Where<'a>,
}

/// Who plays a journey.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// This role.
    Known(usize),
    /// A role that does not exist, which has been reported.
    Unknown,
    /// Anonymous users.
    Nobody,
}

enum Where<'a> {
    /// In a journey: its role, its variables, and in a probe the stranger's role.
    Journey { role: Role, stranger: Option<usize>, slots: &'a [String], types: &'a [Type] },
    /// In a `may_see` condition.
    MaySee { reader: usize, owner: usize },
}

impl<'a> Visible<'a> {
    pub fn journey(plan: &'a Plan, role: Role, stranger: Option<usize>, slots: &'a [String]) -> Self {
        Self::typed(plan, role, stranger, slots, &[])
    }

    /// As [`journey`](Self::journey), with the types of the variables; those that are not given are not known.
    pub fn typed(plan: &'a Plan, role: Role, stranger: Option<usize>, slots: &'a [String], types: &'a [Type]) -> Self {
        Self { plan, at: Where::Journey { role, stranger, slots, types } }
    }

    /// The stranger's role.
    pub fn stranger(&self) -> Option<usize> {
        match self.at {
            Where::Journey { stranger, .. } => stranger,
            Where::MaySee { .. } => None,
        }
    }

    pub fn may_see(plan: &'a Plan, reader: usize, owner: usize) -> Self {
        Self { plan, at: Where::MaySee { reader, owner } }
    }

    /// A column of a role's row.
    fn column(&self, role: usize, path: &[&str], place: fn(usize) -> Place) -> Result<(Place, Type, usize), ExprError> {
        let role = &self.plan.roles[role];
        let what = format!("role `{}`", role.name.text);
        column(&role.accounts, path, &what, path[0], place)
    }

    fn data(&self, path: &[&str]) -> Result<(Place, Type, usize), ExprError> {
        let tables = || self.plan.data.iter().map(|d| d.name.text.as_str());
        let Some(name) = path.get(1) else {
            return Err(mistake("`data` is read as `data.TABLE.COLUMN`", suggestion("", tables())));
        };
        let Some(table) = tables().position(|t| t == *name) else {
            return Err(mistake(&format!("there is no data table `{name}`"), suggestion(name, tables())));
        };
        let what = format!("data table `{name}`");
        let shown = format!("data.{name}");
        let rows = &self.plan.data[table].rows;
        let (place, kind, used) = column(rows, &path[1..], &what, &shown, |column| Place::Data { table: 0, column })?;
        let place = match place {
            Place::Data { column, .. } => Place::Data { table, column },
            other => other,
        };
        Ok((place, kind, used + 1))
    }

    fn global(&self, path: &[&str]) -> Option<Result<(Place, Type, usize), ExprError>> {
        let part = path.get(1).copied().unwrap_or("");
        let two = |place, kind| Some(Ok((place, kind, 2)));
        match path[0] {
            "marker" => Some(Ok((Place::Marker, Type::Text, 1))),
            "user" => match part {
                "id" => two(Place::UserId, Type::Text),
                "index" => two(Place::UserIndex, Type::Int),
                "iteration" => two(Place::UserIteration, Type::Int),
                _ => Some(Err(parts("user", part, &["id", "index", "iteration"]))),
            },
            "run" if part == "id" => two(Place::RunId, Type::Text),
            "run" => Some(Err(parts("run", part, &["id"]))),
            "last" => match part {
                "status" => two(Place::Last(Last::Status), Type::Int),
                "headers" => two(Place::Last(Last::Headers), Type::Map),
                "body" => two(Place::Last(Last::Body), Type::Text),
                "json" => two(Place::Last(Last::Json), Type::Any),
                "latency" => two(Place::Last(Last::Latency), Type::Float),
                _ => Some(Err(parts("last", part, &["status", "headers", "body", "json", "latency"]))),
            },
            _ => None,
        }
    }

    fn variable(&self, name: &str, slots: &[String]) -> Result<(Place, Type, usize), ExprError> {
        if let Some(slot) = slots.iter().position(|s| s == name) {
            let slot = Slot::try_from(slot).unwrap_or(Slot::MAX);
            return Ok((Place::Slot(slot), Type::Any, 1));
        }
        if self.plan.ghosts.contains(name) {
            return Ok((Place::Slot(0), Type::Any, 1));
        }
        let globals = ["account", "data", "user", "run", "last", "marker", "stranger"];
        let all = || slots.iter().map(String::as_str).chain(globals);
        let help = match did_you_mean(name, all()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match name {
                "index" => "`index` counts rows while accounts are made up; here there is `user.index`".into(),
                "env" => "the environment is read as `${NAME}`".into(),
                _ => "no step of this journey saves or sets it: add `save` or `set`".into(),
            },
        };
        Err(mistake(&format!("there is no variable `{name}` here"), Some(help)))
    }

    fn in_journey(
        &self,
        path: &[&str],
        role: Role,
        stranger: Option<usize>,
        slots: &[String],
    ) -> Result<(Place, Type, usize), ExprError> {
        match (path[0], role, stranger) {
            ("account", Role::Known(role), _) => self.column(role, path, Place::Account),
            ("account", Role::Unknown, _) => Ok((Place::Account(0), Type::Any, path.len().min(2))),
            ("account", Role::Nobody, _) => Err(mistake(
                "there is no account: this journey has no `as: ROLE`",
                Some("say who plays it, such as `as: patient`".into()),
            )),
            ("stranger", _, Some(role)) => self.column(role, path, Place::Stranger),
            ("stranger", _, None) => {
                Err(mistake("there is a `stranger` in probes only", Some("write the step as `probe: GET /…`".into())))
            }
            ("owner", ..) => Err(mistake("there is an `owner` in `may_see` only", None)),
            ("data", ..) => self.data(path),
            (name, ..) => match self.global(path) {
                Some(found) => found,
                None => self.variable(name, slots),
            },
        }
    }
}

impl Names for Visible<'_> {
    fn resolve(&self, path: &[&str]) -> Result<(Place, Type, usize), ExprError> {
        if path.is_empty() {
            return Err(mistake("a name is missing", None));
        }
        match &self.at {
            Where::Journey { role, stranger, slots, types } => {
                let found = self.in_journey(path, *role, *stranger, slots)?;
                let kind = match found.0 {
                    Place::Slot(slot) => types.get(usize::from(slot)).copied().unwrap_or(Type::Any),
                    _ => found.1,
                };
                Ok((found.0, kind, found.2))
            }
            Where::MaySee { reader, owner } => match path[0] {
                "account" => self.column(*reader, path, Place::Account),
                "owner" => self.column(*owner, path, Place::Owner),
                name => Err(mistake(
                    &format!("there is no `{name}` in `may_see`"),
                    Some("it compares `owner.…`, whose data it is, with `account.…`, who reads".into()),
                )),
            },
        }
    }
}

fn column(
    table: &Table,
    path: &[&str],
    what: &str,
    shown: &str,
    place: impl Fn(usize) -> Place,
) -> Result<(Place, Type, usize), ExprError> {
    let Some((columns, rows)) = table else {
        // The rows could not be read, which has been said already.
        return Ok((place(0), Type::Any, path.len().min(2)));
    };
    let all = || columns.iter().map(String::as_str);
    let Some(name) = path.get(1) else {
        return Err(mistake(&format!("`{shown}` is a row: name a column of it"), suggestion("", all())));
    };
    match all().position(|c| c == *name) {
        Some(i) => Ok((place(i), column_type(rows, i), 2)),
        None => Err(mistake(&format!("{what} has no column `{name}`"), suggestion(name, all()))),
    }
}

/// The type that all rows agree on.
fn column_type(rows: &[Vec<Value>], column: usize) -> Type {
    let mut types = rows.iter().filter_map(|row| row.get(column)).map(value_type);
    let Some(first) = types.next() else {
        return Type::Any;
    };
    if types.all(|t| t == first) { first } else { Type::Any }
}

fn value_type(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Float(_) => Type::Float,
        Value::Text(_) => Type::Text,
        Value::List(_) => Type::List,
        Value::Map(_) => Type::Map,
    }
}

fn parts(name: &str, part: &str, known: &[&str]) -> ExprError {
    let message = if part.is_empty() {
        format!("`{name}` is read by its parts")
    } else {
        format!("`{name}` has no part `{part}`")
    };
    mistake(&message, suggestion(part, known.iter().copied()))
}

/// A mistake about a name; the caller knows its range.
fn mistake(message: &str, help: Option<String>) -> ExprError {
    ExprError { range: 0..0, message: message.to_owned(), help, code: "unknown-variable" }
}
