//! What a page says besides what went wrong, and where it leads on to.

use std::fmt;

/// Where a person can go on from a [`Page`](crate::Page).
#[derive(Clone, Debug)]
pub struct PageLink {
    action: PageAction,
    href: String,
}

/// What a [`PageLink`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageAction {
    /// Starts to sign in.
    SignIn,
    /// Starts over.
    SignInAgain,
    /// Starts to sign in as somebody else.
    UseAnotherAccount,
    /// Goes on as things are.
    Continue,
    /// Goes to the site's first page.
    Home,
    /// Asks for the same page once more.
    Reload,
}

/// What an answer to a failure says besides its kind.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    /// Said before the kind's cause, and in place of its remedy.
    pub(crate) remedy: Option<&'static str>,
    /// What it probably comes from here, said after the kind's cause.
    pub(crate) likely_cause: Option<String>,
    /// The subject of who is signed in.
    pub(crate) signed_in_as: Option<String>,
    /// What people call the provider that says so, where there are several.
    pub(crate) signed_in_by: Option<String>,
    /// The buttons of a page, the most likely first.
    pub(crate) links: Vec<PageLink>,
    /// Where signing in starts over, for a program.
    pub(crate) login: Option<String>,
    /// The form of the page.
    pub(crate) sign_out: Option<SignOut>,
}

/// A form that signs out.
pub(crate) struct SignOut {
    /// Where it posts to, the token in its query.
    pub(crate) action: String,
    pub(crate) token: String,
}

impl PageLink {
    pub(crate) fn new(action: PageAction, href: impl Into<String>) -> Self {
        Self { action, href: href.into() }
    }

    /// What it does.
    #[must_use]
    pub fn action(&self) -> PageAction {
        self.action
    }

    /// A path on this site, with a query; empty for [`PageAction::Reload`], which a browser takes for the page it shows.
    #[must_use]
    pub fn href(&self) -> &str {
        &self.href
    }
}

impl PageAction {
    /// What the button says: `Sign in`, `Use another account`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in",
            Self::SignInAgain => "Sign in again",
            Self::UseAnotherAccount => "Use another account",
            Self::Continue => "Continue",
            Self::Home => "To the home page",
            Self::Reload => "Try again",
        }
    }
}

impl Advice {
    /// To sign in.
    pub(crate) fn sign_in(login: String) -> Self {
        Self { links: vec![PageLink::new(PageAction::SignIn, login.as_str())], login: Some(login), ..Self::default() }
    }

    /// To come as somebody else, or to sign in again once whatever is missing is there.
    pub(crate) fn switch_account(switch: String, login: String) -> Self {
        let links = vec![
            PageLink::new(PageAction::UseAnotherAccount, switch),
            PageLink::new(PageAction::SignInAgain, login.as_str()),
        ];
        Self { links, login: Some(login), ..Self::default() }
    }

    /// To ask once more.
    pub(crate) fn reload(login: String) -> Self {
        Self { links: vec![PageLink::new(PageAction::Reload, "")], login: Some(login), ..Self::default() }
    }

    /// To go on to the site's first page.
    pub(crate) fn go_home() -> Self {
        Self { links: vec![PageLink::new(PageAction::Home, "/")], ..Self::default() }
    }
}

impl fmt::Debug for SignOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignOut").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::page::Page;
    use crate::requester::Requester;

    #[test]
    fn the_token_to_sign_out_is_not_in_debug_output() {
        let sign_out = SignOut { action: "/logout?confirm=t0ken".to_owned(), token: "t0ken".to_owned() };
        let advice = Advice { sign_out: Some(sign_out), ..Advice::go_home() };
        let error = Error::from(ErrorKind::LogoutUnconfirmed);
        let requester = Requester::unknown();
        for shown in [format!("{advice:?}"), format!("{:?}", Page::new(&error, &advice, &requester))] {
            assert!(!shown.contains("t0ken"), "{shown}");
        }
        assert!(format!("{advice:?}").contains("sign_out: Some(SignOut { .. })"), "{advice:?}");
    }
}
