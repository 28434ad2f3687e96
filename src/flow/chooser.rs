//! The page where people choose with which of several providers they sign in.

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::link_with;
use crate::config::Inner;
use crate::page::{Choice, Chooser};
use crate::providers::Mounted;
use crate::requester::Requester;
use crate::return_to::ReturnTo;

/// A button for each provider, whose link takes along what came to login.
pub(super) fn page<'a>(
    inner: &Inner,
    headers: &HeaderMap,
    parameters: &[(&'a str, &'a str)],
    return_to: &'a ReturnTo,
) -> Response<Bytes> {
    let choice = |mounted: &Mounted| {
        let provider = &mounted.provider;
        let href = link_with(&mounted.login, parameters.iter().copied(), return_to);
        Choice::new(provider.name().to_owned(), provider.label().to_owned(), href)
    };
    let choices: Vec<_> = inner.providers.iter().map(choice).collect();
    Chooser::new(&choices, &Requester::of(headers)).respond(inner.chooser.as_ref())
}
