use std::io;

use http::{Method, Response, StatusCode};

use super::RecordedRequest;
use super::api;
use super::authorize;
use super::body::DevBody;
use super::page;
use super::payload::Answer;
use super::server::Site;
use super::state::Shared;

impl Site for Shared {
    async fn answer(&self, request: RecordedRequest, refused: Option<StatusCode>) -> io::Result<Response<DevBody>> {
        let to_api = request.path.starts_with("/api/");
        if to_api {
            self.lock().requests.record(request.clone());
        }
        match refused {
            Some(status) => Ok(Answer::error(status, "The request body was refused.").into_response()),
            None if to_api => api::answer(self, &request).await,
            None => Ok(website(self, &request)),
        }
    }
}

/// What stands in for bitbadges.io itself.
fn website(shared: &Shared, request: &RecordedRequest) -> Response<DevBody> {
    let query = request.query.as_deref().unwrap_or_default();
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    match request.path.as_str() {
        "/" if reads => page::home(&shared.origin),
        authorize::PATH if reads => authorize::show(shared, query),
        authorize::PATH if request.method == Method::POST => authorize::decide(shared, query, &request.body),
        authorize::PATH => page::not_allowed("GET, HEAD, POST"),
        _ => Answer::not_found().into_response(),
    }
}
