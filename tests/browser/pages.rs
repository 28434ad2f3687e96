//! Every page that the layer can show, provoked, read and pictured.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fantoccini::cookies::Cookie;
use serde_json::json;
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{
    Admission, AuthorizationRequest, BoxFuture, Context, Error, ErrorKind, Grant, ManualClock, Page, Provider,
    Rejection, ValidatedCode,
};

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::{look, policy_violations};
use crate::{DENY, approve};

const SIGN_IN: &[&str] = &["Sign in"];
const OTHER_ACCOUNT: &[&str] = &["Use another account", "Sign in again"];

#[tokio::test]
#[ignore = "needs chromium"]
async fn every_failure_has_a_page_that_says_what_happened_and_what_to_do() {
    let mut gallery = Gallery { chromium: Chromium::start().await, shown: BTreeSet::new(), without_remedy: Vec::new() };
    addresses(&mut gallery).await;
    callbacks(&mut gallery).await;
    rounds_and_strangers(&mut gallery).await;
    hooks(&mut gallery).await;
    providers(&mut gallery).await;
    let all: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(gallery.shown, all);
    assert_eq!(gallery.without_remedy, [""; 0], "these pages don't say what to do");
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_site_gives_every_page_its_own_looks() {
    let app = App::start_with(|builder| builder.pages(in_own_looks)).await;
    let chromium = Chromium::start().await;
    let own = async |code: &str, action: &str| {
        assert_eq!(chromium.text("h1").await, "Tea house");
        assert_eq!(chromium.text("#code").await, code);
        assert_eq!(chromium.text("nav a").await, action);
        assert_eq!(policy_violations(&chromium).await, [""; 0], "{code}");
    };
    chromium.open(&app.url("/who?x=1")).await;
    own("not_signed_in", "Sign in").await;
    chromium.open(&app.url("/auth/callback")).await;
    own("callback_malformed", "Sign in").await;
    chromium.open(&app.url("/auth/logout")).await;
    own("method_not_allowed", "Continue").await;
    chromium.open(&app.url("/")).await;
    chromium.click("#post").await;
    chromium.arrive(&app.url("/post")).await;
    own("not_signed_in", "Sign in").await;
    chromium.open(&app.url("/bob?x=1")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/bob?x=1")).await;
    own("not_allowed", "Use another account").await;
    look(&chromium, "in-own-looks").await;

    chromium.follow("Use another account").await;
    approve(&app, &chromium, "bob").await;
    chromium.land(&app.url("/bob?x=1")).await;
}

/// The address of a callback's page holds code and state.
#[tokio::test]
#[ignore = "needs chromium"]
async fn no_script_runs_on_a_page_in_the_site_s_own_looks() {
    let app = App::start_with(|builder| {
        builder.pages(|_| "<!doctype html><title>Own</title><h1>Own</h1><script>window.hasRun = true</script>".into())
    });
    let (app, chromium) = (app.await, Chromium::start().await);
    chromium.open(&app.url("/auth/callback")).await;
    assert_eq!(chromium.text("h1").await, "Own");
    assert_eq!(chromium.run("return window.hasRun === true").await, false);
    assert_eq!(policy_violations(&chromium).await.len(), 1);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_page_names_the_request_as_the_proxy_in_front_does() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.devtools("Network.enable", json!({})).await;
    let headers = json!({ "headers": { "x-request-id": "7d444840-9dc0-11d1-b245-5ffdce74fad2" } });
    chromium.devtools("Network.setExtraHTTPHeaders", headers).await;
    for path in ["/who", "/auth/callback", "/auth/logout", "/unlayered?x=1"] {
        chromium.open(&app.url(path)).await;
        if path == "/unlayered?x=1" {
            // Where no layer stands outside, a guard knows no address to come back to.
            approve(&app, &chromium, "alice").await;
            chromium.land(&app.url("/")).await;
            chromium.open(&app.url(path)).await;
        }
        assert_eq!(chromium.text("p.request").await, "Request 7d444840-9dc0-11d1-b245-5ffdce74fad2", "{path}");
    }
}

/// What can be opened, sent or clicked without going to the provider and back.
async fn addresses(gallery: &mut Gallery) {
    let app = App::start().await;
    gallery.chromium.open(&app.url("/auth/callback")).await;
    gallery.show(ErrorKind::CallbackMalformed, SIGN_IN).await;
    gallery.chromium.open(&app.url("/auth/logout")).await;
    gallery.show(ErrorKind::MethodNotAllowed, &["Continue"]).await;
    gallery.chromium.open(&app.url("/")).await;
    gallery.chromium.click("#post").await;
    gallery.chromium.arrive(&app.url("/post")).await;
    gallery.show(ErrorKind::NotSignedIn, SIGN_IN).await;
    gallery.chromium.open(&app.url("/completed")).await;
    gallery.show(ErrorKind::NotForwarded, &[]).await;

    // What a browser keeps to itself or shows to nobody: as if it opened the page after all.
    let headers =
        [("sec-purpose", "prefetch", ErrorKind::Prefetch), ("sec-fetch-dest", "iframe", ErrorKind::LoginNotNavigation)];
    for (name, value, kind) in headers {
        let app = App::start_pretending(name, value).await;
        gallery.chromium.open(&app.url("/auth/login")).await;
        gallery.show(kind, SIGN_IN).await;
    }

    gallery.chromium.open(&app.url("/bob")).await;
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.land(&app.url("/bob")).await;
    gallery.show(ErrorKind::NotAllowed, &["Use another account", "Continue"]).await;
    gallery.chromium.open(&app.url("/tokens")).await;
    gallery.show(ErrorKind::TokensMissing, &[]).await;
    gallery.chromium.open(&app.url("/unlayered")).await;
    gallery.show(ErrorKind::LayerMissing, &[]).await;
    gallery.forget_cookies().await;
}

/// Ways back from the provider that go wrong before anything is exchanged.
async fn callbacks(gallery: &mut Gallery) {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let app = App::start_with(|builder| builder.clock(Arc::clone(&clock))).await;
    let altered: [(ErrorKind, fn(&str) -> String); 3] = [
        (ErrorKind::StateMismatch, |callback| {
            let secret = callback.find("state=").expect("a state") + "state=".len() + 30;
            let other = if &callback[secret..=secret] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &callback[..secret], &callback[secret + 1..])
        }),
        (ErrorKind::IssuerMismatch, |callback| format!("{callback}&iss=https%3A%2F%2Felsewhere.example")),
        (ErrorKind::AuthorizationFailed, |callback| {
            let (address, query) = callback.split_once('?').expect("a query");
            let state = query.split('&').find(|pair| pair.starts_with("state=")).expect("a state");
            format!("{address}?error=invalid_scope&{state}")
        }),
    ];
    for (kind, alter) in altered {
        let callback = gallery.way_back(&app).await;
        gallery.chromium.open(&alter(&callback)).await;
        gallery.show(kind, SIGN_IN).await;
        gallery.forget_cookies().await;
    }

    gallery.way_back(&app).await;
    gallery.chromium.click(DENY).await;
    gallery.chromium.arrive(&app.url("/auth/callback")).await;
    gallery.show(ErrorKind::AccessDenied, SIGN_IN).await;

    let callback = gallery.way_back(&app).await;
    clock.advance(Duration::from_secs(11 * 60));
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::FlowExpired, SIGN_IN).await;

    let callback = gallery.way_back(&app).await;
    let flow = gallery.cookie("-flow-").await;
    let mut value = flow.value().to_owned();
    value.replace_range(40..41, if &value[40..41] == "A" { "B" } else { "A" });
    gallery.set_cookie(flow.name(), &value).await;
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::FlowUnreadable, SIGN_IN).await;

    gallery.chromium.client.delete_cookie(flow.name()).await.unwrap();
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::CookiesRefused, SIGN_IN).await;
    gallery.way_back(&app).await;
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::FlowNotFound, SIGN_IN).await;
    gallery.forget_cookies().await;

    gallery.way_back(&app).await;
    let (authorization, flow) = (gallery.chromium.url().await, gallery.cookie("-flow-").await);
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.land(&app.url("/page")).await;
    gallery.forget_cookies().await;
    gallery.set_cookie(flow.name(), flow.value()).await;
    gallery.chromium.open(&app.dev.approve(&authorization, &Account::bob()).unwrap()).await;
    gallery.show(ErrorKind::StateSpent, SIGN_IN).await;
    gallery.forget_cookies().await;
}

/// Sessions that don't last, and what another site may not do.
async fn rounds_and_strangers(gallery: &mut Gallery) {
    let app = App::start().await;
    let session = app.origin.replace("http://localhost:", "signin-");
    for _ in 0..3 {
        gallery.chromium.open(&app.url("/page")).await;
        approve(&app, &gallery.chromium, "alice").await;
        gallery.chromium.land(&app.url("/page")).await;
        gallery.chromium.client.delete_cookie(&session).await.unwrap();
    }
    gallery.chromium.open(&app.url("/page")).await;
    gallery.show(ErrorKind::SignInLoop, SIGN_IN).await;
    gallery.forget_cookies().await;

    for _ in 0..4 {
        gallery.way_back(&app).await;
    }
    gallery.chromium.open(&app.origin.replace("localhost", "127.0.0.1")).await;
    gallery.chromium.click("#signin").await;
    gallery.chromium.arrive(&app.url("/auth/login")).await;
    gallery.show(ErrorKind::LoginCrossSite, &["Continue"]).await;
    gallery.chromium.open(app.dev.origin()).await;
    let submit = "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0]; \
                  document.body.append(form); form.submit()";
    gallery.chromium.client.execute(submit, vec![json!(app.url("/auth/logout"))]).await.unwrap();
    gallery.chromium.arrive(&app.url("/auth/logout")).await;
    gallery.show(ErrorKind::LogoutForeign, &["Continue"]).await;
    gallery.forget_cookies().await;
}

async fn hooks(gallery: &mut Gallery) {
    let cases: [(ErrorKind, &[&str], fn() -> Result<Admission, Rejection>); 3] = [
        (ErrorKind::RefusedByApp, OTHER_ACCOUNT, || Err(Rejection::refuse("not_a_member"))),
        (ErrorKind::HookFailed, SIGN_IN, || Err("the database is away".into())),
        (ErrorKind::SessionTooLarge, SIGN_IN, || Admission::with_data(&"x".repeat(5000))),
    ];
    for (kind, links, hook) in cases {
        let app = App::start_with(|builder| builder.on_sign_in(move |_| std::future::ready(hook()))).await;
        gallery.chromium.open(&app.url("/page")).await;
        approve(&app, &gallery.chromium, "alice").await;
        gallery.chromium.arrive(&app.url("/auth/callback?")).await;
        gallery.show(kind, links).await;
    }
}

/// All that becomes of an exchange, by a provider that sends everybody straight back and then says so.
async fn providers(gallery: &mut Gallery) {
    let next = Arc::new(Mutex::new(ErrorKind::Internal));
    let dev = DevProvider::start().await.unwrap();
    let app = App::start_on(dev, Failing(Arc::clone(&next)), |builder| builder, |app, _| app).await;
    let cases = [
        (ErrorKind::NotVerified, OTHER_ACCOUNT),
        (ErrorKind::ClaimRequired, OTHER_ACCOUNT),
        (ErrorKind::OwnershipRequired, OTHER_ACCOUNT),
        (ErrorKind::HookTimeout, SIGN_IN),
        (ErrorKind::ExchangeRejected, SIGN_IN),
        (ErrorKind::CredentialsRejected, SIGN_IN),
        (ErrorKind::ProviderFailed, SIGN_IN),
        (ErrorKind::ProviderAnswer, SIGN_IN),
        (ErrorKind::ProviderBusy, SIGN_IN),
        (ErrorKind::TooManyAttempts, SIGN_IN),
        (ErrorKind::ProviderUnreachable, SIGN_IN),
        (ErrorKind::ProviderTimeout, SIGN_IN),
        (ErrorKind::Unsupported, SIGN_IN),
        (ErrorKind::Internal, SIGN_IN),
    ];
    for (kind, links) in cases {
        *next.lock().unwrap() = kind;
        gallery.chromium.open(&app.url("/page")).await;
        gallery.show(kind, links).await;
    }
}

struct Gallery {
    chromium: Chromium,
    shown: BTreeSet<&'static str>,
    without_remedy: Vec<&'static str>,
}

impl Gallery {
    /// Reads the page that is there, and takes its picture.
    async fn show(&mut self, kind: ErrorKind, links: &[&str]) {
        let code = kind.code();
        let page = self.chromium.run(WHAT_IT_SAYS).await;
        assert_eq!(self.chromium.status().await, u64::from(kind.status().as_u16()), "{code}: {page}");
        let named = page["code"].as_str().unwrap_or_default().split(':').next();
        assert_eq!(named, Some(code), "{page}");
        assert_eq!((&page["title"], &page["heading"]), (&json!(kind.title()), &json!(kind.title())), "{code}");
        let said = page["said"].as_array().expect("paragraphs");
        assert!(said.len() >= 2 && said.iter().all(|text| text.as_str() != Some("")), "{code}: {page}");
        assert!(said.contains(&json!(kind.cause())), "{code} says what happened: {page}");
        if !said.contains(&json!(kind.remedy())) {
            self.without_remedy.push(code);
        }
        assert_eq!(page["links"], json!(links), "{code} leads on");
        let request = page["request"].as_str().and_then(|text| text.strip_prefix("Request ")).unwrap_or_default();
        assert!(request.len() == 16 && request.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}: {page}");
        assert!(self.shown.insert(code), "{code} was shown before");
        look(&self.chromium, &format!("page-{code}")).await;
    }

    /// Goes to the provider, and gives the address that alice would be sent back to.
    async fn way_back(&self, app: &App) -> String {
        self.chromium.open(&app.url("/page")).await;
        self.chromium.arrive(app.dev.origin()).await;
        app.dev.approve(&self.chromium.url().await, &Account::alice()).unwrap()
    }

    async fn cookie(&self, part: &str) -> Cookie<'static> {
        let cookies = self.chromium.client.get_all_cookies().await.unwrap();
        cookies.into_iter().find(|cookie| cookie.name().contains(part)).expect("such a cookie")
    }

    async fn set_cookie(&self, name: &str, value: &str) {
        let cookie = json!({ "name": name, "value": value, "url": "http://localhost/", "httpOnly": true });
        let answer = self.chromium.devtools("Network.setCookie", cookie).await;
        assert_eq!(answer["success"], true, "{name}");
    }

    async fn forget_cookies(&self) {
        self.chromium.client.delete_all_cookies().await.unwrap();
    }
}

const WHAT_IT_SAYS: &str = "const texts = css => [...document.querySelectorAll(css)].map(it => it.textContent.trim());
    return { title: document.title, heading: texts('h1')[0], said: texts('p:not([class])'), links: texts('.links a'),
        code: texts('p.code')[0], request: texts('p.request')[0] }";

/// Sends everybody straight back, and fails the exchange in the way it was told to.
struct Failing(Arc<Mutex<ErrorKind>>);

impl Provider for Failing {
    fn issuer(&self) -> &str {
        "http://localhost:1"
    }

    fn endpoints(&self) -> Vec<&str> {
        vec!["http://localhost:1/token"]
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(format!("{}?code=c0de&state={}", request.redirect_uri, request.state))
    }

    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        let kind = *self.0.lock().unwrap();
        Box::pin(async move { Err(kind.into()) })
    }
}

/// What a site might make of a page.
fn in_own_looks(page: &Page<'_>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=en><meta name=viewport content=\"width=device-width\"><title>{}</title><style>\
         body{{font-family:serif;background:#f3ead7;color:#3b2a1a;max-width:30rem;margin:3rem auto;padding:0 1rem;\
         overflow-wrap:anywhere}}a{{color:#7a2e12}}</style><h1>Tea house</h1><h2>{}</h2>",
        page.title(),
        page.title()
    );
    for text in page.paragraphs() {
        html += &format!("<p>{}</p>", Page::escape(&text));
    }
    html += "<nav>";
    for link in page.links() {
        html += &format!("<a href=\"{}\">{}</a> ", Page::escape(link.href()), link.action().label());
    }
    html + &format!("</nav><hr><p><span id=code>{}</span> {}</p>", page.kind().code(), page.request_id())
}
