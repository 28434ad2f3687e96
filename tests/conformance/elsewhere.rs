//! A provider whose endpoints are at addresses that nobody can guess.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower_signin::dev::openid::OpenIdProvider;
use tower_signin::{BoxFuture, HttpClient, HttpError, HttpErrorKind};

use crate::stage::METADATA;
use crate::support::send;

/// What lies between the app and the provider on loopback: every endpoint but the metadata is in a folder of its own, which the
/// metadata alone tells, and the authorization endpoint has a [query](QUERY).
pub(crate) struct Elsewhere {
    issuer: String,
    folder: Mutex<String>,
    asked: Mutex<Vec<String>>,
}

/// Of the authorization endpoint.
pub(crate) const QUERY: &str = "tenant=a%20b+c&x";

impl Elsewhere {
    pub(crate) fn new(openid: &OpenIdProvider, folder: &str) -> Arc<Self> {
        let issuer = openid.issuer().to_owned();
        Arc::new(Self { issuer, folder: Mutex::new(folder.to_owned()), asked: Mutex::default() })
    }

    pub(crate) fn move_to(&self, folder: &str) {
        folder.clone_into(&mut self.folder.lock().unwrap());
    }

    /// The paths that were asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl HttpClient for Elsewhere {
    fn send(&self, mut request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let path = request.uri().path().to_owned();
        let folder = self.folder.lock().unwrap().clone();
        self.asked.lock().unwrap().push(path.clone());
        Box::pin(async move {
            let unreachable = |_| HttpError::new(HttpErrorKind::Unreachable);
            if path == METADATA {
                let told = |body: &Bytes| {
                    let metadata = std::str::from_utf8(body).unwrap();
                    let metadata = metadata.replace("/authorize\"", &format!("/authorize?{QUERY}\""));
                    let (before, after) = (format!("\"{}/", self.issuer), format!("\"{}{folder}/", self.issuer));
                    Bytes::from(metadata.replace(&before, &after))
                };
                let (mut parts, body) = send(request).await.map_err(unreachable)?.into_parts();
                parts.headers.remove(http::header::CONTENT_LENGTH);
                return Ok(Response::from_parts(parts, told(&body)));
            }
            let Some(path) = path.strip_prefix(&folder) else {
                let mut nothing = Response::new(Bytes::new());
                *nothing.status_mut() = StatusCode::NOT_FOUND;
                return Ok(nothing);
            };
            *request.uri_mut() = format!("{}{path}", self.issuer).parse().unwrap();
            send(request).await.map_err(unreachable)
        })
    }
}
