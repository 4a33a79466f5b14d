#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| flumen_media::fuzz::mp4_recording(data));
