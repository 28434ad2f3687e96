//! A BitBadges account: its two address forms belong together.

use bech32::{Bech32, Hrp};
use serde::{Deserialize, Serialize};

/// The claims of a person who signed in with BitBadges.
///
/// ```
/// # fn example(identity: &tower_signin::Identity) -> Result<(), serde_json::Error> {
/// use tower_signin::siwbb::Account;
///
/// let account: Account = identity.claims()?;
/// println!("{} on {}", account.address, account.chain);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Account {
    /// The address as signed in: `0x…`, in whatever case BitBadges sent it, or `bb1…`.
    pub address: String,
    /// The `bb1…` form, one for each person: the identity's subject.
    pub bitbadges_address: String,
    /// The chain of the address, an open string; `ETH` and `Cosmos` are known.
    pub chain: String,
}

/// Why two address forms were not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    NotBitBadges,
    NotTheSame,
}

impl Account {
    /// An account whose forms belong together: for `0x…`, the twenty bytes in bech32 under `bb`; for `bb1…`, the same text.
    /// Other chains had other forms once; nothing ties those to the `bb1…` form, so they are not believed.
    pub(super) fn checked(address: String, bitbadges_address: String, chain: String) -> Result<Self, Mismatch> {
        let bytes = decode_bitbadges(&bitbadges_address).ok_or(Mismatch::NotBitBadges)?;
        let lower = address.to_ascii_lowercase();
        let same = if let Some(hexadecimal) = lower.strip_prefix("0x") {
            hex::decode(hexadecimal).is_ok_and(|expected| expected.len() == 20 && expected == bytes)
        } else {
            lower == bitbadges_address
        };
        if same { Ok(Self { address, bitbadges_address, chain }) } else { Err(Mismatch::NotTheSame) }
    }
}

/// The `bb1…` form of a well-formed `0x…` or `bb1…` address.
pub(super) fn bitbadges_form(address: &str) -> Option<String> {
    let lower = address.to_ascii_lowercase();
    let Some(hexadecimal) = lower.strip_prefix("0x") else {
        return decode_bitbadges(address).map(|_| lower);
    };
    let bytes = hex::decode(hexadecimal).ok().filter(|bytes| bytes.len() == 20)?;
    bech32::encode::<Bech32>(Hrp::parse("bb").ok()?, &bytes).ok()
}

/// The bytes of a well-formed lower-case `bb1…` address.
fn decode_bitbadges(address: &str) -> Option<Vec<u8>> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(address).ok()?;
    let known = Hrp::parse("bb").ok()?;
    let bytes: Vec<u8> = checked.byte_iter().collect();
    let well_formed = checked.hrp() == known
        && matches!(bytes.len(), 20 | 32)
        && !address.bytes().any(|byte| byte.is_ascii_uppercase());
    well_formed.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(&str, &str); 4] = [
        ("0x0bc63cfe31d5218eb414b142c799e20964a54a1a", "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70d"),
        ("0x092bb4851ae26850588243e7bef22a56287f4739", "bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue"),
        ("0x1615a3cf0b91cce87d0ef014ac76f0d5aa47d4fd", "bb1zc268nctj8xwslgw7q22cahs6k4y048agr6fvf"),
        ("0x3e3adf18d0b45a3639a6cf6188b813507e958440", "bb18cad7xxsk3drvwdxeasc3wqn2plftpzq2tsrsr"),
    ];

    fn check(address: &str, bitbadges: &str) -> Result<Account, Mismatch> {
        Account::checked(address.to_owned(), bitbadges.to_owned(), "ETH".to_owned())
    }

    #[test]
    fn the_documented_pairs_belong_together() {
        for (address, bitbadges) in PAIRS {
            assert!(check(address, bitbadges).is_ok());
            assert!(check(bitbadges, bitbadges).is_ok());
            let checksummed = format!("0x{}", address.trim_start_matches("0x").to_uppercase());
            assert!(check(&checksummed, bitbadges).is_ok());
        }
    }

    #[test]
    fn everything_else_does_not() {
        let (alice, alice_bb) = PAIRS[0];
        let (bob, bob_bb) = PAIRS[1];
        assert_eq!(check(bob, alice_bb), Err(Mismatch::NotTheSame));
        assert_eq!(check(bob_bb, alice_bb), Err(Mismatch::NotTheSame));
        assert_eq!(check("0x", alice_bb), Err(Mismatch::NotTheSame));
        assert_eq!(check("0xzz", alice_bb), Err(Mismatch::NotTheSame));
        assert_eq!(check("", alice_bb), Err(Mismatch::NotTheSame));
        assert_eq!(check(&alice[..alice.len() - 1], alice_bb), Err(Mismatch::NotTheSame));
        assert_eq!(check(alice, ""), Err(Mismatch::NotBitBadges));
        assert_eq!(check(alice, "null"), Err(Mismatch::NotBitBadges));
        assert_eq!(check(alice, &alice_bb.replace("bb1p", "bb1q")), Err(Mismatch::NotBitBadges));
        assert_eq!(check(alice, &alice_bb.to_uppercase()), Err(Mismatch::NotBitBadges));
        let cosmos = "cosmos1mrdxhunfvjhe6lhdncp72dq46da2jcz9d9sh93";
        assert_eq!(check(cosmos, cosmos), Err(Mismatch::NotBitBadges));
    }
}
