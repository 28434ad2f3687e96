use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::RecordedRequest;
use super::body::DevBody;

/// A JSON answer of the API.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }

    /// `{"errorMessage": …}`, the error shape of the BitBadges API docs.
    pub(super) fn error(status: StatusCode, message: &str) -> Self {
        Self { status, body: json!({ "errorMessage": message }) }
    }

    pub(super) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not found.")
    }

    /// A body that fails the type check. As in the real answer, the value comes back in the text.
    pub(super) fn invalid_payload(path: &str, expected: &str, value: &Value) -> Self {
        let found = json!([{ "path": path, "expected": expected, "value": value }]);
        Self::error(StatusCode::BAD_REQUEST, &format!("Invalid request payload. {found}"))
    }

    pub(super) fn into_response(self) -> Response<DevBody> {
        respond(self.status, JSON, self.to_bytes())
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        Bytes::from(self.body.to_string())
    }
}

pub(super) fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<DevBody> {
    let mut response = Response::new(DevBody::Whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The fields of a request body, JSON or form; a body of another type has none.
///
/// A form field that is there twice becomes an array and `a[b]=c` an object, as in the public
/// BitBadges server, so both fail the type check wherever a string is expected.
pub(super) fn fields(request: &RecordedRequest) -> Result<Map<String, Value>, Answer> {
    let kind = request
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .map_or_else(String::new, |kind| kind.trim().to_ascii_lowercase());
    match kind.as_str() {
        "application/json" if request.body.is_empty() => Ok(Map::new()),
        "application/json" => match serde_json::from_slice(&request.body) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(value) => Err(Answer::invalid_payload("$input", "object", &value)),
            Err(_) => Err(Answer::invalid_payload("$input", "object", &Value::Null)),
        },
        "application/x-www-form-urlencoded" => Ok(form_fields(&request.body)),
        _ => Ok(Map::new()),
    }
}

/// A field that is a string or absent.
pub(super) fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Answer> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(value) => Err(Answer::invalid_payload(&format!("$input.{name}"), "(string | undefined)", value)),
    }
}

fn form_fields(body: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        let nested =
            name.strip_suffix(']').and_then(|name| name.split_once('[')).filter(|(outer, _)| !outer.is_empty());
        if let Some((outer, inner)) = nested {
            let object = fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(object) = object {
                object.insert(inner.to_owned(), value);
            }
            continue;
        }
        let value = match fields.remove(name.as_ref()) {
            None => value,
            Some(Value::Array(mut values)) => {
                values.push(value);
                Value::Array(values)
            }
            Some(first) => Value::Array(vec![first, value]),
        };
        fields.insert(name.into_owned(), value);
    }
    fields
}

pub(super) const JSON: &str = "application/json; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_fields_by_shape() {
        let fields = form_fields(b"a=1&b=x%20y+z&a=2&a=3&o[n]=600000&[x]=1");
        assert_eq!(
            Value::Object(fields),
            json!({ "a": ["1", "2", "3"], "b": "x y z", "o": { "n": "600000" }, "[x]": "1" })
        );
    }
}
