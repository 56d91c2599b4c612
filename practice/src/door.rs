//! What every request passes on its way to a route: the count, the faults, the body.
//!
//! In: a request whose head has arrived. Out: its answer; the count is taken first, whatever
//! the answer will be, and a request's own id is repeated. `GET /practice/counts` passes untouched and uncounted.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{body, refusal::Refusal, server::App};

/// The path of the clinic's own count.
pub(crate) const COUNTS: &str = "/practice/counts";

/// The header in which a client may name its request; the answer repeats it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One service's door.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) app: Arc<App>,
    pub(crate) service: &'static str,
}

/// Counts a request and has it served.
pub(crate) async fn enter(State(door): State<Door>, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>();
    let template = template.map_or("unmatched", MatchedPath::as_str);
    if template == COUNTS && request.method() == Method::GET {
        return next.run(request).await;
    }
    let route = format!("{} {template}", known(request.method()));
    let operators = matches!(template, "/health" | "/metrics");
    let visit = door.app.metrics.arrived(door.service, route);
    let id = request.headers().get(&REQUEST_ID).cloned();
    let mut response = serve(&door.app, !operators, request, next).await.unwrap_or_else(Refusal::into_response);
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    visit.answered(response.status().as_u16());
    response
}

async fn serve(app: &App, may_fail: bool, request: Request, next: Next) -> Result<Response, Refusal> {
    let request = body::receive(request).await?;
    app.faults.before(may_fail).await?;
    let response = next.run(request).await;
    app.faults.after().await;
    Ok(response)
}

/// The method's name; invented ones share one, so that the counts cannot grow without limit.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::HEAD
        | Method::OPTIONS
        | Method::CONNECT
        | Method::TRACE => method.as_str(),
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use std::future::IntoFuture;

    use super::*;
    use crate::{Defect, Options, PoolLimits, Port, server};

    /// The status line of the answer to a GET.
    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it ends");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_pause_holds_every_route_but_the_count() {
        let options = Options { port: Port::One(0), defects: vec![Defect::Stall], seed: 1 };
        let app = App::create(options, PoolLimits::default()).expect("a temporary folder");
        let app = Arc::new(app);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let serving = axum::serve(listener, server::router(app.clone(), "all"));
        tokio::spawn(serving.into_future());

        let pause = app.faults.stop_the_world().await;
        let held =
            ["/health", "/metrics", "/nowhere"].map(|path| tokio::spawn(async move { get(address, path).await }));
        while app.metrics.requests() < 3 {
            tokio::task::yield_now().await;
        }
        // The count answers in the pause, and when it has, the others still have not.
        assert_eq!(get(address, COUNTS).await, "HTTP/1.1 200 OK");
        assert!(held.iter().all(|request| !request.is_finished()));

        drop(pause);
        for (request, status) in held.into_iter().zip(["200 OK", "200 OK", "404 Not Found"]) {
            let answered = request.await.expect("no panic");
            assert_eq!(answered, format!("HTTP/1.1 {status}"));
        }
        assert_eq!(app.metrics.requests(), 3);
    }
}
