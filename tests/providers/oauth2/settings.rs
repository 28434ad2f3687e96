//! Settings that can't work are refused at build, by name; the presets can.

use tower_signin::{AuthorizationRequest, ClientAuthentication, ConfigError, Keys, OAuth2, Provider, SignIn};
use url::Url;

fn build(provider: OAuth2) -> Result<SignIn, ConfigError> {
    SignIn::builder(provider)
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::generate().unwrap())
        .build()
}

fn provider() -> OAuth2 {
    with_credentials("app", "very-secret")
}

fn with_credentials(id: &str, secret: &str) -> OAuth2 {
    with_issuer("https://id.example.com", id, secret)
}

fn with_issuer(issuer: &str, id: &str, secret: &str) -> OAuth2 {
    OAuth2::new(issuer, id, secret)
        .authorization_endpoint("https://id.example.com/authorize?tenant=1")
        .token_endpoint("https://id.example.com/token/")
        .user_info_endpoint("https://api.example.com/users/@me?fields=id")
}

#[test]
fn what_can_work_is_built() {
    for (name, provider) in [
        ("plain", provider()),
        ("a public client", with_credentials("app", "").client_authentication(ClientAuthentication::None)),
        ("post", provider().client_authentication(ClientAuthentication::Post)),
        (
            "everything",
            provider().scope("a:b").extra_parameter("x", "y").revocation_endpoint("https://id.example.com/r"),
        ),
        ("an issuer with a slash", with_issuer("https://id.example.com/", "app", "very-secret")),
    ] {
        assert!(build(provider).is_ok(), "{name}");
    }
}

#[test]
fn what_cannot_work_is_named() {
    let bare = || OAuth2::new("https://id.example.com", "app", "very-secret");
    let token = |url: &str| provider().token_endpoint(url);
    for (name, provider, setting) in [
        ("no id", with_credentials("", "very-secret"), "client_id"),
        ("a blank id", with_credentials(" ", "very-secret"), "client_id"),
        ("no secret", with_credentials("app", ""), "client_secret"),
        (
            "no secret in the body",
            with_credentials("app", "").client_authentication(ClientAuthentication::Post),
            "client_secret",
        ),
        (
            "a secret that is never sent",
            provider().client_authentication(ClientAuthentication::None),
            "client_authentication",
        ),
        ("no issuer", with_issuer("", "app", "very-secret"), "issuer"),
        ("an issuer that is no URL", with_issuer("example", "app", "very-secret"), "issuer"),
        ("an issuer over http", with_issuer("http://id.example.com", "app", "very-secret"), "issuer"),
        ("no authorization endpoint", bare(), "authorization_endpoint"),
        ("no token endpoint", bare().authorization_endpoint("https://id.example.com/a"), "token_endpoint"),
        (
            "no user info endpoint",
            bare().authorization_endpoint("https://id.example.com/a").token_endpoint("https://id.example.com/t"),
            "user_info_endpoint",
        ),
        ("authorization over http", provider().authorization_endpoint("http://a.example/"), "authorization_endpoint"),
        ("a token over http", token("http://id.example.com/token"), "token_endpoint"),
        ("http on almost loopback", token("http://127.0.0.1.example.com/token"), "token_endpoint"),
        ("another scheme", token("ftp://id.example.com/token"), "token_endpoint"),
        ("no scheme", token("id.example.com/token"), "token_endpoint"),
        ("a password", token("https://user:pass@id.example.com/token"), "token_endpoint"),
        ("a fragment", token("https://id.example.com/token#x"), "token_endpoint"),
        ("a space", token("https://id.example.com/to ken"), "token_endpoint"),
        ("user info over http", provider().user_info_endpoint("http://a.example/"), "user_info_endpoint"),
        ("a revocation over http", provider().revocation_endpoint("http://a.example/"), "revocation_endpoint"),
        ("an empty revocation endpoint", provider().revocation_endpoint(""), "revocation_endpoint"),
        ("an empty scope", provider().scope(""), "scope"),
        ("two scopes in one", provider().scope("a b"), "scope"),
        ("a pointer without a slash", provider().subject_pointer("id"), "subject_pointer"),
        ("a pointer to the whole", provider().subject_pointer(""), "subject_pointer"),
        (
            "a parameter of ours in the endpoint",
            provider().authorization_endpoint("https://id.example.com/a?st%61te=1"),
            "authorization_endpoint",
        ),
        ("loopback on a public site", token("http://127.0.0.1:1/token"), "provider"),
    ] {
        let error = build(provider).err().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(error.setting(), setting, "{name}: {error}");
        assert!(!error.to_string().contains("very-secret"), "{name}: {error}");
    }
}

#[test]
fn parameters_of_its_own_cannot_be_replaced() {
    for parameter in [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "response_mode",
        "request",
        "request_uri",
        "client_secret",
        "code_verifier",
    ] {
        let error = build(provider().extra_parameter(parameter, "x")).err().unwrap_or_else(|| panic!("{parameter}"));
        assert_eq!(error.setting(), "extra_parameter", "{parameter}");
        assert!(error.to_string().contains(&format!("`{parameter}`")), "{error}");
    }
}

#[test]
fn it_is_called_as_it_was_told() {
    let called = |provider: &OAuth2| [Provider::name(provider).to_owned(), Provider::label(provider).to_owned()];
    assert_eq!(called(&provider()), ["oauth2", "oauth2"]);
    assert_eq!(called(&provider().name("example")), ["example", "example"]);
    assert_eq!(called(&provider().label("The Example").name("example")), ["example", "The Example"]);
    let error = build(provider().name("An Example")).map(drop).unwrap_err();
    assert!(error.to_string().contains("\"An Example\""), "{error}");
}

#[test]
fn each_preset_works_as_it_is() {
    for (name, provider, issuer, host, scope, back_channel) in [
        (
            "GitHub",
            OAuth2::github("app", "very-secret"),
            "https://github.com/login/oauth",
            "github.com",
            None,
            &["https://github.com/login/oauth/access_token", "https://api.github.com/user"][..],
        ),
        (
            "GitLab",
            OAuth2::gitlab("app", "very-secret"),
            "https://gitlab.com",
            "gitlab.com",
            Some("openid"),
            &["https://gitlab.com/oauth/token", "https://gitlab.com/oauth/userinfo", "https://gitlab.com/oauth/revoke"],
        ),
        (
            "Discord",
            OAuth2::discord("app", "very-secret"),
            "https://discord.com",
            "discord.com",
            Some("identify"),
            &[
                "https://discord.com/api/oauth2/token",
                "https://discord.com/api/v10/users/@me",
                "https://discord.com/api/oauth2/token/revoke",
            ],
        ),
        (
            "Google",
            OAuth2::google("app", "very-secret"),
            "https://accounts.google.com",
            "accounts.google.com",
            Some("openid"),
            &[
                "https://oauth2.googleapis.com/token",
                "https://openidconnect.googleapis.com/v1/userinfo",
                "https://oauth2.googleapis.com/revoke",
            ],
        ),
    ] {
        assert_eq!((provider.issuer(), &provider.endpoints()[..]), (issuer, back_channel), "{name}");
        assert_eq!((Provider::label(&provider), Provider::name(&provider)), (name, name.to_lowercase().as_str()));
        let request = AuthorizationRequest::new("https://app.example.com/cb", "state", "challenge");
        let url = Url::parse(&provider.authorization_url(&request).unwrap()).unwrap();
        let asked = url.query_pairs().find(|(name, _)| name == "scope").map(|(_, scope)| scope.into_owned());
        assert_eq!((url.host_str(), asked.as_deref()), (Some(host), scope), "{name}");
        assert!(!format!("{provider:?}").contains("very-secret"), "{name}");
        assert!(build(provider).is_ok(), "{name}");
    }
}
