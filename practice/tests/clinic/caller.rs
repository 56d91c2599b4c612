//! A tiny HTTP client: one keep-alive connection, one user. In: method, path, JSON.
//! Out: status, headers and JSON.

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap},
};
use hyper_util::rt::TokioIo;
use practice::{Clinic, Defect, Options, Port};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A clinic on a free port.
pub fn clinic(defects: &[Defect]) -> Clinic {
    Clinic::start(Options { port: Port::One(0), defects: defects.to_vec(), seed: 1 }).unwrap()
}

/// `127.0.0.1:port` of a clinic on one port.
pub fn address(clinic: &Clinic) -> String {
    clinic.urls().patient.replace("http://", "")
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The text under a key of the answer.
    pub fn field(&self, key: &str) -> String {
        self.json()[key].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub struct Caller {
    connection: SendRequest<Full<Bytes>>,
    /// Sent with each request unless it is empty.
    pub token: String,
}

impl Caller {
    pub async fn connect(clinic: &Clinic) -> Caller {
        let stream = TcpStream::connect(address(clinic)).await.unwrap();
        let (connection, driver) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        Caller { connection, token: String::new() }
    }

    /// Connects and logs in, as `patient-7` for example.
    pub async fn log_in(clinic: &Clinic, username: &str) -> Caller {
        let mut caller = Caller::connect(clinic).await;
        caller.token = caller.fresh_token(username).await;
        caller
    }

    /// Logs in again on the same connection.
    pub async fn fresh_token(&mut self, username: &str) -> String {
        let (_, number) = username.split_once('-').unwrap();
        let given = json!({ "username": username, "password": format!("pw-{number}") });
        let answer = self.post("/auth/login", given).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.field("token")
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body.to_string().into()).await
    }

    pub async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Answer {
        self.send_as(method, path, "application/json", body).await
    }

    pub async fn send_as(&mut self, method: Method, path: &str, kind: &str, body: Bytes) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "clinic").header(CONTENT_TYPE, kind);
        if !self.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let request = request.body(Full::new(body)).unwrap();
        self.connection.ready().await.unwrap();
        let response = self.connection.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(text.to_vec()).unwrap() }
    }

    /// Begins a session and gives its id.
    pub async fn begin_session(&mut self, story: &str) -> String {
        let answer = self.post("/sessions", json!({ "story": story })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.field("session_id")
    }
}
