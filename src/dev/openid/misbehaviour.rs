/// A way in which the provider departs from what it does of its own accord, named as the conformance suite names it.
///
/// Each says which rows of the suite of the OpenID Foundation (`RP`, and `FA` for FAPI), of the checklist of a client (`C`),
/// of what went wrong elsewhere (`H`) and of what people beg for (`U`) it serves, and what a client must do. Where it must
/// refuse, nobody is signed in, and no token of that answer is used, not even for UserInfo.
///
/// What is said of ID tokens holds for those of a code and those of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misbehaviour {
    // What an ID token claims.
    /// `iss` is another. RP02, FA08, C49: refuse.
    InvalidIssuer,
    /// No `iss`. FA11, C49: refuse.
    MissingIssuer,
    /// No `sub`. RP03: refuse.
    MissingSubject,
    /// `sub` is there twice, the first time as somebody else's: refuse, or read the last as everybody does.
    DuplicateSubject,
    /// `aud` is another client. RP04, FA09, C50, H115: refuse.
    InvalidAudience,
    /// No `aud`. RP31, FA12, H115: refuse.
    MissingAudience,
    /// `aud` is an array of the one client. FA19: accept.
    AudienceAsArray,
    /// `aud` is the client and one nobody trusts, `azp` the client. FA18, C50: refuse.
    UntrustedAudience,
    /// `aud` is the client and another, and there is no `azp`. C51: refuse.
    MissingAuthorizedParty,
    /// `aud` is the client, `azp` another. C51: refuse.
    InvalidAuthorizedParty,
    /// No `iat`. RP05, C54: refuse.
    MissingIssuedAt,
    /// `iat` is a week ahead, `exp` an hour later. C54: refuse.
    IssuedInAWeek,
    /// `iat` is a week past, `exp` ahead as ever. FA32: accept.
    IssuedAWeekAgo,
    /// No `exp`. FA13, C54: refuse.
    MissingExpiry,
    /// `exp` is ten minutes past, more than any skew allows. FA15, C54: refuse.
    Expired,
    /// `exp` is a string of digits. C54: refuse.
    ExpiryAsText,
    /// `nonce` is another. RP12, FA10, C11: refuse, before any use of the tokens.
    InvalidNonce,
    /// No `nonce` though one was sent. FA14, C11: refuse.
    MissingNonce,
    /// `at_hash` is that of another access token. RP38, C57: refuse.
    InvalidAccessTokenHash,
    /// The header names an `alg` that nobody knows the hash of, over an `at_hash` and a signature that are right otherwise.
    /// C57, H113: refuse.
    AccessTokenHashOfUnknownAlgorithm,
    /// No `auth_time`. C55: refuse where `max_age` was asked.
    MissingAuthTime,
    /// `auth_time` is a day past. C55: refuse where a shorter `max_age` was asked.
    OldAuthTime,
    /// `acr` is none of those asked for. C55: refuse where they are essential.
    InvalidAuthenticationContext,

    // How an ID token is signed.
    /// The key set is one key without `kid`, and no ID token has one. RP06: accept.
    NoKeyIdSingleKey,
    /// The same with a second key that fits as well and comes first. RP07: accept or refuse.
    NoKeyIdSeveralKeys,
    /// `alg` is `none`, the signature empty. RP09, FA16, C52, H109: refuse.
    AlgorithmNone,
    /// `alg` is `None`. H109: refuse.
    AlgorithmNoneCapitalized,
    /// `alg` is `nOnE`. H109: refuse.
    AlgorithmNoneMixed,
    /// `alg` is the empty string. H109: refuse.
    AlgorithmEmpty,
    /// No `alg`. H109: refuse.
    AlgorithmMissing,
    /// `alg` is the right one, the signature empty. H109: refuse.
    EmptySignature,
    /// HS256 with the text of the public key, as PEM, for the secret. C53, H110: refuse.
    HmacWithPublicKey,
    /// HS256 with a secret that the key set publishes as a key of type `oct`. H110: refuse.
    HmacWithPublishedKey,
    /// HS256 with the client secret, which the metadata does not offer. RP40, C52: refuse unless configured.
    HmacWithClientSecret,
    /// HS256 with an empty key. H117: refuse.
    HmacWithEmptyKey,
    /// One bit of the signature is wrong, and stays wrong in whatever key set: RP10, and RP41 with
    /// [`SigningAlgorithm::Es256`](crate::oidc::SigningAlgorithm::Es256). Refuse, after fetching the keys once more at most.
    InvalidSignature,
    /// Signed well, but with another algorithm than was chosen: PS256 for RS256, else RS256. FA17, C52: refuse unless
    /// configured.
    AnotherAlgorithm,
    /// `kid` is that of a key of another type than `alg` needs. H118: refuse.
    KeyOfAnotherType,
    /// `kid` is in no key set. H104: refuse; fetch the keys once more at most, however many sign in.
    UnknownKeyId,
    /// New keys replace the old ones with each ID token, just before it is signed. RP19, U23: fetch the keys once more and
    /// accept.
    RotatesKeys,
    /// The same, but the new keys bear the old `kid`s. U23: fetch the keys once more and accept.
    RotatesKeysUnderTheirIds,
    /// Signed by a foreign key that comes along as `jwk`. C58, H111: refuse.
    KeyInHeader,
    /// Signed by a foreign key that `jku` leads to: `/foreign/jwks` of this server. C58, H111: refuse, ask nothing there.
    KeyAddressInHeader,
    /// Signed by a foreign key that `x5u` claims to lead to: `/foreign/certificate`. C58, H111: refuse, ask nothing there.
    CertificateAddressInHeader,
    /// `crit` names an extension that nobody knows. C58, H112: refuse.
    UnknownCriticalHeader,
    /// Five parts, as of something encrypted. H119: refuse.
    Encrypted,
    /// No ID token at all. RP01: refuse; of a refresh, accept.
    MissingIdToken,

    // What a refresh says; codes are answered as ever.
    /// The new ID token has another `iss`. RP22, C42: refuse.
    RefreshInvalidIssuer,
    /// The new ID token is somebody else's. RP23, C42: refuse.
    RefreshInvalidSubject,
    /// The new ID token is for another client. C42: refuse.
    RefreshInvalidAudience,
    /// The new ID token has another `auth_time`. C42: refuse.
    RefreshInvalidAuthTime,
    /// The new ID token has a `nonce`, and another one. C42: refuse.
    RefreshInvalidNonce,
    /// No new ID token. C42: accept.
    RefreshWithoutIdToken,
    /// No new refresh token; the old one goes on. C40: accept, keep the old one.
    RefreshWithoutRefreshToken,

    // What the token endpoint says besides.
    /// `token_type` is `mac`. C33: refuse.
    TokenTypeMac,
    /// `token_type` is `bEaReR`. FA20, C33: accept.
    TokenTypeMixedCase,
    /// No `expires_in`. FA21, C37: accept.
    ExpiresInMissing,
    /// `expires_in` is `"3600"`. C37: accept, or fail cleanly.
    ExpiresInText,
    /// `expires_in` is 0. C37: accept, or fail cleanly.
    ExpiresInZero,
    /// `expires_in` is -1. C37: accept, or fail cleanly.
    ExpiresInNegative,
    /// `expires_in` is 10^30. C37: accept, or fail cleanly.
    ExpiresInHuge,
    /// No `scope`. FA32, C38: accept, as asked.
    ScopeMissing,
    /// `scope` is `openid` alone, whatever was asked, and UserInfo says no more than that. C38, H129: accept, tell the app.
    ScopeNarrowed,

    // What UserInfo says.
    /// `sub` is somebody else's. RP11, C56: use none of it.
    UserInfoInvalidSubject,
    /// No `sub`. C56: use none of it.
    UserInfoMissingSubject,
    /// A page of HTML. C56: use none of it.
    UserInfoHtml,
    /// `email_verified` is the string `"true"`. H123: not verified.
    UserInfoEmailVerifiedText,

    // What the metadata and the key set say.
    /// `issuer` is another. RP17, FA03, C48: refuse, send nobody there.
    MetadataInvalidIssuer,
    /// Every endpoint is at `http://op.example.com`. C36: refuse, send nothing there.
    MetadataInsecureEndpoints,
    /// `code_challenge_methods_supported` is `plain` alone. C07: send S256 all the same, or refuse; never `plain`.
    MetadataPlainChallenges,
    /// The metadata can't be had: the connection closes without an answer. Sign nobody in, and go on once it is back.
    DiscoveryDown,
    /// The key set can't be had: the connection closes without an answer. Refuse, unless the keys are known.
    KeysDown,
    /// The key set is a 500. As [`KeysDown`](Self::KeysDown).
    KeysServerError,
    /// The key set is a page of HTML. As [`KeysDown`](Self::KeysDown).
    KeysHtml,
    /// The key set has no keys. Refuse, unless the keys are known.
    KeysEmpty,
    /// The keys stand among others that nobody can use: of unknown types, for encryption, with parts missing. H118: accept.
    KeysAmongUnusable,

    // What comes back from the pages.
    /// `iss` is missing in the authorization response, though announced; in errors too. FA07, C13, C15: refuse.
    ResponseIssuerMissing,
    /// `iss` of the authorization response is another; in errors too. FA06, C12, C15: refuse.
    ResponseIssuerInvalid,
    /// The same where the metadata announces none. C14: refuse.
    ResponseIssuerUnannounced,
    /// `iss` is neither announced nor sent: accept.
    ResponseIssuerUnsupported,
    /// `state` after signing out is another. RP46: be signed out, go nowhere.
    LogoutInvalidState,
    /// No `state` after signing out. RP47: be signed out.
    LogoutMissingState,

    // What a logout token claims; what is wrong with ID tokens is wrong with these, too.
    /// No `events`. RP50, C60: refuse.
    LogoutTokenWithoutEvents,
    /// `events` has another event. RP54, C60: refuse.
    LogoutTokenOfAnotherEvent,
    /// It has a `nonce`. RP51, C60: refuse.
    LogoutTokenWithNonce,
    /// No `jti`. C60: refuse.
    LogoutTokenWithoutId,
    /// Neither `sub` nor `sid`. C60: refuse.
    LogoutTokenOfNobody,
    /// No `typ`. C60: accept.
    LogoutTokenUntyped,
    /// `typ` is `at+jwt`. C60: refuse.
    LogoutTokenOfAnotherType,
}

impl Misbehaviour {
    /// All of them, for a test that leaves none out.
    pub const ALL: &'static [Self] = &[
        Self::InvalidIssuer,
        Self::MissingIssuer,
        Self::MissingSubject,
        Self::DuplicateSubject,
        Self::InvalidAudience,
        Self::MissingAudience,
        Self::AudienceAsArray,
        Self::UntrustedAudience,
        Self::MissingAuthorizedParty,
        Self::InvalidAuthorizedParty,
        Self::MissingIssuedAt,
        Self::IssuedInAWeek,
        Self::IssuedAWeekAgo,
        Self::MissingExpiry,
        Self::Expired,
        Self::ExpiryAsText,
        Self::InvalidNonce,
        Self::MissingNonce,
        Self::InvalidAccessTokenHash,
        Self::AccessTokenHashOfUnknownAlgorithm,
        Self::MissingAuthTime,
        Self::OldAuthTime,
        Self::InvalidAuthenticationContext,
        Self::NoKeyIdSingleKey,
        Self::NoKeyIdSeveralKeys,
        Self::AlgorithmNone,
        Self::AlgorithmNoneCapitalized,
        Self::AlgorithmNoneMixed,
        Self::AlgorithmEmpty,
        Self::AlgorithmMissing,
        Self::EmptySignature,
        Self::HmacWithPublicKey,
        Self::HmacWithPublishedKey,
        Self::HmacWithClientSecret,
        Self::HmacWithEmptyKey,
        Self::InvalidSignature,
        Self::AnotherAlgorithm,
        Self::KeyOfAnotherType,
        Self::UnknownKeyId,
        Self::RotatesKeys,
        Self::RotatesKeysUnderTheirIds,
        Self::KeyInHeader,
        Self::KeyAddressInHeader,
        Self::CertificateAddressInHeader,
        Self::UnknownCriticalHeader,
        Self::Encrypted,
        Self::MissingIdToken,
        Self::RefreshInvalidIssuer,
        Self::RefreshInvalidSubject,
        Self::RefreshInvalidAudience,
        Self::RefreshInvalidAuthTime,
        Self::RefreshInvalidNonce,
        Self::RefreshWithoutIdToken,
        Self::RefreshWithoutRefreshToken,
        Self::TokenTypeMac,
        Self::TokenTypeMixedCase,
        Self::ExpiresInMissing,
        Self::ExpiresInText,
        Self::ExpiresInZero,
        Self::ExpiresInNegative,
        Self::ExpiresInHuge,
        Self::ScopeMissing,
        Self::ScopeNarrowed,
        Self::UserInfoInvalidSubject,
        Self::UserInfoMissingSubject,
        Self::UserInfoHtml,
        Self::UserInfoEmailVerifiedText,
        Self::MetadataInvalidIssuer,
        Self::MetadataInsecureEndpoints,
        Self::MetadataPlainChallenges,
        Self::DiscoveryDown,
        Self::KeysDown,
        Self::KeysServerError,
        Self::KeysHtml,
        Self::KeysEmpty,
        Self::KeysAmongUnusable,
        Self::ResponseIssuerMissing,
        Self::ResponseIssuerInvalid,
        Self::ResponseIssuerUnannounced,
        Self::ResponseIssuerUnsupported,
        Self::LogoutInvalidState,
        Self::LogoutMissingState,
        Self::LogoutTokenWithoutEvents,
        Self::LogoutTokenOfAnotherEvent,
        Self::LogoutTokenWithNonce,
        Self::LogoutTokenWithoutId,
        Self::LogoutTokenOfNobody,
        Self::LogoutTokenUntyped,
        Self::LogoutTokenOfAnotherType,
    ];
}
