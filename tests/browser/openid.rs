//! An OpenID provider that others have written, at its own pages.

use serde_json::Value;
use tower_signin::Oidc;
use tower_signin::dev::DevProvider;

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::policy_violations;
use crate::openid_provider::{Certified, Socket};

const SUBMIT: &str = ".login-submit";

#[tokio::test]
#[ignore = "needs chromium and node"]
async fn a_person_signs_in_and_out_at_a_certified_provider() {
    let socket = Socket::bind();
    let oidc = Oidc::discover(&socket.issuer, "a:b c%+&=/", "p:q r%+&=/~\"").scope("offline_access").prompt("consent");
    let dev = DevProvider::start().await.unwrap();
    let app = App::start_on(dev, oidc, |builder| builder.keep_tokens(), |app, _| app).await;
    let openid = Certified::start(socket, &[&app.origin]).await;
    let chromium = Chromium::start().await;

    chromium.open(&app.url("/")).await;
    chromium.click("#signin").await;
    chromium.arrive(&format!("{}/interaction/", openid.issuer())).await;
    chromium.write("input[name=login]", "alice").await;
    chromium.write("input[name=password]", "any").await;
    let login = chromium.url().await;
    chromium.click(SUBMIT).await;
    chromium.leave(&login).await;
    chromium.click(SUBMIT).await;
    chromium.land(&app.url("/page?by=link")).await;
    assert_eq!(chromium.text("#subject").await, "alice");

    chromium.open(&app.url("/")).await;
    chromium.click("#signout").await;
    chromium.arrive(&format!("{}/session/end?id_token_hint=", openid.issuer())).await;
    chromium.click("button[name=logout]").await;
    chromium.land(&app.url("/")).await;
    assert_eq!(chromium.text("#subject").await, "nobody");
    assert_eq!(policy_violations(&chromium).await, [""; 0]);

    // The provider has let go of her, too.
    chromium.click("#signin").await;
    chromium.arrive(&format!("{}/interaction/", openid.issuer())).await;
    assert_eq!(chromium.run("return document.querySelector('input[name=login]') !== null").await, Value::Bool(true));
    chromium.follow("[ Cancel ]").await;
    chromium.arrive(&app.url("/auth/callback?")).await;
    assert_eq!((chromium.status().await, chromium.text("p.code").await.as_str()), (403, "access_denied"));
}
