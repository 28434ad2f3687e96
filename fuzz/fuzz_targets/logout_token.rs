#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tower_signin_fuzz::logout_token::run(data);
});
