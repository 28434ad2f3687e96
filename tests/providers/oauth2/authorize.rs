//! The authorization URL.

use tower_signin::{AuthorizationRequest, OAuth2, Provider as _};
use url::Url;

use super::{provider_at, server};
use crate::app::App;
use crate::support::{Browser, location};

const SENT: &str = "response_type=code&client_id=my+app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb\
                    &state=st%2Fate&code_challenge=chal-lenge&code_challenge_method=S256";

fn provider(authorization_endpoint: &str) -> OAuth2 {
    OAuth2::new("https://id.example.com", "my app", "secret").authorization_endpoint(authorization_endpoint)
}

fn request() -> AuthorizationRequest<'static> {
    AuthorizationRequest::new("https://app.example.com/cb", "st/ate", "chal-lenge")
}

#[test]
fn c21_a_query_of_the_endpoint_is_kept() {
    for (endpoint, start) in [
        ("https://id.example.com/authorize", "https://id.example.com/authorize?"),
        ("https://id.example.com/authorize?", "https://id.example.com/authorize?"),
        ("https://id.example.com/a?tenant=a%20b&x=", "https://id.example.com/a?tenant=a%20b&x=&"),
        ("https://id.example.com/a?tenant=1&", "https://id.example.com/a?tenant=1&"),
    ] {
        assert_eq!(provider(endpoint).authorization_url(&request()).unwrap(), format!("{start}{SENT}"), "{endpoint}");
    }
}

#[test]
fn scopes_are_separated_by_spaces_and_further_parameters_come_last() {
    let provider = provider("https://id.example.com/a")
        .scope("read:user")
        .scope("email")
        .extra_parameter("access_type", "off line&x=1")
        .extra_parameter("prompt", "consent");
    let url = provider.authorization_url(&request()).unwrap();
    let pairs: Vec<_> = Url::parse(&url).unwrap().query_pairs().into_owned().collect();
    let value = |name: &str| {
        let values: Vec<_> = pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
        values.join("|")
    };
    assert_eq!(value("scope"), "read:user email");
    assert!(url.contains("&scope=read%3Auser+email&"), "{url}");
    assert_eq!((value("access_type").as_str(), value("prompt").as_str()), ("off line&x=1", "consent"));
}

#[test]
fn accounts_are_offered_where_the_provider_knows_how() {
    let plain = || provider("https://id.example.com/a");
    for (name, provider, asks, prompt) in [
        ("not asked", plain().offers_accounts(), false, ""),
        ("not known", plain(), true, ""),
        ("asked", plain().offers_accounts(), true, "select_account"),
        ("in place of another", plain().offers_accounts().extra_parameter("prompt", "consent"), true, "select_account"),
        ("another alone", plain().offers_accounts().extra_parameter("prompt", "consent"), false, "consent"),
        ("another, not known", plain().extra_parameter("prompt", "consent"), true, "consent"),
    ] {
        let request = if asks { request().selecting_account() } else { request() };
        let url = Url::parse(&provider.authorization_url(&request).unwrap()).unwrap();
        let prompts: Vec<_> =
            url.query_pairs().filter(|(name, _)| name == "prompt").map(|(_, value)| value.into_owned()).collect();
        assert_eq!(prompts.join("|"), prompt, "{name}");
    }
}

#[tokio::test]
async fn whoever_comes_as_somebody_else_is_offered_a_choice() {
    let server = server().await;
    let app = App::start(provider_at(&server).offers_accounts()).await;
    let login = Browser::new().get(&app.url("/auth/login?prompt=select_account")).await;
    assert!(location(&login).contains("&prompt=select_account"), "{}", location(&login));
    let login = Browser::new().get(&app.url("/auth/login")).await;
    assert!(!location(&login).contains("prompt"), "{}", location(&login));
}
