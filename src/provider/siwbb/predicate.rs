//! Whom of the people who signed in with BitBadges to let pass.

use std::collections::HashSet;

use super::account::{Account, bitbadges_form};
use crate::config_error::ConfigError;
use crate::identity::Identity;

/// Lets pass who signed in with an address of an EVM chain; for [`SignIn::require_where`](crate::SignIn::require_where).
/// BitBadges has called their chain both `ETH` and `Ethereum`, and what their addresses have in common is `0x…`. For a
/// `SignIn` whose provider is [`Siwbb`](super::Siwbb): where there are others, add
/// [`predicate::issuer`](crate::predicate::issuer).
///
/// ```
/// # fn example(sign_in: tower_signin::SignIn) -> tower_signin::RequireLayer {
/// sign_in.require_where(tower_signin::siwbb::evm())
/// # }
/// ```
pub fn evm() -> impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static {
    |identity| account(identity).is_some_and(|account| account.address.to_ascii_lowercase().starts_with("0x"))
}

/// Lets pass who signed in with an address on this chain, `Cosmos` say; for
/// [`SignIn::require_where`](crate::SignIn::require_where). Upper and lower case are one. For a `SignIn` whose provider is
/// [`Siwbb`](super::Siwbb): where there are others, add [`predicate::issuer`](crate::predicate::issuer).
///
/// BitBadges' names of chains are open strings, and EVM addresses have been both `ETH` and `Ethereum`: for those there is
/// [`evm`].
///
/// ```
/// # fn example(sign_in: tower_signin::SignIn) -> tower_signin::RequireLayer {
/// sign_in.require_where(tower_signin::siwbb::chain("Cosmos"))
/// # }
/// ```
pub fn chain(chain: impl Into<String>) -> impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static {
    let chain = chain.into();
    move |identity| account(identity).is_some_and(|account| account.chain.eq_ignore_ascii_case(&chain))
}

/// Lets pass who signed in with one of these addresses, each `0x…` or `bb1…`; for
/// [`SignIn::require_where`](crate::SignIn::require_where). The two forms of an address are one person. For a `SignIn`
/// whose provider is [`Siwbb`](super::Siwbb): where there are others, add
/// [`predicate::issuer`](crate::predicate::issuer).
///
/// ```
/// # fn example(sign_in: tower_signin::SignIn) -> Result<tower_signin::RequireLayer, tower_signin::ConfigError> {
/// use tower_signin::siwbb;
///
/// Ok(sign_in.require_where(siwbb::addresses(["0x0bc63cfe31d5218eb414b142c799e20964a54a1a"])?))
/// # }
/// ```
///
/// # Errors
///
/// Names the address that is none, so that a misspelt one does not lock its owner out unseen.
pub fn addresses<I>(addresses: I) -> Result<impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static, ConfigError>
where
    I: IntoIterator<Item: AsRef<str>>,
{
    let listed = addresses.into_iter().map(|address| {
        let address = address.as_ref();
        bitbadges_form(address).ok_or_else(|| {
            let problem = format!("{address:?} is neither an 0x… nor a bb1… address");
            ConfigError::new("addresses", problem, "copy it again from the person's BitBadges profile")
        })
    });
    let listed: HashSet<String> = listed.collect::<Result<_, _>>()?;
    // The claims are read only of who is on the list.
    Ok(move |identity: &Identity| listed.contains(identity.subject()) && account(identity).is_some())
}

/// The account behind the identity, if its claims are one and name the subject.
fn account(identity: &Identity) -> Option<Account> {
    let account = identity.claims::<Account>().ok()?;
    (account.bitbadges_address == identity.subject()).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{NewSession, Session};

    const ALICE: [&str; 2] =
        ["0x0bc63cfe31d5218eb414b142c799e20964a54a1a", "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70d"];
    const BOB: [&str; 2] = ["0x092bb4851ae26850588243e7bef22a56287f4739", "bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue"];

    fn someone(subject: &str, address: &str, chain: &str) -> Identity {
        let claims = format!(r#"{{"address":"{}","bitbadgesAddress":"{address}","chain":"{chain}"}}"#, ALICE[0]);
        with_claims(subject, &claims)
    }

    fn with_claims(subject: &str, claims: &str) -> Identity {
        let session = Session::new(&NewSession {
            id: [0; 16],
            issuer: "https://bitbadges.io",
            subject,
            claims,
            data: "",
            authenticated_at: 0,
            idle_end: 1,
            absolute_end: 1,
            generation: 0,
            fingerprint: crate::session::Fingerprint([0; 16]),
            provider_session: None,
        });
        Identity::for_test(session.unwrap())
    }

    #[test]
    fn both_forms_of_an_address_are_one_person() {
        let alice = someone(ALICE[1], ALICE[1], "ETH");
        let shouted = format!("0x{}", ALICE[0].trim_start_matches("0x").to_uppercase());
        for form in [ALICE[0], ALICE[1], shouted.as_str()] {
            assert!(addresses([form]).unwrap()(&alice), "{form}");
            assert!(addresses([BOB[0], form]).unwrap()(&alice), "{form}");
        }
        assert!(!addresses(BOB).unwrap()(&alice));
        assert!(!addresses([""; 0]).unwrap()(&alice), "nobody is on an empty list");
        assert!(!addresses(ALICE).unwrap()(&someone("somebody", ALICE[1], "ETH")), "claims of another subject");
        assert!(!addresses(ALICE).unwrap()(&someone(ALICE[1], BOB[1], "ETH")), "claims of another person");
        assert!(!addresses(ALICE).unwrap()(&with_claims(ALICE[1], "{}")), "another provider's, perhaps");
    }

    #[test]
    fn an_address_that_is_none_is_said() {
        for wrong in ["", "0x", "0x12", "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70e", "alice", "cosmos1mrdxhunf"] {
            let error = addresses([ALICE[0], wrong]).map(drop).unwrap_err();
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
        }
    }

    #[test]
    fn evm_is_told_by_the_address_whatever_the_chain_is_called() {
        for chain in ["ETH", "Ethereum", ""] {
            assert!(evm()(&someone(ALICE[1], ALICE[1], chain)), "{chain}");
        }
        let cosmos = format!(r#"{{"address":"{0}","bitbadgesAddress":"{0}","chain":"ETH"}}"#, ALICE[1]);
        assert!(!evm()(&with_claims(ALICE[1], &cosmos)));
        assert!(!evm()(&someone("somebody", ALICE[1], "ETH")), "claims of another subject");
    }

    #[test]
    fn a_chain_is_compared_without_case() {
        let alice = someone(ALICE[1], ALICE[1], "ETH");
        assert!(chain("ETH")(&alice) && chain("eth")(&alice));
        assert!(!chain("")(&alice) && !chain("ET")(&alice) && !chain("Cosmos")(&alice));
    }
}
