//! The page where people choose a provider.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::Page;
use super::html::{Look, respond_page};
use crate::requester::Requester;

/// The page where people choose with which of several providers they sign in. The application may give it words and looks of
/// its own with [`Builder::chooser`](crate::Builder::chooser).
///
/// Every text is plain: [`escape`](Page::escape) it, unless your templates do.
#[derive(Debug)]
pub struct Chooser<'a> {
    choices: &'a [Choice],
    requester: &'a Requester,
}

/// A provider that people may choose on a [`Chooser`].
#[derive(Clone, Debug)]
pub struct Choice {
    name: String,
    label: String,
    href: String,
}

/// The application's own look, boxed once at build.
pub(crate) type ChooserPage = Box<dyn Fn(&Chooser<'_>) -> String + Send + Sync>;

impl<'a> Chooser<'a> {
    pub(crate) fn new(choices: &'a [Choice], requester: &'a Requester) -> Self {
        Self { choices, requester }
    }

    /// The providers, in the order of the builder.
    #[must_use]
    pub fn choices(&self) -> &'a [Choice] {
        self.choices
    }

    /// Names this request, here and in the log (field `request_id`): the request's own `x-request-id`, or a random one.
    #[must_use]
    pub fn request_id(&self) -> &'a str {
        self.requester.id()
    }

    /// The request's `Accept-Language`, for pages in several languages.
    #[must_use]
    pub fn accept_language(&self) -> Option<&'a str> {
        self.requester.accept_language()
    }

    /// The answer with this page, in the application's looks if it has any.
    pub(crate) fn respond(&self, page: Option<&ChooserPage>) -> Response<Bytes> {
        let own = page.and_then(|page| super::html::shown_by(self.requester, "chooser", || page(self)));
        match own {
            Some(html) => respond_page(StatusCode::OK, html, Look::Custom("'self'")),
            None => respond_page(StatusCode::OK, self.html(), Look::Plain),
        }
    }

    fn html(&self) -> String {
        let mut links = String::new();
        for choice in self.choices {
            let (href, label) = (Page::escape(choice.href()), Page::escape(choice.label()));
            let _ = write!(links, "<a href=\"{href}\">Sign in with {label}</a> ");
        }
        super::html::document(
            "Sign in",
            &format!("<p>How do you want to sign in?</p><div class=\"choices\">{links}</div>"),
        )
    }
}

impl Choice {
    pub(crate) fn new(name: String, label: String, href: String) -> Self {
        Self { name, label, href }
    }

    /// Its part of the path: `google`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call it: `Google`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where signing in with it starts: a path on this site, with a query that takes along what came to login.
    #[must_use]
    pub fn href(&self) -> &str {
        &self.href
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};

    fn shown(page: Option<&ChooserPage>) -> (Response<Bytes>, String) {
        let choices = [Choice::new("a".to_owned(), "<A> & \"B\"".to_owned(), "/login/a?return_to=%2F%22\"".to_owned())];
        let response = Chooser::new(&choices, &Requester::unknown()).respond(page);
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        (response, body)
    }

    #[test]
    fn every_text_is_escaped_and_the_page_locked_down() {
        let (response, body) = shown(None);
        assert!(
            body.contains("<a href=\"/login/a?return_to=%2F%22&quot;\">Sign in with &lt;A&gt; &amp; &quot;B&quot;</a>"),
            "{body}"
        );
        assert_eq!(
            (response.status(), &response.headers()[CACHE_CONTROL]),
            (StatusCode::OK, &"no-store".parse().unwrap())
        );
        assert!(response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
    }

    #[test]
    fn the_application_s_own_may_panic() {
        let own: ChooserPage =
            Box::new(|chooser| chooser.choices().iter().map(|choice| choice.name().to_owned()).collect());
        assert_eq!(shown(Some(&own)).1, "a");
        let broken: ChooserPage = Box::new(|_| panic!("a broken template"));
        assert!(shown(Some(&broken)).1.contains("How do you want to sign in?"));
    }
}
