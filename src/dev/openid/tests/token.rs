use super::*;

#[tokio::test]
async fn codes_that_are_refused() {
    let provider = OpenIdProvider::start().await.unwrap();
    provider.add_client("other", Some("other-secret"));
    for (name, changes, error) in [
        ("no grant", vec![("grant_type", "")], "unsupported_grant_type"),
        ("a password", vec![("grant_type", "password")], "unsupported_grant_type"),
        ("no code", vec![("code", "")], "invalid_grant"),
        ("an unknown code", vec![("code", "0123")], "invalid_grant"),
        ("no redirect URI", vec![("redirect_uri", "")], "invalid_grant"),
        ("another spelling", vec![("redirect_uri", "http://localhost:3000/auth/callback/")], "invalid_grant"),
        ("no verifier", vec![("code_verifier", "")], "invalid_grant"),
        ("the challenge for it", vec![("code_verifier", CHALLENGE)], "invalid_grant"),
        ("a parameter twice", vec![("redirect_uri", REDIRECT_URI), ("redirect_uri", REDIRECT_URI)], "invalid_request"),
    ] {
        let code = code(&provider, &[]);
        let kept = exchange(&code).into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let added = changes.iter().copied().filter(|(_, value)| !value.is_empty());
        let form: Vec<_> = kept.chain(added).collect();
        let reply = post(&provider, "/token", BASIC, &form).await;
        assert_eq!(self::error(&reply), (400, error.to_owned()), "{name}");
        assert_eq!(reply.header("cache-control"), "no-store", "{name}");
    }

    let first = code(&provider, &[]);
    let foreign = post(&provider, "/token", ("other", "other-secret"), &exchange(&first)).await;
    assert_eq!(error(&foreign), (400, "invalid_grant".to_owned()));
    assert_eq!(redeem(&provider, &first).await.status, 200, "nobody else spends a code");

    freeze(&provider, 1_800_000_000);
    let old = code(&provider, &[]);
    freeze(&provider, 1_800_000_600);
    assert_eq!(error(&redeem(&provider, &old).await), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn a_code_that_is_shown_again_ends_what_came_of_it() {
    let provider = OpenIdProvider::start().await.unwrap();
    let code = code(&provider, &[]);
    let tokens = redeem(&provider, &code).await.json();
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_eq!(user_info(&provider, access_token).await.status, 200);
    assert_eq!(error(&redeem(&provider, &code).await), (400, "invalid_grant".to_owned()));
    let gone = user_info(&provider, access_token).await;
    assert_eq!((gone.status, gone.header("www-authenticate")), (401, "Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn a_refresh_token_that_is_shown_again_ends_what_was_approved() {
    let provider = OpenIdProvider::start().await.unwrap();
    provider.add_client("other", None);
    let code = code(&provider, &[]);
    let tokens = redeem(&provider, &code).await.json();
    let first = tokens["refresh_token"].as_str().unwrap();
    let stolen = [("grant_type", "refresh_token"), ("refresh_token", first), ("client_id", "other")];
    let foreign = call(&provider, "POST", "/token", &[("content-type", FORM)], &encoded(&stolen)).await;
    assert_eq!(error(&foreign), (400, "invalid_grant".to_owned()));

    let renewed = refresh(&provider, first).await.json();
    let second = renewed["refresh_token"].as_str().unwrap();
    let access_token = renewed["access_token"].as_str().unwrap();
    assert_eq!(error(&refresh(&provider, access_token).await), (400, "invalid_grant".to_owned()));
    assert_eq!(user_info(&provider, second).await.status, 401, "a refresh token is no access token");
    assert_eq!(user_info(&provider, access_token).await.status, 200);
    assert_eq!(error(&refresh(&provider, first).await), (400, "invalid_grant".to_owned()));
    assert_eq!(error(&refresh(&provider, second).await), (400, "invalid_grant".to_owned()));
    assert_eq!(user_info(&provider, access_token).await.status, 401);
}

#[tokio::test]
async fn tokens_age() {
    let provider = OpenIdProvider::start().await.unwrap();
    freeze(&provider, 1_800_000_000);
    let code = code(&provider, &[]);
    let tokens = redeem(&provider, &code).await.json();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    freeze(&provider, 1_800_003_599);
    assert_eq!(user_info(&provider, &text("access_token")).await.status, 200);
    freeze(&provider, 1_800_003_600);
    assert_eq!(user_info(&provider, &text("access_token")).await.status, 401);
    freeze(&provider, 1_800_000_000 + 60 * 24 * 60 * 60);
    assert_eq!(error(&refresh(&provider, &text("refresh_token")).await), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn clients_authenticate_in_exactly_one_way() {
    let provider = OpenIdProvider::start().await.unwrap();
    let (id, secret) = ("app: 1+1%", "s&e=c r:é+t");
    provider.add_client(id, Some(secret));
    provider.add_client("public", None);
    let form_encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let right = basic(&form_encoded(id), &form_encoded(secret));
    let raw = basic(id, secret);
    let in_form = [("client_id", id), ("client_secret", secret)];
    for (name, client_id, header, extra, status) in [
        ("client_secret_basic", id, Some(&right), vec![], 200),
        ("client_secret_basic with the id again", id, Some(&right), vec![("client_id", id)], 200),
        ("client_secret_post", id, None, in_form.to_vec(), 200),
        ("none", "public", None, vec![("client_id", "public")], 200),
        ("basic without encoding", id, Some(&raw), vec![], 401),
        ("two ways", id, Some(&right), in_form.to_vec(), 400),
        ("two ids", id, Some(&right), vec![("client_id", CLIENT_ID)], 400),
        ("no secret", id, None, vec![("client_id", id)], 401),
        ("another secret", id, None, vec![("client_id", id), ("client_secret", "x")], 401),
        ("a secret of a public client", "public", None, vec![("client_id", "public"), ("client_secret", "")], 401),
        ("nobody", id, None, vec![], 401),
    ] {
        let code = code(&provider, &[("client_id", client_id)]);
        let form: Vec<_> = exchange(&code).into_iter().chain(extra).collect();
        let mut headers = vec![("content-type", FORM)];
        headers.extend(header.map(|header| ("authorization", header.as_str())));
        let reply = call(&provider, "POST", "/token", &headers, &encoded(&form)).await;
        assert_eq!(reply.status, status, "{name}");
        let challenged = !reply.header("www-authenticate").is_empty();
        assert_eq!(challenged, status == 401 && header.is_some(), "{name}");
    }
    let json = call(&provider, "POST", "/token", &[("content-type", "application/json")], "{}").await;
    assert_eq!(error(&json), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn revocation_is_for_the_client_itself_and_knows_no_unknown_token() {
    let provider = OpenIdProvider::start().await.unwrap();
    provider.add_client("other", Some("other-secret"));
    let code = code(&provider, &[]);
    let tokens = redeem(&provider, &code).await.json();
    let access_token = tokens["access_token"].as_str().unwrap();
    let form = [("token", access_token)];
    let foreign = post(&provider, "/revoke", ("other", "other-secret"), &form).await;
    assert_eq!(error(&foreign), (400, "unauthorized_client".to_owned()));
    assert_eq!(error(&post(&provider, "/revoke", BASIC, &[]).await), (400, "invalid_request".to_owned()));
    assert_eq!(error(&post(&provider, "/revoke", (CLIENT_ID, "x"), &form).await), (401, "invalid_client".to_owned()));
    assert_eq!(user_info(&provider, access_token).await.status, 200);
    assert_eq!(post(&provider, "/revoke", BASIC, &[("token", "unknown")]).await.status, 200);
    assert_eq!(post(&provider, "/revoke", BASIC, &form).await.status, 200);
    assert_eq!(user_info(&provider, access_token).await.status, 401);
}

#[tokio::test]
async fn user_info_says_what_the_scopes_ask_for() {
    let provider = OpenIdProvider::start().await.unwrap();
    for (scope, names) in [
        ("openid", vec!["sub"]),
        ("openid profile", vec!["name", "sub"]),
        ("openid email", vec!["email", "email_verified", "sub"]),
    ] {
        let code = code(&provider, &[("scope", scope)]);
        let tokens = redeem(&provider, &code).await.json();
        let person = user_info(&provider, tokens["access_token"].as_str().unwrap()).await.json();
        let mut found: Vec<_> = person.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, names, "{scope}");
    }
    let nobody = get(&provider, "/userinfo?access_token=x").await;
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, "Bearer"));
}
