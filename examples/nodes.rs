//! Two nodes of one app behind one address, with their sessions in Redis: `cargo run --example nodes`, then open the address it
//! prints in two browsers. Each request goes to the other node, and the page says which one answered.
//!
//! * `nodes --list`: sessions stay in their cookies, and Redis has the list of those that were ended.
//! * `nodes --list --bound 3 --stale`: a node's copy of the list gets no older than three seconds, and counts all the same while
//!   Redis is away.
//! * `nodes --node 3022`: one node alone on that port, for whatever is in front of it at `PORT`. Nodes share `SIGNIN_KEYS`, and
//!   the development stand-in that one of them may have started is another's by `--provider http://localhost:3021`.
//!
//! Redis is looked for at `REDIS_URL`, or else on this machine.

mod common;
#[path = "common/nodes_page.rs"]
mod nodes_page;

use std::convert::Infallible;
use std::env;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use common::{BoxError, bitbadges, keys, listening, me_json, port, say};
use futures_util::stream;
use nodes_page::Sessions;
use tokio::net::{TcpListener, TcpStream};
use tower_signin::dev::{API_KEY, CLIENT_ID, CLIENT_SECRET};
use tower_signin::{
    Error, ErrorKind, Identity, Keys, RedisStore, SessionKey, SessionStore, SignIn, Siwbb, WhenUnchecked,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let arguments = Arguments::read()?;
    let redis = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    // A node alone starts without Redis, too: whoever comes meanwhile gets 503.
    if arguments.node.is_none() {
        assert_redis_answers(&redis).await?;
    }
    let port = port(3020)?;
    let at = |distance| port.checked_add(distance).ok_or("PORT is too high");
    let (provider, _dev) = match &arguments.provider {
        Some(origin) => (Siwbb::new(CLIENT_ID, CLIENT_SECRET, API_KEY).base_urls(origin, origin), None),
        None => bitbadges(at(1)?).await?,
    };
    let fleet =
        Fleet { provider, redirect_uri: format!("http://localhost:{port}/auth/callback"), keys: keys()?, redis };
    if let Some(own) = arguments.node {
        let node = TcpListener::bind((Ipv4Addr::LOCALHOST, own)).await?;
        say(&format!("A node of {port}"));
        listening(node.local_addr()?.port());
        return fleet.serve(node, &arguments).await;
    }
    let (one, other) = (listen(at(2)?).await?, listen(at(3)?).await?);
    let front = listen(port).await?;
    listening(port);
    tokio::try_join!(
        fleet.serve(one, &arguments),
        fleet.serve(other, &arguments),
        take_turns(front, [at(2)?, at(3)?])
    )?;
    Ok(())
}

async fn assert_redis_answers(url: &str) -> Result<(), BoxError> {
    let answer = RedisStore::new(url)?.load(SessionKey::new([0; 32])).await;
    let remedy = "start one with `redis-server --save ''` (apt-get install redis-server), or name one in REDIS_URL";
    answer.map(drop).map_err(|error| format!("no Redis answers ({error}); {remedy}").into())
}

async fn listen(port: u16) -> Result<TcpListener, BoxError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?)
}

/// What all nodes have in common.
struct Fleet {
    provider: Siwbb,
    redirect_uri: String,
    keys: Keys,
    redis: String,
}

impl Fleet {
    /// One node: all that it knows of the others is in Redis.
    async fn serve(&self, listener: TcpListener, arguments: &Arguments) -> Result<(), BoxError> {
        let store = RedisStore::new(&self.redis)?;
        let builder = SignIn::builder(self.provider.clone())
            .redirect_uri(&self.redirect_uri)
            .keys(self.keys.clone())
            .keep_tokens();
        let builder = if arguments.is_list {
            builder.revocation_list(store).revocation_bound(arguments.bound, arguments.when_unchecked)
        } else {
            builder.session_store(store)
        };
        let sign_in = builder.build()?;
        let state = Node { sign_in: sign_in.clone(), port: listener.local_addr()?.port() };
        let app = Router::new()
            .route("/", get(home))
            .route("/me", get(me).layer(sign_in.require()))
            .route("/everywhere", post(sign_out_everywhere).layer(sign_in.require()))
            .route("/ended", get(ended).layer(sign_in.require()))
            .with_state(state)
            .layer(sign_in.layer())
            .layer(axum::middleware::map_response(close));
        Ok(axum::serve(listener, app).await?)
    }
}

#[derive(Clone)]
struct Node {
    sign_in: SignIn,
    port: u16,
}

async fn home(State(node): State<Node>, identity: Option<Identity>) -> Html<String> {
    let Some(who) = identity else { return Html(nodes_page::signed_out(&node.sign_in, node.port)) };
    let sessions = match node.sign_in.list_sessions_of(who.issuer(), who.subject()).await {
        Ok(sessions) => Sessions::Listed(sessions),
        Err(error) if error.kind() == ErrorKind::Unsupported => Sessions::InCookies,
        Err(_) => Sessions::Unknown,
    };
    Html(nodes_page::signed_in(&node.sign_in, node.port, &who, &sessions))
}

async fn me(identity: Identity) -> Result<impl IntoResponse, StatusCode> {
    let json = me_json(&identity).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, "application/json")], json))
}

/// Another site's form brings no cookie along (`SameSite=Lax`). Who has sibling hosts that are not to be trusted compares the
/// `Origin` header here.
async fn sign_out_everywhere(State(node): State<Node>, who: Identity) -> Result<Redirect, (StatusCode, String)> {
    let ended = node.sign_in.end_sessions_of(who.issuer(), who.subject()).await;
    let away =
        |error: Error| (error.kind().status(), format!("Some sessions may be left: {}\n", error.kind().remedy()));
    ended.map_err(away).map(|()| Redirect::to("/"))
}

/// A stream that says when the session is over, at whichever node it was ended.
async fn ended(identity: Identity) -> Body {
    // Called here and not in the stream, so that a renewal by this very request counts.
    let ended = identity.ended();
    Body::from_stream(stream::once(async { Ok::<_, Infallible>(ended.await.code()) }))
}

/// So that the next request finds its node anew.
async fn close(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Carries each connection to the next node.
async fn take_turns(front: TcpListener, nodes: [u16; 2]) -> Result<(), BoxError> {
    let turns = Arc::new(AtomicUsize::new(0));
    loop {
        let (mut browser, _) = front.accept().await?;
        let node = nodes[turns.fetch_add(1, Ordering::Relaxed) % nodes.len()];
        tokio::spawn(async move {
            let mut node = TcpStream::connect((Ipv4Addr::LOCALHOST, node)).await?;
            tokio::io::copy_bidirectional(&mut browser, &mut node).await
        });
    }
}

struct Arguments {
    node: Option<u16>,
    provider: Option<String>,
    is_list: bool,
    bound: Duration,
    when_unchecked: WhenUnchecked,
}

impl Arguments {
    fn read() -> Result<Self, BoxError> {
        let mut read = Self {
            node: None,
            provider: None,
            is_list: false,
            bound: Duration::from_secs(10),
            when_unchecked: WhenUnchecked::Unavailable,
        };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--node" => read.node = Some(value()?.parse()?),
                "--provider" => read.provider = Some(value()?),
                "--list" => read.is_list = true,
                "--bound" => read.bound = Duration::from_secs(value()?.parse()?),
                "--stale" => read.when_unchecked = WhenUnchecked::SignedIn,
                _ => return Err(format!("{word} is none of --node, --provider, --list, --bound, --stale").into()),
            }
        }
        Ok(read)
    }
}
