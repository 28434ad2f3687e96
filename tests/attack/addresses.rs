//! Addresses of ours: built from the settings and from checked targets, whatever a request says.

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Uri};
use tower_signin::{Keys, SignIn};
use url::Url;

use crate::site::{Site, Upstream, parameter, siwbb};
use crate::support::{location, navigation};

#[tokio::test]
async fn no_header_moves_an_address() {
    const ORIGINS: [&str; 5] = [
        "https://example.com",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "http://localhost",
    ];
    const NAMES: [&str; 12] = [
        "host",
        "x-forwarded-host",
        "x-forwarded-proto",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-prefix",
        "x-forwarded-uri",
        "referer",
        "origin",
        "x-http-method-override",
        "via",
    ];
    for origin in ORIGINS {
        let site = Site::of(siwbb(), &format!("{origin}/api/callback"), |builder| builder);
        for value in HOSTS {
            for name in NAMES {
                let once = || navigation(Method::GET, "/api/login?return_to=/me", "none").header(name, value);
                for request in [once(), once().header(name, "127.0.0.1:3000")] {
                    let what = format!("{origin} with {name}: {value}");
                    stays(&site, origin, request.body(Bytes::new()).unwrap(), &what).await;
                }
            }
            for scheme in ["http", "https"] {
                let Ok(uri) = format!("{scheme}://{value}/api/login?return_to=/me").parse::<Uri>() else { continue };
                if uri.path() == "/api/login" {
                    let request =
                        Request::get(&uri).header(HOST, "localhost:3000").header("sec-fetch-mode", "navigate");
                    let what = format!("{origin} with {uri}");
                    stays(&site, origin, request.body(Bytes::new()).unwrap(), &what).await;
                }
            }
        }
    }
}

/// What follows from a redirect URI that was not refused are addresses on its own origin.
#[test]
fn odd_redirect_uris_are_refused_or_work() {
    let uris = [
        "https://example.com//callback",
        "https://example.com//evil.example/callback",
        "https://example.com///callback",
        "https://example.com/\\evil.example/callback",
        "https://example.com/%5cevil.example/callback",
        "https://example.com/%2fevil.example/callback",
        "https://example.com/./callback",
        "https://example.com/.//evil.example/callback",
        "https://example.com/a/..//evil.example/callback",
        "https://example.com/%2e//evil.example/callback",
        "https://example.com/;/evil.example/callback",
        "https://example.com/@evil.example/callback",
        "https://example.com/a//callback",
        "https://example.com/callback/",
        "https://example.com/callback//",
        "https://example.com/callback",
        "https://example.com/",
        "https://example.com",
    ];
    let mut built = 0;
    for uri in uris {
        let builder = SignIn::builder(siwbb()).redirect_uri(uri).keys(Keys::generate().unwrap());
        let Ok(sign_in) = builder.http_client(Upstream::default()).build() else { continue };
        built += 1;
        let base = Url::parse(uri).unwrap();
        for path in [sign_in.login_path(), sign_in.logout_path()] {
            let resolved = base.join(path).unwrap();
            assert_eq!(resolved.as_str(), format!("https://example.com{path}"), "{uri}");
            assert_ne!(path, base.path(), "{uri}");
        }
    }
    assert!(built > 0, "all were refused");
}

/// Login redirects to the provider with the configured redirect URI, or to the configured origin first.
async fn stays(site: &Site, origin: &str, request: Request<Bytes>, what: &str) {
    let response = site.send(request).await;
    assert_eq!(response.status(), 303, "{what}");
    let place = location(&response);
    if place != format!("{origin}/api/login?return_to=%2Fme") {
        assert!(place.starts_with("https://bitbadges.io/siwbb/authorize?client_id=app_demo_01&"), "{what}: {place}");
        assert_eq!(parameter(&place, "redirect_uri"), format!("{origin}/api/callback"), "{what}");
    }
}

const HOSTS: [&str; 23] = [
    "evil.example",
    "127.0.0.1:3000@evil.example",
    "evil@127.0.0.1:3000",
    "127.0.0.1:3000",
    "127.0.0.1:03000",
    "localhost:3000",
    "LOCALHOST:3000",
    "[::1]:3000",
    "[::1]",
    "[::ffff:127.0.0.1]:3000",
    "127.1:3000",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1:",
    "localhost.:3000",
    "localhost:3000/evil",
    "localhost:3000#@evil",
    "0x7f.1:3000",
    "127.0.0.1:3000:3000",
    "",
    " ",
    "//evil",
    "127.0.0.1:3000, evil",
];
