//! Requests to sign out that look almost like ours.

use http::Request;

use crate::site::{Site, set_cookies};

#[tokio::test]
async fn logout_is_refused_to_everybody_else() {
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("origin", "https://EXAMPLE.com")], 403),
        (&[("origin", "https://example.com:443")], 403),
        (&[("origin", "https://example.com, https://evil.example")], 403),
        (&[("origin", "")], 403),
        (&[("origin", "https://evil.example"), ("origin", "https://example.com")], 403),
        (&[("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")], 403),
        (&[("sec-fetch-site", "same-site"), ("origin", "https://example.com")], 403),
        (&[("sec-fetch-site", ""), ("origin", "https://example.com")], 403),
        (&[("sec-fetch-site", "same-origin "), ("origin", "https://example.com")], 403),
        (&[("referer", "https://evil.example/?https://example.com/")], 403),
        (&[("referer", "https://evil.example/#@example.com/")], 403),
        (&[("referer", "https://evil.example\\@example.com/")], 403),
        (&[("referer", "data:text/html,https://example.com/")], 403),
        (&[("referer", "file://example.com/")], 403),
        (&[("referer", "//example.com/")], 403),
        (&[("referer", "https://example.com./")], 403),
        (&[("referer", "https://example.com:443/x")], 303),
        (&[("referer", "https://EXAMPLE.com/x")], 303),
        (&[("sec-fetch-site", "same-origin"), ("sec-purpose", "prefetch")], 503),
    ];
    let site = Site::new();
    let browser = site.signed_in().await;
    for (headers, status) in cases {
        let request = Request::post("/api/logout");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = site.visit(&mut browser.clone(), request).await;
        assert_eq!(response.status(), *status, "{headers:?}");
        assert_eq!(set_cookies(&response).is_empty(), *status != 303, "{headers:?}");
    }
    for method in ["post", "Post", "X", "PROPFIND", "GET", "HEAD"] {
        let request = Request::builder().method(method).uri("/api/logout").header("sec-fetch-site", "same-origin");
        let response = site.visit(&mut browser.clone(), request).await;
        assert_eq!((response.status().as_u16(), set_cookies(&response)), (405, Vec::new()), "{method}");
    }
}
