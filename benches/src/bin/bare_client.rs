//! The floor of the side-by-side: a loop on the same HTTP library that the engine uses, with nothing around it. What is
//! above wrk here is the library's; what is above this in a run is ours.
//! In: `bare-client URL CONNECTIONS SECONDS`, plain http, an address without a path. Out: requests done, on standard output.

use bytes::Bytes;
use engine::clock::{Clock, Nanos};
use http::{Request, header};
use http_body_util::Empty;
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;
use std::{error::Error, io};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let read = || {
        let [url, connections, seconds] = arguments.as_slice() else { return None };
        let address = url.strip_prefix("http://")?.trim_end_matches('/').to_owned();
        Some((address, connections.parse::<usize>().ok()?, seconds.parse::<u64>().ok()?))
    };
    let Some((address, connections, seconds)) = read() else {
        eprintln!("usage: bare-client http://HOST:PORT CONNECTIONS SECONDS");
        return ExitCode::from(2);
    };
    match load(&address, connections, Duration::from_secs(seconds)) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bare-client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(address: &str, connections: usize, time: Duration) -> io::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let clock = Clock::starting_in(Duration::ZERO);
        let end = time.as_nanos() as Nanos;
        let address = address.to_owned();
        let clients: Vec<_> =
            (0..connections).map(|_| tokio::task::spawn_local(ask_until(clock, end, address.clone()))).collect();
        let mut done = 0;
        for client in clients {
            done += client.await?.map_err(|e| io::Error::other(e.to_string()))?;
        }
        Ok(done)
    })
}

async fn ask_until(clock: Clock, end: Nanos, address: String) -> Result<u64, Box<dyn Error>> {
    let socket = TcpStream::connect(&address).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = http1::Builder::new().writev(false).handshake(TokioIo::new(socket)).await?;
    let mut connection = Box::pin(connection);
    let mut done = 0;
    while clock.now() < end {
        let request = Request::get("/").header(header::HOST, address.as_str()).body(Empty::<Bytes>::new())?;
        let mut head = pin!(sender.send_request(request));
        let answer = poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                ended?;
                return Poll::Ready(Err("the server closed the connection".into()));
            }
            head.as_mut().poll(cx).map_err(Box::<dyn Error>::from)
        });
        let mut body = answer.await?.into_body();
        poll_fn(|cx| {
            loop {
                let mut frame = Pin::new(&mut body).poll_frame(cx);
                if frame.is_pending() {
                    let _ = connection.as_mut().poll(cx)?;
                    frame = Pin::new(&mut body).poll_frame(cx);
                }
                match std::task::ready!(frame) {
                    None => return Poll::Ready(Ok::<_, hyper::Error>(())),
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    Some(Ok(_)) => {}
                }
            }
        })
        .await?;
        done += 1;
    }
    Ok(done)
}
