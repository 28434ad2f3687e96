//! An authorization server on a socket: as strict as the standards have it, but where a test has it misbehave.

#![allow(unreachable_pub, reason = "shared within this program")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Url, form_urlencoded};

/// How a client says who it is: by which method, with which id and secret.
pub type Proof = (&'static str, String, String);

pub struct Server {
    pub origin: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    /// How many requests came.
    count: watch::Sender<usize>,
}

struct State {
    client: Proof,
    requests: Vec<Request<Bytes>>,
    /// What a path answers in place of the server.
    faults: HashMap<&'static str, Response<Bytes>>,
    /// Members that the answers of the token endpoint have beside, or in place of, the usual ones; null ones are left out.
    members: Value,
    people: HashMap<String, Value>,
    /// By code: who approved, the challenge and the redirect URI.
    codes: HashMap<String, (String, String, String)>,
    /// By token: of whom.
    tokens: HashMap<String, String>,
    issued: usize,
}

impl Server {
    /// One with a client of this method, id and secret, and nobody.
    pub async fn start(method: &'static str, id: &str, secret: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let state = Mutex::new(State {
            client: (method, id.to_owned(), secret.to_owned()),
            requests: Vec::new(),
            faults: HashMap::new(),
            members: json!({}),
            people: HashMap::new(),
            codes: HashMap::new(),
            tokens: HashMap::new(),
            issued: 0,
        });
        let shared = Arc::new(Shared { state, count: watch::Sender::new(0) });
        let task = tokio::spawn(run(listener, Arc::clone(&shared)));
        Self { origin, shared, task }
    }

    /// Somebody with an account, and what is told of them.
    pub fn add(&self, account: &str, user_info: Value) {
        self.lock().people.insert(account.to_owned(), user_info);
    }

    /// Where the browser is sent back to once this account has approved.
    pub fn approve(&self, authorization_url: &str, account: &str) -> String {
        let url = Url::parse(authorization_url).unwrap();
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query.len(), url.query_pairs().count(), "a parameter twice: {url}");
        let mut state = self.lock();
        assert_eq!((&query["response_type"][..], &query["client_id"]), ("code", &state.client.1), "{url}");
        assert_eq!(query["code_challenge_method"], "S256", "{url}");
        state.issued += 1;
        let code = format!("code/{}+", state.issued);
        let asked = (account.to_owned(), query["code_challenge"].clone(), query["redirect_uri"].clone());
        state.codes.insert(code.clone(), asked);
        let answer = [("code", code.as_str()), ("state", &query["state"])];
        Url::parse_with_params(&query["redirect_uri"], answer).unwrap().into()
    }

    /// Has a path answer so from now on.
    pub fn answer(&self, path: &'static str, status: u16, body: &str) {
        let response = Response::builder().status(status).header(CONTENT_TYPE, "text/html");
        self.answer_with(path, response.body(Bytes::from(body.to_owned())).unwrap());
    }

    pub fn answer_with(&self, path: &'static str, response: Response<Bytes>) {
        self.lock().faults.insert(path, response);
    }

    /// Has a path answer by itself again.
    pub fn mend(&self, path: &'static str) {
        self.lock().faults.remove(path);
    }

    /// Has the answers of the token endpoint hold these members.
    pub fn give(&self, members: Value) {
        self.lock().members = members;
    }

    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.lock().requests.clone()
    }

    /// The paths that were asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.uri().path().to_owned()).collect()
    }

    pub fn forget(&self) {
        self.lock().requests.clear();
        self.shared.count.send_replace(0);
    }

    /// Waits until this many requests have come.
    pub async fn has_seen(&self, count: usize) {
        let mut seen = self.shared.count.subscribe();
        let waited = timeout(Duration::from_secs(10), seen.wait_for(|seen| *seen >= count)).await;
        assert!(waited.is_ok(), "{count} requests have not come");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The parameters of a form-encoded body.
pub fn form(request: &Request<Bytes>) -> HashMap<String, String> {
    form_urlencoded::parse(request.body()).into_owned().collect()
}

async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let shared = Arc::clone(&shared);
            async move {
                let (parts, body) = request.into_parts();
                let request = Request::from_parts(parts, body.collect().await?.to_bytes());
                let mut state = shared.state.lock().unwrap();
                let response = state.answer(&request);
                state.requests.push(request);
                shared.count.send_modify(|count| *count += 1);
                Ok::<_, hyper::Error>(response.map(Full::new))
            }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if let Some(fault) = self.faults.get(path) {
            return fault.clone();
        }
        match (request.method(), path) {
            (&Method::POST, "/token" | "/revoke") if proof(request) != Some(self.client.clone()) => {
                json_response(401, &json!({ "error": "invalid_client" }))
            }
            (&Method::POST, "/token") => self.token(&form(request)),
            (&Method::POST, "/revoke") => {
                self.tokens.remove(form(request).get("token").map_or("", String::as_str));
                json_response(200, &json!({}))
            }
            (&Method::GET, "/me") => self.user_info(request),
            _ => json_response(404, &json!({})),
        }
    }

    fn token(&mut self, form: &HashMap<String, String>) -> Response<Bytes> {
        let refused = |error: &str| json_response(400, &json!({ "error": error }));
        let sent = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let account = match sent("grant_type") {
            "authorization_code" => {
                let Some((account, challenge, redirect_uri)) = self.codes.remove(sent("code")) else {
                    return refused("invalid_grant");
                };
                let hash = digest(&SHA256, sent("code_verifier").as_bytes());
                if BASE64_URL_SAFE_NO_PAD.encode(hash) != challenge || sent("redirect_uri") != redirect_uri {
                    return refused("invalid_grant");
                }
                account
            }
            "refresh_token" => match self.tokens.get(sent("refresh_token")) {
                Some(account) => account.clone(),
                None => return refused("invalid_grant"),
            },
            _ => return refused("unsupported_grant_type"),
        };
        self.issued += 1;
        let mut answer = json!({
            "access_token": format!("at-{}", self.issued),
            "refresh_token": format!("rt-{}", self.issued),
            "token_type": "Bearer",
            "expires_in": 3600,
        });
        for (member, value) in self.members.as_object().unwrap() {
            answer[member] = value.clone();
        }
        answer.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        for token in ["access_token", "refresh_token"].iter().filter_map(|member| answer[*member].as_str()) {
            self.tokens.insert(token.to_owned(), account.clone());
        }
        json_response(200, &answer)
    }

    fn user_info(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let account = token.and_then(|token| self.tokens.get(token));
        match account.and_then(|account| self.people.get(account)) {
            Some(person) => json_response(200, person),
            None => json_response(401, &json!({})),
        }
    }
}

/// Who a request says it is from, if by one method alone.
fn proof(request: &Request<Bytes>) -> Option<Proof> {
    let form = form(request);
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    match (request.headers().get(AUTHORIZATION), id, secret) {
        (Some(header), None, None) => {
            let pair = BASE64_STANDARD.decode(header.to_str().ok()?.strip_prefix("Basic ")?).ok()?;
            let pair = String::from_utf8(pair).ok()?;
            let (id, secret) = pair.split_once(':')?;
            Some(("basic", decoded(id), decoded(secret)))
        }
        (None, Some(id), Some(secret)) => Some(("post", id.clone(), secret.clone())),
        (None, Some(id), None) => Some(("none", id.clone(), String::new())),
        _ => None,
    }
}

fn decoded(text: &str) -> String {
    form_urlencoded::parse(format!("x={text}").as_bytes()).next().unwrap().1.into_owned()
}

fn json_response(status: u16, body: &Value) -> Response<Bytes> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(Bytes::from(body.to_string())).unwrap()
}
