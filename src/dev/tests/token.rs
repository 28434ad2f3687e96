use super::*;

const NOW: u64 = 1_788_739_200_000;
const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;

#[tokio::test]
async fn exchange_in_each_request_shape() {
    let provider = DevProvider::start().await.unwrap();
    freeze(&provider, NOW);
    let basic = ("authorization", "Basic YXBwX2RlbW9fMDE6czNjcjN0LWRlbW8=");
    let key = ("x-api-key", API_KEY);
    let in_form = format!("&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}");
    let form = |code: &str, more: &str| {
        format!(
            "grant_type=authorization_code&code={code}&code_verifier={VERIFIER}\
             &redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fauth%2Fcallback{more}"
        )
    };
    let codes = [code(&provider), code(&provider), code(&provider)];
    let [one, two, three] = &codes;
    for (name, headers, body) in [
        ("json", vec![("content-type", "application/json; charset=utf-8"), key], exchange(one).to_string()),
        ("basic", vec![("content-type", FORM), key, basic], form(two, "")),
        ("form", vec![("content-type", FORM), key], form(three, &in_form)),
    ] {
        let reply = call(&provider, "POST", "/api/v0/siwbb/token", &headers, &body).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        let mut body = reply.json();
        for (name, prefix) in [("access_token", "siwbb_at_"), ("refresh_token", "siwbb_rt_")] {
            let value = body.as_object_mut().unwrap().remove(name).unwrap();
            assert!(value.as_str().unwrap().starts_with(prefix));
        }
        let expected = json!({
            "address": "0x092bb4851ae26850588243e7bef22a56287f4739",
            "chain": "ETH",
            "bitbadgesAddress": "bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue",
            "verificationResponse": { "success": true },
            "token_type": "Bearer",
            "access_token_expires_at": "1788825600000",
            "refresh_token_expires_at": "1793923200000",
        });
        assert_eq!(body, expected, "{name}");
    }
    assert_eq!(provider.requests().len(), 3);
    assert_eq!(provider.requests()[0].body, exchange(one).to_string());
}

#[tokio::test]
async fn body_credentials_win_over_basic() {
    let provider = DevProvider::start().await.unwrap();
    let headers = [("content-type", JSON), ("x-api-key", API_KEY), ("authorization", "Basic bm9wZTpub3Bl")];
    let body = exchange(&code(&provider)).to_string();
    let reply = call(&provider, "POST", "/api/v0/siwbb/token", &headers, &body).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn strict_refusals() {
    let provider = DevProvider::start().await.unwrap();
    provider.add_app("app_other", "other");
    struct Test {
        name: &'static str,
        changes: Value,
        status: u16,
        message: &'static str,
        spent: bool,
    }
    let test = |name, changes, status, message, spent| Test { name, changes, status, message, spent };
    for test in [
        test("no grant", json!({ "grant_type": null }), 400, "Invalid grant type.", false),
        test("no code", json!({ "code": null }), 400, "Invalid code.", false),
        test("unknown code", json!({ "code": "nope" }), 400, "Invalid code.", false),
        test("no secret", json!({ "client_secret": null }), 401, "Invalid client secret.", false),
        test("wrong secret", json!({ "client_secret": "x" }), 401, "Invalid client secret.", false),
        test("unknown app", json!({ "client_id": "nope" }), 401, "Invalid client ID or redirect URI.", false),
        test(
            "code of another app",
            json!({ "client_id": "app_other", "client_secret": "other" }),
            400,
            "Invalid client ID or redirect URI.",
            false,
        ),
        test(
            "other URI",
            json!({ "redirect_uri": "http://localhost:3000/auth/callback/" }),
            400,
            "Invalid redirect URI.",
            true,
        ),
        test("no URI", json!({ "redirect_uri": null }), 400, "Invalid redirect URI.", true),
        test("wrong verifier", json!({ "code_verifier": CHALLENGE }), 400, "Invalid code verifier.", true),
        test("no verifier", json!({ "code_verifier": null }), 400, "Invalid code verifier.", true),
    ] {
        let code = code(&provider);
        let reply = token(&provider, with(exchange(&code), test.changes)).await;
        assert_eq!(reply.status, test.status, "{}", test.name);
        assert_eq!(reply.json(), json!({ "errorMessage": test.message }), "{}", test.name);
        let again = token(&provider, exchange(&code)).await;
        assert_eq!(again.status == 400, test.spent, "{}: {}", test.name, again.text());
    }
}

#[tokio::test]
async fn a_code_works_once() {
    let provider = DevProvider::start().await.unwrap();
    let code = code(&provider);
    assert_eq!(code.len(), 64);
    assert_eq!(token(&provider, exchange(&code)).await.status, 200);
    assert_eq!(token(&provider, exchange(&code)).await.error(), "Invalid code.");
}

#[tokio::test]
async fn plain_challenge() {
    let provider = DevProvider::start().await.unwrap();
    let url = authorization_url(&provider, &format!("&code_challenge={VERIFIER}"));
    for (verifier, status) in [(VERIFIER, 200), (CHALLENGE, 400)] {
        let back = provider.approve(&url, &Account::alice()).unwrap();
        let code = parameter(&back, "code").unwrap();
        let reply = token(&provider, with(exchange(&code), json!({ "code_verifier": verifier }))).await;
        assert_eq!(reply.status, status);
    }
}

#[tokio::test]
async fn age_of_codes() {
    let provider = DevProvider::start().await.unwrap();
    let too_old = "Not recent enough. Issued at time is too old: 2026-09-07T00:00:00.000Z";
    for (age, window, error) in [
        (10 * MINUTE, json!(600_000), None),
        (10 * MINUTE + 1, json!(600_000), Some(too_old)),
        (10 * MINUTE + 1, json!(0), Some("Expired.")),
        (2 * MINUTE, json!(60_000), Some(too_old)),
        (2 * MINUTE, json!(60_000.5), Some(too_old)),
        (9 * MINUTE, json!(0), None),
    ] {
        freeze(&provider, NOW);
        let code = code(&provider);
        freeze(&provider, NOW + age);
        let body = with(exchange(&code), json!({ "options": { "issuedAtTimeWindowMs": window } }));
        let reply = token(&provider, body).await;
        match error {
            None => assert_eq!(reply.status, 200, "{age} {window}"),
            Some(error) => assert_eq!(reply.error(), error, "{age} {window}"),
        }
    }
}

#[tokio::test]
async fn options_in_the_query() {
    let provider = DevProvider::start().await.unwrap();
    let headers = [("content-type", FORM), ("x-api-key", API_KEY)];
    for (options, status) in [("%7B%22issuedAtTimeWindowMs%22%3A60000%7D", 400), ("%7Bbroken", 200)] {
        freeze(&provider, NOW);
        let code = code(&provider);
        freeze(&provider, NOW + 2 * MINUTE);
        let form = format!(
            "grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&client_id={CLIENT_ID}\
             &client_secret={CLIENT_SECRET}&redirect_uri={REDIRECT_URI}"
        );
        let target = format!("/api/v0/siwbb/token?options={options}");
        let reply = call(&provider, "POST", &target, &headers, &form).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn type_check() {
    let provider = DevProvider::start().await.unwrap();
    for (changes, path) in [
        (json!({ "code": 7 }), "$input.code"),
        (json!({ "grant_type": "password" }), "$input.grant_type"),
        (json!({ "options": 1 }), "$input.options"),
        (json!({ "options": { "issuedAtTimeWindowMs": "600000" } }), "$input.options.issuedAtTimeWindowMs"),
    ] {
        let reply = token(&provider, with(exchange("x"), changes)).await;
        assert_eq!(reply.status, 400);
        let dump = reply.error().replace("Invalid request payload. ", "");
        let dump: Value = serde_json::from_str(&dump).unwrap();
        assert_eq!(dump[0]["path"], path);
    }
    let headers = [("content-type", JSON), ("x-api-key", API_KEY)];
    for body in ["{", "[]", "7"] {
        let reply = call(&provider, "POST", "/api/v0/siwbb/token", &headers, body).await;
        assert_eq!(reply.status, 400, "{body}");
    }
}

#[tokio::test]
async fn api_key() {
    let provider = DevProvider::start().await.unwrap();
    for (mode, key, status, start) in [
        (Mode::Strict, None, 401, "Unauthorized request. This route is only accessible with an API key. To get"),
        (Mode::Strict, Some("nope"), 401, "Unauthorized request. Error validating API key."),
        (Mode::Legacy2024, None, 500, "Invalid grant type."),
        (Mode::Legacy2024, Some("nope"), 401, "Unauthorized request. Error validating API key."),
    ] {
        provider.set_mode(mode);
        let headers: Vec<_> = key.map(|key| ("x-api-key", key)).into_iter().collect();
        let reply = call(&provider, "POST", "/api/v0/siwbb/token", &headers, "").await;
        assert_eq!(reply.status, status);
        assert!(reply.error().starts_with(start), "{}", reply.text());
    }
}

#[tokio::test]
async fn refresh_rotates_the_pair() {
    let provider = DevProvider::start().await.unwrap();
    freeze(&provider, NOW);
    let first = token(&provider, exchange(&code(&provider))).await.json();
    let second = token(&provider, refresh(&first["refresh_token"])).await;
    assert_eq!(second.status, 200);
    let second = second.json();
    assert_eq!(second["bitbadgesAddress"], first["bitbadgesAddress"]);
    assert_eq!(second["access_token_expires_at"], "1788825600000");
    assert!(second.get("verificationResponse").is_none());
    assert_ne!(second["access_token"], first["access_token"]);

    assert!(!signed_in(&provider, &first["access_token"]).await);
    assert!(signed_in(&provider, &second["access_token"]).await);
    for dead in [&first["refresh_token"], &second["access_token"], &json!("nope")] {
        let reply = token(&provider, refresh(dead)).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, "Invalid refresh token."));
    }
    provider.add_app("app_other", "other");
    let stolen = json!({ "client_id": "app_other", "client_secret": "other" });
    let reply = token(&provider, with(refresh(&second["refresh_token"]), stolen)).await;
    assert_eq!(reply.error(), "Invalid refresh token.");

    freeze(&provider, NOW + 60 * DAY);
    let reply = token(&provider, refresh(&second["refresh_token"])).await;
    assert_eq!(reply.error(), "Refresh token expired.");
}

#[tokio::test]
async fn revoke_ends_both_tokens() {
    let provider = DevProvider::start().await.unwrap();
    for which in ["access_token", "refresh_token"] {
        let tokens = token(&provider, exchange(&code(&provider))).await.json();
        assert!(signed_in(&provider, &tokens["access_token"]).await);
        let body = json!({ "token": tokens[which] });
        let reply = post(&provider, "/api/v0/siwbb/token/revoke", body.clone()).await;
        assert_eq!((reply.status, reply.json()), (200, json!({})), "{which}");
        assert!(!signed_in(&provider, &tokens["access_token"]).await);
        let reply = token(&provider, refresh(&tokens["refresh_token"])).await;
        assert_eq!(reply.error(), "Invalid refresh token.");
        let reply = post(&provider, "/api/v0/siwbb/token/revoke", body).await;
        assert_eq!(reply.status, 500);
        assert!(reply.error().starts_with("Error in mustGetFromDB()"));
    }
}

#[tokio::test]
async fn access_tokens_expire() {
    let provider = DevProvider::start().await.unwrap();
    freeze(&provider, NOW);
    let tokens = token(&provider, exchange(&code(&provider))).await.json();
    freeze(&provider, NOW + DAY - 1);
    assert!(signed_in(&provider, &tokens["access_token"]).await);
    freeze(&provider, NOW + DAY);
    assert!(!signed_in(&provider, &tokens["access_token"]).await);
}

#[tokio::test]
async fn legacy_without_scopes() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_mode(Mode::Legacy2024);
    freeze(&provider, NOW);
    let vitalik = Account::from_address("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045").unwrap();
    let code = provider.issue_code(CLIENT_ID, REDIRECT_URI, &vitalik, Some(CHALLENGE)).unwrap();
    let expected = json!({
        "address": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
        "chain": "Ethereum",
        "cosmosAddress": "cosmos1mrdxhunfvjhe6lhdncp72dq46da2jcz9d9sh93",
        "verificationResponse": {
            "success": true,
            "message": "Successfully granted access via Blockin",
            "verificationData": {},
        },
        "access_token": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
        "access_token_expires_at": 1_788_825_600_000_u64,
        "token_type": "Bearer",
    });
    // Nothing spends a code there, and nothing looks at the verifier.
    for changes in [json!({}), json!({ "code_verifier": "wrong" })] {
        let reply = token(&provider, with(exchange(&code), changes)).await;
        assert_eq!((reply.status, reply.json()), (200, expected.clone()));
    }
    // Nor at whose code it is.
    provider.add_app("app_other", "other");
    let other = json!({ "client_id": "app_other", "client_secret": "other" });
    assert_eq!(token(&provider, with(exchange(&code), other)).await.status, 200);
}

#[tokio::test]
async fn legacy_with_scopes() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_mode(Mode::Legacy2024);
    freeze(&provider, NOW);
    let url = authorization_url(&provider, "&scope=Complete+Claims,reports");
    let back = provider.approve(&url, &Account::bob()).unwrap();
    let first = token(&provider, exchange(&parameter(&back, "code").unwrap())).await.json();
    assert_eq!(first["refresh_token_expires_at"], NOW + 30 * DAY);
    assert_eq!(first["access_token"].as_str().unwrap().len(), 64);
    let second = token(&provider, refresh(&first["refresh_token"])).await.json();
    assert_eq!(second["refresh_token_expires_at"], NOW + 60 * DAY);
    assert!(second.get("bitbadgesAddress").is_none());
    assert!(signed_in(&provider, &second["access_token"]).await);
    let reply = token(&provider, refresh(&first["refresh_token"])).await;
    assert_eq!((reply.status, reply.error().as_str()), (500, "Invalid refresh token."));
    let body = json!({ "token": second["access_token"] });
    let reply = post(&provider, "/api/v0/siwbb/token/revoke", body).await;
    assert_eq!(reply.json(), json!({ "message": "Token revoked" }));
}

#[tokio::test]
async fn legacy_refusals() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_mode(Mode::Legacy2024);
    freeze(&provider, NOW);
    let https = "https://example.com/api/callback";
    let code = provider.issue_code(CLIENT_ID, https, &Account::bob(), None).unwrap();
    let right = with(exchange(&code), json!({ "redirect_uri": https }));
    let unknown = format!("Error in mustGetFromDB(): Could not find doc w/ id {} in auth-codes", hash("nope"));
    for (name, changes, message) in [
        ("no grant", json!({ "grant_type": null }), "Invalid grant type."),
        ("no code", json!({ "code": null }), "Invalid code."),
        ("unknown code", json!({ "code": "nope" }), unknown.as_str()),
        (
            "unknown app",
            json!({ "client_id": "nope" }),
            "Error in mustGetFromDB(): Could not find doc w/ id nope in auth-apps",
        ),
        ("wrong secret", json!({ "client_secret": "x" }), "Invalid client secret."),
        ("no secret", json!({ "client_secret": null }), "Invalid client secret."),
        ("other URI", json!({ "redirect_uri": "https://example.com/api/callback/" }), "Invalid redirect URI."),
    ] {
        let reply = token(&provider, with(right.clone(), changes)).await;
        assert_eq!((reply.status, reply.error().as_str()), (500, message), "{name}");
    }
    assert_eq!(token(&provider, json!({ "code": "invalid" })).await.status, 500);
    assert_eq!(token(&provider, with(right.clone(), json!({ "redirect_uri": null }))).await.status, 200);
    freeze(&provider, NOW + 20 * MINUTE);
    let reply = token(&provider, right.clone()).await;
    assert_eq!(reply.error(), "Not recent enough. Issued at time is too old: 2026-09-07T00:00:00.000Z");
    let any_age = json!({ "options": { "issuedAtTimeWindowMs": 0 } });
    assert_eq!(token(&provider, with(right, any_age)).await.error(), "Expired.");
    let reply = token(&provider, refresh(&json!("not hex"))).await;
    assert_eq!((reply.status, reply.error().as_str()), (500, "Invalid refresh token"));
}

async fn signed_in(provider: &DevProvider, access_token: &Value) -> bool {
    let bearer = format!("Bearer {}", access_token.as_str().unwrap());
    let headers = [("content-type", JSON), ("x-api-key", API_KEY), ("authorization", bearer.as_str())];
    let reply = call(provider, "POST", "/api/v0/auth/status", &headers, "{}").await;
    assert_eq!(reply.status, 200);
    reply.json()["signedIn"].as_bool().unwrap()
}
