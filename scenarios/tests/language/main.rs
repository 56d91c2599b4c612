//! The scenario language as a whole: text in, program or diagnostics out. One binary for the crate's tests.

mod aborts;
mod clinic;
mod compiled;
mod environment;
mod explained;
mod faults;
mod file;
mod gates;
mod imports;
mod library;
mod mistakes;
mod objectives;
mod overrides;
mod profiles;
mod properties;
mod requests;
mod review;
mod shapes;
mod stored;
mod transport;
mod units;
mod whole;
