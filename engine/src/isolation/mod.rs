//! Isolation: markers that name their owner, a scanner that finds them, and who may see what.
//! In: answers. Out: findings with their evidence, and counts that say what a silence is worth.

pub mod accounts;
pub mod audiences;
pub mod calibration;
pub mod credentials;
pub mod entitlement;
pub mod identity;
pub mod layers;
pub mod marker;
pub mod numbers;
pub mod scanner;
pub mod words;
pub mod writings;
