//! TLS to the server.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tower_signin::conformance::Fixture;
use tower_signin::{RedisStore, SessionStore, StoreErrorKind};

use crate::rules::on_manual_clock;
use crate::server::{Server, key};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }
}

struct Secured {
    server: Server,
    authority: Authority,
    files: PathBuf,
}

impl Secured {
    /// With a certificate for this name.
    fn start(name: &str) -> Self {
        let authority = Authority::new();
        let pair = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&pair, &authority.issuer).unwrap();
        let files = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&files).unwrap();
        let write = |file: &str, content: String| {
            let path = files.join(file);
            fs::write(&path, content).unwrap();
            path.into_os_string().into_string().unwrap()
        };
        let (certificate, pair) = (write("certificate", certificate.pem()), write("key", pair.serialize_pem()));
        let server = Server::with(&[
            "--port",
            "0",
            "--tls-port",
            "PORT",
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &pair,
            "--tls-ca-cert-file",
            &certificate,
        ]);
        Self { server, authority, files }
    }

    fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.server.port)
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.files);
    }
}

static SECURED: LazyLock<Secured> = LazyLock::new(|| Secured::start("127.0.0.1"));

async fn over_tls() -> Fixture {
    on_manual_clock(RedisStore::builder(SECURED.url()).root_certificates(SECURED.authority.pem()))
}

mod redis {
    tower_signin::store_conformance!(
        #[ignore = "needs redis"]
        super::over_tls
    );
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_whose_certificate_is_not_believed_is_not_spoken_to() {
    let other = Secured::start("redis.example");
    let rows = [
        ("the system knows no such authority", RedisStore::builder(SECURED.url()), "UnknownIssuer"),
        (
            "another authority",
            RedisStore::builder(SECURED.url()).root_certificates(other.authority.pem()),
            "certificate",
        ),
        (
            "another name",
            RedisStore::builder(other.url()).root_certificates(other.authority.pem()),
            "not valid for name",
        ),
        ("no TLS at all", RedisStore::builder(SECURED.server.url()), "127.0.0.1"),
    ];
    for (name, builder, part) in rows {
        let error = builder.build().unwrap().load(key(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unreachable, "{name}");
        assert!(format!("{error:?}").contains(part), "{name}: {error:?}");
    }
}
