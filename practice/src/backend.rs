//! The records system: a back end behind the clinic, reached over a pool of connections, as most services have one.
//!
//! In: a question (whose token, which object) as one line of JSON. Out: its answer as one line.
//! Only with [`Defect::CrossedReplies`] do private reads go this way. The pool is the real bug: a connection goes back
//! into it whenever its user lets go of it, even one that was dropped between question and answer because its client
//! gave up. The answer nobody read then waits for the next question, which gets it; and so does every one after that,
//! each one late, until the connection has grown old. A user alone meets only own answers, one late.
//!
//! [`Defect::CrossedReplies`]: crate::Defect::CrossedReplies

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::OnceCell,
};

/// How long the records system takes for an answer.
const WORK: Duration = Duration::from_millis(20);

/// Questions on one connection before the pool replaces it, as pools do with their oldest.
const RETIRES_AFTER: u32 = 60;

/// What the clinic asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The asking user's token.
    pub(crate) token: String,
    /// `session` or `progress`.
    pub(crate) kind: String,
    /// Which one.
    pub(crate) id: String,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// The clinic's connections to its records system.
#[derive(Default)]
pub(crate) struct Pool {
    address: OnceCell<std::net::SocketAddr>,
    idle: Arc<Mutex<Vec<Line>>>,
}

/// One connection.
struct Line {
    stream: BufStream<TcpStream>,
    asked: u32,
}

/// A connection in use; letting go of it gives it back.
struct Lease {
    line: Option<Line>,
    idle: Arc<Mutex<Vec<Line>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Here is the bug: whether its answer was read is not asked.
        if let Some(line) = self.line.take().filter(|line| line.asked < RETIRES_AFTER) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }
}

impl Pool {
    /// Asks over a pooled connection. `serve` answers questions; the first call opens the records system with it.
    pub(crate) async fn ask<S, F>(&self, question: &Question, serve: S) -> io::Result<Reply>
    where
        S: Fn(Question) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + Send,
    {
        let address = *self.address.get_or_try_init(|| open(serve)).await?;
        let mut lease = self.lease(address).await?;
        let line = lease.line.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let answer = line.ask(question).await;
        if answer.is_err() {
            lease.line = None;
        }
        answer
    }

    async fn lease(&self, address: std::net::SocketAddr) -> io::Result<Lease> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let line = match idle {
            Some(line) => line,
            None => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Line { stream: BufStream::new(stream), asked: 0 }
            }
        };
        Ok(Lease { line: Some(line), idle: self.idle.clone() })
    }
}

impl Line {
    async fn ask(&mut self, question: &Question) -> io::Result<Reply> {
        self.asked += 1;
        let mut text = serde_json::to_vec(question)?;
        text.push(b'\n');
        self.stream.write_all(&text).await?;
        self.stream.flush().await?;
        let mut answer = Vec::new();
        self.stream.read_until(b'\n', &mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// Opens the records system on a free port; it ends with the runtime.
async fn open<S, F>(serve: S) -> io::Result<std::net::SocketAddr>
where
    S: Fn(Question) -> F + Clone + Send + 'static,
    F: Future<Output = Reply> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = serve.clone();
            // A connection that breaks is the pool's to replace.
            tokio::spawn(async move { converse(stream, serve).await.ok() });
        }
    });
    Ok(address)
}

/// Answers the questions of one connection in their order, one after the other.
async fn converse<S, F>(stream: TcpStream, serve: S) -> io::Result<()>
where
    S: Fn(Question) -> F,
    F: Future<Output = Reply>,
{
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    let mut text = Vec::new();
    while stream.read_until(b'\n', &mut text).await? > 0 {
        let question = serde_json::from_slice(&text)?;
        text.clear();
        tokio::time::sleep(WORK).await;
        let mut answer = serde_json::to_vec(&serve(question).await)?;
        answer.push(b'\n');
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo(question: Question) -> Reply {
        Reply { status: 200, body: Value::from(question.id) }
    }

    fn question(id: u32) -> Question {
        Question { token: String::new(), kind: "session".into(), id: id.to_string() }
    }

    async fn ask(pool: &Pool, id: u32) -> String {
        let answer = pool.ask(&question(id), echo).await.expect("it answers");
        answer.body.as_str().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_question_that_is_dropped_leaves_every_later_one_an_answer_late() {
        let pool = Pool::default();
        assert_eq!((ask(&pool, 1).await, ask(&pool, 2).await), ("1".into(), "2".into()));
        // A client gives up once the question is out: its future is dropped after the first turn.
        {
            let three = question(3);
            let mut asking = std::pin::pin!(pool.ask(&three, echo));
            let is_answered = std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_ready()));
            assert!(!is_answered.await);
        }
        assert_eq!((ask(&pool, 4).await, ask(&pool, 5).await), ("3".into(), "4".into()));
        // Until the connection has grown old.
        for id in 6..=RETIRES_AFTER {
            assert_eq!(ask(&pool, id).await, (id - 1).to_string());
        }
        assert_eq!(ask(&pool, 99).await, "99");
    }
}
