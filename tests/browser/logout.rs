//! Signing out where the browser does not say which site asked for it.

use tower_signin::dev::Account;

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::policy_violations;
use crate::{approve, assert_subject, cookie_names};

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_site_without_referrers_behind_a_proxy_without_fetch_metadata_signs_out_by_a_page() {
    let custom = |page: &tower_signin::Page<'_>| {
        let action = page.sign_out_action().map(tower_signin::Page::escape).unwrap_or_default();
        format!(
            "<!doctype html><form method=post action=\"{action}\"><button>Sign out</button></form><p class=code>{}",
            page.kind().code()
        )
    };
    for (name, has_pages) in [("the default page", false), ("the application's page", true)] {
        let app = App::start_in_the_dark(|builder| {
            let builder = builder.clear_site_data();
            if has_pages { builder.pages(custom) } else { builder }
        })
        .await;
        let chromium = Chromium::start().await;
        chromium.open(&app.url("/page")).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/page")).await;
        chromium.open(&app.url("/")).await;
        chromium.run("localStorage.setItem('draft', 'private')").await;
        chromium.click("#signout").await;
        chromium.arrive(&app.url("/auth/logout")).await;
        assert_eq!(chromium.status().await, 403, "{name}");
        assert_eq!(chromium.text("p.code").await, "logout_unconfirmed", "{name}");
        chromium.open(&app.url("/who")).await;
        assert_subject(&chromium, &Account::alice()).await;

        chromium.open(&app.url("/")).await;
        chromium.click("#signout").await;
        chromium.arrive(&app.url("/auth/logout")).await;
        chromium.click("form button").await;
        chromium.land(&app.url("/")).await;
        assert_eq!(chromium.text("#subject").await, "nobody", "{name}");
        assert_eq!(cookie_names(&chromium).await, [""; 0], "{name}");
        assert_eq!(chromium.run("return localStorage.getItem('draft')").await, serde_json::Value::Null, "{name}");
        assert_eq!(policy_violations(&chromium).await, [""; 0], "{name}");
    }
}
