use std::fmt;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};

use super::DevError;

/// A person who can sign in at the dev provider.
///
/// The four named people and their address pairs are the example accounts of the BitBadges API docs.
/// `0x…` and `bb1…` are two spellings of one account: the second is the bech32 form (BIP 173) of
/// the same 20 bytes.
///
/// ```
/// # use tower_signin::dev::Account;
/// let bob = Account::from_address("0x092bb4851ae26850588243e7bef22a56287f4739")?;
/// assert_eq!(bob.bitbadges_address, Account::bob().bitbadges_address);
/// assert_eq!(bob.chain, "ETH");
/// # Ok::<(), tower_signin::dev::DevError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// What the authorize page calls the person.
    pub name: String,
    /// The address the person signs in with, as it goes over the wire: `0x…` or `bb1…`.
    pub address: String,
    /// `ETH` for a `0x…` address, `Cosmos` for a `bb1…` one.
    pub chain: String,
    /// The `bb1…` form of the address: the key of the person.
    pub bitbadges_address: String,
}

impl Account {
    /// `0x0bc6…4a1a`, signing in with an Ethereum wallet.
    #[must_use]
    pub fn alice() -> Self {
        Self::documented(
            "alice",
            "0x0bc63cfe31d5218eb414b142c799e20964a54a1a",
            "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70d",
        )
    }

    /// `0x092b…4739`, signing in with an Ethereum wallet.
    #[must_use]
    pub fn bob() -> Self {
        Self::documented(
            "bob",
            "0x092bb4851ae26850588243e7bef22a56287f4739",
            "bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue",
        )
    }

    /// `0x1615…d4fd`, signing in with an Ethereum wallet.
    #[must_use]
    pub fn carol() -> Self {
        Self::documented(
            "carol",
            "0x1615a3cf0b91cce87d0ef014ac76f0d5aa47d4fd",
            "bb1zc268nctj8xwslgw7q22cahs6k4y048agr6fvf",
        )
    }

    /// `0x3e3a…8440`, signing in with an Ethereum wallet.
    #[must_use]
    pub fn agent() -> Self {
        Self::documented(
            "agent",
            "0x3e3adf18d0b45a3639a6cf6188b813507e958440",
            "bb18cad7xxsk3drvwdxeasc3wqn2plftpzq2tsrsr",
        )
    }

    /// An account for any address: `0x` and 40 hex digits of any case, or a valid `bb1…`.
    ///
    /// The spelling of a `0x…` address is kept, since BitBadges does not promise a case either.
    ///
    /// # Errors
    ///
    /// [`DevError::Address`] where the text is neither: a wrong length, a digit that is not hex,
    /// a bech32 checksum that does not hold, another prefix than `bb`.
    pub fn from_address(address: &str) -> Result<Self, DevError> {
        let address = address.trim();
        if let Some(digits) = address.strip_prefix("0x") {
            let mut bytes = [0; 20];
            hex::decode_to_slice(digits, &mut bytes).map_err(|_| DevError::Address)?;
            let bitbadges = encode_bech32("bb", &bytes).ok_or(DevError::Address)?;
            return Ok(Self::new(address, address, "ETH", &bitbadges));
        }
        let bitbadges = address.to_ascii_lowercase();
        decode_bech32(address).ok_or(DevError::Address)?;
        Ok(Self::new(&bitbadges, &bitbadges, "Cosmos", &bitbadges))
    }

    /// The `cosmos1…` form, which answers carried before October 2024.
    pub(super) fn cosmos_address(&self) -> Option<String> {
        encode_bech32("cosmos", &decode_bech32(&self.bitbadges_address)?)
    }

    fn documented(name: &str, address: &str, bitbadges: &str) -> Self {
        Self::new(name, address, "ETH", bitbadges)
    }

    fn new(name: &str, address: &str, chain: &str, bitbadges: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            chain: chain.to_owned(),
            bitbadges_address: bitbadges.to_owned(),
        }
    }

    /// The four people of the authorize page, in its order.
    pub(super) fn people() -> [Self; 4] {
        [Self::alice(), Self::bob(), Self::carol(), Self::agent()]
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Cosmos accounts have 20 bytes, or 32 where they are derived from a module (Cosmos ADR 28).
fn decode_bech32(address: &str) -> Option<Vec<u8>> {
    let checked = CheckedHrpstring::new::<Bech32>(address).ok()?;
    let bytes: Vec<u8> = checked.byte_iter().collect();
    let right = checked.hrp() == Hrp::parse("bb").ok()? && matches!(bytes.len(), 20 | 32);
    right.then_some(bytes)
}

fn encode_bech32(prefix: &str, bytes: &[u8]) -> Option<String> {
    bech32::encode::<Bech32>(Hrp::parse(prefix).ok()?, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_pairs_belong_together() {
        for person in Account::people() {
            let again = Account::from_address(&person.address).unwrap();
            assert_eq!(again.bitbadges_address, person.bitbadges_address);
            let cosmos = Account::from_address(&person.bitbadges_address).unwrap();
            assert_eq!(cosmos.bitbadges_address, person.bitbadges_address);
            assert_eq!(cosmos.chain, "Cosmos");
        }
    }

    #[test]
    fn case_of_hex_is_kept_and_does_not_matter() {
        let account = Account::from_address("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045").unwrap();
        assert_eq!(account.address, "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045");
        assert_eq!(account.bitbadges_address, "bb1mrdxhunfvjhe6lhdncp72dq46da2jcz9wccyeq");
        assert_eq!(account.cosmos_address().as_deref(), Some("cosmos1mrdxhunfvjhe6lhdncp72dq46da2jcz9d9sh93"));
    }

    #[test]
    fn everything_else_is_refused() {
        for (name, text) in [
            ("empty", ""),
            ("prefix alone", "0x"),
            ("39 digits", "0x092bb4851ae26850588243e7bef22a56287f473"),
            ("not hex", "0x092bb4851ae26850588243e7bef22a56287f473g"),
            ("sign in hex", "0x+92bb4851ae26850588243e7bef22a56287f4739"),
            ("not ascii", "0x092bb4851ae26850588243e7bef22a56287f47é"),
            ("checksum", "bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5uf"),
            ("other prefix", "cosmos1mrdxhunfvjhe6lhdncp72dq46da2jcz9d9sh93"),
        ] {
            assert!(Account::from_address(text).is_err(), "{name}");
        }
    }
}
