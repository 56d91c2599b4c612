//! Small servers that answer as a test wants, on a free port. They end with the test binary.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A server on a free port.
pub struct Server {
    pub url: String,
    connections: Arc<AtomicU64>,
}

impl Server {
    /// `serve` has each connection to itself, on a thread of its own.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let connections = Arc::new(AtomicU64::new(0));
        let (serve, counter) = (Arc::new(serve), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { url, connections }
    }

    /// Answers each request with the bytes that `answer` makes of it, and keeps the connection open.
    pub fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |mut stream| {
            while let Some(request) = Request::read(&mut stream) {
                if stream.write_all(&answer(&request)).is_err() {
                    return;
                }
            }
        })
    }

    /// Answers a request with `bytes`, then closes.
    pub fn closing_after(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |mut stream| {
            if Request::read(&mut stream).is_some() {
                let _ = stream.write_all(&bytes);
            }
        })
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A request as it came.
pub struct Request {
    pub head: String,
    pub body: String,
}

impl Request {
    /// The next request of a connection; `None` when there is none.
    pub fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            bytes.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let length = head.lines().find_map(|l| {
            let (name, value) = l.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).ok()?;
        Some(Self { head, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A server that answers everything with 200.
pub fn good() -> Server {
    Server::answering(|_| answer("200 OK", "", "{}"))
}

/// A server that hands each writer the note of the writer before.
pub fn leaking() -> Server {
    let last = std::sync::Mutex::new(String::from("{}"));
    Server::answering(move |request| {
        let mut last = last.lock().unwrap();
        answer("200 OK", "", std::mem::replace(&mut *last, request.body.clone()))
    })
}
