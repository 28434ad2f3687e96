/// A person who can sign in at the OpenID provider.
///
/// ```
/// # use tower_signin::dev::openid::Account;
/// let mut mallory = Account::new("9001");
/// mallory.email = Account::alice().email;
/// mallory.email_verified = false;
/// assert_ne!(mallory.subject, Account::alice().subject);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The `sub`: with the issuer, the key of the person.
    pub subject: String,
    /// The `name`, told with the scope `profile`.
    pub name: String,
    /// The `email`, told with the scope `email`; empty for nobody's.
    pub email: String,
    /// The `email_verified` that goes with it.
    pub email_verified: bool,
}

impl Account {
    /// A person of this subject without an e-mail address, called as the subject is.
    #[must_use]
    pub fn new(subject: &str) -> Self {
        Self { subject: subject.to_owned(), name: subject.to_owned(), email: String::new(), email_verified: false }
    }

    /// `1001`, with a verified address.
    #[must_use]
    pub fn alice() -> Self {
        Self::known("1001", "Alice Example", "alice@example.com", true)
    }

    /// `1002`, with a verified address.
    #[must_use]
    pub fn bob() -> Self {
        Self::known("1002", "Bob Example", "bob@example.com", true)
    }

    /// `1003`, with an address that nobody verified.
    #[must_use]
    pub fn carol() -> Self {
        Self::known("1003", "Carol Example", "carol@example.com", false)
    }

    /// The people of the page at the start, in its order.
    pub(super) fn people() -> Vec<Self> {
        vec![Self::alice(), Self::bob(), Self::carol()]
    }

    fn known(subject: &str, name: &str, email: &str, email_verified: bool) -> Self {
        Self { name: name.to_owned(), email: email.to_owned(), email_verified, ..Self::new(subject) }
    }
}
