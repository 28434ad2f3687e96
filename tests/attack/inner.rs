//! Inner services, and requests sent through a layer to one of them.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Identity, SignIn, SignedIn};

use crate::site::Site;

pub(crate) type Inner = BoxCloneSyncService<Request<Bytes>, Response<Full<Bytes>>, Infallible>;

/// The header by which an answer of the inner service is told from one of ours.
pub(crate) const FROM_THE_APP: &str = "x-inner";

/// Sends a request through the layer of this site to [`echo`].
pub(crate) async fn shown(site: &Site, request: Request<Bytes>) -> Response<Bytes> {
    through(&site.sign_in, echo(), request).await
}

/// Sends a request through a layer of this `SignIn` to `inner`.
pub(crate) async fn through(sign_in: &SignIn, inner: Inner, request: Request<Bytes>) -> Response<Bytes> {
    let (parts, body) = sign_in.layer().layer(inner).oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// Answers with all it was shown, `subject|is there a SignedIn|URI|headers`, and lets any cache keep it.
pub(crate) fn echo() -> Inner {
    BoxCloneSyncService::new(service_fn(|request: Request<Bytes>| async move {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject);
        let has_signed_in = request.extensions().get::<SignedIn>().is_some();
        let seen = format!("{who}|{has_signed_in}|{:?}|{:?}", request.uri(), request.headers());
        let response = Response::builder().header(FROM_THE_APP, "1").header("cache-control", "public, max-age=3600");
        Ok(response.body(Full::from(seen)).unwrap())
    }))
}

/// Answers with these headers and nothing else.
pub(crate) fn answering(headers: &'static [(&'static str, &'static str)]) -> Inner {
    BoxCloneSyncService::new(service_fn(move |_: Request<Bytes>| async move {
        let response = Response::builder();
        let response = headers.iter().fold(response, |response, (name, value)| response.header(*name, *value));
        Ok(response.body(Full::default()).unwrap())
    }))
}

/// Makes the provider take codes that begin with `good` and no others.
pub(crate) fn take_good_codes(site: &Site) {
    site.upstream.answer_by(|request| {
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        let is_good = body["code"].as_str().unwrap().starts_with("good");
        let (status, text) =
            if is_good { (200, crate::site::BOB_ANSWER) } else { (400, r#"{"errorMessage":"Invalid code."}"#) };
        Ok(Response::builder().status(status).body(Bytes::from_static(text.as_bytes())).unwrap())
    });
}
