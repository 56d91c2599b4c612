//! The runtime under whatever awaits: one thread, and an end that nobody holds up. Names are resolved by the system in a
//! thread of their own, which cannot be told to stop; a resolver that is dead answers after a minute, or never.
//! In: nothing. Out: [`Runtime`].

use std::io;
use std::ops::Deref;

/// A current-thread runtime that leaves behind, when it is dropped, whoever still waits for a name.
#[derive(Debug)]
pub struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    /// A new one.
    ///
    /// # Errors
    /// The system has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| Self(Some(runtime)))
    }
}

impl Deref for Runtime {
    type Target = tokio::runtime::Runtime;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn its_end_does_not_wait_for_a_resolver_that_hangs() {
        let (begin, begun) = channel();
        let (end, ended) = channel::<()>();
        let (tell, told) = channel();
        let runtime = Runtime::new().expect("there are descriptors");
        runtime.block_on(async move {
            // As the system's resolver is called.
            let lookup = tokio::task::spawn_blocking(move || {
                begin.send(()).expect("the test waits for it");
                let was_left = ended.recv_timeout(Duration::from_secs(20)).is_ok();
                // A test that has failed has gone.
                let _ = tell.send(was_left);
            });
            begun.recv().expect("it begins");
            drop(lookup);
        });
        drop(runtime);
        // Only whoever did not wait for it gets here before it has given up.
        let _ = end.send(());
        assert_eq!(told.recv(), Ok(true));
    }
}
