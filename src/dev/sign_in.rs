//! The dev provider as the provider of a [`SignIn`].

use super::{API_KEY, Account, CLIENT_ID, CLIENT_SECRET, DevError, DevProvider};
use crate::config::SignIn;
use crate::flow::attempt::new_session;
use crate::provider::Grant;
use crate::provider::siwbb::Siwbb;
use crate::seal::random;
use crate::session::Fingerprint;
use crate::session::sealed::new_cookies;

impl DevProvider {
    /// A [`Siwbb`] that speaks to this server instead of bitbadges.io. Its issuer is this server's
    /// [`origin`](Self::origin), so nobody it signs in passes for a real person.
    #[must_use]
    pub fn siwbb(&self) -> Siwbb {
        Siwbb::new(CLIENT_ID, CLIENT_SECRET, API_KEY).base_urls(self.origin(), self.origin())
    }

    /// The `Cookie` header of a browser in which `account` is signed in: a signed-in test in one line.
    ///
    /// Neither gates nor the `on_sign_in` hook run, so [`Identity::data`](crate::Identity::data) is `None`; see
    /// [`signed_in_cookie_with`](Self::signed_in_cookie_with).
    ///
    /// ```
    /// use tower_signin::dev::{Account, DevProvider};
    /// use tower_signin::{Keys, SignIn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let bitbadges = DevProvider::start().await?;
    /// let sign_in = SignIn::builder(bitbadges.siwbb())
    ///     .redirect_uri("http://localhost:3000/auth/callback")
    ///     .keys(Keys::generate()?)
    ///     .build()?;
    /// let cookie = bitbadges.signed_in_cookie(&sign_in, &Account::alice())?;
    /// assert!(cookie.starts_with("signin-3000="));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DevError::ForeignSignIn`] where the `SignIn` was not built on this server.
    pub fn signed_in_cookie(&self, sign_in: &SignIn, account: &Account) -> Result<String, DevError> {
        self.cookie(sign_in, account, "")
    }

    /// [`signed_in_cookie`](Self::signed_in_cookie) with the value that the hook would attach.
    ///
    /// # Errors
    ///
    /// [`DevError::ForeignSignIn`] where the `SignIn` was not built on this server, [`DevError::Data`] where the value is
    /// no JSON or does not fit into the session's cookies.
    pub fn signed_in_cookie_with(
        &self,
        sign_in: &SignIn,
        account: &Account,
        data: &impl serde::Serialize,
    ) -> Result<String, DevError> {
        self.cookie(sign_in, account, &serde_json::to_string(data).map_err(|_| DevError::Data)?)
    }

    fn cookie(&self, sign_in: &SignIn, account: &Account, data: &str) -> Result<String, DevError> {
        let inner = &sign_in.0;
        if inner.providers.of_issuer(self.origin()).is_none() {
            return Err(DevError::ForeignSignIn);
        }
        let claims = serde_json::json!({
            "address": account.address,
            "bitbadgesAddress": account.bitbadges_address,
            "chain": account.chain,
        });
        let mut id = [0; 16];
        random(&mut id).map_err(|_| DevError::Random)?;
        let grant = Grant::new(&account.bitbadges_address, &claims).map_err(|_| DevError::Address)?;
        let session =
            new_session(inner, self.origin(), &grant, id, Fingerprint([0; 16]), data).map_err(|_| DevError::Address)?;
        let cookies = new_cookies(inner, &session).map_err(|_| DevError::Data)?;
        let pairs = cookies.iter().map(|cookie| cookie.to_str().ok()?.split(';').next());
        Ok(pairs.collect::<Option<Vec<_>>>().ok_or(DevError::Random)?.join("; "))
    }
}
