//! WebSockets in great number: thousands that talk, and thousands that say nothing; what they lose and what they cost.
//! In: `sockets [--connections 5000] [--idle 10000] [--for 60s] [--every 1s] [--workers 1]`.
//! Out: messages sent, come back and lost; the client's memory per connection, at 10 s and at the end; exit code 1 if
//! one was lost. The echo server is a process of its own, and so is each part, so that memory is that of one alone.
//!
//! cargo run --release -p benches --bin sockets

use engine::HeaderFacts;
use engine::Setup;
use engine::record::collector::Observer;
use engine::record::interval::Interval;
use engine::run_result::RunResult;
use futures_util::{SinkExt, StreamExt};
use scenarios::units::{format_duration, parse_duration};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The binary's allocator, so that memory is what a run takes.
#[global_allocator]
static ALLOCATOR: engine::allocator::Allocator = engine::allocator::Allocator;

const SECOND: u64 = 1_000_000_000;
/// What an idle connection may cost the client, kB of 1,024 bytes.
const GOAL_KB: f64 = 12.0;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16_384;
/// Descriptors that are needed for something else.
const SPARE: u64 = 200;
/// Connections that are opened in a second.
const OPENED_PER_SECOND: u64 = 1_000;

/// What was asked for.
struct Wanted {
    connections: u64,
    idle: u64,
    length_ns: u64,
    every_ns: u64,
    workers: usize,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("serve") => serve(),
        Some("part") => part(&args[1..]),
        _ => wanted(&args).and_then(|wanted| measure(&wanted)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("sockets: {why}");
            ExitCode::from(2)
        }
    }
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted { connections: 5_000, idle: 10_000, length_ns: 60 * SECOND, every_ns: SECOND, workers: 1 };
    for pair in args.chunks(2) {
        let [flag, value] = pair else {
            return Err(format!("`{}` wants a value", pair[0]));
        };
        let number = || value.parse::<u64>().map_err(|e| format!("{flag} {value}: {e}"));
        let time = || parse_duration(value).map_err(|e| format!("{flag} {value}: {e}"));
        match flag.as_str() {
            "--connections" => wanted.connections = number()?,
            "--idle" => wanted.idle = number()?,
            "--for" => wanted.length_ns = time()?,
            "--every" => wanted.every_ns = time()?.max(1_000_000),
            "--workers" => wanted.workers = number()?.clamp(1, 64) as usize,
            _ => return Err(format!("`{flag}` is none of --connections, --idle, --for, --every, --workers")),
        }
    }
    Ok(wanted)
}

/// Plays both parts, each in a process of its own, against a server in another.
fn measure(wanted: &Wanted) -> Result<bool, String> {
    let most = rlimit::increase_nofile_limit(u64::MAX).map_err(|e| e.to_string())?.saturating_sub(SPARE);
    let mut is_good = true;
    for (kind, asked) in [("talk", wanted.connections), ("idle", wanted.idle)] {
        let number = asked.min(most);
        if number < asked {
            println!("{kind}: {number} connections instead of {asked}: this user may open no more files");
        }
        if number == 0 {
            continue;
        }
        let mut server = Server::start()?;
        let numbers = [number, wanted.length_ns, wanted.every_ns, wanted.workers as u64].map(|n| n.to_string());
        let status = myself()?.args(["part", kind, &server.port]).args(numbers).status();
        is_good &= status.map_err(|e| e.to_string())?.success();
        println!("{kind}: the server counted {}", server.end()?);
    }
    Ok(is_good)
}

fn myself() -> Result<Command, String> {
    std::env::current_exe().map(Command::new).map_err(|e| e.to_string())
}

/// The echo server's process. It ends when nobody holds its standard input any more.
struct Server {
    child: Child,
    screen: BufReader<std::process::ChildStdout>,
    port: String,
}

impl Server {
    fn start() -> Result<Self, String> {
        let child = myself()?.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| e.to_string())?;
        let mut screen = BufReader::new(child.stdout.take().ok_or("the server has no screen")?);
        let mut port = String::new();
        screen.read_line(&mut port).map_err(|e| e.to_string())?;
        Ok(Self { child, screen, port: port.trim().to_owned() })
    }

    /// Ends it; answers what it has counted.
    fn end(&mut self) -> Result<String, String> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.screen.read_to_string(&mut said).map_err(|e| e.to_string())?;
        self.child.wait().map_err(|e| e.to_string())?;
        Ok(said.trim().to_owned())
    }
}

/// One part: `talk|idle PORT CONNECTIONS LENGTH_NS EVERY_NS WORKERS`.
fn part(args: &[String]) -> Result<bool, String> {
    let [kind, port, numbers @ ..] = args else {
        return Err("a part is started by the whole".into());
    };
    let numbers: Result<Vec<u64>, _> = numbers.iter().map(|n| n.parse()).collect();
    let Ok([connections, length_ns, every_ns, workers]) = numbers.as_deref() else {
        return Err("a part is started by the whole".into());
    };
    let (connections, workers) = (*connections, *workers as usize);
    rlimit::increase_nofile_limit(u64::MAX).map_err(|e| e.to_string())?;
    let ramp_ns = (connections * SECOND / OPENED_PER_SECOND).clamp(SECOND, (*length_ns / 3).max(SECOND));
    let is_talk = kind == "talk";
    // The last to come have said everything when the time is over, and nobody closes before.
    let rounds = (length_ns - ramp_ns.min(length_ns - 1)).div_ceil(*every_ns);
    let steps = match is_talk {
        true => talk(&format!("repeat: {rounds}"), *every_ns),
        false => "            - think: 24h\n".to_owned(),
    };
    // What one user and an engine cost is no connection's share.
    play(&scenario(port, 1, SECOND, 0, &talk("repeat: 1", SECOND)), 1, &mut Readings::default())?;
    let base_kb = resident_kb();
    let mut readings = Readings { at: (*length_ns / SECOND).saturating_sub(1), ..Readings::default() };
    let result = play(&scenario(port, connections, *length_ns, ramp_ns, &steps), workers, &mut readings)?;
    Ok(tell(kind, connections, base_kb, &readings, &result))
}

fn talk(how_often: &str, every_ns: u64) -> String {
    format!(
        "            - set: {{ n: 0 }}
            - {how_often}
              steps:
                - set: {{ n: '{{{{ n + 1 }}}}' }}
                - send: {{ json: {{ type: say, n: '{{{{ n }}}}', text: a word or two }} }}
                - receive: {{ $.n: '{{{{ n }}}}' }}
                  within: 30s
                - think: {}
",
        format_duration(every_ns)
    )
}

fn scenario(port: &str, users: u64, length_ns: u64, ramp_ns: u64, steps: &str) -> String {
    format!(
        "watertight: 1
name: sockets
targets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 30s }} }}
journeys:
  member:
    target: t
    steps:
      - websocket /:
          steps:
{steps}      - stop: user
profiles: {{ p: {{ users: {users}, for: {}, ramp: {}, graceful_stop: {} }} }}
",
        format_duration(length_ns),
        format_duration(ramp_ns),
        if steps.contains("24h") { "1s" } else { "35s" }
    )
}

fn play(text: &str, workers: usize, readings: &mut Readings) -> Result<RunResult, String> {
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers,
        key: benches::KEY,
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    Ok(engine::run(&benches::program(text), setup, readings).map_err(|e| e.to_string())?.result)
}

/// Resident memory at some seconds of a run, kB.
#[derive(Default)]
struct Readings {
    seconds: u64,
    /// The second of the last reading.
    at: u64,
    early_kb: u64,
    late_kb: u64,
}

impl Observer for Readings {
    fn interval(&mut self, _: &Interval) {
        self.seconds += 1;
        if self.seconds == 10.min(self.at) {
            self.early_kb = resident_kb();
        }
        if self.seconds == self.at {
            self.late_kb = resident_kb();
        }
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// Prints what a part came to; answers whether nothing was lost.
fn tell(kind: &str, connections: u64, base_kb: u64, readings: &Readings, result: &RunResult) -> bool {
    let step = &result.steps[0];
    let m = step.messages;
    let opened = step.connect.count();
    let lost = m.sent - m.matched.min(m.sent) + m.not_sent + m.lost;
    println!("{kind}: {opened} of {connections} connections opened; errors: {:?}", result.errors.len());
    for error in &result.errors {
        println!("{kind}:   {} × {}", error.count, error.kind);
    }
    if kind == "talk" {
        let trip = |percent| step.message.times().and_then(|t| t.percentile_ns(percent)).unwrap_or(0) as f64 / 1e6;
        println!(
            "{kind}: {} messages sent, {} came back, {lost} lost, {} cut by the end; round trip p50 {:.2} ms, p99 {:.2} ms",
            m.sent,
            m.matched,
            m.unfinished,
            trip(50.0),
            trip(99.0)
        );
    }
    let each = |kb: u64| kb.saturating_sub(base_kb) as f64 / connections as f64;
    println!(
        "{kind}: memory {base_kb} kB with one; {} kB at 10 s, {} kB at {} s: {:.1} and {:.1} kB per connection{}",
        readings.early_kb,
        readings.late_kb,
        readings.at,
        each(readings.early_kb),
        each(readings.late_kb),
        match kind {
            "idle" if each(readings.late_kb) <= GOAL_KB => format!(" (goal {GOAL_KB}: met)"),
            "idle" => format!(" (goal {GOAL_KB}: MISSED)"),
            _ => String::new(),
        }
    );
    lost == 0 && opened == connections && result.errors.is_empty()
}

/// The echo server: says its port, echoes until its standard input ends, says what it has counted.
fn serve() -> Result<bool, String> {
    rlimit::increase_nofile_limit(u64::MAX).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let (told, ending) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(told);
    });
    let counts = Rc::new([const { Cell::new(0u64) }; 3]);
    let served = LocalSet::new().block_on(&runtime, async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        println!("{}", listener.local_addr()?.port());
        tokio::select! {
            () = accept(listener, &counts) => {}
            _ = ending => {}
        }
        io::Result::Ok(())
    });
    served.map_err(|e| e.to_string())?;
    let [connections, heard, said] = [0, 1, 2].map(|i| counts[i].get());
    println!("{connections} connections, {heard} messages heard, {said} said");
    Ok(true)
}

async fn accept(listener: TcpListener, counts: &Rc<[Cell<u64>; 3]>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::task::spawn_local(echo(stream, Rc::clone(counts)))),
            // Out of descriptors: the waiting connections stay in the backlog.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Says everything again. What ends a connection is the client's business.
async fn echo(stream: TcpStream, counts: Rc<[Cell<u64>; 3]>) {
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(0);
    let Ok(mut socket) = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await else {
        return;
    };
    counts[0].set(counts[0].get() + 1);
    while let Some(Ok(message)) = socket.next().await {
        if !(message.is_text() || message.is_binary()) {
            continue;
        }
        counts[1].set(counts[1].get() + 1);
        if socket.send(message).await.is_err() {
            return;
        }
        counts[2].set(counts[2].get() + 1);
    }
}
