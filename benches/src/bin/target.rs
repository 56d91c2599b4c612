//! The bare target of the side-by-side: a keep-alive HTTP/1.1 server that answers every request with the same 900 bytes
//! of JSON and does as little as possible, so that it is never what is measured. While it is loaded it does not sleep:
//! waking a sleeping target is paid by whoever sends to it, and how often that happens says more of the target's own speed
//! than of the client's.
//! In: `bare-target SECONDS`. Out: its port on the first line of standard output; `GET /count` answers how many
//! requests it has answered, the one count that all clients share. It ends by itself after SECONDS.

use engine::clock::{Clock, MILLISECOND, Nanos};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use std::{cell::Cell, io};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// Length of the answer's body, bytes.
const BODY_BYTES: usize = 900;
/// A request that is longer than this without its end in sight closes the connection.
const LARGEST_REQUEST: usize = 64 << 10;
/// Connections that may wait to be accepted: ten thousand users may arrive at once.
const BACKLOG: u32 = 16_384;
/// It stays awake for so long after a request.
const AWAKE: Nanos = 5 * MILLISECOND;

/// What it says.
struct Answers {
    usual: Vec<u8>,
    /// To HTTP/1.0.
    old: Vec<u8>,
}

/// What its connections share.
#[derive(Default)]
struct Desk {
    answered: Cell<u64>,
    came: Notify,
}

fn main() -> ExitCode {
    let Some(seconds) = std::env::args().nth(1).and_then(|text| text.parse().ok()) else {
        eprintln!("usage: bare-target SECONDS");
        return ExitCode::from(2);
    };
    match serve(Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare-target: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(time: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        println!("{}", listener.local_addr()?.port());
        // The time being over is the normal end.
        let _ = tokio::time::timeout(time, accept(listener)).await;
        Ok(())
    })
}

async fn accept(listener: TcpListener) {
    let desk = Rc::new(Desk::default());
    tokio::task::spawn_local(stay_awake(Rc::clone(&desk)));
    let answers = Rc::new(Answers { usual: answer(&body(), ""), old: answer(&body(), "connection: keep-alive\r\n") });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (answers, desk) = (Rc::clone(&answers), Rc::clone(&desk));
                // What ends a connection is the client's business.
                tokio::task::spawn_local(async move { connection(stream, &answers, &desk).await.ok() });
            }
            // Out of descriptors: the waiting connections stay in the backlog.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Looks for work without a pause as long as there is some.
async fn stay_awake(desk: Rc<Desk>) {
    let clock = Clock::starting_in(Duration::ZERO);
    loop {
        desk.came.notified().await;
        let (mut seen, mut since) = (desk.answered.get(), clock.now());
        while clock.now() < since + AWAKE {
            tokio::task::yield_now().await;
            if desk.answered.get() != seen {
                (seen, since) = (desk.answered.get(), clock.now());
            }
        }
    }
}

/// Answers every complete request that has come, in one write.
async fn connection(mut stream: TcpStream, answers: &Answers, desk: &Desk) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 || buffer.len() > LARGEST_REQUEST {
            return Ok(());
        }
        let mut used = 0;
        while let Some(length) = request_length(&buffer[used..]) {
            if buffer[used..].starts_with(b"GET /count ") {
                return stream.write_all(&answer(desk.answered.get().to_string().as_bytes(), "")).await;
            }
            used += length;
            desk.answered.set(desk.answered.get() + 1);
            desk.came.notify_one();
            // Who speaks HTTP/1.0 waits for the end unless it is told that there is none.
            let is_old = memchr::memmem::find(&buffer[..used], b" HTTP/1.0\r\n").is_some();
            stream.write_all(if is_old { &answers.old } else { &answers.usual }).await?;
        }
        buffer.drain(..used);
    }
}

/// Length of the first request in `bytes`, body included, once all of it is there.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let name = b"content-length:";
    let body = bytes[..head]
        .split(|c| *c == b'\n')
        .find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))
        .and_then(|line| std::str::from_utf8(&line[name.len()..]).ok()?.trim().parse::<usize>().ok())
        .unwrap_or(0);
    (bytes.len() >= head.checked_add(body)?).then_some(head + body)
}

fn answer(body: &[u8], further: &str) -> Vec<u8> {
    let kind = "content-type: application/json";
    let head = format!("HTTP/1.1 200 OK\r\n{kind}\r\n{further}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What an answer of a small service looks like: the fields that the journey reads, then items up to the full length.
fn body() -> Vec<u8> {
    let head = r#"{"session_id":"f3c2a9d4-0b1e-4f6a-9c58-7d2e6a1b8c90","scene":"harbour","mood":7,"items":["#;
    let mut text = head.to_owned();
    for number in 0.. {
        let item =
            format!(r#"{}{{"id":{number},"title":"note {number}","done":false}}"#, if number == 0 { "" } else { "," });
        if text.len() + item.len() + 16 > BODY_BYTES {
            break;
        }
        text.push_str(&item);
    }
    text.push_str(r#"],"pad":""#);
    text.push_str(&"x".repeat(BODY_BYTES - text.len() - 2));
    text.push_str(r#""}"#);
    text.into_bytes()
}
