//! npm's `oidc-provider` tells one of two nodes of a logout that somebody began at its own page.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use http::Method;
use http::header::CACHE_CONTROL;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_signin::{Builder, Keys, MemoryStore, Oidc, SessionStore, SignIn, WhenUnchecked};

use crate::person::{Does, leaves, signs_in};
use crate::provider::{Certified, Socket};
use crate::server::Server;
use crate::site::{listener, origin};
use crate::support::{Browser, text, who};

/// Where the sessions of both nodes are.
#[derive(Clone, Copy, Debug)]
enum Kept {
    InAStore,
    InCookiesBesideAList,
}

/// What the provider names in its logout tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Names {
    TheSession,
    ThePerson,
}

/// Two nodes of one site, of which the provider knows the address of the first.
struct Fleet {
    openid: Certified,
    one: Node,
    other: Node,
    bound: Duration,
}

struct Node {
    origin: String,
    told: Told,
    server: JoinHandle<()>,
}

/// How the logout tokens that came were answered: status and `Cache-Control`.
type Told = Arc<Mutex<Vec<(u16, String)>>>;

const BOUND: Duration = Duration::from_secs(1);

impl Fleet {
    async fn start<S: SessionStore>(store: impl Fn() -> S, kept: Kept, names: Names) -> Self {
        let (socket, keys, one, other) =
            (Socket::bind(), Keys::generate().unwrap(), listener().await, listener().await);
        let site = origin(&one);
        let logout = json!({
            "backchannel_logout_uri": format!("http://{}/auth/backchannel-logout", one.local_addr().unwrap()),
            "backchannel_logout_session_required": names == Names::TheSession,
        });
        let [one, other] = [one, other].map(|listener| {
            let builder = SignIn::builder(Oidc::discover(&socket.issuer, "plain", "s3cr3t-demo"))
                .redirect_uri(format!("{site}/auth/callback"))
                .keys(keys.clone());
            Node::start(listener, &kept.configure(builder, store()).build().unwrap())
        });
        let openid = Certified::start_telling(socket, &[&site], logout).await;
        let bound = match kept {
            Kept::InAStore => Duration::ZERO,
            Kept::InCookiesBesideAList => BOUND,
        };
        Self { openid, one, other, bound }
    }

    async fn signed_in(&self, name: &'static str) -> Browser {
        let mut browser = Browser::new();
        let (answer, _) = signs_in(&mut browser, &self.one.origin, Does::Agrees(name)).await;
        assert_eq!(answer.status(), 303);
        for node in [&self.one, &self.other] {
            assert_eq!(node.who(&mut browser).await, name);
        }
        browser
    }
}

impl Kept {
    fn configure(self, builder: Builder, store: impl SessionStore) -> Builder {
        match self {
            Self::InAStore => builder.session_store(store),
            Self::InCookiesBesideAList => {
                builder.revocation_list(store).revocation_bound(BOUND, WhenUnchecked::Unavailable)
            }
        }
    }
}

impl Node {
    fn start(listener: TcpListener, sign_in: &SignIn) -> Self {
        let (origin, told) = (origin(&listener), Told::default());
        let seen = Arc::clone(&told);
        let record = from_fn(move |request: Request, next: Next| {
            let seen = Arc::clone(&seen);
            async move {
                let is_told = request.method() == Method::POST && request.uri().path() == "/auth/backchannel-logout";
                let answer = next.run(request).await;
                if is_told {
                    let cache = answer.headers().get(CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned());
                    seen.lock().unwrap().push((answer.status().as_u16(), cache.unwrap_or_default()));
                }
                answer
            }
        });
        let router = Router::new().route("/", get(who)).layer(sign_in.layer());
        let router = router.layer(sign_in.back_channel_logout().unwrap()).layer(record);
        Self { origin, told, server: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }) }
    }

    async fn who(&self, browser: &mut Browser) -> String {
        text(&browser.get(&format!("{}/", self.origin)).await).to_owned()
    }

    fn told(&self) -> Vec<(u16, String)> {
        self.told.lock().unwrap().clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Alice leaves at the provider's page in one of her two browsers; bob is somebody else.
async fn whoever_leaves_the_provider_is_nobody_at_both_nodes<S: SessionStore>(store: impl Fn() -> S) {
    for (kept, names) in [
        (Kept::InAStore, Names::TheSession),
        (Kept::InAStore, Names::ThePerson),
        (Kept::InCookiesBesideAList, Names::TheSession),
        (Kept::InCookiesBesideAList, Names::ThePerson),
    ] {
        let name = format!("{kept:?}, {names:?}");
        let fleet = Fleet::start(&store, kept, names).await;
        let (mut alice, mut bob) = (fleet.signed_in("alice").await, fleet.signed_in("bob").await);
        let elsewhere = fleet.signed_in("alice").await;

        leaves(&mut alice, &format!("{}/session/end", fleet.openid.issuer()), true).await;
        let ended = Instant::now();
        assert_eq!(fleet.one.told(), [(200, "no-store".to_owned())], "{name}");
        assert_eq!(fleet.other.told(), [], "{name}");

        assert_eq!(fleet.one.who(&mut alice.clone()).await, "nobody", "{name}: at the node that was told");
        loop {
            let begun = ended.elapsed();
            if fleet.other.who(&mut alice.clone()).await == "nobody" {
                break;
            }
            assert!(begun < fleet.bound, "{name}: let in by the other node {begun:?} later");
        }
        // What else the token may have ended, the other node knows by now.
        let expected = if names == Names::TheSession { "alice" } else { "nobody" };
        for node in [&fleet.other, &fleet.one] {
            assert_eq!(node.who(&mut elsewhere.clone()).await, expected, "{name}");
            assert_eq!(node.who(&mut bob).await, "bob", "{name}");
        }
        let (answer, was_asked_who) = signs_in(&mut alice, &fleet.one.origin, Does::Agrees("alice")).await;
        assert_eq!((answer.status().as_u16(), was_asked_who), (303, true), "{name}");
    }
}

#[tokio::test]
#[ignore = "needs node"]
async fn a_logout_at_the_provider_counts_at_nodes_with_one_store() {
    let store = Arc::new(MemoryStore::new());
    whoever_leaves_the_provider_is_nobody_at_both_nodes(|| Arc::clone(&store)).await;
}

#[tokio::test]
#[ignore = "needs node and redis"]
async fn a_logout_at_the_provider_counts_at_nodes_with_one_redis() {
    let server = Server::start();
    whoever_leaves_the_provider_is_nobody_at_both_nodes(|| server.store()).await;
}
