//! Answers with a provider's metadata: people, codes and tokens go where it says and nowhere else, and only where it is the
//! metadata of the very issuer and as secure.

use bytes::Bytes;
use http::{Method, Request, Response};
use tower_signin::ErrorKind;
use url::Url;

use crate::openid::{Answers, CLIENT, ISSUER, Object, Question, question, site_of};
use crate::site::{CALLBACK, CODE, ORIGIN, Site, Started, parameter, query};
use crate::support::{Browser, location, navigation, text};
use crate::{answer, assert_private, block_on, fill};

/// Where the metadata leads to, if it does.
fn endpoint(told: &Object, name: &str) -> Option<Url> {
    assert!(!told.has_twice(name), "which {name} of two is meant?");
    let url = Url::parse(told.get(name)?.as_str()?).ok()?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    assert!(url.scheme() == "https" && is_bare, "{name} is used, though it is {url}");
    Some(url)
}

/// Whether the URL leads to this endpoint, with these parameters once each beside what the endpoint had.
fn assert_leads(url: &str, endpoint: &Url, parameters: &[&str]) {
    let url = Url::parse(url).unwrap();
    assert_eq!((url.origin(), url.path()), (endpoint.origin(), endpoint.path()), "{url} in place of {endpoint}");
    let pairs: Vec<_> = url.query_pairs().collect();
    assert!(endpoint.query_pairs().all(|pair| pairs.contains(&pair)), "{url} has less than {endpoint}");
    for name in parameters {
        assert_eq!(pairs.iter().filter(|(other, _)| other == name).count(), 1, "{name} in {url}");
    }
    assert!(pairs.contains(&("client_id".into(), CLIENT.into())), "{url}");
}

/// No request goes anywhere but where it belongs.
fn assert_at_home(request: &Request<Bytes>, told: &Object) {
    let asked = Url::parse(&request.uri().to_string()).unwrap();
    let question = question(request);
    let name = match question {
        Question::Metadata => {
            assert_eq!(asked.origin(), Url::parse(ISSUER).unwrap().origin());
            return;
        }
        Question::Keys => "jwks_uri",
        Question::Token => "token_endpoint",
        Question::UserInfo => "userinfo_endpoint",
    };
    assert_eq!(Some(asked), endpoint(told, name), "{question:?}");
}

/// Goes to login with these answers of the provider.
fn login(site: &Site, browser: &mut Browser) -> Response<Bytes> {
    block_on(site.visit(browser, navigation(Method::GET, &site.login("/target"), "same-origin")))
}

pub fn run(data: &[u8]) -> bool {
    let template = std::str::from_utf8(data).map(|template| fill(template, &[("issuer", ISSUER)]));
    let data = template.map_or_else(|_| data.to_vec(), String::into_bytes);
    let Some((status, body)) = answer(&data) else { return false };
    let told = Object::read(&body);
    let site = site_of(|oidc| oidc);
    Answers { metadata: (status, body.clone()), ..Answers::good("") }.give(&site);
    let mut browser = Browser::new();
    let response = login(&site, &mut browser);
    assert_private(&response);
    if let Some(kind) = response.extensions().get::<ErrorKind>() {
        let known = [ErrorKind::ProviderAnswer, ErrorKind::ProviderFailed, ErrorKind::ProviderBusy];
        assert!(known.contains(kind) && browser.jar.is_empty(), "{kind:?}");
        assert_eq!(site.upstream.requests().len(), 1);
        return false;
    }
    let told = told.expect("an object");
    assert_eq!((status, told.get("issuer")), (200, Some(ISSUER.into())));
    let authorization_url = location(&response);
    let ours = [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ];
    assert_leads(&authorization_url, &endpoint(&told, "authorization_endpoint").unwrap(), &ours);
    assert_eq!(parameter(&authorization_url, "redirect_uri"), CALLBACK);

    let started = Started::at(&authorization_url);
    Answers { metadata: (status, body.clone()), ..Answers::good(&parameter(&authorization_url, "nonce")) }.give(&site);
    let callback = format!("{}&{}", started.callback(CODE), query(&[("iss", ISSUER)]));
    let response = block_on(site.get(&mut browser, &callback));
    assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/target"));
    assert_eq!(text(&block_on(site.get(&mut browser, "/"))), "alice");
    sign_out(&site, &mut browser, &told);
    for request in site.upstream.requests() {
        assert_at_home(&request, &told);
    }
    true
}

/// Leads over the provider where it told of an address for it, and ends the session here in any case.
fn sign_out(site: &Site, browser: &mut Browser, told: &Object) {
    let response = block_on(site.visit(browser, navigation(Method::POST, "/api/logout", "same-origin")));
    assert_eq!(response.status(), 303);
    match endpoint(told, "end_session_endpoint") {
        Some(endpoint) => {
            let url = location(&response);
            assert_leads(&url, &endpoint, &["client_id", "post_logout_redirect_uri", "state"]);
            assert_eq!(parameter(&url, "post_logout_redirect_uri"), format!("{ORIGIN}/api/logout"));
        }
        None => assert_eq!(location(&response), "/"),
    }
    assert_eq!(text(&block_on(site.get(browser, "/"))), "nobody");
}
