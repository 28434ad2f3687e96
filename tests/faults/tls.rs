//! TLS that does not come about, or shows a certificate that must not be believed.

use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::exchange::exchange;
use crate::kept;
use crate::place::{Place, in_one_thread};
use crate::table::Seen;
use crate::wire::{Certificate, Fault};

const SIGN_IN: &str = "TLS, at a sign-in";
const SIGNED_IN: &str = "TLS, while somebody is signed in";

const FAULTS: [(&str, Fault); 10] = [
    ("nothing", Fault::None),
    ("a self-signed certificate", Fault::Certificate(Certificate::SelfSigned)),
    ("one of an unknown authority", Fault::Certificate(Certificate::UnknownAuthority)),
    ("one for another name", Fault::Certificate(Certificate::OtherName)),
    ("one that has ended", Fault::Certificate(Certificate::Ended)),
    ("one that is not valid yet", Fault::Certificate(Certificate::NotYet)),
    ("the handshake is never answered", Fault::NeverShakesHands),
    ("the handshake is answered in plain HTTP", Fault::NoTls),
    ("the handshake is reset", Fault::ResetsAtOnce),
    ("307 to a server on plain HTTP", Fault::Redirects(307)),
];

/// The trust store is looked up in the environment of the process, so these run themselves again with one of their own.
#[test]
fn tls_at_fault_signs_nobody_in_and_nobody_out() {
    let name = "tls::tls_at_fault_signs_nobody_in_and_nobody_out";
    let trusted = env::temp_dir().join(format!("tower-signin-faults-{}.pem", std::process::id()));
    if let Some(trusted) = env::var_os(TRUSTED) {
        let certificates = Certificates::new(&trusted);
        return in_one_thread(see(&certificates));
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture"]);
    for proxy in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(proxy);
    }
    let command = command.env("SSL_CERT_FILE", &trusted).env("SSL_CERT_DIR", "/no/such/place").env(TRUSTED, &trusted);
    let output = command.output().unwrap();
    let _ = fs::remove_file(&trusted);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (at_sign_in, signed_in) = said.split_once(SIGNED_IN).expect("two sections");
    for (title, rows) in [(SIGN_IN, at_sign_in), (SIGNED_IN, signed_in)] {
        let mut seen = Seen::of(title);
        seen.add_lines(rows);
        seen.check();
    }
}

/// Names the file of certificates to trust, to the process that is run for it.
const TRUSTED: &str = "TOWER_SIGNIN_FAULTS_TRUSTED";

async fn see(certificates: &Certificates) {
    let mut seen = Seen::of(SIGN_IN);
    for (name, fault) in FAULTS {
        let place = Place::start_with_tls(Some(certificates.clone()), |builder| builder).await;
        let (sees, next) = exchange(name, fault, &place).await;
        seen.row(name, "exchange", sees, next);
    }
    let at_sign_in = seen.lines();
    let mut seen = Seen::of(SIGNED_IN);
    kept::see(&mut seen, &FAULTS[1..], Some(certificates)).await;
    fs::write("/dev/stdout", format!("\n{at_sign_in}{SIGNED_IN}\n{}", seen.lines())).unwrap();
}

/// A good certificate for 127.0.0.1 and some that are not.
#[derive(Clone)]
pub struct Certificates(Arc<dyn Fn(Fault) -> TlsAcceptor + Send + Sync>);

impl Certificates {
    /// Writes the authority that is to be trusted into a file.
    fn new(trusted: &std::ffi::OsStr) -> Self {
        let (authority, unknown) = (authority(), authority());
        fs::write(trusted, authority.pem()).unwrap();
        let here = || CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let signed = |params: &CertificateParams, by: &CertifiedIssuer<'_, KeyPair>| {
            let key = KeyPair::generate().unwrap();
            acceptor(params.signed_by(&key, by).unwrap().der().clone(), &key)
        };
        let key = KeyPair::generate().unwrap();
        let self_signed = acceptor(here().self_signed(&key).unwrap().der().clone(), &key);
        let of_unknown = signed(&here(), &unknown);
        let other_name = CertificateParams::new(["localhost".to_owned(), "127.0.0.2".to_owned()]).unwrap();
        let other_name = signed(&other_name, &authority);
        let [mut ended, mut not_yet] = [here(), here()];
        ended.not_after = date_time_ymd(2024, 1, 1);
        not_yet.not_before = date_time_ymd(4000, 1, 1);
        let (ended, not_yet) = (signed(&ended, &authority), signed(&not_yet, &authority));
        let good = signed(&here(), &authority);
        Self(Arc::new(move |fault| {
            let acceptor = match fault {
                Fault::Certificate(Certificate::SelfSigned) => &self_signed,
                Fault::Certificate(Certificate::UnknownAuthority) => &of_unknown,
                Fault::Certificate(Certificate::OtherName) => &other_name,
                Fault::Certificate(Certificate::Ended) => &ended,
                Fault::Certificate(Certificate::NotYet) => &not_yet,
                _ => &good,
            };
            acceptor.clone()
        }))
    }

    pub fn acceptor(&self, fault: Fault) -> TlsAcceptor {
        (self.0)(fault)
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}
