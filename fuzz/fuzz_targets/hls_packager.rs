#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| flumen_hls::fuzz::hls_packager(data));
