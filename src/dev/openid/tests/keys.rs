use aws_lc_rs::{digest, hmac};

use super::*;

#[tokio::test]
async fn each_algorithm_is_one_that_others_verify() {
    let provider = OpenIdProvider::start().await.unwrap();
    let keys = get(&provider, "/jwks").await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 4);
    for key in keys["keys"].as_array().unwrap() {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert_eq!(key.get(private), None, "{private}");
        }
    }
    for (algorithm, name, hash) in [
        (SigningAlgorithm::Rs256, "RS256", &digest::SHA256),
        (SigningAlgorithm::Es256, "ES256", &digest::SHA256),
        (SigningAlgorithm::EdDsa, "EdDSA", &digest::SHA512),
        (SigningAlgorithm::Ps256, "PS256", &digest::SHA256),
    ] {
        provider.set_signing_algorithm(algorithm);
        let code = code(&provider, &[]);
        let tokens = redeem(&provider, &code).await.json();
        let id_token = tokens["id_token"].as_str().unwrap();
        assert_eq!(part(id_token, 0)["alg"], name);
        assert!(is_signed(id_token, &keys), "{name}");
        let digest = digest::digest(hash, tokens["access_token"].as_str().unwrap().as_bytes());
        let half = &digest.as_ref()[..digest.as_ref().len() / 2];
        assert_eq!(decoded(part(id_token, 1)["at_hash"].as_str().unwrap()), half, "{name}");
    }
}

#[tokio::test]
async fn hs256_is_the_client_secret_and_only_announced_where_chosen() {
    let provider = OpenIdProvider::start().await.unwrap();
    provider.add_client("other", Some("other-secret"));
    let announced = async || {
        let metadata = get(&provider, "/.well-known/openid-configuration").await.json();
        metadata["id_token_signing_alg_values_supported"].as_array().unwrap().contains(&"HS256".into())
    };
    assert!(!announced().await);
    provider.set_signing_algorithm(SigningAlgorithm::Hs256);
    assert!(announced().await);
    let code = code(&provider, &[("client_id", "other")]);
    let tokens = post(&provider, "/token", ("other", "other-secret"), &exchange(&code)).await.json();
    let (message, signature) = tokens["id_token"].as_str().unwrap().rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"other-secret");
    assert!(hmac::verify(&key, message.as_bytes(), &decoded(signature)).is_ok());
    assert_eq!(get(&provider, "/jwks").await.json()["keys"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn rotated_keys_are_others_under_other_ids() {
    let provider = OpenIdProvider::start().await.unwrap();
    let old = get(&provider, "/jwks").await.json();
    provider.rotate_keys().unwrap();
    let new = get(&provider, "/jwks").await.json();
    for (old, new) in old["keys"].as_array().unwrap().iter().zip(new["keys"].as_array().unwrap()) {
        assert_eq!(old["alg"], new["alg"]);
        assert_ne!(old["kid"], new["kid"]);
        assert_ne!((old.get("n"), old.get("x")), (new.get("n"), new.get("x")));
    }
    let code = code(&provider, &[]);
    let tokens = redeem(&provider, &code).await.json();
    assert!(is_signed(tokens["id_token"].as_str().unwrap(), &new));
}

#[tokio::test]
async fn the_authorized_party_is_named_where_asked() {
    let provider = OpenIdProvider::start().await.unwrap();
    for (asked, party) in [(false, Value::Null), (true, Value::from(CLIENT_ID))] {
        provider.set_authorized_party(asked);
        let code = code(&provider, &[]);
        let tokens = redeem(&provider, &code).await.json();
        assert_eq!(part(tokens["id_token"].as_str().unwrap(), 1)["azp"], party);
    }
}
