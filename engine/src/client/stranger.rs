//! The faulty cohort: strangers beside the load, each with a connection of its own, who send what no server should
//! accept. They log in nowhere, enter no figure and wait for nobody. In: a target, a kind. Out: nothing.

use super::connect::stream;
use super::wire::Wire;
use crate::faults::Stranger;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Strangers of one worker at a time; more than this are left out, so that a target that hangs grows nothing here.
const MOST: usize = 64;
/// How long a stranger stays.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a stranger reads of an answer.
const MOST_READ: u64 = 64 << 10;

/// How many strangers of a worker are under way.
pub type Strangers = Rc<Cell<usize>>;

struct Seat(Strangers);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Sends a stranger's request beside the load; it runs on by itself and ends with the worker.
pub fn send_beside(wire: &Rc<Wire>, target: usize, kind: Stranger) {
    if wire.strangers.get() >= MOST {
        return;
    }
    wire.strangers.set(wire.strangers.get() + 1);
    let seat = Seat(Rc::clone(&wire.strangers));
    let wire = Rc::clone(wire);
    tokio::task::spawn_local(async move {
        let _seat = seat;
        // Whatever the target does to a stranger is right; what it does to the others meanwhile is what is measured.
        let _ = tokio::time::timeout(PATIENCE, visit(&wire, target, kind)).await;
    });
}

async fn visit(wire: &Wire, target: usize, kind: Stranger) -> std::io::Result<()> {
    let Ok((mut stream, ..)) = stream(wire, target).await else {
        return Ok(());
    };
    stream.write_all(&words(&wire.targets[target].host, kind)).await?;
    let mut answer = Vec::new();
    stream.take(MOST_READ).read_to_end(&mut answer).await?;
    Ok(())
}

fn words(host: &str, kind: Stranger) -> Vec<u8> {
    match kind {
        // A chunk whose size is no number, and after it what must not be taken for a request.
        Stranger::Malformed => format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nGET \u{1} HTP/9\r\n\r\n"
        )
        .into_bytes(),
        Stranger::OversizeHeaders => {
            let mut text = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
            for i in 0..64 {
                text.push_str(&format!("x-oversize-{i}: {}\r\n", "x".repeat(16 << 10)));
            }
            text.push_str("\r\n");
            text.into_bytes()
        }
    }
}
