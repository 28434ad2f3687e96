//! Settings that can't work: refused at build, by name, with a remedy and without a secret.

use std::time::Duration;

use tower_signin::dev::DevProvider;
use tower_signin::siwbb::{Asset, OwnershipRequirements, Range};
use tower_signin::{Builder, ConfigError, Keys, Provider as _, SignIn, Siwbb};

use crate::site::{CALLBACK, ID, KEY, SECRET, siwbb};

#[test]
fn every_wrong_redirect_uri_is_refused() {
    let cases = [
        ("empty", ""),
        ("a path", "/auth/callback"),
        ("no scheme", "example.com/auth/callback"),
        ("protocol-relative", "//example.com/auth/callback"),
        ("a fragment", "https://example.com/cb#x"),
        ("an empty fragment", "https://example.com/cb#"),
        ("a query", "https://example.com/cb?action=callback"),
        ("an empty query", "https://example.com/cb?"),
        ("http on a public host", "http://example.com/cb"),
        ("http on a private network", "http://192.168.0.1/cb"),
        ("http on another loopback address", "http://127.0.0.2:3000/cb"),
        ("http on a name like localhost", "http://localhost.example.com/cb"),
        ("http on every address", "http://0.0.0.0:3000/cb"),
        ("another scheme", "ftp://example.com/cb"),
        ("an app's own scheme", "myapp:/cb"),
        ("javascript", "javascript:alert(1)"),
        ("a user", "https://user@example.com/cb"),
        ("a user and a password", "https://user:hunter2@example.com/cb"),
        ("a password and a query", "https://user:hunter2@example.com/cb?x=1"),
        ("a password and no host", "https://user:hunter2@"),
        ("an upper-case host", "https://Example.com/cb"),
        ("an upper-case scheme", "HTTPS://example.com/cb"),
        ("the default port", "https://example.com:443/cb"),
        ("the default port of http", "http://localhost:80/cb"),
        ("no path", "https://example.com"),
        ("the root", "https://example.com/"),
        ("dot segments", "https://example.com/a/../cb"),
        ("a backslash", "https://example.com\\cb"),
        ("a tab", "https://example.com/c\tb"),
        ("a space around it", " https://example.com/cb"),
        ("a space inside", "https://example.com/c b"),
        ("an IDN that is not ASCII", "https://bücher.example/cb"),
        ("a loopback address written oddly", "http://0x7f.1:3000/cb"),
        ("a long IPv6 loopback", "http://[0:0:0:0:0:0:0:1]:3000/cb"),
        ("no host", "https:///cb"),
        ("a bad port", "https://example.com:99999/cb"),
    ];
    for (name, uri) in cases {
        let error = refused(name, with(|builder| builder.redirect_uri(uri)), "redirect_uri");
        assert!(!error.to_string().contains("hunter2"), "{name}: {error}");
    }
    let missing = SignIn::builder(siwbb()).keys(Keys::generate().unwrap()).build();
    refused("missing", missing, "redirect_uri");

    let good = [
        CALLBACK,
        "https://example.com:8443/cb",
        "http://localhost:3000/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:1/cb",
    ];
    for uri in good {
        assert!(with(|builder| builder.redirect_uri(uri)).is_ok(), "{uri}");
    }
}

#[test]
fn every_collision_of_paths_is_refused() {
    type Configure = fn(Builder) -> Builder;
    let cases: &[(&str, Configure, &str)] = &[
        ("callback is where login is", |b| b.redirect_uri("https://example.com/auth/login"), "login_path"),
        ("callback is where logout is", |b| b.redirect_uri("https://example.com/auth/logout"), "logout_path"),
        ("login is the callback", |b| b.login_path("/api/callback"), "login_path"),
        ("logout is the callback", |b| b.logout_path("/api/callback"), "logout_path"),
        ("login is logout", |b| b.login_path("/x").logout_path("/x"), "logout_path"),
        ("login is where logout is", |b| b.login_path("/api/logout"), "logout_path"),
        ("login is no path", |b| b.login_path("login"), "login_path"),
        ("login is empty", |b| b.login_path(""), "login_path"),
        ("login has a query", |b| b.login_path("/login?x"), "login_path"),
        ("login has a fragment", |b| b.login_path("/login#x"), "login_path"),
        ("login is a URL", |b| b.login_path("https://example.com/login"), "login_path"),
        ("login is protocol-relative", |b| b.login_path("//evil.example/login"), "login_path"),
        ("logout is no path", |b| b.logout_path("logout"), "logout_path"),
        ("logout has a space", |b| b.logout_path("/log out"), "logout_path"),
    ];
    for (name, configure, setting) in cases {
        refused(name, with(configure), setting);
    }
}

/// A page of ours links to its siblings, and a browser reads `//login` as another host.
#[test]
fn a_callback_with_two_slashes_is_refused() {
    refused("two slashes", with(|b| b.redirect_uri("https://example.com//callback")), "redirect_uri");
}

/// Pages of ours link to these paths, and a browser must not read them otherwise than they are written.
#[test]
fn paths_that_a_browser_reads_otherwise_are_refused() {
    let cases = [
        ("a backslash", r"/\evil.example"),
        ("dot segments", "/a/../login"),
        ("a dot segment", "/./login"),
        ("the root", "/"),
    ];
    for (name, path) in cases {
        refused(name, with(|b| b.login_path(path)), "login_path");
        refused(name, with(|b| b.logout_path(path)), "logout_path");
    }
}

#[test]
fn every_useless_credential_is_refused() {
    let cases = [
        ("no client id", "", SECRET, KEY, "client_id"),
        ("a blank client id", " \t", SECRET, KEY, "client_id"),
        ("no client secret", ID, "", KEY, "client_secret"),
        ("a blank client secret", ID, "\n", KEY, "client_secret"),
        ("no API key", ID, SECRET, "", "api_key"),
        ("a blank API key", ID, SECRET, "  ", "api_key"),
        ("an API key with a line break", ID, SECRET, "key\r\nx-evil: 1", "api_key"),
    ];
    for (name, id, secret, key, setting) in cases {
        let built = build(SignIn::builder(Siwbb::new(id, secret, key)));
        let error = refused(name, built, setting);
        assert!(!error.to_string().contains(SECRET) && !error.to_string().contains("x-evil"), "{name}: {error}");
    }
}

#[test]
fn credentials_missing_from_the_environment_are_named() {
    let names = ["BITBADGES_CLIENT_ID", "BITBADGES_CLIENT_SECRET", "BITBADGES_API_KEY"];
    for missing in names {
        for value in [None, Some(String::new())] {
            let found = Siwbb::from_lookup(|name| if name == missing { value.clone() } else { Some("x".to_owned()) });
            let error = refused(missing, found, "provider");
            for name in names {
                assert_eq!(error.to_string().contains(name), name == missing, "{missing}: {error}");
            }
        }
    }
    let error = refused("all", Siwbb::from_lookup(|_| None), "provider");
    assert!(names.iter().all(|name| error.to_string().contains(name)), "{error}");
    assert!(Siwbb::from_lookup(|_| Some("x".to_owned())).is_ok());
}

#[test]
fn every_useless_key_is_refused() {
    let equal = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let good = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";
    let cases = [
        ("none", String::new()),
        ("short", "c2hvcnQ".to_owned()),
        ("a byte too few", good[..42].to_owned()),
        ("a byte too many", format!("{good}AA")),
        ("all zero", "A".repeat(43)),
        ("all equal", equal.to_owned()),
        ("a password", "correct horse battery staple".to_owned()),
        ("hexadecimal", "0123456789abcdef".repeat(4)),
        ("a second key that is empty", format!("{good},")),
        ("a second key that is equal", format!("{good},{equal}")),
    ];
    for (name, keys) in cases {
        let error = refused(name, Keys::parse(&keys), "keys");
        assert!(keys.len() < 8 || !error.to_string().contains(&keys[..8]), "{name}: {error}");
    }
    refused("not set", Keys::from_lookup("SIGNIN_KEYS", |_| None), "keys");
    refused("not given", SignIn::builder(siwbb()).redirect_uri(CALLBACK).build(), "keys");
    assert!(Keys::parse(&format!("{good}, {good}=")).is_ok());
}

#[tokio::test]
async fn the_dev_provider_is_refused_on_a_public_site() {
    let dev = DevProvider::start().await.unwrap();
    for uri in [CALLBACK, "https://localhost/cb", "https://localhost.example.com/cb"] {
        refused(uri, build(SignIn::builder(dev.siwbb()).redirect_uri(uri)), "provider");
    }
    let half = Siwbb::new(ID, SECRET, KEY).base_urls("https://bitbadges.io", dev.origin());
    refused("its API alone", build(SignIn::builder(half).redirect_uri(CALLBACK)), "provider");
    let half = Siwbb::new(ID, SECRET, KEY).base_urls(dev.origin(), "https://api.bitbadges.io");
    refused("its website alone", build(SignIn::builder(half).redirect_uri(CALLBACK)), "provider");
    assert!(build(SignIn::builder(dev.siwbb()).redirect_uri("http://localhost:3000/cb")).is_ok());
}

#[test]
fn every_other_useless_setting_is_refused() {
    type Configure = fn(Builder) -> Builder;
    let cases: &[(&str, Configure, &str)] = &[
        ("no prefix", |b| b.cookie_prefix(""), "cookie_prefix"),
        ("a prefix with a space", |b| b.cookie_prefix("sign in"), "cookie_prefix"),
        ("a prefix with a semicolon", |b| b.cookie_prefix("a;b"), "cookie_prefix"),
        ("a prefix with an equals sign", |b| b.cookie_prefix("a=b"), "cookie_prefix"),
        ("a prefix with a line break", |b| b.cookie_prefix("a\r\nb"), "cookie_prefix"),
        ("a prefix that is not ASCII", |b| b.cookie_prefix("é"), "cookie_prefix"),
        ("a prefix of the layer's own", |b| b.cookie_prefix("__Host-a"), "cookie_prefix"),
        ("a prefix that another's tokens take", |b| b.cookie_prefix("signin-tokens"), "cookie_prefix"),
        ("a prefix that another's count takes", |b| b.cookie_prefix("signin-rounds"), "cookie_prefix"),
        ("a prefix that another's flows take", |b| b.cookie_prefix("signin-flow-x"), "cookie_prefix"),
        ("a prefix too long", |b| b.cookie_prefix("a".repeat(65)), "cookie_prefix"),
        ("no lifetime", |b| b.session_lifetime(Duration::ZERO), "session_lifetime"),
        ("less than a minute", |b| b.session_lifetime(Duration::from_secs(59)), "session_lifetime"),
        ("longer than 400 days", |b| b.session_lifetime(Duration::from_secs(34_560_001)), "session_lifetime"),
        ("for ever", |b| b.session_lifetime(Duration::MAX), "session_lifetime"),
    ];
    for (name, configure, setting) in cases {
        refused(name, with(configure), setting);
    }
    let ours = [
        "client_id",
        "redirect_uri",
        "state",
        "scope",
        "claimId",
        "hideIfAlreadyClaimed",
        "expectVerifySuccess",
        "response_type",
        "code_challenge",
        "code_challenge_method",
    ];
    for name in ours {
        refused(name, build(SignIn::builder(siwbb().extra_parameter(name, "plain"))), "extra_parameter");
    }
    let https = "https://api.example.com";
    for endpoint in [
        "http://api.example.com",
        "api.example.com",
        "",
        "https://a.example/",
        "https://a.example?x",
        "https://a.example/v1?x",
        "https://a.example/v1#x",
        "https://user@a.example",
        "https://:password@a.example",
        "ftp://a.example",
    ] {
        refused(endpoint, build(SignIn::builder(siwbb().base_urls(https, endpoint))), "base_urls");
        refused(endpoint, build(SignIn::builder(siwbb().base_urls(endpoint, https))), "base_urls");
    }
}

/// Runs itself again in an environment whose certificates are nowhere.
#[test]
fn a_machine_without_certificates_is_told_so() {
    const CHILD: &str = "TOWER_SIGNIN_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        refused("no certificates", with(|builder| builder), "http_client");
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "config::a_machine_without_certificates_is_told_so"])
        .env(CHILD, "1")
        .env("SSL_CERT_FILE", "/nowhere/cert.pem")
        .env("SSL_CERT_DIR", "/nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A builder that would build, but for what `configure` does to it.
/// A gate that demands nothing, or can't be met, would let in everybody or nobody.
#[test]
fn gates_that_can_not_be_meant_are_refused() {
    let badge = || Asset::badges("1", [Range::new(1, 1)]);
    let assets = |asset| OwnershipRequirements::assets([asset]);
    let cases = [
        ("no groups, all of them", OwnershipRequirements::all([])),
        ("no groups, any of them", OwnershipRequirements::any([])),
        ("no assets", OwnershipRequirements::assets([])),
        (
            "no assets, deep inside",
            OwnershipRequirements::any([OwnershipRequirements::all([OwnershipRequirements::assets([])])]),
        ),
        ("no ids", assets(Asset::badges("1", []))),
        ("none of the assets", OwnershipRequirements::at_least(0, [badge()])),
        ("more than there are", OwnershipRequirements::at_least(2, [badge()])),
        ("ids that end before they start", assets(Asset::badges("1", [Range::new(5, 1)]))),
        ("amounts that end before they start", assets(badge().amounts(Range::new(2, 1)))),
        ("times that end before they start", assets(badge().owned_during([Range::new(2, 1)]))),
    ];
    for (name, requirements) in cases {
        let provider = siwbb().require_ownership(assets(badge())).require_ownership(requirements);
        refused(name, build(SignIn::builder(provider).redirect_uri(CALLBACK)), "require_ownership");
    }
    for claim in ["", " "] {
        let provider = siwbb().require_claim("good").require_claim(claim);
        refused("an empty claim", build(SignIn::builder(provider).redirect_uri(CALLBACK)), "require_claim");
    }
    let one = || OwnershipRequirements::at_least(1, [badge()]);
    let good = siwbb()
        .require_claim("good")
        .require_ownership(OwnershipRequirements::any([OwnershipRequirements::all([one(), one()]), one()]));
    assert!(build(SignIn::builder(good).redirect_uri(CALLBACK)).is_ok());
}

#[test]
fn people_of_another_website_or_api_have_another_issuer() {
    let (website, api) = ("https://bitbadges.io", "https://api.bitbadges.io");
    let cases = [
        (website, api, website),
        (website, "https://api.bitbadges.io/testnet", "https://api.bitbadges.io/testnet"),
        ("https://testnet.example", api, "https://testnet.example"),
        ("https://testnet.example", "https://api.testnet.example", "https://testnet.example"),
    ];
    for (website, api, issuer) in cases {
        let provider = siwbb().base_urls(website, api);
        assert_eq!(provider.issuer(), issuer, "{website} {api}");
        assert!(build(SignIn::builder(provider).redirect_uri(CALLBACK)).is_ok(), "{website} {api}");
    }
}

fn with(configure: impl FnOnce(Builder) -> Builder) -> Result<SignIn, ConfigError> {
    build(configure(SignIn::builder(siwbb()).redirect_uri(CALLBACK)))
}

fn build(builder: Builder) -> Result<SignIn, ConfigError> {
    builder.keys(Keys::generate().unwrap()).build()
}

#[track_caller]
fn refused<T>(name: &str, built: Result<T, ConfigError>, setting: &str) -> ConfigError {
    let Err(error) = built else { panic!("{name} was accepted") };
    assert_eq!(error.setting(), setting, "{name}: {error}");
    let text = error.to_string();
    assert!(
        text.starts_with(setting) && !error.remedy().is_empty() && text.ends_with(error.remedy()),
        "{name}: {text}"
    );
    error
}
