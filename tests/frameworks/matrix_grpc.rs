//! Every caller in every state, at a guard in front of tonic with gRPC and gRPC-Web; and what their clients make of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_web::{GrpcWebClientLayer, GrpcWebLayer};
use tower::ServiceBuilder;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower_signin::RequireLayer;

use crate::app::{FROM_THE_APP, while_serving};
use crate::matrix::{Guarded, Who, Wire, assert_only_over_is_deleted, request};
use crate::support::alice;
use crate::who_am_i::{WhoAmI, ask};

use Who::{Alice, Bob, Expired, Nobody};

const ASK: &str = "/test.WhoAmI/Ask";

#[tokio::test]
async fn tonic_answers_every_caller_in_every_state() {
    for only_alice in [false, true] {
        let (mut guarded, listener) = Guarded::start().await;
        // tonic has no setting for it.
        guarded.takes_connect = false;
        let guard = if only_alice { guarded.only_alice() } else { guarded.sign_in.require() };
        let clients = async {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                let mut wire = Wire::connect(version, &guarded.origin).await;
                for path in [ASK, "/test.WhoAmI/Nothing", "/elsewhere?x=1"] {
                    guarded.check(&mut wire, path, only_alice, |_| true).await;
                }
            }
        };
        while_serving(serve_tonic(&guarded, guard, listener), clients).await;
    }
}

#[tokio::test]
async fn a_grpc_client_reads_the_guards_answer_in_every_state() {
    let (guarded, listener) = Guarded::start().await;
    let clients = async {
        for who in [Alice, Bob, Nobody, Expired] {
            let answer = ask(&guarded.origin, guarded.cookie(who)).await;
            assert_read(who, answer, guarded.count());
        }
    };
    while_serving(serve_tonic(&guarded, guarded.only_alice(), listener), clients).await;
}

#[tokio::test]
async fn a_grpc_web_client_reads_the_guards_answer_in_every_state() {
    let (guarded, listener) = Guarded::start().await;
    let origin: Uri = guarded.origin.replace("localhost", "127.0.0.1").parse().unwrap();
    let clients = async {
        for who in [Alice, Bob, Nobody, Expired] {
            let http = Client::builder(TokioExecutor::new()).build_http();
            let channel = ServiceBuilder::new().layer(GrpcWebClientLayer::new()).service(http);
            let mut grpc = tonic::client::Grpc::with_origin(channel, origin.clone());
            grpc.ready().await.unwrap();
            let mut request = tonic::Request::new(());
            if let Some(cookie) = guarded.cookie(who) {
                request.metadata_mut().insert("cookie", cookie.parse().unwrap());
            }
            let answer = grpc.unary(request, PathAndQuery::from_static(ASK), ProstCodec::<(), String>::default()).await;
            assert_read(who, answer.map(tonic::Response::into_inner), guarded.count());
        }
    };
    while_serving(serve_tonic(&guarded, guarded.only_alice(), listener), clients).await;
}

/// What a browser's gRPC-Web library sends and reads, byte for byte.
#[tokio::test]
async fn grpc_web_passes_the_guard_whole_in_both_encodings() {
    let (guarded, listener) = Guarded::start().await;
    let clients = async {
        for content_type in ["application/grpc-web+proto", "application/grpc-web", "application/grpc-web-text"] {
            let is_text = content_type.ends_with("text");
            for who in [Alice, Bob, Nobody, Expired] {
                let name = format!("{content_type}, {who:?}");
                let headers = [("content-type", content_type), ("accept", content_type), ("x-grpc-web", "1")];
                let empty_message = if is_text { Bytes::from("AAAAAAA=") } else { Bytes::from_static(&[0; 5]) };
                let request = request(&guarded.origin, "POST", ASK, &headers, guarded.cookie(who));
                let response = Wire::Http1.send(request.map(|_| empty_message.clone())).await;
                assert_eq!(response.status(), 200, "{name}");
                if who == Alice {
                    let body = if is_text { from_text(response.body()) } else { response.body().to_vec() };
                    let has = |part: &str| body.windows(part.len()).any(|window| window == part.as_bytes());
                    assert!(has(&alice()) && has("grpc-status:0"), "{name}: {body:?}");
                } else {
                    let status = if who == Bob { "7" } else { "16" };
                    assert_eq!(response.headers()["grpc-status"], status, "{name}");
                    assert_eq!(response.headers()[CONTENT_TYPE], content_type, "{name}");
                    assert!(response.body().is_empty(), "{name}");
                    assert_only_over_is_deleted(&name, who, &response);
                }
            }
        }
        assert_eq!(guarded.count(), 3, "what is guarded ran for alice alone");
    };
    while_serving(serve_tonic(&guarded, guarded.only_alice(), listener), clients).await;
}

/// A real tonic server: who passes `guard` is counted, and finds both protocols.
pub(crate) async fn serve_tonic(
    guarded: &Guarded,
    guard: RequireLayer,
    listener: TcpListener,
) -> Result<(), tonic::transport::Error> {
    let calls = Arc::clone(&guarded.calls);
    let count = MapRequestLayer::new(move |request: Request<_>| {
        calls.fetch_add(1, Ordering::SeqCst);
        request
    });
    let mark = MapResponseLayer::new(|mut response: Response<_>| {
        response.headers_mut().insert(FROM_THE_APP, HeaderValue::from_static("yes"));
        response
    });
    Server::builder()
        .accept_http1(true)
        .layer(guarded.sign_in.layer())
        .layer(guard)
        .layer(count)
        .layer(mark)
        .layer(GrpcWebLayer::new())
        .serve_with_incoming(Routes::new(WhoAmI), TcpIncoming::from(listener))
        .await
}

#[track_caller]
fn assert_read(who: Who, answer: Result<String, Status>, calls: usize) {
    match who {
        Alice => assert_eq!(answer.unwrap(), alice()),
        Bob => assert_status(who, &answer.unwrap_err(), Code::PermissionDenied, "not_allowed"),
        Nobody | Expired => assert_status(who, &answer.unwrap_err(), Code::Unauthenticated, "not_signed_in"),
    }
    assert_eq!(calls, 1, "{who:?}: what is guarded ran for alice alone");
}

#[track_caller]
fn assert_status(who: Who, status: &Status, code: Code, message: &str) {
    assert_eq!((status.code(), status.message()), (code, message), "{who:?}: {status:?}");
}

/// Each frame is encoded, and padded, by itself.
fn from_text(body: &[u8]) -> Vec<u8> {
    body.chunks(4).flat_map(|four| STANDARD.decode(four).unwrap()).collect()
}
