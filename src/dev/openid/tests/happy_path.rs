use super::*;

#[tokio::test]
async fn from_discovery_to_signing_out() {
    let provider = OpenIdProvider::start().await.unwrap();
    freeze(&provider, 1_800_000_000);
    let issuer = provider.issuer().to_owned();
    let metadata = get(&provider, "/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["issuer"], issuer.as_str());
    let at = |endpoint: &str| metadata[endpoint].as_str().unwrap().strip_prefix(&issuer).unwrap().to_owned();

    let target = authorization_target(&[("acr_values", "urn:mfa urn:pwd"), ("login_hint", "bob@example.com")]);
    assert!(target.starts_with(&at("authorization_endpoint")));
    let page = get(&provider, &target).await;
    assert_eq!(page.status, 200);
    for part in ["This is not a real OpenID provider.", "value=\"1002\" checked>", "<code>email</code>", REDIRECT_URI] {
        assert!(page.text().contains(part), "{part}");
    }
    let form = page.text().split("action=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let decision = [("content-type", FORM)];
    let approved = call(&provider, "POST", &form, &decision, "account=1002&decision=approve").await;
    assert_eq!(approved.status, 303);
    let back = approved.header("location");
    assert!(back.starts_with(&format!("{REDIRECT_URI}?code=")), "{back}");
    assert_eq!(parameter(back, "state").as_deref(), Some("f3a9c2e1"));
    assert_eq!(parameter(back, "iss"), Some(issuer.clone()));

    let code = parameter(back, "code").unwrap();
    let reply = post(&provider, &at("token_endpoint"), BASIC, &exchange(&code)).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"));
    let tokens = reply.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "openid profile email");
    let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap().to_owned();
    let id_token = text(&tokens, "id_token");
    assert!(is_signed(&id_token, &get(&provider, &at("jwks_uri")).await.json()));
    let mut claims = part(&id_token, 1);
    claims.as_object_mut().unwrap().remove("at_hash").unwrap();
    let session_ids = provider.session_ids(&Account::bob());
    assert_eq!(claims.as_object_mut().unwrap().remove("sid"), session_ids.first().map(|id| id.as_str().into()));
    assert_eq!(
        claims,
        serde_json::json!({
            "iss": issuer, "sub": "1002", "aud": CLIENT_ID, "iat": 1_800_000_000, "exp": 1_800_003_600,
            "auth_time": 1_800_000_000, "nonce": NONCE, "acr": "urn:mfa",
        })
    );

    let person = user_info(&provider, &text(&tokens, "access_token")).await;
    let bob = serde_json::json!({
        "sub": "1002", "name": "Bob Example", "email": "bob@example.com", "email_verified": true,
    });
    assert_eq!((person.status, person.json()), (200, bob));

    freeze(&provider, 1_800_000_100);
    let renewed = refresh(&provider, &text(&tokens, "refresh_token")).await.json();
    let again = part(&text(&renewed, "id_token"), 1);
    for name in ["iss", "sub", "aud", "auth_time"] {
        assert_eq!(again[name], claims[name], "{name}");
    }
    assert_eq!(again["sid"], session_ids[0].as_str());
    assert_eq!(again["iat"], 1_800_000_100);
    assert_eq!(again.get("nonce"), None, "Core 12.2");
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);

    let token = text(&renewed, "refresh_token");
    let revoked = post(&provider, &at("revocation_endpoint"), BASIC, &[("token", &token)]).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(user_info(&provider, &text(&renewed, "access_token")).await.status, 401);
    assert_eq!(error(&refresh(&provider, &token).await), (400, "invalid_grant".to_owned()));

    let uri = "http://localhost:3000/auth/signed-out";
    let query = encoded(&[("id_token_hint", &id_token), ("post_logout_redirect_uri", uri), ("state", "7e")]);
    let out = get(&provider, &format!("{}?{query}", at("end_session_endpoint"))).await;
    assert_eq!((out.status, out.header("location")), (303, format!("{uri}?state=7e").as_str()));
    let url = format!("{issuer}/end_session?{query}");
    assert_eq!(provider.end_session(&url).unwrap(), Some(format!("{uri}?state=7e")));
}

#[tokio::test]
async fn requests_of_apps_are_recorded_and_those_of_browsers_are_not() {
    let provider = OpenIdProvider::start().await.unwrap();
    get(&provider, "/").await;
    get(&provider, &authorization_target(&[])).await;
    get(&provider, "/end_session").await;
    assert!(provider.requests().is_empty());
    redeem(&provider, "nonsense").await;
    get(&provider, "/foreign/jwks").await;
    let paths: Vec<_> = provider.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/token", "/foreign/jwks"]);
    provider.clear_requests();
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn nobody_signs_out_unasked_or_to_an_unknown_place() {
    let provider = OpenIdProvider::start().await.unwrap();
    provider.add_client("other", None);
    provider.register_post_logout_redirect_uri(CLIENT_ID, "http://localhost:3000/out").unwrap();
    let code = code(&provider, &[]);
    let tokens = redeem(&provider, &code).await.json();
    let hint = tokens["id_token"].as_str().unwrap();
    let registered = ("post_logout_redirect_uri", "http://localhost:3000/out");
    for (name, query, status, location) in [
        ("nothing", vec![], 200, ""),
        ("a hint alone", vec![("id_token_hint", hint)], 200, ""),
        ("a client alone", vec![("client_id", CLIENT_ID), registered], 200, ""),
        ("all", vec![("id_token_hint", hint), ("client_id", CLIENT_ID), registered], 303, "http://localhost:3000/out"),
        ("nobody's URI", vec![registered], 400, ""),
        ("another client", vec![("id_token_hint", hint), ("client_id", "other"), registered], 400, ""),
        ("a forged hint", vec![("id_token_hint", "a.b.c"), registered], 400, ""),
        (
            "another URI",
            vec![("id_token_hint", hint), ("post_logout_redirect_uri", "http://localhost:3000/x")],
            400,
            "",
        ),
        ("abroad", vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://example.com/out")], 400, ""),
        ("twice", vec![registered, registered], 400, ""),
    ] {
        let target = format!("/end_session?{}", encoded(&query));
        let shown = get(&provider, &target).await;
        assert_eq!((shown.status, shown.header("location")), (status, location), "{name}");
        let posted = call(&provider, "POST", "/end_session", &[("content-type", FORM)], &encoded(&query)).await;
        assert_eq!((posted.status, posted.header("location")), (status, location), "{name}, posted");
    }
    let target = format!("/end_session?{}", encoded(&[("client_id", CLIENT_ID), registered]));
    let asked = get(&provider, &target).await;
    assert!(asked.text().contains("Sign out?") && asked.text().contains("This is not a real OpenID provider."));
    let yes = call(&provider, "POST", &target, &[("content-type", FORM)], "decision=sign-out").await;
    assert_eq!((yes.status, yes.header("location")), (303, "http://localhost:3000/out"));
}

#[tokio::test]
async fn other_hosts_methods_and_paths_are_refused() {
    let provider = OpenIdProvider::start().await.unwrap();
    let rebound = call(&provider, "GET", "/jwks", &[("host", "evil.example")], "").await;
    assert_eq!(rebound.status, 421);
    assert!(provider.requests().is_empty());
    for (method, target, status) in [
        ("PUT", "/authorize", 405),
        ("POST", "/", 405),
        ("GET", "/token", 404),
        ("POST", "/jwks", 404),
        ("GET", "/nowhere", 404),
        ("HEAD", "/jwks", 200),
    ] {
        assert_eq!(call(&provider, method, target, &[], "").await.status, status, "{method} {target}");
    }
}
