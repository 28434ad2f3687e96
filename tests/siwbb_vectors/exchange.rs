//! Vectors 6 to 12: the answers of the token route that say who somebody is, and those that only seem to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tower_signin::ErrorKind::{self, NotVerified, ProviderAnswer};
use tower_signin::siwbb::Account;
use tower_signin::{Admission, SignedIn};

use crate::refusals::assert_no_sign_in;
use crate::site::{BOB, Site};
use crate::support::{Browser, text};

pub(crate) const BOB_HEX: &str = "0x092bb4851ae26850588243e7bef22a56287f4739";
const ALICE: &str = "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70d";
const REFUSED: &str = "Address did not meet the asset ownership requirements.";

/// The documented answer.
pub(crate) fn v06() -> Value {
    json!({
        "address": BOB_HEX,
        "chain": "ETH",
        "bitbadgesAddress": BOB,
        "verificationResponse": { "success": true },
        "access_token": "siwbb_at_7d2e9f4a1b6c3d8e5f0a2b9c4d7e1f6a",
        "token_type": "Bearer",
        "access_token_expires_at": "1788825600000",
        "refresh_token": "siwbb_rt_2b9c4d7e1f6a7d2e9f4a1b6c3d8e5f0a",
        "refresh_token_expires_at": "1793923200000",
    })
}

fn v07() -> Value {
    json!({
        "address": ALICE,
        "chain": "Cosmos",
        "bitbadgesAddress": ALICE,
        "verificationResponse": {
            "success": true,
            "message": "Successfully granted access via Blockin",
            "verificationData": {},
        },
        "access_token": "6f0e1d2c3b4a59687786958493a2b1c0d9e8f7a6b5c4d3e2f10011223344556f",
        "token_type": "Bearer",
        "access_token_expires_at": 1_788_825_600_000_u64,
        "refresh_token": "aa0e1d2c3b4a59687786958493a2b1c0d9e8f7a6b5c4d3e2f100112233445566",
        "refresh_token_expires_at": 1_793_923_200_000_u64,
        "ownershipRequirements": { "$and": [] },
    })
}

#[tokio::test]
async fn v06_ethereum_user_times_as_strings() {
    let who = signed_in("v06", &v06()).await;
    assert_eq!((who.identity().issuer(), who.identity().subject()), ("https://bitbadges.io", BOB));
    let account: Account = who.identity().claims().unwrap();
    assert_eq!((account.address.as_str(), account.chain.as_str()), (BOB_HEX, "ETH"));
    assert_eq!(account.bitbadges_address, BOB);
    let tokens = who.tokens().unwrap();
    assert_eq!(tokens.access_token(), "siwbb_at_7d2e9f4a1b6c3d8e5f0a2b9c4d7e1f6a");
    assert_eq!(tokens.refresh_token(), Some("siwbb_rt_2b9c4d7e1f6a7d2e9f4a1b6c3d8e5f0a"));
    assert_eq!(tokens.access_expires_at(), Some(at(1_788_825_600)));
    assert_eq!(tokens.refresh_expires_at(), Some(at(1_793_923_200)));
}

#[tokio::test]
async fn v07_cosmos_user_times_as_numbers_unknown_fields() {
    let who = signed_in("v07", &v07()).await;
    assert_eq!(who.identity().subject(), ALICE);
    let account: Account = who.identity().claims().unwrap();
    assert_eq!((account.address.as_str(), account.chain.as_str()), (ALICE, "Cosmos"));
    let tokens = who.tokens().unwrap();
    assert_eq!(tokens.access_expires_at(), Some(at(1_788_825_600)));
    assert_eq!(tokens.refresh_expires_at(), Some(at(1_793_923_200)));
}

#[tokio::test]
async fn v07_what_may_vary_and_what_may_be_absent() {
    let cases = [
        ("a checksummed address", "address", json!("0x092bB4851aE26850588243E7bEf22a56287F4739")),
        ("another name of the chain", "chain", json!("Ethereum")),
        ("a chain nobody knows", "chain", json!("Moon")),
        ("a time as a float", "access_token_expires_at", json!(1.7888256e12)),
        ("a time in the past", "access_token_expires_at", json!(0)),
        ("no time", "access_token_expires_at", Value::Null),
        ("a time in words", "access_token_expires_at", json!("tomorrow")),
        ("an empty time", "refresh_token_expires_at", json!("")),
        ("a negative time", "access_token_expires_at", json!(-1)),
        ("a time past all time", "access_token_expires_at", json!(1e300)),
        ("no refresh token", "refresh_token", Value::Null),
        ("an empty refresh token", "refresh_token", json!("")),
        ("no token type", "token_type", Value::Null),
        ("another case of the token type", "token_type", json!("bearer")),
        ("more in the verification", "verificationResponse", json!({ "success": true, "errorMessage": "" })),
        ("social accounts", "otherSignIns", json!({ "discord": null })),
    ];
    for (name, field, value) in cases {
        for is_removed in [false, true] {
            let mut answer = v06();
            if is_removed && value.is_null() {
                answer.as_object_mut().unwrap().remove(field);
            } else {
                answer[field] = value.clone();
            }
            assert_eq!(signed_in(name, &answer).await.identity().subject(), BOB, "{name}");
        }
    }
}

#[tokio::test]
async fn v08_legacy_answer_without_bitbadges_address() {
    let answer = json!({
        "address": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
        "chain": "Ethereum",
        "cosmosAddress": "cosmos1mrdxhunfvjhe6lhdncp72dq46da2jcz9d9sh93",
        "verificationResponse": { "success": true, "message": "Successfully granted access via Blockin" },
        "access_token": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
        "access_token_expires_at": 1_788_825_600_000_u64,
        "token_type": "Bearer",
    });
    refused("v08", 200, &answer, 502, ProviderAnswer).await;
}

#[tokio::test]
async fn v09_refused_with_status_200() {
    let answer = json!({
        "address": BOB_HEX, "chain": "ETH", "bitbadgesAddress": BOB,
        "verificationResponse": { "success": false, "errorMessage": REFUSED },
        "access_token": "", "token_type": "Bearer",
    });
    refused("v09", 200, &answer, 403, NotVerified).await;
    let mut with_token = v06();
    with_token["verificationResponse"] = json!({ "success": false });
    refused("with a token all the same", 200, &with_token, 403, NotVerified).await;
}

#[tokio::test]
async fn v10_refused_with_status_401() {
    let answer = json!({
        "address": BOB_HEX, "chain": "ETH", "bitbadgesAddress": BOB,
        "verificationResponse": { "success": false, "message": REFUSED },
        "access_token": "", "token_type": "Bearer", "errorMessage": REFUSED,
    });
    refused("v10", 401, &answer, 403, NotVerified).await;
    refused("success that is none", 401, &v06(), 403, NotVerified).await;
}

#[tokio::test]
async fn v11_without_verification() {
    let mut answer = v06();
    answer.as_object_mut().unwrap().remove("verificationResponse");
    refused("absent", 200, &answer, 403, NotVerified).await;
    for (name, value, status, kind) in [
        ("null", Value::Null, 403, NotVerified),
        ("true", json!(true), 502, ProviderAnswer),
        ("success as text", json!({ "success": "true" }), 502, ProviderAnswer),
        ("success as a number", json!({ "success": 1 }), 502, ProviderAnswer),
        ("empty", json!({}), 502, ProviderAnswer),
        ("an array", json!([]), 502, ProviderAnswer),
    ] {
        answer["verificationResponse"] = value;
        refused(name, 200, &answer, status, kind).await;
    }
}

#[tokio::test]
async fn v12_addresses_that_do_not_belong_together() {
    let cases = [
        ("alice's bb1 and bob's 0x", "bitbadgesAddress", json!(ALICE)),
        ("alice's bb1 and bob's bb1", "address", json!(ALICE)),
        ("no bb1", "bitbadgesAddress", Value::Null),
        ("an empty bb1", "bitbadgesAddress", json!("")),
        ("a wrong checksum", "bitbadgesAddress", json!("bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5uf")),
        ("upper case", "bitbadgesAddress", json!(BOB.to_uppercase())),
        ("another prefix", "bitbadgesAddress", json!("cosmos1py4mfpg6uf59qkyzg0nmau322c5873eeqpaxhz")),
        ("the word null", "bitbadgesAddress", json!("null")),
        ("a number", "bitbadgesAddress", json!(7)),
        ("no address", "address", json!("")),
        ("half an address", "address", json!("0x092bb4851ae26850588243e7bef22a56")),
        ("no hexadecimal", "address", json!("0xzz2bb4851ae26850588243e7bef22a56287f4739")),
    ];
    for (name, field, value) in cases {
        let mut answer = v06();
        answer[field] = value;
        refused(name, 200, &answer, 502, ProviderAnswer).await;
    }
}

/// `0X…` and `BB1…` are spellings of the two known forms, not forms of another chain.
#[tokio::test]
async fn v12_known_forms_in_upper_case_are_compared_too() {
    let alice_hex = "0X0BC63CFE31D5218EB414B142C799E20964A54A1A".to_owned();
    for address in [alice_hex, ALICE.to_uppercase()] {
        let mut answer = v06();
        answer["address"] = json!(address);
        refused(&address, 200, &answer, 502, ProviderAnswer).await;
    }
}

#[tokio::test]
async fn v12_other_fields_of_the_wrong_shape() {
    let cases = [
        ("no access token", "access_token", json!("")),
        ("an access token that is a number", "access_token", json!(7)),
        ("another token type", "token_type", json!("DPoP")),
        ("a chain that is an object", "chain", json!({})),
    ];
    for (name, field, value) in cases {
        let mut answer = v06();
        answer[field] = value;
        refused(name, 200, &answer, 502, ProviderAnswer).await;
    }
    for body in ["", "null", "[]", "7", "\"text\"", "{}{}", "{\"address\":1,\"address\":2}", "\u{feff}{}"] {
        let site = Site::new();
        site.upstream.answer(200, body.as_bytes().to_vec());
        assert_no_sign_in(body, &site, 502, ProviderAnswer).await;
    }
}

async fn refused(name: &str, answered: u16, answer: &Value, status: u16, kind: ErrorKind) {
    let site = Site::new();
    site.upstream.answer(answered, answer.to_string());
    assert_no_sign_in(name, &site, status, kind).await;
}

/// Completes a sign-in with this answer; gives what the hook is told.
async fn signed_in(name: &str, answer: &Value) -> SignedIn {
    let told = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&told);
    let site = Site::with(|builder| {
        builder.on_sign_in(move |who| {
            *keep.lock().unwrap() = Some(who);
            std::future::ready(Ok(Admission::new()))
        })
    });
    site.upstream.answer(200, answer.to_string());
    let mut browser = Browser::new();
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303, "{name}");
    let who = told.lock().unwrap().take().unwrap();
    assert_eq!(text(&site.get(&mut browser, "/").await), who.identity().subject(), "{name}");
    who
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
