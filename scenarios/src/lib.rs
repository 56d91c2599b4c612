//! Scenario text to program: syntax with positions → plan, checked → flat operations.
//! In: a scenario file, its data files, the environment. Out: [`program::Program`], or every mistake at once.
//! Knows nothing of tokio, hyper or histograms.

pub mod abort;
pub mod around;
pub mod canary;
pub mod compile;
pub mod conditions;
pub mod containment;
pub mod css;
pub mod dealing;
pub mod diagnostic;
pub mod environment;
pub mod estimate;
pub mod explain;
pub mod expr;
pub mod faults;
pub mod gate;
pub mod guard;
mod imports;
mod inlined;
pub mod jsonpath;
pub mod library;
pub mod multipart;
pub mod objective;
pub mod overrides;
pub mod plan;
pub mod program;
pub mod rate_limit;
pub mod shape;
pub mod source;
pub mod streams;
pub mod syntax;
pub mod transport;
pub mod units;
pub mod value;
pub mod watched;

pub use canary::Canary;
pub use compile::compile;
pub use dealing::{deal_users, needed_accounts};
pub use diagnostic::{Diagnostic, Severity, Span, render};
pub use estimate::Estimate;
pub use overrides::Overrides;
pub use plan::{Plan, parse, text_digest};
pub use program::Program;
pub use shape::{Phase, Range, Shape};
pub use source::Source;
