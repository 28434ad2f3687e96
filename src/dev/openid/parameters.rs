use std::collections::HashMap;

use http::header;
use url::form_urlencoded;

use crate::dev::RecordedRequest;

/// The parameters of a query or form; none may be there twice (RFC 6749 sections 3.1 and 3.2).
pub(super) fn distinct(encoded: &[u8]) -> Result<HashMap<String, String>, String> {
    let mut values = HashMap::new();
    for (name, value) in form_urlencoded::parse(encoded).into_owned() {
        if values.insert(name.clone(), value).is_some() {
            return Err(format!("The parameter {name} is there more than once."));
        }
    }
    Ok(values)
}

/// Those of a request body, which must be a form.
pub(super) fn of_form(request: &RecordedRequest) -> Result<HashMap<String, String>, String> {
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err("The body must be application/x-www-form-urlencoded.".to_owned());
    }
    distinct(&request.body)
}
