//! Starting and stopping: the one type that callers hold.
//!
//! In: [`Options`]. Out: a [`Clinic`] that is listening when `start` returns, serves from its
//! own threads, and on `stop` or drop ends its connections and removes its database.

use std::{
    future::IntoFuture,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use axum::serve::ListenerExt;
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::Runtime,
    sync::watch,
    task::JoinSet,
};

use crate::{
    Options, PoolLimits, Port, Timing, Tls, Urls,
    metrics::Metrics,
    secure::{self, Certificates, Secured, TlsListener},
    server,
    server::App,
};

/// Connections that may wait to be accepted: a thousand users start at the same moment.
const BACKLOG: u32 = 4096;

/// How long `stop` waits for requests that are being served.
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);

/// A running practice clinic. Dropping it stops it.
pub struct Clinic {
    urls: Urls,
    metrics: Arc<Metrics>,
    closing: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why the clinic could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody listens there already.
    #[error(
        "cannot listen on {address}: the address is in use. Stop what listens there \
         (perhaps another practice clinic), or choose a free port with --port 0"
    )]
    AddressInUse {
        /// The address that is taken.
        address: SocketAddr,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The temporary database could not be created.
    #[error("cannot create the clinic's database in the folder for temporary files: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The certificates could not be made or kept.
    #[error("cannot make the clinic's certificates: {0}")]
    Certificates(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No thread or no runtime.
    #[error("cannot start the clinic's threads: {0}")]
    Threads(#[source] io::Error),
}

impl Clinic {
    /// Starts a clinic with eight database connections. On return it is listening.
    ///
    /// Raises the process's limit of open files as far as the system allows, because every
    /// user is a connection.
    ///
    /// # Errors
    /// When an address is taken or not allowed, or the database or the threads cannot be made.
    pub fn start(options: Options) -> Result<Clinic, StartError> {
        Clinic::start_with_pool(options, PoolLimits::default())
    }

    /// Starts a clinic with other limits of its database pool, such as 20 + 30.
    ///
    /// # Errors
    /// As [`Clinic::start`].
    pub fn start_with_pool(options: Options, pool: PoolLimits) -> Result<Clinic, StartError> {
        Clinic::start_with(options, pool, Timing::default())
    }

    /// Starts a clinic with other limits of its pool and other times of what stays open.
    ///
    /// # Errors
    /// As [`Clinic::start`].
    pub fn start_with(options: Options, pool: PoolLimits, timing: Timing) -> Result<Clinic, StartError> {
        Clinic::open(options, pool, timing, None)
    }

    /// Starts a clinic that speaks TLS, HTTP/2 and HTTP/1.1, with certificates made for the occasion.
    ///
    /// # Errors
    /// As [`Clinic::start`], or the certificates cannot be made.
    pub fn start_with_tls(options: Options, tls: Tls) -> Result<Clinic, StartError> {
        Clinic::open(options, PoolLimits::default(), Timing::default(), Some(tls))
    }

    fn open(options: Options, pool: PoolLimits, timing: Timing, tls: Option<Tls>) -> Result<Clinic, StartError> {
        let secured = tls.map(secure::secure).transpose().map_err(StartError::Certificates)?;
        // Without it, the clinic serves as many users as it may; that is no reason not to start.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let (started, starting) = mpsc::channel();
        let (closing, closed) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("practice-clinic".to_owned())
            .spawn(move || serve_until_closed(options, pool, timing, secured, &started, closed))
            .map_err(StartError::Threads)?;
        let started = starting.recv().unwrap_or_else(|_| Err(StartError::Threads(io::Error::other("the thread died"))));
        match started {
            Ok((urls, metrics)) => Ok(Clinic { urls, metrics, closing, thread: Mutex::new(Some(thread)) }),
            Err(mistake) => {
                // The caller may end the process at once; the database's folder must go first.
                let _ = thread.join();
                Err(mistake)
            }
        }
    }

    /// Where the services listen, on 127.0.0.1.
    pub fn urls(&self) -> Urls {
        self.urls.clone()
    }

    /// Requests whose head has arrived so far, whatever their answer; `GET /practice/counts`
    /// and what is not HTTP are not counted.
    pub fn counts(&self) -> u64 {
        self.metrics.requests()
    }

    /// Lets requests that are being served finish, for at most two seconds, then closes all
    /// connections and removes the database. Blocks until then; a second call does nothing.
    pub fn stop(&self) {
        self.closing.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been printed there; stopping is all that is asked here.
            let _ = thread.join();
        }
    }
}

impl Drop for Clinic {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Urls {
    fn speak_tls(&mut self, files: &Certificates) {
        for url in [&mut self.patient, &mut self.clinical, &mut self.ai] {
            *url = url.replacen("http://", "https://", 1);
        }
        self.certificates = Some(files.clone());
    }
}

type Started = Result<(Urls, Arc<Metrics>), StartError>;

/// The life of the clinic's thread.
fn serve_until_closed(
    options: Options,
    pool: PoolLimits,
    timing: Timing,
    secured: Option<Secured>,
    started: &mpsc::Sender<Started>,
    closed: watch::Receiver<bool>,
) {
    let port = options.port;
    let prepared = prepare(options, pool, timing);
    let (runtime, app) = match prepared {
        Ok(prepared) => prepared,
        Err(mistake) => {
            let _ = started.send(Err(mistake));
            return;
        }
    };
    runtime.block_on(async {
        match listen(port) {
            Ok((mut urls, listeners)) => {
                if let Some(secured) = &secured {
                    urls.speak_tls(&secured.files);
                }
                let _ = started.send(Ok((urls, app.metrics.clone())));
                serve(&app, listeners, secured.as_ref(), closed).await;
            }
            Err(mistake) => drop(started.send(Err(mistake))),
        }
    });
    // With the runtime the last users of the database go, with `app` the database itself.
    runtime.shutdown_timeout(LONGEST_FAREWELL);
}

fn prepare(options: Options, pool: PoolLimits, timing: Timing) -> Result<(Runtime, Arc<App>), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("practice-database")
        .max_blocking_threads(pool.max())
        .thread_keep_alive(Duration::from_secs(60))
        .build()
        .map_err(StartError::Threads)?;
    let mut app = App::create(options, pool).map_err(|mistake| StartError::Database(mistake.into()))?;
    app.timing = timing;
    Ok((runtime, Arc::new(app)))
}

/// A listening socket, and the name of its service in the counts.
type Service = (TcpListener, &'static str);

fn listen(port: Port) -> Result<(Urls, Vec<Service>), StartError> {
    let open = |port: u16, service: &'static str| -> Result<(String, Service), StartError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (listener, taken) = bind(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
            _ => StartError::Listen { address, source },
        })?;
        Ok((format!("http://{taken}"), (listener, service)))
    };
    match port {
        Port::Standard => {
            let (patient, first) = open(8001, "patient")?;
            let (clinical, second) = open(8002, "clinical")?;
            let (ai, third) = open(8005, "ai")?;
            let urls = Urls { patient, clinical, ai, certificates: None };
            Ok((urls, vec![first, second, third]))
        }
        Port::One(port) => {
            let (url, only) = open(port, "all")?;
            let urls = Urls { patient: url.clone(), clinical: url.clone(), ai: url, certificates: None };
            Ok((urls, vec![only]))
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    // Connections of a clinic that has just ended must not keep its port taken.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let taken = listener.local_addr()?;
    Ok((listener, taken))
}

async fn serve(app: &Arc<App>, listeners: Vec<Service>, secured: Option<&Secured>, closed: watch::Receiver<bool>) {
    let pausing = app.clone();
    tokio::spawn(async move { pausing.faults.keep_pausing().await });
    let mut services = JoinSet::new();
    for (listener, service) in listeners {
        let mut closed = closed.clone();
        let close = async move {
            // The sender lives in the `Clinic`: gone means the same as closing.
            let _ = closed.wait_for(|closing| *closing).await;
        };
        let router = server::router(app.clone(), service);
        let Some(secured) = secured else {
            let listener = listener.tap_io(|connection| {
                // A connection that cannot take the option works all the same.
                let _ = connection.set_nodelay(true);
            });
            services.spawn(axum::serve(listener, router).with_graceful_shutdown(close).into_future());
            continue;
        };
        // A socket that has lost its address is gone.
        if let Ok(listener) = TlsListener::new(listener, secured.acceptor.clone()) {
            services.spawn(axum::serve(listener, router).with_graceful_shutdown(close).into_future());
        }
    }
    let mut closed = closed;
    let _ = closed.wait_for(|closing| *closing).await;
    let farewell = async { while services.join_next().await.is_some() {} };
    // Who is still being served after that is cut off.
    let _ = tokio::time::timeout(LONGEST_FAREWELL, farewell).await;
}
