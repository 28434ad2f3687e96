use super::*;

#[tokio::test]
async fn the_page() {
    let provider = DevProvider::start().await.unwrap();
    let target = authorization_target(
        "&response_type=code&scope=completeClaims,readPrivateClaimData&claimId=claim_demo_01\
         &expectVerifySuccess=true&name=ignored",
    );
    let reply = get(&provider, &target).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(reply.header("cache-control"), "no-store");
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("form-action"), "Chrome would stop the redirect after the form");

    let page = reply.text();
    for part in [
        "This is not BitBadges.",
        "app_demo_01",
        "Complete Claims",
        "<code>readPrivateClaimData</code>",
        "claim_demo_01",
        "name=\"account\" value=\"alice\" checked>",
        "name=\"account\" value=\"bob\">",
        "name=\"account\" value=\"carol\">",
        "name=\"account\" value=\"agent\">",
        "name=\"address\" type=\"text\" value=\"\"",
        "@media (prefers-color-scheme:dark)",
        "http://localhost:3000/auth/callback",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<form").count(), 1);
    assert!(page.contains("<form method=\"post\" action=\"/siwbb/authorize?client_id=app_demo_01&amp;"));
    let buttons: Vec<_> = page.split("<button ").skip(1).collect();
    assert_eq!(buttons.len(), 2);
    assert!(buttons[0].starts_with("name=\"decision\" value=\"approve\""));
    assert!(buttons[0].contains(">Approve</button>"));
    assert!(buttons[1].starts_with("name=\"decision\" value=\"deny\""));
    assert!(buttons[1].contains(">Deny</button>"));
    assert!(!page.contains("<script"));

    let head = call(&provider, "HEAD", &target, &[], "").await;
    assert_eq!((head.status, head.text()), (200, ""));
    let put = call(&provider, "PUT", &target, &[], "").await;
    assert_eq!((put.status, put.header("allow")), (405, "GET, HEAD, POST"));
}

#[tokio::test]
async fn hostile_text_is_escaped() {
    let provider = DevProvider::start().await.unwrap();
    let hostile = "\"><script>alert(1)</script>'&";
    let encoded = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%27%26";
    provider.add_app(hostile, "x");
    let target = format!(
        "/siwbb/authorize?client_id={encoded}&state={encoded}&scope={encoded}&claimId={encoded}\
         &x{encoded}={encoded}&redirect_uri=http%3A%2F%2Flocalhost%2Fcb%3Fa%3D%27%26b"
    );
    let shown = get(&provider, &target).await;
    assert_eq!(shown.status, 200);
    let typed = format!("account={encoded}&address={encoded}&decision=approve");
    let again = call(&provider, "POST", &target, &[("content-type", FORM)], &typed).await;
    assert_eq!(again.status, 400);
    assert!(again.text().contains("neither 0x and 40 hex digits"));
    assert!(again.text().contains("value=\"&quot;&gt;&lt;script&gt;"));
    let unknown = get(&provider, &target.replacen("client_id=", "client_id=x", 1)).await;
    assert_eq!(unknown.status, 400);
    let twice = get(&provider, &format!("{target}&x{encoded}=")).await;
    assert_eq!(twice.status, 400);
    for reply in [&shown, &again, &unknown, &twice] {
        assert!(!reply.text().contains("<script"), "{}", reply.text());
        assert!(!reply.text().contains("alert(1)</"), "{}", reply.text());
    }

    // And it comes back to the app as it was.
    let url = format!("{}{target}", provider.origin());
    let back = provider.approve(&url, &Account::alice()).unwrap();
    assert!(back.starts_with("http://localhost/cb?a='&b&code="), "{back}");
    assert_eq!(parameter(&back, "state").as_deref(), Some(hostile));
}

#[tokio::test]
async fn bad_requests_never_redirect() {
    let provider = DevProvider::start().await.unwrap();
    let right = authorization_target("");
    for (name, target) in [
        ("no query", "/siwbb/authorize".to_owned()),
        ("unknown app", right.replace("app_demo_01", "nope")),
        ("no redirect URI", right.replace("redirect_uri", "x")),
        ("foreign redirect URI", right.replace("localhost%3A3000", "evil.example")),
        ("https redirect URI", right.replace("http%3A", "https%3A")),
        ("response type", format!("{right}&response_type=token")),
        ("state twice", format!("{right}&state=2")),
        ("unknown parameter twice", format!("{right}&a=1&a=1")),
        ("challenge method", format!("{right}&code_challenge={CHALLENGE}&code_challenge_method=S512")),
        ("short challenge", format!("{right}&code_challenge=x&code_challenge_method=S256")),
    ] {
        for (method, body) in [("GET", ""), ("POST", "account=alice&decision=approve")] {
            let reply = call(&provider, method, &target, &[("content-type", FORM)], body).await;
            assert_eq!(reply.status, 400, "{name}");
            assert!(!reply.headers.contains_key("location"), "{name}");
            assert!(reply.text().contains("This is not BitBadges."), "{name}");
        }
        let url = format!("{}{target}", provider.origin());
        assert!(matches!(provider.deny(&url), Err(DevError::Request(_))), "{name}");
    }
    for url in [
        "https://bitbadges.io/siwbb/authorize?client_id=app_demo_01",
        "http://localhost:1/siwbb/authorize",
        "/siwbb/authorize",
    ] {
        assert_eq!(provider.deny(url), Err(DevError::ForeignUrl), "{url}");
    }
    let elsewhere = format!("{}/elsewhere", provider.origin());
    assert_eq!(provider.deny(&elsewhere), Err(DevError::ForeignUrl));
}

#[tokio::test]
async fn decisions() {
    let provider = DevProvider::start().await.unwrap();
    let target = authorization_target(&format!("&code_challenge={CHALLENGE}&code_challenge_method=S256"));
    let bob = Account::bob();
    for (name, form, address) in [
        ("picked", "account=carol&address=&decision=approve".to_owned(), Account::carol().address),
        ("typed", format!("account=carol&address=+{bob}+&decision=approve"), bob.address.clone()),
        (
            "typed bb1",
            format!("account=carol&address={}&decision=approve", bob.bitbadges_address),
            bob.bitbadges_address.clone(),
        ),
    ] {
        let reply = call(&provider, "POST", &target, &[("content-type", FORM)], &form).await;
        assert_eq!(reply.status, 303, "{name}");
        let location = reply.header("location");
        assert!(location.starts_with("http://localhost:3000/auth/callback?code="));
        assert_eq!(parameter(location, "state").unwrap(), "f3a9c2e1b7d4a6c8");
        let tokens = token(&provider, exchange(&parameter(location, "code").unwrap())).await;
        assert_eq!(tokens.json()["address"], address.as_str(), "{name}");
    }
    let reply = call(&provider, "POST", &target, &[], "decision=deny").await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, "http://localhost:3000/auth/callback?error=access_denied&state=f3a9c2e1b7d4a6c8")
    );
    for form in ["", "account=alice", "account=mallory&decision=approve", "address=0x1&account=alice&decision=approve"]
    {
        let reply = call(&provider, "POST", &target, &[], form).await;
        assert_eq!(reply.status, 400, "{form}");
        assert!(reply.text().contains("role=\"alert\""), "{form}");
    }
}

#[tokio::test]
async fn state_is_echoed_only_where_it_was_sent() {
    let provider = DevProvider::start().await.unwrap();
    let url = authorization_url(&provider, "").replace("&state=f3a9c2e1b7d4a6c8", "");
    let back = provider.deny(&url).unwrap();
    assert_eq!(back, format!("{REDIRECT_URI}?error=access_denied"));
}

#[tokio::test]
async fn the_front_page_says_what_this_is() {
    let provider = DevProvider::start().await.unwrap();
    let reply = get(&provider, "/").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("This is not BitBadges."));
    assert!(reply.text().contains(provider.origin()));
}
