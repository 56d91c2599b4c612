//! One user's WebSocket: opened over an HTTP/1.1 exchange like any other, then read and written in the user's task.
//! In: a rendered upgrade, messages to say, times until which to listen. Out: [`News`], whatever the target does.

use super::answer::{Ending, Outgoing};
use super::connect::Stream;
use super::exchange::UserClient;
use super::received::Received;
use super::share::Share;
use super::wire::Wire;
use crate::clock::Nanos;
use crate::failure::Transport;
use base64::Engine as _;
use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use http::{HeaderValue, header};
use scenarios::faults::GiveUp;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message as Frame, Utf8Bytes};

/// Bytes read at once. The buffer is there as long as the connection: at 4 KiB an idle one cost 14.3 kB in all, and most
/// messages are small.
const READ_BUFFER: usize = 1 << 10;

/// Bytes of one message at most.
const LARGEST_MESSAGE: usize = 1 << 20;

/// Messages, pings and pongs that are read in one turn.
const MOST_FRAMES: u32 = 32;

/// Pongs that wait for a target that does not read. Nothing more is read of it until they are written: pings by the
/// million must not grow what waits for it.
const MOST_PONGS: u32 = 32;

/// A message of ours or of the target's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its text or bytes.
    pub bytes: Bytes,
    /// Text (UTF-8) rather than bytes.
    pub is_text: bool,
}

/// How a WebSocket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The target's close code; 1005 if it gave none; `None` if it did not close but broke off.
    pub code: Option<u16>,
    /// Its reason.
    pub reason: Bytes,
    /// What broke, where no code came.
    pub why: Transport,
}

/// What the client has to tell of a WebSocket, each with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A message came.
    Message(Nanos, Message),
    /// What was to be said is said, or the connection is dropped.
    Done(Nanos),
    /// The time is up.
    Time(Nanos),
    /// The target ended it.
    Ended(Nanos, Ended),
    /// The run was cut.
    Cut,
}

/// What is to be done with the user's WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOrder {
    /// Say the user's message; give up at this time.
    Say(Nanos),
    /// Wait for news until then.
    Listen(Nanos),
    /// Say that it is closed, with this code; give up at this time.
    Close(u16, Nanos),
    /// Leave without a word.
    Drop(GiveUp),
}

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<Stream>,
    heartbeat: Option<Heartbeat>,
    /// Something was queued that is not yet written.
    is_flushing: bool,
    /// Pings that came since then.
    pongs: u32,
    share: Share<MOST_FRAMES>,
}

struct Heartbeat {
    every: Duration,
    next: Pin<Box<Sleep>>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// A socket over `stream`, of which `early` has been read already.
    async fn over(stream: Stream, early: Bytes, most: usize, heartbeat_ns: Option<u64>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Each message leaves at once: a person does not collect what he says.
            .write_buffer_size(0)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let stream = WebSocketStream::from_partially_read(stream, early.to_vec(), Role::Client, Some(config)).await;
        let heartbeat = heartbeat_ns.map(|ns| {
            let every = Duration::from_nanos(ns);
            Heartbeat { every, next: Box::pin(tokio::time::sleep(every)) }
        });
        Self { stream, heartbeat, is_flushing: false, pongs: 0, share: Share::default() }
    }

    /// Sends what is due and reads until there is something to tell, with the time at which it came.
    fn poll(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<News> {
        let heard = std::task::ready!(self.read(cx));
        let now = wire.now();
        Poll::Ready(match heard {
            Ok(message) => News::Message(now, message),
            Err(ended) => News::Ended(now, ended),
        })
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        self.beat(cx);
        if self.is_flushing {
            self.flush(cx);
        }
        loop {
            if self.pongs >= MOST_PONGS {
                return Poll::Pending;
            }
            // Of a target that talks without end no more is read in a turn than others can wait for.
            std::task::ready!(self.share.poll(cx));
            let next = Pin::new(&mut self.stream).poll_next(cx);
            self.share.took(next.is_ready());
            return Poll::Ready(match std::task::ready!(next) {
                Some(Ok(Frame::Text(text))) => Ok(Message { bytes: text.into(), is_text: true }),
                Some(Ok(Frame::Binary(bytes))) => Ok(Message { bytes, is_text: false }),
                Some(Ok(Frame::Close(frame))) => {
                    // The answer to it leaves as far as it can; nobody waits for that.
                    let _ = Pin::new(&mut self.stream).poll_flush(cx);
                    Err(match frame {
                        Some(frame) => {
                            Ended { code: Some(frame.code.into()), reason: frame.reason.into(), why: Transport::Closed }
                        }
                        None => Ended { code: Some(1005), reason: Bytes::new(), why: Transport::Closed },
                    })
                }
                Some(Ok(Frame::Ping(_))) => {
                    self.pongs += 1;
                    self.flush(cx);
                    continue;
                }
                Some(Ok(Frame::Pong(_) | Frame::Frame(_))) => continue,
                Some(Err(error)) => Err(ended(broken(&error))),
                None => Err(ended(Transport::Closed)),
            });
        }
    }

    /// Writes what waits to be written. What cannot be written any more is noticed when it is read.
    fn flush(&mut self, cx: &mut Context<'_>) {
        self.is_flushing = Pin::new(&mut self.stream).poll_flush(cx).is_pending();
        if !self.is_flushing {
            self.pongs = 0;
        }
    }

    /// A ping when it is due.
    fn beat(&mut self, cx: &mut Context<'_>) {
        let Some(heartbeat) = &mut self.heartbeat else {
            return;
        };
        while heartbeat.next.as_mut().poll(cx).is_ready() {
            let next = heartbeat.next.deadline() + heartbeat.every;
            // After a long pause one ping is enough.
            heartbeat.next.as_mut().reset(next.max(Instant::now()));
            let mut stream = Pin::new(&mut self.stream);
            // A connection that takes no more is noticed when it is read or written.
            if stream.as_mut().poll_ready(cx).is_ready() && stream.start_send(Frame::Ping(Bytes::new())).is_ok() {
                self.is_flushing = true;
            }
        }
    }

    fn poll_say(&mut self, frame: &mut Option<Frame>, cx: &mut Context<'_>) -> Poll<Result<(), Transport>> {
        let mut stream = Pin::new(&mut self.stream);
        if frame.is_some() {
            if let Err(error) = std::task::ready!(stream.as_mut().poll_ready(cx)) {
                return Poll::Ready(Err(broken(&error)));
            }
            if let Some(frame) = frame.take()
                && let Err(error) = stream.as_mut().start_send(frame)
            {
                return Poll::Ready(Err(broken(&error)));
            }
        }
        stream.poll_flush(cx).map_err(|error| broken(&error))
    }

    fn leave(self: Box<Self>, how: GiveUp) {
        if how == GiveUp::Reset {
            self.stream.get_ref().end_by_reset();
        }
    }
}

fn broken(error: &Error) -> Transport {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Transport::Reset,
        Error::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Transport::Reset,
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::Io(_) => Transport::Closed,
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Transport::MessageTooLarge,
        Error::Utf8(_) => Transport::NotUtf8,
        _ => Transport::BadFrame,
    }
}

/// Broken off, without a word.
fn ended(why: Transport) -> Ended {
    Ended { code: None, reason: Bytes::new(), why }
}

/// A user's WebSocket while the user is busy with something else: it is heard all the same.
#[derive(Debug)]
pub struct Aside(Option<Box<Socket>>);

impl Aside {
    /// Takes it out of `client`, which is busy.
    pub fn of(client: &mut UserClient) -> Self {
        Self(client.socket.take())
    }

    /// Tells all news there are. To be polled whenever the user's task is woken.
    pub fn poll(&mut self, wire: &Wire, cx: &mut Context<'_>, mut tell: impl FnMut(&News)) {
        while let Some(socket) = &mut self.0
            && let Poll::Ready(news) = socket.poll(wire, cx)
        {
            if matches!(news, News::Ended(..)) {
                self.0 = None;
            }
            tell(&news);
        }
    }

    /// Gives it back.
    pub fn back(self, client: &mut UserClient) {
        client.socket = self.0;
    }
}

impl UserClient {
    /// Whether a WebSocket is open.
    pub fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// Opens a WebSocket by the upgrade that `out` holds. It has a connection of its own, as in a browser.
    pub async fn open(&mut self, wire: &Wire, out: &mut Outgoing, due: Nanos, heartbeat_ns: Option<u64>) -> Received {
        let key = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 16]>());
        let accept = derive_accept_key(key.as_bytes());
        let headers = &mut out.headers;
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.extend(HeaderValue::try_from(key).map(|key| (header::SEC_WEBSOCKET_KEY, key)));
        let target = out.target;
        self.socket = None;
        let kept = self.connections[target].take();
        let mut received = self.exchange(wire, out, due).await;
        if received.status == 101 && received.ending == Ending::Complete {
            match self.adopt(wire, target, &received, &accept, heartbeat_ns).await {
                Ok(socket) => self.socket = Some(Box::new(socket)),
                Err(why) => received.ending = Ending::Failed(why),
            }
        }
        if kept.is_some() || received.status == 101 {
            self.connections[target] = kept;
        }
        received
    }

    /// Takes the bytes over from HTTP, if the target has accepted as it must.
    async fn adopt(
        &mut self,
        wire: &Wire,
        target: usize,
        received: &Received,
        accept: &str,
        heartbeat_ns: Option<u64>,
    ) -> Result<Socket, Transport> {
        let says = |name: header::HeaderName, value: &str, any_case: bool| {
            received.headers.get_all(name).iter().any(|v| {
                let v = v.to_str().unwrap_or_default();
                v.split(',').any(|word| {
                    let word = word.trim();
                    word == value || any_case && word.eq_ignore_ascii_case(value)
                })
            })
        };
        let is_accepted = says(header::UPGRADE, "websocket", true)
            && says(header::CONNECTION, "upgrade", true)
            && says(header::SEC_WEBSOCKET_ACCEPT, accept, false);
        let connection = self.connections[target].take().filter(|_| is_accepted).ok_or(Transport::BadUpgrade)?;
        let mut connection = connection;
        poll_fn(|cx| {
            connection.drive(cx);
            Poll::Ready(())
        })
        .await;
        if !connection.ended {
            return Err(Transport::BadUpgrade);
        }
        let (stream, early) = connection.into_stream().ok_or(Transport::BadUpgrade)?;
        Ok(Socket::over(stream, early, LARGEST_MESSAGE.min(wire.targets[target].limits.body_bytes), heartbeat_ns).await)
    }

    /// Does what `order` says with the WebSocket; `message` is what is to be said. What comes while it is said goes to
    /// `tell`.
    pub async fn socket(
        &mut self,
        wire: &Wire,
        order: SocketOrder,
        message: Option<Message>,
        tell: impl FnMut(&News),
    ) -> News {
        match order {
            SocketOrder::Listen(until) => self.listen(wire, pin!(limit(wire, until))).await,
            SocketOrder::Say(until) => match message.map(frame) {
                Some(Ok(frame)) => self.say(wire, frame, until, tell).await,
                Some(Err(why)) => News::Ended(wire.clock.now(), ended(why)),
                None => News::Done(wire.clock.now()),
            },
            SocketOrder::Close(code, until) => {
                let close = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::default() };
                self.say(wire, Frame::Close(Some(close)), until, tell).await
            }
            SocketOrder::Drop(how) => {
                self.drop_socket(how);
                News::Done(wire.clock.now())
            }
        }
    }

    /// Waits for news until `time`; idle connections of the user go on living meanwhile.
    pub async fn listen(&mut self, wire: &Wire, mut time: Pin<&mut impl Future<Output = ()>>) -> News {
        poll_fn(|cx| {
            if wire.cut.get() {
                return Poll::Ready(News::Cut);
            }
            if time.as_mut().poll(cx).is_ready() {
                return Poll::Ready(News::Time(wire.clock.now()));
            }
            self.drive_idle(false, cx);
            self.hear(wire, cx)
        })
        .await
    }

    /// The next news of the WebSocket. One that has ended is gone.
    fn hear(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<News> {
        let Some(socket) = &mut self.socket else {
            return Poll::Pending;
        };
        let news = std::task::ready!(socket.poll(wire, cx));
        if matches!(news, News::Ended(..)) {
            self.socket = None;
        }
        Poll::Ready(news)
    }

    async fn say(&mut self, wire: &Wire, frame: Frame, until: Nanos, mut tell: impl FnMut(&News)) -> News {
        let mut time = pin!(limit(wire, until));
        let mut frame = Some(frame);
        poll_fn(|cx| {
            if wire.cut.get() {
                return Poll::Ready(News::Cut);
            }
            let Some(socket) = &mut self.socket else {
                return Poll::Ready(News::Ended(wire.clock.now(), ended(Transport::Closed)));
            };
            let broken = match socket.poll_say(&mut frame, cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(News::Done(wire.clock.now())),
                Poll::Ready(Err(why)) => Some(why),
                Poll::Pending => None,
            };
            // A target that talks itself may not read before it is heard; and one that hung up may have said why.
            while let Poll::Ready(news) = self.hear(wire, cx) {
                match (news, broken) {
                    (News::Ended(at, Ended { code: None, .. }), Some(why)) => {
                        return Poll::Ready(News::Ended(at, ended(why)));
                    }
                    (news @ News::Ended(..), _) => return Poll::Ready(news),
                    (news, _) => tell(&news),
                }
            }
            if let Some(why) = broken {
                self.socket = None;
                return Poll::Ready(News::Ended(wire.clock.now(), ended(why)));
            }
            time.as_mut().poll(cx).map(|()| News::Time(wire.clock.now()))
        })
        .await
    }

    /// Leaves the WebSocket without a word, if there is one.
    pub fn drop_socket(&mut self, how: GiveUp) {
        if let Some(socket) = self.socket.take() {
            socket.leave(how);
        }
    }
}

/// A time limit. The worker's precise timer keeps each wait until its time, and most limits are never reached.
fn limit(wire: &Wire, until: Nanos) -> Sleep {
    tokio::time::sleep_until(Instant::from_std(wire.clock.instant(until)))
}

fn frame(message: Message) -> Result<Frame, Transport> {
    if !message.is_text {
        return Ok(Frame::Binary(message.bytes));
    }
    Utf8Bytes::try_from(message.bytes).map(Frame::Text).map_err(|_| Transport::NotUtf8)
}
