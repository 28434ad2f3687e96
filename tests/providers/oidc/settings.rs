//! Settings that can't work are told at build.

use std::time::Duration;

use tower_signin::oidc::SigningAlgorithm;
use tower_signin::{ClientAuthentication, Keys, Oidc, Provider as _, SignIn};

fn oidc() -> Oidc {
    Oidc::discover("https://id.example.com", "client-id", "client-secret")
}

/// The setting that `build()` complains of; empty where it does not.
fn complaint(provider: Oidc) -> String {
    let built = SignIn::builder(provider)
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::generate().unwrap())
        .build();
    let Err(error) = built else { return String::new() };
    assert!(!error.to_string().contains("client-secret"), "{error}");
    error.setting().to_owned()
}

#[test]
fn what_is_wrong_is_named() {
    let at = |issuer: &str| Oidc::discover(issuer, "client-id", "client-secret");
    for (name, provider, setting) in [
        ("good", oidc(), ""),
        ("issuer with a path", at("https://id.example.com/realms/a"), ""),
        ("issuer with a slash at the end", at("https://id.example.com/"), ""),
        ("issuer with two", at("https://id.example.com//"), "discover"),
        ("plain issuer", at("http://id.example.com"), "discover"),
        ("issuer with a query", at("https://id.example.com?a=b"), "discover"),
        ("issuer without a scheme", at("id.example.com"), "discover"),
        ("no issuer", at(""), "discover"),
        ("no client id", Oidc::discover("https://id.example.com", "", "secret"), "client_id"),
        ("no client secret", Oidc::discover("https://id.example.com", "client-id", ""), "client_secret"),
        (
            "a secret that is never sent",
            oidc().client_authentication(ClientAuthentication::None),
            "client_authentication",
        ),
        ("no algorithm", oidc().signing_algorithms([]), "signing_algorithms"),
        (
            "HS256 without a secret",
            Oidc::discover("https://id.example.com", "client-id", "")
                .client_authentication(ClientAuthentication::None)
                .signing_algorithms([SigningAlgorithm::Hs256]),
            "signing_algorithms",
        ),
        ("the largest skew", oidc().clock_skew(Duration::from_secs(300)), ""),
        ("a larger skew", oidc().clock_skew(Duration::from_millis(300_001)), "clock_skew"),
        ("two scopes in one", oidc().scope("email profile"), "scope"),
        ("an empty scope", oidc().scope(""), "scope"),
        ("a scope with a quote", oidc().scope("\""), "scope"),
        ("two values in one", oidc().acr_values(["gold silver"]), "acr_values"),
        ("no value that is required", oidc().require_acr([""; 0]), "require_acr"),
        ("an empty prompt", oidc().prompt(""), "prompt"),
        ("two prompts", oidc().prompt("login consent"), ""),
        ("our own parameter", oidc().extra_parameter("nonce", "x"), "extra_parameter"),
        ("another way back", oidc().extra_parameter("response_mode", "fragment"), "extra_parameter"),
        ("an object", oidc().extra_parameter("request", "x"), "extra_parameter"),
        ("a parameter", oidc().extra_parameter("hd", "example.com"), ""),
        ("a name that is no part of a path", oidc().name("a/b"), "provider"),
    ] {
        assert_eq!(complaint(provider), setting, "{name}");
    }
}

#[test]
fn the_presets_can_be_built() {
    for (provider, issuer, label) in [
        (Oidc::google("id", "secret"), "https://accounts.google.com", "Google"),
        (
            Oidc::microsoft("11111111-2222-3333-4444-555555555555", "id", "secret"),
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
            "Microsoft",
        ),
    ] {
        assert_eq!(
            (tower_signin::Provider::issuer(&provider), tower_signin::Provider::label(&provider)),
            (issuer, label)
        );
        assert_eq!(provider.issuer(), issuer);
        assert_eq!(complaint(provider), "");
    }
}
