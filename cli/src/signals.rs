//! Ctrl-C and SIGTERM: the first ends the run and keeps what was measured, the second leaves at once.

use engine::Stop;
use std::sync::Arc;

/// Watches for signals until the process ends. Where signals cannot be watched the default action stays.
pub fn watch(stop: Arc<Stop>) {
    // The thread ends with the process; nothing waits for it.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if next().await.is_ok() {
                crate::screen::err("\ninterrupted: ending the run; what was measured is kept (again: leave at once)\n");
                stop.interrupt();
                if next().await.is_ok() {
                    std::process::exit(i32::from(reports::exit_codes::INTERRUPTED));
                }
            }
        });
    });
}

/// Waits for the next Ctrl-C or SIGTERM.
async fn next() -> std::io::Result<()> {
    listen()?.await;
    Ok(())
}

/// Listens for Ctrl-C and SIGTERM from now on, inside a runtime; ready at the first that comes.
///
/// # Errors
/// Signals cannot be watched.
pub fn listen() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
