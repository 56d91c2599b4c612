//! The routes by who uses them. In: a request behind the door. Out: its answer.

pub(crate) mod chat;
pub(crate) mod chat_stream;
pub(crate) mod clinical;
pub(crate) mod files;
pub(crate) mod live;
pub(crate) mod log_in;
pub(crate) mod operations;
pub(crate) mod pages;
pub(crate) mod patient;
