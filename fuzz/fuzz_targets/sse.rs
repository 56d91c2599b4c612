//! Any bytes as an event stream, cut anywhere: the same events however it is cut, none larger than the limit, no panic.
//! The first byte says how large the pieces are, the second how large an event may be.
#![no_main]

use engine::client::events::{Parser, TooLarge};
use libfuzzer_sys::fuzz_target;

/// Kind, data, id and retry of an event.
type Owned = (Vec<u8>, Vec<u8>, Vec<u8>, Option<u64>);

/// The events of `stream`, given in pieces of `size` bytes, and how it ended.
fn events(stream: &[u8], size: usize, most: usize) -> (Vec<Owned>, Result<(), TooLarge>) {
    let mut parser = Parser::new(most);
    let mut events = Vec::new();
    for piece in stream.chunks(size) {
        let heard = parser.push(piece, &mut |event| {
            events.push((event.kind.to_vec(), event.data.to_vec(), event.id.to_vec(), event.retry_ms));
            true
        });
        match heard {
            Ok(goes_on) => assert!(goes_on, "nobody ended the stream"),
            Err(too_large) => return (events, Err(too_large)),
        }
    }
    (events, Ok(()))
}

fuzz_target!(|data: &[u8]| {
    let Some((&[size, most], stream)) = data.split_first_chunk::<2>() else { return };
    let most = 16 + usize::from(most) * 16;
    let pieces = events(stream, usize::from(size).max(1), most);
    assert!(pieces.0.iter().all(|(_, data, ..)| data.len() <= most), "an event is larger than its limit");
    // Where a limit is met a cut may tell it sooner; without one the cut changes nothing.
    let roomy = stream.len() + 1024;
    assert_eq!(events(stream, usize::from(size).max(1), roomy), events(stream, stream.len().max(1), roomy));
});
