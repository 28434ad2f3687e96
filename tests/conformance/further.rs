//! Modules of the suite beyond the profiles that are certified, and those of FAPI.

use crate::rows::Level::{Fapi, FurtherModule};
use crate::rows::Verdict::{DoesNotApply, Held, Later};
use crate::rows::{Row, row};

const NO_DYNAMICS: &str = "a client is registered by people: its id and secret come from the settings";
const NO_HYBRID: &str = "codes come alone: no token and no hash of a code comes through the browser";
const SIGNATURES: &[&str] = &["tests/providers/oidc/misbehaviours.rs::signatures_of_every_algorithm_are_verified"];

pub(crate) const ROWS: &[Row] = &[
    row(
        "RP24",
        FurtherModule,
        "start a sign-in where the provider sends somebody to",
        Later("see C59; an ordinary link to the login path starts one"),
    ),
    row("RP25", FurtherModule, "find the provider by an address like that of e-mail", DoesNotApply(NO_DYNAMICS)),
    row("RP26", FurtherModule, "find the provider by a URL of the person", DoesNotApply(NO_DYNAMICS)),
    row("RP27", FurtherModule, "register oneself", DoesNotApply(NO_DYNAMICS)),
    row("RP28", FurtherModule, "ask by a request object signed with RS256", Later("see C67")),
    row(
        "RP29",
        FurtherModule,
        "ask by a request object that is not signed",
        DoesNotApply("a request that nobody signed proves nothing"),
    ),
    row(
        "RP30",
        FurtherModule,
        "read UserInfo that is signed",
        Later("what is not JSON is refused; it is signed only for clients that asked for it at their registration"),
    ),
    row(
        "RP31",
        FurtherModule,
        "refuse an ID token without an audience",
        Held(&["tests/conformance/id_token.rs::c50_for_this_client_and_nobody_unknown"]),
    ),
    row(
        "RP32",
        FurtherModule,
        "show the access token to UserInfo in the header",
        Held(&[
            "tests/providers/oauth2/sign_in.rs::two_requests_are_sent_and_the_token_is_in_a_header_alone",
            "src/oauth/user_info.rs::the_token_is_in_the_header_alone",
        ]),
    ),
    row(
        "RP33",
        FurtherModule,
        "show it in the body",
        DoesNotApply("the header works everywhere, and one way is enough"),
    ),
    row(
        "RP34",
        FurtherModule,
        "send a nonce in every flow but that of codes",
        Held(&["tests/providers/oidc/sign_in.rs::what_the_browser_asks_for"]),
    ),
    row("RP35", FurtherModule, "refuse an ID token without `c_hash` beside a code", DoesNotApply(NO_HYBRID)),
    row("RP36", FurtherModule, "refuse another `c_hash`", DoesNotApply(NO_HYBRID)),
    row(
        "RP37",
        FurtherModule,
        "refuse an ID token without `at_hash` beside an access token in the browser",
        DoesNotApply(NO_HYBRID),
    ),
    row(
        "RP38",
        FurtherModule,
        "refuse another `at_hash`",
        Held(&["tests/conformance/id_token.rs::c57_the_hash_of_the_access_token"]),
    ),
    row("RP39", FurtherModule, "show an error that comes by form_post", Later("see FP; errors in the query are shown")),
    row("RP40", FurtherModule, "refuse an HS256 signature that is wrong", Held(SIGNATURES)),
    row("RP41", FurtherModule, "refuse an ES256 signature that is wrong", Held(SIGNATURES)),
    row(
        "RP42",
        FurtherModule,
        "read claims that another source has signed",
        DoesNotApply("they are optional; `_claim_sources` is handed on unread"),
    ),
    row(
        "RP43",
        FurtherModule,
        "fetch claims from another source",
        DoesNotApply("they are optional, and nothing is fetched from where an answer says"),
    ),
    row("RP44", FurtherModule, "prefer the aliases of endpoints for mutual TLS", Later("see C66")),
    row(
        "FA",
        Fapi,
        "FAPI 2.0: what its 32 modules ask of a client",
        Later("it needs C28 and C64 to C66; what it asks of answers and ID tokens is in C12, C13 and C48 to C54"),
    ),
];
