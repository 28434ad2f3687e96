//! A provider that answers every request as the token route does, over TLS or after a while.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, process, thread};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::visit::token_answer;

/// A key and a certificate for `localhost`, which is in a file while this is there.
pub(crate) struct Certified {
    acceptor: TlsAcceptor,
    file: PathBuf,
}

impl Certified {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = env::temp_dir().join(format!("tower-signin-callbacks-{}.pem", process::id()));
        fs::write(&file, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let certificates = vec![made.cert.der().clone()];
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), file }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        // Nothing depends on it any more.
        let _ = fs::remove_file(&self.file);
    }
}

/// Starts in a thread of its own and gives the origin.
pub(crate) fn start(tls: Option<&Certified>, answers_after: Duration) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let acceptor = tls.map(|tls| tls.acceptor.clone());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, answers_after).await,
                        Some(acceptor) => serve(acceptor.accept(stream).await.unwrap(), answers_after).await,
                    }
                });
            }
        });
    });
    origin
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, answers_after: Duration) {
    let answer = token_answer();
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            request.into_body().collect().await.unwrap();
            if !answers_after.is_zero() {
                tokio::time::sleep(answers_after).await;
            }
            Ok::<_, Infallible>(json(answer))
        }
    });
    // A client that goes away is no failure here.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn json(body: Bytes) -> Response<Full<Bytes>> {
    Response::builder().header(CONTENT_TYPE, "application/json; charset=utf-8").body(Full::new(body)).unwrap()
}
