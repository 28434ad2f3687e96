//! What can't be told apart is refused when it is built.

use tower_signin::OAuth2;

use super::builder;

fn provider(issuer: &str, name: &str) -> OAuth2 {
    OAuth2::new(issuer, "id", "secret")
        .name(name)
        .authorization_endpoint(format!("{issuer}/authorize"))
        .token_endpoint(format!("{issuer}/token"))
        .user_info_endpoint(format!("{issuer}/me"))
        .subject_pointer("/id")
}

const A: &str = "https://a.example";
const B: &str = "https://b.example";

#[test]
fn each_needs_an_issuer_a_name_and_paths_of_its_own() {
    let cases = [
        ("one issuer twice", vec![provider(A, "a"), provider(A, "b")], "two providers are https://a.example"),
        ("one name twice", vec![provider(A, "a"), provider(B, "a")], "two providers are named \"a\""),
        (
            "the third like the second",
            vec![provider(A, "a"), provider(B, "b"), provider(B, "c")],
            "two providers are https://b.example",
        ),
        ("capitals", vec![provider(A, "a"), provider(B, "B")], "\"B\" can't be a part of a path"),
        ("a slash", vec![provider(A, "a"), provider(B, "b/c")], "can't be a part of a path"),
        ("dots", vec![provider(A, "a"), provider(B, "..")], "can't be a part of a path"),
        ("no name", vec![provider(A, "a"), provider(B, "")], "can't be a part of a path"),
        ("an only one with a space", vec![provider(A, "a b")], "can't be a part of a path"),
        ("a long name", vec![provider(A, "a"), provider(B, &"b".repeat(65))], "can't be a part of a path"),
    ];
    for (name, providers, problem) in cases {
        let error = builder(providers).build().unwrap_err();
        assert_eq!(error.setting(), "provider", "{name}");
        assert!(error.to_string().contains(problem), "{name}: {error}");
    }
    builder([provider(A, "a"), provider(B, &"b".repeat(64))]).build().unwrap();
}

#[test]
fn a_path_is_one_provider_s_alone() {
    for (login, logout) in [("/x", "/auth/callback/b"), ("/auth/callback", "/x/b"), ("/x", "/x/a")] {
        let builder = builder([provider(A, "a"), provider(B, "b")]);
        let error = builder.login_path(login).logout_path(logout).build().unwrap_err();
        assert!(["provider", "login_path"].contains(&error.setting()), "{login} {logout}: {error}");
    }
}

#[test]
fn a_single_provider_has_no_further_addresses() {
    let sign_in = builder([provider(A, "a")]).build().unwrap();
    assert_eq!(sign_in.login_url_at("a", "/me").as_deref(), Some("/auth/login?return_to=%2Fme"));
    assert_eq!(sign_in.login_url_at("b", "/me"), None);
}

#[test]
fn links_to_each_are_the_application_s_to_have() {
    let sign_in = builder([provider(A, "a"), provider(B, "b")]).build().unwrap();
    assert_eq!(sign_in.login_url_at("a", "/").as_deref(), Some("/auth/login/a"));
    assert_eq!(sign_in.login_url_at("b", "/me?x=1").as_deref(), Some("/auth/login/b?return_to=%2Fme%3Fx%3D1"));
    for own in ["/auth/login/a", "/auth/login/b", "/auth/callback/b", "/auth/callback", "/auth/login"] {
        assert_eq!(sign_in.login_url_at("a", own).as_deref(), Some("/auth/login/a"), "{own} would lead nowhere");
    }
    assert_eq!(sign_in.login_url("/me"), "/auth/login?return_to=%2Fme");
}
