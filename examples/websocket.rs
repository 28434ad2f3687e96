//! A WebSocket that knows who is there, and closes when they sign out: `cargo run --example websocket`, then open the
//! address it prints in two tabs.

mod common;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{Html, Response};
use axum::routing::{any, get};
use common::{BoxError, home_page, listening, setup};
use tower_signin::{Identity, SessionEnd, SignIn};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let setup = setup(|builder| builder).await?;
    let sign_in = setup.sign_in.clone();
    let app = Router::new()
        .route("/", get(home))
        .route("/echo", any(echo).layer(sign_in.require()))
        .with_state(setup.sign_in.clone())
        .layer(sign_in.layer());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.port)).await?;
    listening(setup.port);
    Ok(axum::serve(listener, app).await?)
}

/// Behind the guard: who is not signed in gets 401 instead of a socket. Pages of sibling hosts bring the cookie along, too;
/// who has such hosts and does not trust them compares the `Origin` header here.
async fn echo(identity: Identity, upgrade: WebSocketUpgrade) -> Response {
    // Called here and not in the task below, so that a renewal by this very request counts.
    let ended = identity.ended();
    let subject = identity.subject().to_owned();
    upgrade.on_upgrade(async move |socket| {
        if let Err(error) = serve(socket, subject, ended).await {
            tracing::debug!(%error, "a socket broke off");
        }
    })
}

async fn serve(
    mut socket: WebSocket,
    subject: String,
    ended: impl Future<Output = SessionEnd>,
) -> Result<(), axum::Error> {
    socket.send(Message::text(format!("hello {subject}"))).await?;
    tokio::pin!(ended);
    loop {
        tokio::select! {
            end = &mut ended => {
                let frame = CloseFrame { code: close_code::POLICY, reason: end.code().into() };
                return socket.send(Message::Close(Some(frame))).await;
            }
            message = socket.recv() => {
                let Some(message) = message else { return Ok(()) };
                let message = message?;
                // axum answers pings and closes.
                if matches!(message, Message::Text(_) | Message::Binary(_)) {
                    socket.send(message).await?;
                }
            }
        }
    }
}

async fn home(State(sign_in): State<SignIn>, identity: Option<Identity>) -> Html<String> {
    let page = home_page(&sign_in, identity.as_ref());
    Html(if identity.is_some() { page.replace("</html>", SCRIPT) } else { page })
}

const SCRIPT: &str = "<p>In another tab, sign out and watch this: <output id=\"said\"></output></p><script>\
const say = text => { document.getElementById('said').textContent = text };\
const socket = new WebSocket(location.href.replace('http', 'ws') + 'echo');\
socket.onmessage = message => say(message.data);\
socket.onclose = close => say('closed: ' + close.reason);\
</script></html>";
