//! The published BitBadges SDK for JavaScript, run by Node against the dev provider: what its client sends is
//! understood, and what is answered suits it.

#![allow(missing_docs, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tower_signin::dev::{API_KEY, Account, CLIENT_ID, CLIENT_SECRET, DevProvider};

const REDIRECT_URI: &str = "http://localhost:3000/auth/callback";

#[tokio::test]
#[ignore = "needs node"]
async fn the_published_sdk_exchanges_refreshes_checks_status_and_revokes() {
    let dev = DevProvider::start().await.unwrap();
    let report = run_sdk(&dev, &alices_code(&dev)).await;
    let alice = Account::alice();

    let exchange = &report["exchange"];
    assert_eq!(exchange["bitbadgesAddress"], alice.bitbadges_address, "{exchange}");
    assert_eq!(exchange["address"], alice.address, "{exchange}");
    assert_eq!(exchange["chain"], alice.chain, "{exchange}");
    assert_eq!(exchange["verificationResponse"]["success"], true, "{exchange}");
    assert_eq!(exchange["token_type"], "Bearer", "{exchange}");
    for name in ["access_token_expires_at", "refresh_token_expires_at"] {
        let milliseconds = exchange[name].as_str().and_then(|text| text.parse::<u64>().ok());
        assert!(milliseconds.is_some(), "{name} is the wire's decimal string: {exchange}");
    }
    assert_eq!(report["secondExchange"], "refused: Invalid code.");

    let refresh = &report["refresh"];
    assert_eq!(refresh["bitbadgesAddress"], alice.bitbadges_address, "{refresh}");
    for name in ["access_token", "refresh_token"] {
        let [old, new] = [exchange, refresh].map(|tokens| tokens[name].as_str().unwrap_or_default());
        assert!(!old.is_empty() && !new.is_empty() && old != new, "the {name} rotates: {old:?}, {new:?}");
    }
    assert_eq!(report["secondRefresh"], "refused: Invalid refresh token.");

    for (name, signed_in) in
        [("status", true), ("statusOfOldToken", false), ("statusOfNewToken", true), ("statusAfterRevoke", false)]
    {
        let status = &report[name];
        assert_eq!(status["signedIn"], signed_in, "{name}: {status}");
        let whose = if signed_in { alice.bitbadges_address.as_str() } else { "" };
        assert_eq!(status["bitbadgesAddress"], whose, "{name}: {status}");
    }
    assert_eq!(report["status"]["scopes"][0]["scopeId"], "completeClaims");
    assert_eq!(report["refreshAfterRevoke"], "refused: Invalid refresh token.");
    assert_eq!(called(&dev), [TOKEN, TOKEN, STATUS, TOKEN, TOKEN, STATUS, STATUS, REVOKE, STATUS, TOKEN]);
}

const TOKEN: &str = "/api/v0/siwbb/token";
const REVOKE: &str = "/api/v0/siwbb/token/revoke";
const STATUS: &str = "/api/v0/auth/status";

/// The paths the SDK called, so that no answer of the report can come from anywhere else.
fn called(dev: &DevProvider) -> Vec<String> {
    dev.requests().into_iter().map(|request| request.path).collect()
}

/// A code as the authorize page makes it, for an app that asked for a scope.
fn alices_code(dev: &DevProvider) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", CLIENT_ID), ("redirect_uri", REDIRECT_URI), ("state", "f3a9c2e1b7d4a6c8")])
        .append_pair("scope", "completeClaims")
        .finish();
    let url = format!("{}/siwbb/authorize?{query}", dev.origin());
    let back = url::Url::parse(&dev.approve(&url, &Account::alice()).unwrap()).unwrap();
    back.query_pairs().find_map(|(name, value)| (name == "code").then(|| value.into_owned())).expect("a code")
}

async fn run_sdk(dev: &DevProvider, code: &str) -> Value {
    let input = json!({
        "apiUrl": dev.origin(),
        "apiKey": API_KEY,
        "code": code,
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUri": REDIRECT_URI,
    });
    let running = Command::new("node")
        .arg(folder().join("sdk.mjs"))
        .arg(input.to_string())
        // The SDK's HTTP client obeys these, and a proxy has no way to our loopback.
        .envs([("NO_PROXY", "localhost"), ("no_proxy", "localhost")])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), running)
        .await
        .expect("node ends within a minute")
        .expect("node starts: install Node 18 or newer, on Debian `apt-get install nodejs npm`");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "node failed, {}: {complaint}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("not one line of JSON, {error}: {}", String::from_utf8_lossy(&output.stdout));
    })
}

/// Where the script is, once the SDK is beside it.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    assert!(
        folder.join("node_modules/bitbadgesjs-sdk").is_dir(),
        "the SDK is not installed: run `npm ci --prefix tests/node` first"
    );
    folder
}
