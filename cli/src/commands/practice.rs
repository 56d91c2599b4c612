//! `practice`: the practice clinic alone, until Ctrl-C.

use crate::args::Practice;
use crate::outcome::Problem;
use crate::{screen, signals};
use ::practice::{Clinic, Options, Port, Tls};

/// Serves the clinic.
///
/// # Errors
/// A port is taken, or signals cannot be watched.
pub fn practice(args: &Practice) -> Result<u8, Problem> {
    let port = args.port.map_or(Port::Standard, Port::One);
    let options = Options { port, defects: args.defect.clone(), seed: 0 };
    let clinic = match args.tls {
        true => Clinic::start_with_tls(options, Tls { client_certificates: args.client_certificates }),
        false => Clinic::start(options),
    };
    let clinic = clinic.map_err(Problem::run)?;
    let urls = serde_json::to_string(&clinic.urls()).map_err(Problem::run)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::run)?;
    let closed = runtime.block_on(async {
        // Before the address is known nobody can want the clinic to close; from then on it must do so in good order.
        let closing = signals::listen()?;
        screen::out(&format!("{urls}\n"));
        screen::err("the practice clinic is open; Ctrl-C closes it\n");
        closing.await;
        std::io::Result::Ok(())
    });
    closed.map_err(Problem::run)?;
    screen::err(&format!("{} requests served\n", clinic.counts()));
    clinic.stop();
    Ok(reports::exit_codes::GO)
}
