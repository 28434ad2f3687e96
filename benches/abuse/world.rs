//! Where everybody acts, and for how long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Keys, SignIn};

use crate::provider::{Provider, Trouble};
use crate::report::{Fault, Report};
use crate::server::sign_in;
use crate::support::{Browser, text};
use crate::visitor::{Http, Visitor};
use crate::{callbacks, cookies, flood, honest, slow};

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) provider: Arc<Provider>,
    pub(crate) report: Arc<Report>,
    pub(crate) is_stored: bool,
    /// Everybody who is signed in from the start, with their cookies.
    pub(crate) people: Vec<Person>,
    until: Instant,
}

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) browser: Browser,
}

/// People whose requests are measured; the rest are victims.
const MEASURED: usize = 8;
const PEOPLE: usize = 24;

impl World {
    pub(crate) async fn new(
        address: SocketAddr,
        provider: Arc<Provider>,
        report: Arc<Report>,
        is_stored: bool,
    ) -> Self {
        let mut world = Self { address, provider, report, is_stored, people: Vec::new(), until: Instant::now() };
        for number in 0..PEOPLE {
            let account = account(number as u64);
            let mut visitor = Visitor::new(address, Http::One, &Browser::new());
            let url = visitor.begin().await.expect("login works");
            let callback = world.provider.approve(&url, &account, Trouble::None);
            let answer = visitor.ask(Method::GET, path_of(&callback), "cross-site").await.expect("callbacks work");
            assert_eq!(answer.status(), 303, "{}", text(&answer));
            world.people.push(Person { account, browser: visitor.browser });
        }
        world
    }

    /// The signed-in people alone.
    pub(crate) async fn idle(&self, time: Duration) {
        let world = Arc::new(self.lasting(time));
        let mut everybody = JoinSet::new();
        world.signed_in(&mut everybody, true).await;
        everybody.join_all().await;
    }

    /// Everybody at once. Nobody begins anything once the time is up; what was begun ends.
    pub(crate) async fn abuse(&self, time: Duration) {
        let world = Arc::new(self.lasting(time));
        let mut everybody = JoinSet::new();
        world.signed_in(&mut everybody, false).await;
        for number in 0..6 {
            everybody.spawn(flood::logins(Arc::clone(&world), http(number), number));
        }
        for number in 0..4 {
            everybody.spawn(callbacks::forged(Arc::clone(&world), http(number), number));
            everybody.spawn(cookies::forged(Arc::clone(&world), http(number), number));
        }
        for number in 0..2 {
            everybody.spawn(flood::pipelined_logins(Arc::clone(&world)));
            everybody.spawn(flood::logouts(Arc::clone(&world), http(number), number));
            everybody.spawn(honest::visits(Arc::clone(&world), http(number)));
        }
        for number in 0..24 {
            everybody.spawn(slow::clients(Arc::clone(&world), number));
        }
        everybody.spawn(honest::crowds(Arc::clone(&world)));
        everybody.join_all().await;
    }

    async fn signed_in(self: &Arc<Self>, everybody: &mut JoinSet<()>, is_idle: bool) {
        // Half of them over one connection.
        let mut shared = Visitor::new(self.address, Http::Two, &Browser::new());
        for (number, person) in self.people.iter().take(MEASURED).enumerate() {
            let mut visitor = if number % 2 == 0 {
                Visitor::new(self.address, Http::One, &Browser::new())
            } else {
                shared.beside().await
            };
            visitor.browser = person.browser.clone();
            everybody.spawn(honest::signed_in(Arc::clone(self), visitor, person.account.clone(), is_idle));
        }
    }

    fn lasting(&self, time: Duration) -> Self {
        Self {
            address: self.address,
            provider: Arc::clone(&self.provider),
            report: Arc::clone(&self.report),
            is_stored: self.is_stored,
            people: self.people.clone(),
            until: Instant::now() + time,
        }
    }

    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Somebody whom attackers have in their hands, each of them another one.
    pub(crate) fn victim(&self, number: usize) -> &Person {
        &self.people[MEASURED + number % (PEOPLE - MEASURED)]
    }

    /// The name of the session cookie.
    pub(crate) fn cookie_name(&self) -> String {
        format!("signin-{}", self.address.port())
    }

    /// The site's own settings and keys.
    pub(crate) fn same_site(&self) -> tower_signin::Builder {
        sign_in(self.dev().origin(), &self.provider.api, self.address)
    }

    pub(crate) fn other_site(&self) -> SignIn {
        self.same_site().keys(Keys::generate().unwrap()).build().unwrap()
    }

    pub(crate) fn dev(&self) -> &DevProvider {
        &self.provider.dev
    }

    /// Looks whether a page says who somebody is.
    pub(crate) fn is_themselves(
        &self,
        kind: &'static str,
        account: &Account,
        answer: Option<&Response<Bytes>>,
    ) -> bool {
        self.report.count(kind, answer.map_or(0, |answer| answer.status().as_u16()));
        let is_so = answer.is_some_and(|answer| answer.status() == 200 && text(answer) == account.bitbadges_address);
        if !is_so {
            let seen = answer.map_or("no answer".to_owned(), |it| {
                format!("{} {:.60}", it.status(), String::from_utf8_lossy(it.body()))
            });
            self.report.fault(Fault::NotThemselves, format!("{kind}: {seen}"));
        }
        is_so
    }
}

/// Somebody else for each number.
pub(crate) fn account(number: u64) -> Account {
    Account::from_address(&format!("0x{:040x}", 0xabc_0000 + number)).unwrap()
}

/// Address and query without the origin.
pub(crate) fn path_of(url: &str) -> &str {
    let host = url.find("//").map_or(0, |at| at + 2);
    url[host..].find('/').map_or("/", |at| &url[host + at..])
}

fn http(number: usize) -> Http {
    if number.is_multiple_of(2) { Http::One } else { Http::Two }
}
