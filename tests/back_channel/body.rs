//! The request: its method, its type, its form, how large it is and how slowly it comes.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::double::Kind;
use crate::site::{BOB, query};
use crate::teller::{ISSUER, SESSION_ID, Token};
use crate::{DONE, FORM, MISSING, PATH, REJECTED, Told, post, token, told};

/// The largest form that is read.
const LIMIT: usize = 64 * 1024;

#[tokio::test]
async fn only_a_form_with_one_token_is_read() {
    let told_of = Told::new(Kind::Private);
    let browser = told_of.site.signed_in().await;
    let one = token().to_string();
    let form = query(&[("logout_token", &one)]);
    let padded = |to: usize| format!("{form}&x={}", "x".repeat(to - form.len() - 3));
    for (name, content_type, body, expected) in [
        ("no type", None, form.clone(), MISSING),
        ("JSON", Some("application/json"), form.clone(), MISSING),
        ("a multipart form", Some("multipart/form-data"), form.clone(), MISSING),
        ("a longer type", Some("application/x-www-form-urlencodedx"), form.clone(), MISSING),
        ("nothing", Some(FORM), String::new(), MISSING),
        ("another parameter", Some(FORM), query(&[("token", &one)]), MISSING),
        ("in another case", Some(FORM), query(&[("Logout_Token", &one)]), MISSING),
        ("twice", Some(FORM), format!("{form}&{form}"), MISSING),
        ("twice, written otherwise", Some(FORM), format!("{form}&logout%5Ftoken=x"), MISSING),
        ("too large", Some(FORM), padded(LIMIT + 1), MISSING),
        ("an empty token", Some(FORM), query(&[("logout_token", "")]), REJECTED),
        ("no JWT", Some(FORM), query(&[("logout_token", "token")]), REJECTED),
        ("not text", Some(FORM), "logout_token=%ff.%ff.%ff".to_owned(), REJECTED),
        ("iss twice", Some(FORM), query(&[("logout_token", &iss_twice())]), REJECTED),
        ("by another provider", Some(FORM), query(&[("logout_token", &by("https://evil.example"))]), REJECTED),
        ("by a beginning of it", Some(FORM), query(&[("logout_token", &by("https://bitbadges.i"))]), REJECTED),
        ("unsigned", Some(FORM), query(&[("logout_token", &unsigned())]), REJECTED),
        ("of nobody", Some(FORM), query(&[("logout_token", &Token::of(None, None).to_string())]), REJECTED),
    ] {
        let mut request = Request::post(PATH);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let answer = told_of.answer(request.body(body.into()).unwrap()).await;
        assert_eq!(told(&answer), expected, "{name}");
        assert!(told_of.knows(&browser).await, "{name}");
    }
    for (name, content_type, body) in [
        ("as it should be", FORM, query(&[("logout_token", &token().to_string())])),
        (
            "a charset",
            "Application/X-WWW-Form-URLencoded; charset=UTF-8",
            query(&[("logout_token", &token().to_string())]),
        ),
        ("others beside it", FORM, query(&[("a", "b"), ("logout_token", &token().to_string()), ("c", "")])),
        ("as large as it may be", FORM, padded(LIMIT)),
    ] {
        let browser = told_of.site.signed_in().await;
        let request = Request::post(PATH).header(CONTENT_TYPE, content_type).body(body.into()).unwrap();
        assert_eq!(told(&told_of.answer(request).await), DONE, "{name}");
        assert!(!told_of.knows(&browser).await, "{name}");
    }
}

fn by(issuer: &str) -> String {
    let mut token = token();
    token.claims["iss"] = issuer.into();
    token.to_string()
}

fn unsigned() -> String {
    Token { signature: "", ..token() }.to_string()
}

fn iss_twice() -> String {
    use base64::Engine as _;
    let claims = format!(r#"{{"iss":"{ISSUER}","iss":"{ISSUER}","sid":"{SESSION_ID}","jti":"twice"}}"#);
    format!("e30.{}.signed", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn every_other_method_is_told_so() {
    let told_of = Told::new(Kind::Private);
    let browser = told_of.site.signed_in().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY"] {
        let mut request = post(&token().to_string());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = told_of.answer(request).await;
        assert_eq!(told(&answer), (405, "method_not_allowed"), "{method}");
        assert_eq!(answer.headers()[ALLOW], "POST", "{method}");
        assert_eq!(answer.body().is_empty(), method == "HEAD", "{method}");
    }
    assert!(told_of.knows(&browser).await);
    // A query is no form.
    let query = query(&[("logout_token", &token().to_string())]);
    let request = Request::post(format!("{PATH}?{query}")).header(CONTENT_TYPE, FORM).body(Bytes::new()).unwrap();
    assert_eq!(told(&told_of.answer(request).await), MISSING);
    // Cookies are neither read nor set.
    let mut request = post(&token().to_string());
    request.headers_mut().insert("cookie", browser.cookie_header().unwrap().parse().unwrap());
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    request.headers_mut().insert("sec-purpose", "prefetch".parse().unwrap());
    assert_eq!(told(&told_of.answer(request).await), DONE);
}

/// A form in pieces, with such a pause before each.
async fn in_pieces(told_of: &Told, form: &str, size: usize, pause: Duration) -> Response<Bytes> {
    let pieces: Vec<_> = form.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
    let pieces = tokio_stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(Frame::data(piece))
    });
    send(told_of, StreamBody::new(pieces)).await
}

async fn send<B>(told_of: &Told, body: B) -> Response<Bytes>
where
    B: http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static,
{
    let inner = service_fn(|_: Request<B>| async { Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default())) });
    let request = Request::post(PATH).header(CONTENT_TYPE, FORM).body(body).unwrap();
    let (parts, body) = told_of.layer.layer(inner).oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

#[tokio::test(start_paused = true)]
async fn a_form_has_ten_seconds_and_64_kib_however_it_comes() {
    let told_of = Told::new(Kind::Private);
    let browser = told_of.site.signed_in().await;
    let form = query(&[("logout_token", &token().to_string())]);
    let long = format!("{form}&x={}", "x".repeat(LIMIT));
    let began = Instant::now();
    let slow = in_pieces(&told_of, &form, 1, Duration::from_secs(1)).await;
    assert_eq!((told(&slow), began.elapsed()), (MISSING, Duration::from_secs(10)), "a byte a second");
    let began = Instant::now();
    assert_eq!(told(&in_pieces(&told_of, &long, 1000, Duration::ZERO).await), MISSING, "too long, of no stated length");
    assert!(began.elapsed() < Duration::from_secs(1));
    let cut = StreamBody::new(tokio_stream::iter([
        Ok(Frame::data(Bytes::copy_from_slice(&form.as_bytes()[..20]))),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]));
    assert_eq!(told(&send(&told_of, cut).await), MISSING, "cut short");
    assert!(told_of.knows(&browser).await);
    let pause = Duration::from_secs(9) / u32::try_from(form.len()).unwrap();
    assert_eq!(told(&in_pieces(&told_of, &form, 1, pause).await), DONE, "slowly");
    assert!(!told_of.knows(&browser).await);
}

#[tokio::test]
async fn the_person_is_named_by_issuer_and_subject() {
    let told_of = Told::new(Kind::Later);
    let (one, other) = (told_of.site.signed_in().await, told_of.site.signed_in().await);
    assert_eq!(told(&told_of.tell(&Token::of(Some("somebody"), None)).await), DONE);
    assert!(told_of.knows(&one).await && told_of.knows(&other).await);
    assert_eq!(told(&told_of.tell(&Token::of(Some(BOB), None)).await), DONE);
    assert!(!told_of.knows(&one).await && !told_of.knows(&other).await);
    let one = told_of.site.signed_in().await;
    assert_eq!(told(&told_of.tell(&Token::of(Some(BOB), Some("another"))).await), DONE);
    assert!(told_of.knows(&one).await, "the session counts, where there is one");
}
