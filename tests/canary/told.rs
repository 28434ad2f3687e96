//! An OpenID provider that tells of logouts, two places for sessions, and a Redis with a password.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tower_signin::dev::openid::{Account, CLIENT_ID, CLIENT_SECRET, OpenIdProvider};
use tower_signin::{Identity, Keys, MemoryStore, RedisStore, SessionKey, SessionStore as _, SignIn, Tokens};

use crate::support::{Browser, send};
use crate::{RING_KEY, Secrets, Seen};

/// People sign in, are told of by the provider in every way, and are ended by the app; with a store and with a list.
pub(crate) async fn told(seen: &Seen, secrets: &Secrets) {
    secrets.add("client secret of the OpenID provider", CLIENT_SECRET);
    for is_listed in [false, true] {
        let openid = OpenIdProvider::start().await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        openid.register_redirect_uri(CLIENT_ID, &format!("{origin}/auth/callback")).unwrap();
        let store = Arc::new(MemoryStore::new());
        let builder = SignIn::builder(openid.oidc().scope("offline_access"))
            .redirect_uri(format!("{origin}/auth/callback"))
            .keys(Keys::parse(RING_KEY).unwrap())
            .keep_tokens()
            .session_lifetime(Duration::from_secs(30 * 86_400))
            .front_channel_logout();
        let builder = if is_listed { builder.revocation_list(store) } else { builder.session_store(store) };
        seen.add("builder", &builder);
        let sign_in = builder.build().unwrap();
        let layer = sign_in.back_channel_logout().unwrap();
        seen.add("layer", &(&sign_in, &layer));
        let (noted, hidden) = (seen.clone(), secrets.clone());
        let page = async move |identity: Option<Identity>, tokens: Option<Tokens>| {
            noted.add("identity", &(&identity, &tokens));
            if let Some(tokens) = tokens {
                hidden.add("access token of the OpenID provider", tokens.access_token());
                hidden.add("refresh token of the OpenID provider", tokens.refresh_token().unwrap_or("none at all"));
                hidden.add("ID token", tokens.id_token().unwrap_or("none at all"));
            }
            "hello"
        };
        let router = Router::new().fallback(any(page)).layer(sign_in.layer()).layer(layer);
        seen.add("router", &router);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

        let alice = Account::alice();
        let sign_in_once = async || {
            let mut browser = Browser::new();
            let url = browser.start(&origin, "/told").await;
            let callback = openid.approve(&url, &alice).unwrap();
            secrets.add_callback(&callback);
            assert_eq!(browser.get(&callback).await.status(), 303);
            browser.get(&format!("{origin}/page")).await;
            for (name, value) in &browser.jar {
                secrets.add(name, value);
            }
            browser
        };
        let tell = async |form: String| {
            let request = Request::post(format!("{origin}/auth/backchannel-logout"))
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Bytes::from(form));
            let answer = send(request.unwrap()).await.unwrap();
            seen.add("told", &answer);
            answer.status().as_u16()
        };
        for names_session in [true, false] {
            let mut browser = sign_in_once().await;
            let sid = openid.session_ids(&alice).pop().unwrap();
            secrets.add("the provider's session", &sid);
            let sid = names_session.then_some(&*sid);
            let token = openid.logout_token(CLIENT_ID, Some(&alice.subject), sid).unwrap();
            for (place, part) in ["header", "payload", "signature"].into_iter().zip(token.split('.')) {
                if place != "header" {
                    secrets.add(&format!("{place} of a logout token"), part);
                }
            }
            let (unsigned, signature) = token.rsplit_once('.').unwrap();
            let forged = format!("{unsigned}.{}", signature.chars().rev().collect::<String>());
            secrets.add("a forged signature", forged.rsplit('.').next().unwrap());
            for (form, status) in [
                (format!("logout_token={forged}"), 400),
                (format!("logout_token={token}&logout_token={token}"), 400),
                (format!("logout_token={token}"), 200),
                (format!("logout_token={token}"), 400),
            ] {
                assert_eq!(tell(form).await, status);
            }
            browser.get(&format!("{origin}/page")).await;
        }
        let mut browser = sign_in_once().await;
        let sid = openid.session_ids(&alice).pop().unwrap();
        secrets.add("the provider's session", &sid);
        let framed = format!("{origin}/auth/frontchannel-logout?iss={}&sid={sid}", openid.issuer());
        seen.add("framed", &browser.get(&framed).await.status());
        sign_in_once().await;
        sign_in.end_sessions_of(openid.issuer(), &alice.subject).await.unwrap();
        seen.add("listed", &sign_in.list_sessions_of(openid.issuer(), &alice.subject).await);
        seen.add("report", &sign_in.check().await);
    }
    let url = "redis://canary-user:canary-redis-password-5d1e@127.0.0.1:1/0";
    secrets.add("password of Redis", "canary-redis-password-5d1e");
    let redis = RedisStore::new(url).unwrap();
    seen.add("redis", &redis);
    let error = redis.load(SessionKey::new([7; 32])).await.unwrap_err();
    seen.add("redis", &(&error, error.to_string(), std::error::Error::source(&error).map(ToString::to_string)));
    seen.add("no redis", &RedisStore::new("redis://u:canary-redis-password-5d1e@127.0.0.1:port").unwrap_err());
    let away = SignIn::builder(tower_signin::Siwbb::new("id", CLIENT_SECRET, "canary-key"))
        .redirect_uri("http://localhost:3000/auth/callback")
        .keys(Keys::parse(RING_KEY).unwrap())
        .session_store(redis);
    seen.add("builder", &away);
    let away = away.build().unwrap();
    seen.add("away", &(&away, away.end_sessions_of("https://bitbadges.io", "nobody").await));
}
