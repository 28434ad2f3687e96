//! Four sign-ins by hand that tell what BitBadges does with state, code verifiers and other apps' codes.

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::response::{Html, Response};
use axum::routing::get;
use tokio::sync::Notify;
use tower_signin::dev::{API_KEY, CLIENT_ID, CLIENT_SECRET, DevProvider};
use tower_signin::http::{Request, StatusCode};
use tower_signin::{AuthorizationRequest, BoxFuture, Context, Error, ErrorKind, Grant, ValidatedCode};
use tower_signin::{ConfigError, Keys, Provider, SignIn, SignedIn, Siwbb};

use crate::common::{BoxError, listening, say};

/// One sign-in: what it is for, whose code it is, who redeems it, and whether with the right code verifier.
struct Step(&'static str, usize, usize, bool);

const STEPS: [Step; 4] = [
    Step("app A, as it should be", 0, 0, true),
    Step("app B, as it should be", 1, 1, true),
    Step("app A, with a wrong code verifier", 0, 0, false),
    Step("a code of app A, redeemed by app B", 0, 1, true),
];

/// Whether the code was redeemed, for each step so far.
type Redeemed = Arc<Mutex<Vec<bool>>>;

fn so_far(redeemed: &Redeemed) -> Vec<bool> {
    redeemed.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(crate) async fn run() -> Result<ExitCode, BoxError> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse::<u16>())?;
    let names = ["CLIENT_ID", "CLIENT_SECRET", "OTHER_CLIENT_ID", "OTHER_CLIENT_SECRET", "API_KEY"];
    let names = names.map(|name| format!("BITBADGES_{name}"));
    let missing: Vec<_> = names.iter().filter(|name| env::var(name).is_err()).map(String::as_str).collect();
    let mut dev = None;
    let [id, secret, other_id, other_secret, api_key] = if missing.is_empty() {
        names.map(|name| env::var(name).unwrap_or_default())
    } else if missing.len() < names.len() {
        return Err(format!("missing from the environment: {}", missing.join(", ")).into());
    } else {
        say("No BitBadges credentials: this is about a development stand-in, and tells nothing of BitBadges.");
        let provider = DevProvider::start_on(port.checked_add(1).ok_or("PORT is too high")?).await?;
        provider.add_app("app_demo_02", "s3cr3t-demo-02");
        dev = Some(provider);
        [CLIENT_ID, CLIENT_SECRET, "app_demo_02", "s3cr3t-demo-02", API_KEY].map(str::to_owned)
    };
    let app = |client_id: String, client_secret: String| {
        let siwbb = Siwbb::new(&client_id, &client_secret, &api_key);
        let siwbb = dev.iter().fold(siwbb, |siwbb, dev| siwbb.base_urls(dev.origin(), dev.origin()));
        App { client_id, client_secret, siwbb }
    };
    let (redeemed, done) = (Redeemed::default(), Arc::new(Notify::new()));
    let apps = [app(id, secret), app(other_id, other_secret)];
    let sign_in = SignIn::builder(Experiment { apps, api_key, redeemed: Arc::clone(&redeemed) })
        .redirect_uri(format!("http://localhost:{port}/auth/callback"))
        .keys(Keys::generate()?)
        .forward_callback()
        .build()?;

    let (steps, shown) = (Arc::clone(&redeemed), Arc::clone(&done));
    let home = async move || {
        let page = page(so_far(&steps).len());
        page.unwrap_or_else(|| {
            shown.notify_one();
            Html("<!doctype html><h1>Done</h1><p>The terminal says what came out.".to_owned())
        })
    };
    // Nobody stays signed in: sign-ins on top of each other would be taken for a circle.
    let next = home.clone();
    let callback = async move |who: SignedIn| {
        who.refuse("only_an_experiment");
        next().await
    };
    let routes = Router::new().route("/", get(home)).route("/auth/callback", get(callback));
    let app = routes.layer(sign_in.layer()).layer(axum::middleware::map_response(told));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    listening(port);
    say("Sign in there four times, one after the other. Each costs one API credit; what comes of it is told here.");
    axum::serve(listener, app).with_graceful_shutdown(async move { done.notified().await }).await?;
    Ok(conclusions(&so_far(&redeemed)))
}

fn page(steps_done: usize) -> Option<Html<String>> {
    let Step(what, ..) = STEPS.get(steps_done)?;
    let head = format!("<!doctype html><h1>Step {} of {}</h1>", steps_done + 1, STEPS.len());
    Some(Html(format!("{head}<p>{what}</p><p><a href=\"/auth/login\">Sign in</a></p>")))
}

/// The layer redeems nothing unless state came back byte for byte, so its own refusals are what tells.
async fn told(response: Response) -> Response {
    let kind = response.extensions().get::<ErrorKind>();
    if let Some(kind) = kind.filter(|kind| **kind != ErrorKind::RefusedByApp) {
        say(&format!("This step is to be done again: {}, {}", kind.code(), kind.cause()));
        if matches!(kind, ErrorKind::FlowNotFound | ErrorKind::StateMismatch | ErrorKind::CallbackMalformed) {
            say("If it ends like this again, in the same browser, state does not come back as it was sent.");
        }
    }
    response
}

fn conclusions(redeemed: &[bool]) -> ExitCode {
    let [true, true, without_verifier, by_the_other] = *redeemed else {
        say("failed: a sign-in as it should be was refused, so nothing follows from the rest; check both apps");
        return ExitCode::FAILURE;
    };
    say("ok: state comes back as it was sent");
    say(match without_verifier {
        false => "ok: a wrong code verifier is refused, PKCE is enforced",
        true => "failed: a wrong code verifier is taken, PKCE is not enforced",
    });
    say(match by_the_other {
        false => "ok: another app's code is refused, codes are bound to their app",
        true => "failed: another app's code is taken, codes are not bound to their app",
    });
    if without_verifier || by_the_other { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct App {
    client_id: String,
    client_secret: String,
    siwbb: Siwbb,
}

/// Sends people to the authorize page of the step's app, and redeems as the step says instead of as it should be.
struct Experiment {
    apps: [App; 2],
    api_key: String,
    redeemed: Redeemed,
}

impl Experiment {
    /// The step that comes next; after the last one, the last one.
    fn step(&self) -> &'static Step {
        let [.., last] = &STEPS;
        STEPS.get(so_far(&self.redeemed).len()).unwrap_or(last)
    }

    async fn redeems(&self, context: Context<'_>, code: &ValidatedCode) -> Result<bool, Error> {
        let Step(what, _, by, is_right) = self.step();
        let App { client_id, client_secret, siwbb } = &self.apps[*by];
        let verifier = if *is_right { code.code_verifier() } else { "a-code-verifier-that-belongs-to-no-code-at-all" };
        let body = serde_json::json!({
            "grant_type": "authorization_code", "code": code.code(), "client_id": client_id,
            "client_secret": client_secret, "redirect_uri": code.redirect_uri(), "code_verifier": verifier,
        });
        let request = Request::post(format!("{}/api/v0/siwbb/token", siwbb.endpoints().concat()))
            .header("content-type", "application/json")
            .header("x-api-key", &self.api_key)
            .body(body.to_string().into())
            .map_err(|_| ErrorKind::Internal)?;
        let answer = context.http().send(request).await?;
        let read: serde_json::Value = serde_json::from_slice(answer.body()).map_err(|_| ErrorKind::ProviderAnswer)?;
        if matches!(answer.status(), StatusCode::PAYMENT_REQUIRED | StatusCode::TOO_MANY_REQUESTS) {
            return Err(ErrorKind::ProviderBusy.into());
        }
        let is_redeemed = answer.status().is_success() && read["verificationResponse"]["success"] == true;
        // A refusal may repeat what was sent.
        let mut text = read["errorMessage"].as_str().unwrap_or_default();
        if [code.code(), verifier, client_secret, &self.api_key].iter().any(|secret| text.contains(*secret)) {
            text = "(a text that repeats what was sent)";
        }
        let came_out = if is_redeemed { "redeemed" } else { "refused" };
        say(&format!("{what}: {came_out}, status {} {text:?}", answer.status().as_u16()));
        Ok(is_redeemed)
    }
}

impl Provider for Experiment {
    fn issuer(&self) -> &str {
        self.apps[0].siwbb.issuer()
    }

    fn endpoints(&self) -> Vec<&str> {
        self.apps[0].siwbb.endpoints()
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.apps.iter().try_for_each(|app| app.siwbb.validate())
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        let Step(_, code_of, ..) = self.step();
        self.apps[*code_of].siwbb.authorization_url(request)
    }

    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async move {
            let is_redeemed = self.redeems(context, &code).await?;
            self.redeemed.lock().unwrap_or_else(PoisonError::into_inner).push(is_redeemed);
            Grant::new("whoever signs in by hand", &())
        })
    }
}
