//! How the layer's pages look.

use super::Builder;
use crate::page::{Chooser, Page};

impl Builder {
    /// Gives every page of the layer the application's own looks and words: the function gets what there is to say and
    /// writes HTML. By default the pages are plain, light and dark, and need nothing.
    ///
    /// The status, the `no-store` and a content security policy are set by the layer. The policy allows style sheets,
    /// pictures and fonts of this site, styles in the page and forms that go to this site, but no script: the address of a
    /// callback's page holds code and state. Where the function panics, people get the default page.
    ///
    /// ```
    /// use tower_signin::Page;
    ///
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.pages(|page| {
    ///     let mut html = format!("<!doctype html><link rel=stylesheet href=/site.css><h1>{}</h1>", page.title());
    ///     for text in page.paragraphs() {
    ///         html += &format!("<p>{}</p>", Page::escape(&text));
    ///     }
    ///     for link in page.links() {
    ///         html += &format!("<a href=\"{}\">{}</a> ", Page::escape(link.href()), link.action().label());
    ///     }
    ///     if let Some(action) = page.sign_out_action() {
    ///         html += &format!("<form method=post action=\"{}\"><button>Sign out</button></form>", Page::escape(action));
    ///     }
    ///     html + &format!("<small>{} {}</small>", page.kind().code(), page.request_id())
    /// })
    /// # }
    /// ```
    pub fn pages(mut self, pages: impl Fn(&Page<'_>) -> String + Send + Sync + 'static) -> Self {
        self.pages = Some(Box::new(pages));
        self
    }

    /// Gives the page where people choose between [several providers](Self::and) the application's own looks and words, as
    /// [`pages`](Self::pages) does for what went wrong, with the same policy and the same help where it panics.
    ///
    /// ```
    /// use tower_signin::Page;
    ///
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.chooser(|chooser| {
    ///     let mut html = "<!doctype html><link rel=stylesheet href=/site.css><h1>Welcome</h1>".to_owned();
    ///     for choice in chooser.choices() {
    ///         let (href, label) = (Page::escape(choice.href()), Page::escape(choice.label()));
    ///         html += &format!("<a class=\"{}\" href=\"{href}\">Sign in with {label}</a> ", choice.name());
    ///     }
    ///     html
    /// })
    /// # }
    /// ```
    pub fn chooser(mut self, chooser: impl Fn(&Chooser<'_>) -> String + Send + Sync + 'static) -> Self {
        self.chooser = Some(Box::new(chooser));
        self
    }
}
