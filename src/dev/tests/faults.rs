use tokio::time::timeout;

use super::*;

const SHORT: Duration = Duration::from_millis(80);

#[tokio::test]
async fn altered_answers() {
    let provider = DevProvider::start().await.unwrap();
    freeze(&provider, 1_788_739_200_000);
    let refused = "Address did not meet the asset ownership requirements.";
    for (fault, status, changes) in [
        (
            Fault::NotVerified,
            200,
            json!({
                "access_token": "", "refresh_token": null,
                "access_token_expires_at": null, "refresh_token_expires_at": null,
                "verificationResponse": { "success": false, "errorMessage": refused },
            }),
        ),
        (
            Fault::NotVerified401,
            401,
            json!({
                "access_token": "", "refresh_token": null,
                "access_token_expires_at": null, "refresh_token_expires_at": null,
                "errorMessage": refused,
                "verificationResponse": { "success": false, "message": refused },
            }),
        ),
        (Fault::NoVerificationResponse, 200, json!({ "verificationResponse": null })),
        (Fault::AddressMismatch, 200, json!({ "bitbadgesAddress": Account::alice().bitbadges_address })),
        (
            Fault::NoBitbadgesAddress,
            200,
            json!({ "bitbadgesAddress": null, "cosmosAddress": Account::bob().cosmos_address() }),
        ),
    ] {
        provider.set_fault(None);
        let right = token(&provider, exchange(&code(&provider))).await.json();
        provider.set_fault(Some(fault.clone()));
        let code = code(&provider);
        let reply = token(&provider, exchange(&code)).await;
        assert_eq!(reply.status, status, "{fault:?}");
        // The tokens of two exchanges differ, so they are taken from the answer.
        let found = reply.json();
        let mut expected = with(right, changes);
        for name in ["access_token", "refresh_token"] {
            if found.get(name).is_some_and(|token| token != "") {
                expected[name] = found[name].clone();
            }
        }
        assert_eq!(found, expected, "{fault:?}");
        let again = token(&provider, exchange(&code)).await;
        assert_eq!((again.status, again.error().as_str()), (400, "Invalid code."), "{fault:?}");
    }
}

#[tokio::test]
async fn other_answers_instead() {
    let provider = DevProvider::start().await.unwrap();
    let insufficient = "Insufficient API credits. Top up at /developer?tab=apiKeys.";
    for (fault, status, message) in [
        (Fault::ServerError, 500, ""),
        (Fault::ServerErrorText("Expired.".to_owned()), 500, "Expired."),
        (Fault::BadApiKey, 401, "Unauthorized request. Error validating API key."),
        (
            Fault::NoApiKey,
            401,
            "Unauthorized request. This route is only accessible with an API key. To get an API key, visit https://bitbadges.io/developer and go to API Keys.",
        ),
        (Fault::Refused, 402, insufficient),
        (Fault::RateLimited(None), 429, "Exceeded rate limit. Too many requests."),
    ] {
        provider.set_fault(Some(fault.clone()));
        let code = code(&provider);
        let reply = token(&provider, exchange(&code)).await;
        assert_eq!((reply.status, reply.error().as_str()), (status, message), "{fault:?}");
        assert!(!reply.headers.contains_key("retry-after"));
        provider.set_fault(None);
        assert_eq!(token(&provider, exchange(&code)).await.status, 200, "{fault:?}");
    }
    provider.set_fault(Some(Fault::RateLimited(Some(7))));
    assert_eq!(token(&provider, exchange("x")).await.header("retry-after"), "7");
    provider.set_fault(Some(Fault::BadRequest));
    let reply = token(&provider, exchange("the-code")).await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("the-code") && reply.error().contains(CLIENT_SECRET));
    provider.set_fault(Some(Fault::BadGateway));
    let reply = token(&provider, exchange("x")).await;
    assert_eq!((reply.status, reply.text()), (502, "<html>Bad gateway</html>"));
    provider.set_fault(Some(Fault::Html));
    let reply = token(&provider, exchange("x")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/html; charset=utf-8"));
}

#[tokio::test]
async fn redirect() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_fault(Some(Fault::Redirect));
    let reply = token(&provider, exchange("x")).await;
    assert_eq!((reply.status, reply.header("location")), (307, "/api/v0/elsewhere"));
    assert_eq!(post(&provider, "/api/v0/elsewhere", json!({})).await.status, 404);
    assert_eq!(provider.requests()[1].path, "/api/v0/elsewhere");
}

#[tokio::test]
async fn spoilt_bodies() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_fault(Some(Fault::WrongContentType));
    let reply = token(&provider, exchange(&code(&provider))).await;
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    let whole = reply.body.len();
    assert_eq!(reply.json()["chain"], "ETH");

    provider.set_fault(Some(Fault::Truncated));
    let reply = token(&provider, exchange(&code(&provider))).await;
    assert_eq!((reply.status, reply.body.len()), (200, whole / 2));
    assert_eq!(reply.header("content-length"), (whole / 2).to_string());

    provider.set_fault(Some(Fault::CutOff));
    let reply = token(&provider, exchange(&code(&provider))).await;
    assert_eq!((reply.status, reply.body.len()), (200, whole / 2));
    assert_eq!(reply.header("content-length"), whole.to_string());
}

#[tokio::test]
async fn oversized() {
    let provider = DevProvider::start().await.unwrap();
    for declared in [true, false] {
        provider.set_fault(Some(Fault::Oversized { declared }));
        let mut stream = connect(provider.origin()).await;
        let headers = [("content-type", JSON), ("x-api-key", API_KEY)];
        let body = exchange(&code(&provider)).to_string();
        let bytes = request("POST", "/api/v0/siwbb/token", &headers, &body);
        stream.write_all(&bytes).await.unwrap();
        let mut start = vec![0; 1_000_000];
        stream.read_exact(&mut start).await.unwrap();
        let reply = Reply::parse(&start).unwrap();
        let length: Option<u64> = reply.header("content-length").parse().ok();
        assert_eq!(length.is_some_and(|length| length > 50_000_000), declared);
        assert_eq!(reply.header("transfer-encoding") == "chunked", !declared);
    }
}

#[tokio::test]
async fn no_answer_at_all() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_fault(Some(Fault::Reset));
    let bytes = request("POST", "/api/v0/siwbb/token", &[], "{}");
    assert!(send(&provider, &bytes).await.is_ok_and(|answer| answer.is_empty()));
    provider.set_fault(Some(Fault::Hang));
    assert!(timeout(SHORT, send(&provider, &bytes)).await.is_err());
    assert_eq!(provider.requests().len(), 2);
}

#[tokio::test]
async fn drip() {
    let provider = DevProvider::start().await.unwrap();
    provider.set_fault(Some(Fault::Drip(Duration::from_millis(10))));
    let mut stream = connect(provider.origin()).await;
    let bytes = request("POST", "/api/v0/siwbb/token", &[], "{}");
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    assert!(timeout(SHORT, stream.read_to_end(&mut answer)).await.is_err());
    let reply = Reply::parse(&answer).unwrap();
    assert!((1..20).contains(&reply.body.len()), "{}", reply.body.len());

    provider.set_fault(Some(Fault::Drip(Duration::from_micros(1))));
    let refused = call(&provider, "POST", "/api/v0/auth/status", &[], "{}").await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_fault_concerns_its_route_alone() {
    let provider = DevProvider::start().await.unwrap();
    let claims = format!("/api/v0/claims/success/a/{}", Account::bob());
    for (route, method, target) in [
        (Route::Token, "POST", "/api/v0/siwbb/token"),
        (Route::Revoke, "POST", "/api/v0/siwbb/token/revoke"),
        (Route::Status, "POST", "/api/v0/auth/status"),
        (Route::ClaimSuccess, "GET", claims.as_str()),
        (Route::Ownership, "POST", "/api/v0/verifyOwnershipRequirements"),
    ] {
        provider.set_fault_on(route, Some(Fault::RateLimited(None)));
        for other in [
            "/api/v0/siwbb/token",
            "/api/v0/siwbb/token/revoke",
            "/api/v0/auth/status",
            claims.as_str(),
            "/api/v0/verifyOwnershipRequirements",
        ] {
            let reply = call(&provider, if other == target { method } else { "POST" }, other, &[], "").await;
            assert_eq!(reply.status == 429, other == target, "{route:?} {other}");
        }
        provider.set_fault_on(route, None);
    }
}
