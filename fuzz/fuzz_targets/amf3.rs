#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| flumen_amf0::fuzz::amf3(data));
