//! `watertight hit` as written.

use clap::Args as ClapArgs;

/// `watertight hit`
#[derive(Debug, ClapArgs)]
#[command(after_help = "Exit codes: 0 something was answered · 2 wrong input, nothing was sent · 4 nothing was ever \
                        answered · 130 interrupted\n\nWithout --rate the users ask as fast as they are answered. With \
                        --rate requests come at their times whatever the answers do, and response time counts from \
                        then. Redirects are not followed; a status of 400 or more is no success.")]
pub struct Hit {
    /// What to ask for, such as http://127.0.0.1:8001/path?a=b
    pub url: String,
    /// Users, each with a connection of its own (default: 50; with --rate as many as it takes)
    #[arg(long, short = 'c', value_name = "N", env = "WATERTIGHT_USERS",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub users: Option<u64>,
    /// How long, such as 30s or 1m30s (default: 10s; with --requests until they are done)
    #[arg(long = "for", short = 'z', value_name = "DURATION", env = "WATERTIGHT_FOR")]
    pub duration: Option<String>,
    /// End after so many requests in all, to the request
    #[arg(long, short = 'n', value_name = "N", env = "WATERTIGHT_REQUESTS",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub requests: Option<u64>,
    /// Requests a second, such as 200 or 6000/m, that no answer can delay
    #[arg(long, short = 'q', value_name = "RATE", env = "WATERTIGHT_RATE")]
    pub rate: Option<String>,
    /// Method (default: GET, with a body POST)
    #[arg(long, short = 'm', value_name = "METHOD", env = "WATERTIGHT_METHOD")]
    pub method: Option<String>,
    /// A header; may be given several times
    #[arg(long, short = 'H', value_name = "NAME: VALUE", env = "WATERTIGHT_HEADER")]
    pub header: Vec<String>,
    /// Body, sent as text/plain unless a header says otherwise
    #[arg(long, short = 'd', value_name = "BODY", env = "WATERTIGHT_BODY", allow_hyphen_values = true)]
    pub body: Option<String>,
    /// Time limit of one request
    #[arg(long, value_name = "DURATION", env = "WATERTIGHT_TIMEOUT", default_value = "30s")]
    pub timeout: String,
    /// Redirects that are followed at most, to the same host; all hops are one request (default: none, a redirect is an
    /// answer like any other)
    #[arg(long, value_name = "N", env = "WATERTIGHT_REDIRECTS", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(0..=50))]
    pub redirects: u32,
    /// HTTP/2: agreed upon in TLS with https, with prior knowledge with http
    #[arg(long, env = "WATERTIGHT_HTTP2")]
    pub http2: bool,
    /// Accept any certificate
    #[arg(long, env = "WATERTIGHT_INSECURE")]
    pub insecure: bool,
    /// One JSON object on stdout, the words for people on stderr
    #[arg(long, env = "WATERTIGHT_JSON")]
    pub json: bool,
    /// Worker threads (default: one per processor)
    #[arg(long, value_name = "N", env = "WATERTIGHT_WORKERS", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub workers: Option<u64>,
    /// Plain lines instead of the live view
    #[arg(long, env = "WATERTIGHT_NO_TUI")]
    pub no_tui: bool,
}
