//! The way out to the provider.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};

use crate::error::{BoxError, Error, ErrorKind};

/// A boxed future, as the object-safe traits of this crate return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends a request to the provider and gives back the whole answer.
///
/// The default one speaks HTTP/1.1 over rustls (feature `reqwest`). One of your own must keep its rules: redirects are
/// not followed (the request carries secrets), connecting takes at most 5 and everything 15 seconds, an answer over
/// [`ANSWER_LIMIT`] bytes is an error, and plain http goes to loopback hosts only.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use tower_signin::{BoxFuture, HttpClient, HttpError, HttpErrorKind};
///
/// /// For tests: there is no network.
/// struct Offline;
///
/// impl HttpClient for Offline {
///     fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
///         Box::pin(async { Err(HttpError::new(HttpErrorKind::Unreachable)) })
///     }
/// }
/// ```
pub trait HttpClient: Send + Sync + 'static {
    /// Sends `request`, once: it must never be repeated by itself.
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>>;
}

impl<C: HttpClient + ?Sized> HttpClient for std::sync::Arc<C> {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        (**self).send(request)
    }
}

/// The most bytes an answer of the provider may take: 256 KiB.
pub const ANSWER_LIMIT: usize = 256 * 1024;

/// Why no answer came.
#[derive(Debug)]
pub struct HttpError {
    kind: HttpErrorKind,
    source: Option<BoxError>,
}

/// The sort of an [`HttpError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// No connection could be made: name, network or TLS.
    Unreachable,
    /// Connecting or answering took too long.
    Timeout,
    /// The connection ended before the answer was whole, or the answer was not HTTP.
    Interrupted,
    /// The answer was larger than [`ANSWER_LIMIT`].
    TooLarge,
    /// The URL is neither https nor http on a loopback host, so nothing was sent.
    Insecure,
}

impl HttpError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: HttpErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Adds what was underneath. It is logged, so it must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The sort of error.
    #[must_use]
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            HttpErrorKind::Unreachable => "no connection could be made",
            HttpErrorKind::Timeout => "no answer came in time",
            HttpErrorKind::Interrupted => "the connection ended before the answer was whole",
            HttpErrorKind::TooLarge => "the answer was larger than 256 KiB",
            HttpErrorKind::Insecure => "the URL is neither https nor on a loopback host",
        })
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        let kind = match error.kind {
            HttpErrorKind::Unreachable | HttpErrorKind::Insecure => ErrorKind::ProviderUnreachable,
            HttpErrorKind::Timeout => ErrorKind::ProviderTimeout,
            HttpErrorKind::Interrupted | HttpErrorKind::TooLarge => ErrorKind::ProviderAnswer,
        };
        Self::new(kind).with_source(error)
    }
}

#[cfg(feature = "reqwest")]
pub(crate) use with_reqwest::ReqwestClient;

#[cfg(feature = "reqwest")]
mod with_reqwest {
    use std::time::Duration;

    use super::*;
    use crate::config_error::ConfigError;
    use crate::redirect_uri::is_loopback_host;
    use crate::secret::SecretBytes;

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);

    /// The default client: one for https, one for plain http on loopback, each only where it is needed.
    ///
    /// They differ because a client with a trust store can't be built where there is none, even to speak plain http,
    /// and because a proxy from the environment must never see requests to loopback.
    #[derive(Debug)]
    pub(crate) struct ReqwestClient {
        public: Option<reqwest::Client>,
        loopback: Option<reqwest::Client>,
    }

    impl ReqwestClient {
        /// A client for a provider that is spoken to at these URLs.
        pub(crate) fn for_urls<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
            let mut client = Self { public: None, loopback: None };
            for url in urls {
                if url.starts_with("https:") && client.public.is_none() {
                    client.public = Some(build(base().https_only(true))?);
                } else if url.starts_with("http:") && client.loopback.is_none() {
                    client.loopback = Some(build(base().no_proxy().tls_certs_only([]))?);
                }
            }
            Ok(client)
        }

        fn client_for(&self, request: &Request<Bytes>) -> Option<&reqwest::Client> {
            match request.uri().scheme_str()? {
                "https" => self.public.as_ref(),
                "http" if is_loopback_host(request.uri().host()?) => self.loopback.as_ref(),
                _ => None,
            }
        }
    }

    impl HttpClient for ReqwestClient {
        fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
            Box::pin(async move {
                let insecure = || HttpError::new(HttpErrorKind::Insecure);
                let client = self.client_for(&request).ok_or_else(insecure)?;
                let request = reqwest::Request::try_from(request).map_err(|_| insecure())?;
                let mut answer = client.execute(request).await.map_err(http_error)?;
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = answer.status();
                *response.headers_mut() = std::mem::take(answer.headers_mut());
                let mut body = SecretBytes::default();
                while let Some(chunk) = answer.chunk().await.map_err(http_error)? {
                    if body.as_slice().len() + chunk.len() > ANSWER_LIMIT {
                        return Err(HttpError::new(HttpErrorKind::TooLarge));
                    }
                    body.extend(&chunk);
                }
                *response.body_mut() = body.into_bytes();
                Ok(response)
            })
        }
    }

    fn base() -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A code works once, and the answer does not say whether it was used: nothing is sent twice.
            .retry(reqwest::retry::never())
            // Another crate may have turned these on in reqwest.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .user_agent(concat!("tower-signin/", env!("CARGO_PKG_VERSION")))
    }

    fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ConfigError> {
        builder.build().map_err(|error| {
            ConfigError::new(
                "http_client",
                format!("no HTTP client could be built ({})", innermost(&error)),
                "install the system's CA certificates, or give the builder an HttpClient of your own",
            )
        })
    }

    fn innermost(error: &dyn StdError) -> String {
        let mut error = error;
        while let Some(source) = error.source() {
            error = source;
        }
        error.to_string()
    }

    fn http_error(error: reqwest::Error) -> HttpError {
        let kind = if error.is_timeout() {
            HttpErrorKind::Timeout
        } else if error.is_connect() {
            HttpErrorKind::Unreachable
        } else {
            HttpErrorKind::Interrupted
        };
        HttpError::new(kind).with_source(error.without_url())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn each_client_is_for_its_own_addresses() {
            let client = ReqwestClient::for_urls(["http://127.0.0.1:1/", "http://[::1]:1/"]).unwrap();
            let is_known = |url: &str| client.client_for(&Request::get(url).body(Bytes::new()).unwrap()).is_some();
            assert!(is_known("http://127.0.0.1:1/") && is_known("http://localhost/") && is_known("http://[::1]/"));
            for url in ["http://192.0.2.1/", "http://127.0.0.1.example/", "https://127.0.0.1/", "ftp://127.0.0.1/", "/"]
            {
                assert!(!is_known(url), "{url}");
            }
        }

        #[test]
        fn what_was_at_the_bottom_of_an_error_is_told() {
            let bottom = std::io::Error::other("the bottom");
            let error = crate::error::Error::new(crate::ErrorKind::Internal).with_source(std::io::Error::other(bottom));
            assert_eq!(innermost(&error), "the bottom");
        }
    }
}
