//! The Config profile: what the provider publishes, and its keys when they change.

use std::sync::Arc;
use std::time::Duration;

use tower_signin::dev::openid::{Account, Misbehaviour as M, OpenIdProvider};

use crate::elsewhere::{Elsewhere, QUERY};
use crate::log::Log;
use crate::rows::Level::ConfigProfile;
use crate::rows::Verdict::Held;
use crate::rows::{Row, row};
use crate::stage::{KEYS, METADATA, Stage, alice, refused};
use crate::support::Browser;
use crate::trial::works;

pub(crate) const ROWS: &[Row] = &[
    row(
        "RP15",
        ConfigProfile,
        "read the metadata of the issuer, and use what it says",
        Held(&["rp15_every_endpoint_is_where_the_metadata_says"]),
    ),
    row(
        "RP16",
        ConfigProfile,
        "fetch keys from the `jwks_uri` of the metadata, guessed or remembered from nowhere else",
        Held(&["rp16_keys_are_fetched_where_the_metadata_says_now"]),
    ),
    row(
        "RP17",
        ConfigProfile,
        "stop where the metadata names another issuer",
        Held(&["rp17_metadata_of_another_issuer"]),
    ),
    row(
        "RP18",
        ConfigProfile,
        "as RP09: `none` is refused here, always",
        Held(&["tests/conformance/basic.rs::rp09_no_signature"]),
    ),
    row(
        "RP19",
        ConfigProfile,
        "fetch the keys again in the same sign-in where they have changed just before signing",
        Held(&["rp19_new_keys_just_before_signing"]),
    ),
    row(
        "RP20",
        ConfigProfile,
        "sign in again after the keys have changed",
        Held(&["rp20_new_keys_between_two_sign_ins"]),
    ),
];

/// A stage whose provider has its endpoints in a folder.
async fn stage_elsewhere(folder: &str) -> (Stage, Arc<Elsewhere>) {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    let elsewhere = Elsewhere::new(&openid, folder);
    let http_client = Arc::clone(&elsewhere);
    (Stage::at(&openid, |oidc| oidc, |builder| builder.http_client(http_client)).await, elsewhere)
}

/// Alice signs in there; what the app has asked for on the way.
async fn signs_in_at(stage: &Stage, elsewhere: &Elsewhere, folder: &str) -> Vec<String> {
    let mut browser = Browser::new();
    let authorization_url = browser.start(&stage.app.origin, "/").await;
    let place = format!("{}{folder}/authorize?{QUERY}&response_type=code&", stage.openid.issuer());
    assert!(authorization_url.starts_with(&place), "{authorization_url}");
    let callback = stage.openid.approve(&authorization_url.replace(folder, ""), &Account::alice()).unwrap();
    assert_eq!(browser.get(&callback).await.status(), 303);
    assert_eq!(stage.app.says(&mut browser, "/").await, alice().2);
    elsewhere.asked()
}

#[tokio::test]
async fn rp15_every_endpoint_is_where_the_metadata_says() {
    let (stage, elsewhere) = stage_elsewhere("/realms/one").await;
    let asked = signs_in_at(&stage, &elsewhere, "/realms/one").await;
    assert_eq!(asked, [METADATA, "/realms/one/jwks", "/realms/one/token", "/realms/one/userinfo"]);
}

#[tokio::test]
async fn rp16_keys_are_fetched_where_the_metadata_says_now() {
    let (stage, elsewhere) = stage_elsewhere("/run-1").await;
    signs_in_at(&stage, &elsewhere, "/run-1").await;
    elsewhere.move_to("/run-2");
    stage.openid.rotate_keys().unwrap();
    stage.app.clock.advance(Duration::from_secs(3600));
    let asked = signs_in_at(&stage, &elsewhere, "/run-2").await;
    assert_eq!(asked, [METADATA, "/run-2/jwks", "/run-2/token", "/run-2/userinfo"]);
}

#[tokio::test]
async fn rp17_metadata_of_another_issuer() {
    let stage = Stage::start().await;
    stage.openid.set_misbehaviour(Some(M::MetadataInvalidIssuer));
    Log::start();
    assert_eq!(stage.outcome().await, refused(502, "provider_answer_unreadable"));
    let logged = Log::line("sign-in failed");
    let (named, set) = (format!("{}/other", stage.openid.issuer()), stage.openid.issuer());
    for part in ["the metadata names another issuer", named.as_str(), set] {
        assert!(logged.contains(part), "{part}: {logged}");
    }
    assert_eq!(stage.asked(), [METADATA], "nobody is sent there, and nothing else is asked");
    stage.openid.set_misbehaviour(None);
    stage.app.clock.advance(Duration::from_secs(10));
    works(&stage, "once it names itself").await;
}

#[tokio::test]
async fn rp19_new_keys_just_before_signing() {
    for misbehaviour in [M::RotatesKeys, M::RotatesKeysUnderTheirIds] {
        let stage = Stage::start().await;
        works(&stage, "before").await;
        stage.openid.set_misbehaviour(Some(misbehaviour));
        works(&stage, &format!("{misbehaviour:?}")).await;
        assert_eq!((stage.count(METADATA), stage.count(KEYS)), (0, 1), "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn rp20_new_keys_between_two_sign_ins() {
    let stage = Stage::start().await;
    works(&stage, "with the first keys").await;
    stage.openid.rotate_keys().unwrap();
    works(&stage, "with the second keys").await;
    assert_eq!((stage.count(METADATA), stage.count(KEYS)), (0, 1));
    works(&stage, "once they are known").await;
    assert_eq!((stage.count(METADATA), stage.count(KEYS)), (0, 0));
}
