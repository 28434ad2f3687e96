//! An OpenID provider that others have written, at its own pages.

use serde_json::{Value, json};
use tower_signin::Oidc;
use tower_signin::dev::DevProvider;
use tower_signin::dev::openid::{Account, CLIENT_ID, OpenIdProvider};

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

/// The provider's page shows the app's address in a frame, and so does a page of a stranger, whom the person visits first.
#[tokio::test]
#[ignore = "needs chromium"]
async fn a_frame_of_the_provider_signs_out_and_a_stranger_s_does_not() {
    const FRAME: &str = "const [url, done] = arguments;
        const frame = document.createElement('iframe');
        frame.onload = () => done();
        frame.src = url;
        document.body.append(frame);";
    let openid = OpenIdProvider::start().await.unwrap();
    let dev = DevProvider::start().await.unwrap();
    let app = App::start_on(dev, openid.oidc(), |builder| builder.front_channel_logout(), |app, _| app).await;
    openid.register_redirect_uri(CLIENT_ID, &app.url("/auth/callback")).unwrap();
    let chromium = Chromium::start().await;
    chromium.open(&app.url("/")).await;
    chromium.click("#signin").await;
    chromium.arrive(openid.issuer()).await;
    let callback = openid.approve(&chromium.url().await, &Account::alice()).unwrap();
    chromium.open(&callback).await;
    assert_eq!(chromium.text("#subject").await, Account::alice().subject);

    let session_id = openid.session_ids(&Account::alice()).pop().unwrap();
    let mut framed = url::Url::parse(&app.url("/auth/frontchannel-logout")).unwrap();
    framed.query_pairs_mut().append_pair("iss", openid.issuer()).append_pair("sid", &session_id);
    let page = format!("{}/.well-known/openid-configuration", openid.issuer());
    // The same server under another name is another site.
    for (page, subject) in [(page.replace("localhost", "127.0.0.1"), &*Account::alice().subject), (page, "nobody")] {
        chromium.open(&page).await;
        chromium.client.execute_async(FRAME, vec![json!(framed.as_str())]).await.unwrap();
        app.wait_for("/auth/frontchannel-logout", |seen| seen.status == Some(200)).await;
        chromium.open(&app.url("/")).await;
        assert_eq!(chromium.text("#subject").await, subject, "{page}");
    }
}
