//! Where no CA certificates are to be had.

#![allow(missing_docs, reason = "tests")]

use std::env;
use std::process::Command;

use tower_signin::dev::DevProvider;
use tower_signin::{Keys, SignIn, Siwbb};

const NOWHERE: &str = "/no/such/place";

/// The trust store is looked up in the environment of the process, so this test runs itself again in one without.
#[test]
fn build_says_so_and_a_loopback_provider_needs_none() {
    if env::var_os("SSL_CERT_FILE").is_some_and(|file| file == NOWHERE) {
        return without_certificates();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["build_says_so_and_a_loopback_provider_needs_none", "--exact"])
        .env("SSL_CERT_FILE", NOWHERE)
        .env("SSL_CERT_DIR", NOWHERE)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

#[tokio::main(flavor = "current_thread")]
async fn without_certificates() {
    let error = SignIn::builder(Siwbb::new("id", "secret", "key"))
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::generate().unwrap())
        .build()
        .unwrap_err();
    assert_eq!(error.setting(), "http_client");
    assert!(error.to_string().contains("CA certificates"), "{error}");

    let dev = DevProvider::start().await.unwrap();
    let sign_in = SignIn::builder(dev.siwbb())
        .redirect_uri("http://localhost:3000/auth/callback")
        .keys(Keys::generate().unwrap())
        .build();
    assert!(sign_in.is_ok());
}
