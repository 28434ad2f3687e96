//! Queries of a callback, from a browser with one flow: the code is redeemed only beside the flow's own state.

use http::{Request, Uri};

use crate::site::{CODE, set_cookies};
use crate::support::{Browser, location};
use crate::{assert_no_foreign_location, assert_private, block_on, fill, site};

/// What the query of an authorization response says (RFC 6749 section 4.1.2, RFC 9207), if it is one.
#[derive(Debug, PartialEq)]
enum Said {
    Nothing,
    /// It is this flow's, and not of this issuer.
    Issuer,
    Error,
    Code(String),
}

fn read(query: &str, state: &str) -> Said {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let all =
        |name: &str| pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| &**value).collect::<Vec<_>>();
    let is_parameter =
        |value: &str| (1..=4096).contains(&value.len()) && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let [codes, errors, issuers, states] = ["code", "error", "iss", "state"].map(all);
    let is_one = codes.len() + errors.len() == 1 && issuers.len() <= 1 && states == [state];
    if !is_one || ![&codes, &errors, &issuers].iter().all(|values| values.iter().all(|value| is_parameter(value))) {
        return Said::Nothing;
    }
    match (codes.first(), issuers.first()) {
        (_, Some(issuer)) if *issuer != "https://bitbadges.io" => Said::Issuer,
        (Some(code), _) => Said::Code((*code).to_owned()),
        (None, _) => Said::Error,
    }
}

pub fn run(data: &[u8]) -> bool {
    let Ok(template) = std::str::from_utf8(data) else { return false };
    let site = site();
    let mut browser = Browser::new();
    let started = block_on(site.start(&mut browser, "/target"));
    // Names the same flow, and does not know its secret.
    let other = format!("{}{}", &started.state[..26], "A".repeat(43));
    let query = fill(template, &[("state", &started.state), ("other", &other)]);
    let Ok(uri) = format!("/api/callback?{query}").parse::<Uri>() else { return false };
    let said = read(uri.query().unwrap_or_default(), &started.state);
    let response = block_on(site.visit(&mut browser, Request::get(&uri)));
    assert_private(&response);
    assert_no_foreign_location(&response);
    let (sent, status) = (site.upstream.requests(), response.status().as_u16());
    let is_flow_gone = set_cookies(&response).contains(&started.flow_deleted());
    if let Said::Code(code) = &said {
        assert_eq!((status, location(&response).as_str(), sent.len()), (303, "/target", 1));
        let body: serde_json::Value = serde_json::from_slice(sent[0].body()).unwrap();
        assert!(body["code"] == *code && is_flow_gone, "{body} for {code:?}");
        return true;
    }
    assert_eq!(sent.len(), 0, "the network was asked before the state had passed");
    match said {
        Said::Error => assert!([403, 502, 503].contains(&status) && is_flow_gone, "{status}"),
        Said::Issuer => assert!(status == 400 && is_flow_gone, "{status}"),
        _ => {
            assert_eq!((status, set_cookies(&response)), (400, vec![]));
            // Nothing was lost: the provider's own answer still counts.
            let response = block_on(site.get(&mut browser, &started.callback(CODE)));
            assert_eq!(response.status(), 303);
        }
    }
    false
}
