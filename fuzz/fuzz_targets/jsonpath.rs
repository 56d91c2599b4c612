//! A path on the first line, a JSON document after it: whatever path compiles can be asked of any document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scenarios::jsonpath::JsonPath;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, document) = text.split_once('\n').unwrap_or((text, "{\"a\":[1,{\"b\":null}],\"a b\":\"x\"}"));
    let Ok(path) = JsonPath::compile(path) else { return };
    let Ok(document) = serde_json::from_str(document) else { return };
    let found = path.find(&document);
    assert_eq!(found, path.find(&document), "the same question has the same answer");
});
