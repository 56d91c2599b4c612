//! Starting and stopping, from plain code and from inside a runtime.

use std::net::TcpStream;

use practice::{Clinic, Options, Port, StartError};

use crate::caller::{Caller, address, clinic};

#[test]
fn plain_code_starts_and_stops_it() {
    let clinic = clinic(&[]);
    let urls = clinic.urls();
    assert!(urls.patient.starts_with("http://127.0.0.1:"));
    assert_eq!((&urls.patient, &urls.patient), (&urls.clinical, &urls.ai));
    let address = address(&clinic);
    TcpStream::connect(&address).unwrap();
    clinic.stop();
    clinic.stop();
    assert!(TcpStream::connect(&address).is_err());
    assert_eq!(clinic.counts(), 0);
}

#[tokio::test]
async fn stopping_ends_connections_that_are_kept_alive() {
    let clinic = clinic(&[]);
    let mut caller = Caller::connect(&clinic).await;
    assert_eq!(caller.get("/health").await.status, 200);
    clinic.stop();
    assert_eq!(clinic.counts(), 1);
}

#[test]
fn a_taken_address_is_named_with_the_way_out() {
    let first = clinic(&[]);
    let address = address(&first);
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let second = Clinic::start(Options { port: Port::One(port), defects: Vec::new(), seed: 1 });
    let Err(mistake) = second else {
        panic!("two clinics on one port");
    };
    assert!(matches!(mistake, StartError::AddressInUse { .. }));
    let message = mistake.to_string();
    assert!(message.contains(&address) && message.contains("--port 0"), "{message}");
}
