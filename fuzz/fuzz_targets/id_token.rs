#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tower_signin_fuzz::id_token::run(data);
});
