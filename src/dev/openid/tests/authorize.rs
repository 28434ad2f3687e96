use super::*;

#[tokio::test]
async fn requests_that_go_back_with_an_error_and_those_that_go_nowhere() {
    let provider = OpenIdProvider::start().await.unwrap();
    provider.add_client("strict", None);
    provider.register_redirect_uri("strict", "http://localhost:3000/only").unwrap();
    let long = "x".repeat(129);
    for (name, changes, error) in [
        ("no response_type", vec![("response_type", "")], Some("unsupported_response_type")),
        ("implicit", vec![("response_type", "id_token")], Some("unsupported_response_type")),
        ("form_post", vec![("response_mode", "form_post")], Some("invalid_request")),
        ("no scope", vec![("scope", "")], Some("invalid_scope")),
        ("not openid", vec![("scope", "profile openid2")], Some("invalid_scope")),
        ("no challenge", vec![("code_challenge", "")], Some("invalid_request")),
        ("no method", vec![("code_challenge_method", "")], Some("invalid_request")),
        ("plain", vec![("code_challenge_method", "plain")], Some("invalid_request")),
        ("a long challenge", vec![("code_challenge", long.as_str())], Some("invalid_request")),
        ("a request object", vec![("request", "a.b.c")], Some("request_not_supported")),
        ("its address", vec![("request_uri", "https://app.example.com/r")], Some("request_uri_not_supported")),
        ("nobody may be asked", vec![("prompt", "none")], Some("login_required")),
        ("no client", vec![("client_id", "")], None),
        ("an unknown client", vec![("client_id", "nobody")], None),
        ("no redirect URI", vec![("redirect_uri", "")], None),
        ("abroad", vec![("redirect_uri", "https://app.example.com/cb")], None),
        ("a fragment", vec![("redirect_uri", "http://localhost:3000/cb#x")], None),
        ("unregistered", vec![("client_id", "strict")], None),
        ("twice", vec![("state", "a"), ("state", "b")], None),
    ] {
        let target = authorization_target(&changes);
        let reply = get(&provider, &target).await;
        let location = reply.header("location");
        match error {
            Some(error) => {
                assert_eq!(reply.status, 303, "{name}");
                assert!(location.starts_with(&format!("{REDIRECT_URI}?")), "{name}: {location}");
                assert_eq!(parameter(location, "error").as_deref(), Some(error), "{name}");
                assert_eq!(parameter(location, "state").as_deref(), Some("f3a9c2e1"), "{name}");
                assert_eq!(parameter(location, "iss").as_deref(), Some(provider.issuer()), "{name}");
            }
            None => {
                assert_eq!((reply.status, location), (400, ""), "{name}");
                assert!(reply.text().contains("This is not a real OpenID provider."), "{name}");
            }
        }
        // A person who is there already is whom `approve` stands for.
        let approved = provider.approve(&format!("{}{target}", provider.issuer()), &Account::alice());
        assert_eq!(approved.is_ok(), error == Some("login_required"), "{name}");
    }
    let only = authorization_target(&[("client_id", "strict"), ("redirect_uri", "http://localhost:3000/only")]);
    assert_eq!(get(&provider, &only).await.status, 200);
}

#[tokio::test]
async fn whom_and_whether_the_page_asks() {
    let provider = OpenIdProvider::start().await.unwrap();
    let mut hostile = Account::new("\"><script>alert(1)</script>");
    hostile.email = "<script>".to_owned();
    provider.add_account(&hostile);
    let target = authorization_target(&[("state", "\"><script>"), ("login_hint", "<script>")]);
    let shown = get(&provider, &target).await;
    assert!(shown.text().contains("value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\" checked>"));
    assert!(!shown.text().contains("<script"));
    let form = [("content-type", FORM)];
    for (name, body) in [
        ("nobody", "decision=approve"),
        ("a stranger", "account=4711&decision=approve"),
        ("no decision", "account=1001"),
    ] {
        let again = call(&provider, "POST", &target, &form, body).await;
        assert_eq!((again.status, again.header("location")), (400, ""), "{name}");
        assert!(again.text().contains("role=\"alert\""), "{name}");
    }
    let denied = call(&provider, "POST", &target, &form, "decision=deny").await;
    assert_eq!(parameter(denied.header("location"), "error").as_deref(), Some("access_denied"));
    let url = format!("{}{target}", provider.issuer());
    assert_eq!(provider.deny(&url).unwrap(), denied.header("location"));
    let foreign = provider.approve("https://example.com/authorize?client_id=x", &Account::alice());
    assert_eq!(foreign, Err(DevError::ForeignUrl));
}

#[tokio::test]
async fn only_redirect_uris_of_this_machine_are_registered() {
    let provider = OpenIdProvider::start().await.unwrap();
    for (client, uri, right) in [
        (CLIENT_ID, "http://127.0.0.1:3000/cb", true),
        (CLIENT_ID, "https://localhost/cb", false),
        (CLIENT_ID, "http://app.example.com/cb", false),
        ("nobody", "http://localhost/cb", false),
    ] {
        assert_eq!(provider.register_redirect_uri(client, uri).is_ok(), right, "{client} {uri}");
        assert_eq!(provider.register_post_logout_redirect_uri(client, uri).is_ok(), right, "{client} {uri}");
    }
}
