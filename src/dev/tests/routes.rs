use super::*;

#[tokio::test]
async fn auth_status() {
    let provider = DevProvider::start().await.unwrap();
    let url = authorization_url(&provider, "&scope=completeClaims,Complete+Claims,x");
    let back = provider.approve(&url, &Account::bob()).unwrap();
    let tokens = token(&provider, exchange(&parameter(&back, "code").unwrap())).await;
    let bearer = format!("Bearer {}", tokens.json()["access_token"].as_str().unwrap());
    let alive = json!({
        "signedIn": true,
        "address": "0x092bb4851ae26850588243e7bef22a56287f4739",
        "bitbadgesAddress": "bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue",
        "chain": "ETH",
        "scopes": [
            { "scopeName": "Complete Claims", "scopeId": "completeClaims" },
            { "scopeName": "x", "scopeId": "x" },
        ],
        "message": format!(
            "{} wants you to sign in with your Ethereum address \
             0x092bb4851ae26850588243e7bef22a56287f4739",
            provider.origin()
        ),
        "email": "",
    });
    let dead = json!({
        "signedIn": false, "scopes": [], "message": "",
        "address": "", "bitbadgesAddress": "", "chain": "Unknown",
    });
    for (bearer, expected) in [(bearer.as_str(), alive), ("Bearer nope", dead)] {
        let headers = [("x-api-key", API_KEY), ("authorization", bearer)];
        let reply = call(&provider, "POST", "/api/v0/auth/status", &headers, "").await;
        assert_eq!((reply.status, reply.json()), (200, expected));
    }
    provider.set_mode(Mode::Legacy2024);
    let headers = [("authorization", bearer.as_str())];
    let reply = call(&provider, "POST", "/api/v0/auth/status", &headers, "").await;
    let body = reply.json();
    assert_eq!((&body["signedIn"], body.get("address")), (&json!(true), None));
    assert_eq!(body["discord"]["username"], "");
}

#[tokio::test]
async fn claim_success() {
    let provider = DevProvider::start().await.unwrap();
    let bob = Account::bob();
    provider.set_claim_success("claim_demo_01", &bob.address.to_uppercase().replace("0X", "0x"), 2);
    let headers = [("x-api-key", API_KEY)];
    for (claim, address, expected) in [
        ("claim_demo_01", &bob.address, json!({ "successCount": 2, "claimNumbers": [0, 1] })),
        ("claim%5Fdemo_01", &bob.bitbadges_address, json!({ "successCount": 2, "claimNumbers": [0, 1] })),
        ("other", &bob.address, json!({ "successCount": 0, "claimNumbers": [] })),
        ("claim_demo_01", &Account::alice().address, json!({ "successCount": 0, "claimNumbers": [] })),
    ] {
        let target = format!("/api/v0/claims/success/{claim}/{address}");
        let reply = call(&provider, "GET", &target, &headers, "").await;
        assert_eq!((reply.status, reply.json()), (200, expected), "{target}");
    }
    let reply = get(&provider, "/api/v0/claims/success/a/b").await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn ownership() {
    let provider = DevProvider::start().await.unwrap();
    let bob = Account::bob();
    let path = "/api/v0/verifyOwnershipRequirements";
    let body = json!({ "address": bob.address, "assetOwnershipRequirements": { "$and": [] } });
    let reply = post(&provider, path, body.clone()).await;
    let message = format!("Address {bob} did not meet the ownership requirements. ");
    let expected = json!({ "success": false, "errorMessage": message });
    assert_eq!((reply.status, reply.json()), (200, expected));
    provider.set_ownership(&bob.bitbadges_address, true);
    assert_eq!(post(&provider, path, body.clone()).await.json(), json!({ "success": true }));
    provider.set_ownership(&bob.address, false);
    assert_eq!(post(&provider, path, body.clone()).await.json()["success"], false);
    for changes in [
        json!({ "address": "nope" }),
        json!({ "address": null }),
        json!({ "assetOwnershipRequirements": null }),
        json!({ "assetOwnershipRequirements": {} }),
    ] {
        assert_eq!(post(&provider, path, with(body.clone(), changes)).await.status, 400);
    }
}

#[tokio::test]
async fn everything_else_is_a_json_404() {
    let provider = DevProvider::start().await.unwrap();
    for (method, target) in [
        ("GET", "/api/v0/siwbb/token"),
        ("POST", "/api/v0/siwbb/token/"),
        ("POST", "/api/v0/users"),
        ("GET", "/api/v0/claims/success/one"),
        ("GET", "/favicon.ico"),
        ("POST", "/"),
    ] {
        let reply = call(&provider, method, target, &[], "").await;
        assert_eq!(reply.status, 404, "{method} {target}");
        assert_eq!(reply.error(), "Not found.");
        assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    }
    assert_eq!(provider.requests().len(), 4);
}

#[tokio::test]
async fn foreign_host_is_refused() {
    let provider = DevProvider::start().await.unwrap();
    let ours = provider.origin().replace("http://", "");
    for (host, status) in [
        (ours.as_str(), 200),
        ("127.0.0.1:9", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ] {
        let reply = call(&provider, "GET", "/", &[("host", host)], "").await;
        assert_eq!(reply.status, status, "{host}");
    }
    let twice = [("host", "localhost"), ("host", "localhost")];
    assert_ne!(call(&provider, "GET", "/", &twice, "").await.status, 200);
    let absolute = call(&provider, "GET", "http://evil.example/", &[], "").await;
    assert_eq!(absolute.status, 421);
    let none = send(&provider, b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(Reply::parse(&none).unwrap().status, 421);
    let api = call(&provider, "POST", "/api/v0/auth/status", &[("host", "evil.example")], "").await;
    assert_eq!(api.status, 421);
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn long_body_is_refused() {
    let provider = DevProvider::start().await.unwrap();
    let headers = [("content-type", JSON), ("x-api-key", API_KEY)];
    for (length, status) in [(64 * 1024, 400), (64 * 1024 + 1, 413)] {
        let body = "x".repeat(length);
        let reply = call(&provider, "POST", "/api/v0/siwbb/token", &headers, &body).await;
        assert_eq!(reply.status, status);
    }
}

#[tokio::test]
async fn recorded_requests() {
    let provider = DevProvider::start().await.unwrap();
    get(&provider, "/").await;
    call(&provider, "PUT", "/api/x?y=1", &[("x-api-key", "hush")], "s3cret").await;
    let seen = provider.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("PUT", "/api/x"));
    assert_eq!(seen[0].query.as_deref(), Some("y=1"));
    assert_eq!(seen[0].headers["x-api-key"], "hush");
    assert_eq!(seen[0].body, "s3cret");
    let debug = format!("{seen:?} {provider:?}");
    assert!(!debug.contains("hush") && !debug.contains("s3cret"), "{debug}");
    provider.clear_requests();
    assert!(provider.requests().is_empty());
    for n in 0..1_001 {
        let request = RecordedRequest { path: n.to_string(), ..seen[0].clone() };
        provider.shared.lock().requests.record(request);
    }
    let seen = provider.requests();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1_000, "1"));
}

#[tokio::test]
async fn dropping_it_closes_everything() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_fault(Some(Fault::Hang));
    let mut open = connect(provider.origin()).await;
    let body = exchange("x").to_string();
    let bytes = request("POST", "/api/v0/siwbb/token", &[], &body);
    open.write_all(&bytes).await.unwrap();
    let port = open.peer_addr().unwrap().port();
    drop(provider);
    let mut rest = Vec::new();
    // Closed or reset, but not open.
    let _ = open.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    // The listener is gone too, so its port is free.
    DevProvider::start_on(port).await.unwrap();
}

#[test]
fn handles_cross_threads() {
    fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<DevProvider>();
    assert_send_sync::<Account>();
    assert_send_sync::<RecordedRequest>();
}
