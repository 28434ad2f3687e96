//! What a request of somebody signed in takes.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tower::Service;
use tower_signin::{Builder, MemoryStore};

use crate::server::Server;
use crate::site::{Handler, Site, request};
use crate::{cpu, median};

const ROUNDS: usize = 150;

/// Requests of a turn, where none waits. Only few are made at once, so that they are in the cache like those of a server.
const TIMES: usize = 200;
const AT_ONCE: usize = 10;

/// Requests of a turn that wait for Redis one after the other, and how many do so together.
const WAITING: usize = 50;
const TOGETHER: usize = 64;

/// How long CPU time is taken.
const STRETCH: Duration = Duration::from_secs(1);

struct Kind {
    name: String,
    /// None for the service without the layer.
    site: Option<Site>,
    cookies: String,
    way: Way,
    allocations: u64,
    turns: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Here,
    /// Redis is asked.
    Waiting,
    Together,
}

pub(crate) fn tables(server: Option<&Server>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut kinds = runtime.block_on(kinds(server));
    for kind in &mut kinds {
        kind.count_allocations(&runtime);
    }
    // In a task, as a server has its connections: to wake what is blocked on takes a system call more.
    let measured = runtime.spawn(async move {
        for _ in 0..ROUNDS {
            for kind in &mut kinds {
                let turn = kind.turn().await;
                kind.turns.push(turn);
                // Lists are read anew in tasks.
                yield_now().await;
            }
        }
        kinds
    });
    let kinds = runtime.block_on(measured).unwrap();
    print(&kinds);
    println!();
    let server_cpu = |kind: &Kind| server.filter(|_| kind.way != Way::Here).map_or(0, cpu::of_server);
    println!("{:<38} {:>9} {:>12} {:>17}", "CPU", "ns here", "ns of server", "per second here");
    for kind in kinds {
        let (here, there) = (cpu::of_this_thread(), server_cpu(&kind));
        let stretch = runtime.spawn(async move {
            let (start, mut requests) = (Instant::now(), 0);
            while start.elapsed() < STRETCH {
                kind.turn().await;
                requests += kind.requests();
                yield_now().await;
            }
            (kind, requests)
        });
        let (kind, requests) = runtime.block_on(stretch).unwrap();
        let each = |nanoseconds: u64| nanoseconds as f64 / requests as f64;
        let (here, there) = (each(cpu::of_this_thread() - here), each(server_cpu(&kind) - there));
        println!("{:<38} {here:>9.0} {there:>12.0} {:>17.0}", kind.name, 1e9 / here);
    }
    println!();
}

fn print(kinds: &[Kind]) {
    let (bare, sealed) = (&kinds[0], &kinds[1]);
    let ratio = |kind: &Kind, to: &Kind| median(kind.turns.iter().zip(&to.turns).map(|(this, other)| this / other));
    println!("{:<38} {:>9} {:>9} {:>10} {:>12}", "requests", "ns", "to bare", "to sealed", "allocations");
    for kind in kinds {
        let nanoseconds = median(kind.turns.iter().copied());
        let (to_bare, to_sealed) = (ratio(kind, bare), ratio(kind, sealed));
        let allocations = kind.allocations - bare.allocations;
        println!("{:<38} {nanoseconds:>9.0} {to_bare:>9.2} {to_sealed:>10.2} {allocations:>12}", kind.name);
    }
}

async fn kinds(server: Option<&Server>) -> Vec<Kind> {
    let mut kinds = vec![
        Kind::new("bare", None, Way::Here).await,
        Kind::new("sealed cookie", Some(Site::new(|builder| builder)), Way::Here).await,
    ];
    for (name, entries) in [("", 0), (" of 1,000", 1_000), (" of 100,000", 100_000)] {
        let site = Site::new(|builder| builder.revocation_list(MemoryStore::with_capacity(200_000)));
        site.fill_list(entries).await;
        let name = if entries == 0 { "… and an empty list".to_owned() } else { format!("… and a list{name}") };
        kinds.push(Kind::new(&name, Some(site), Way::Here).await);
    }
    kinds.push(Kind::new("sealed, with tokens", Some(Site::new(Builder::keep_tokens)), Way::Here).await);
    kinds.push(Kind::new("in memory", Some(stored(MemoryStore::new())), Way::Here).await);
    let Some(server) = server else { return kinds };
    for (name, way) in [("in Redis", Way::Waiting), ("in Redis, 64 at once", Way::Together)] {
        kinds.push(Kind::new(name, Some(stored(server.store())), way).await);
    }
    let site = Site::new(|builder| builder.session_store(server.store()).keep_tokens());
    kinds.push(Kind::new("in Redis with tokens, 64 at once", Some(site), Way::Together).await);
    kinds
}

fn stored(store: impl tower_signin::SessionStore) -> Site {
    Site::new(|builder| builder.session_store(store))
}

impl Kind {
    async fn new(name: &str, site: Option<Site>, way: Way) -> Self {
        let mut cookies = String::new();
        if let Some(site) = &site {
            cookies = site.sign_in().await;
            assert!(site.who(&cookies).await.is_some(), "{name}: nobody is signed in");
        }
        Self { name: name.to_owned(), site, cookies, way, allocations: 0, turns: Vec::new() }
    }

    fn request(&self) -> Request<()> {
        request("/page?x=1", &self.cookies)
    }

    /// Of a turn.
    fn requests(&self) -> usize {
        match self.way {
            Way::Here => TIMES,
            Way::Waiting => WAITING,
            Way::Together => TOGETHER * AT_ONCE,
        }
    }

    /// Nanoseconds per request.
    async fn turn(&self) -> f64 {
        let elapsed = match (&self.site, self.way) {
            (None, _) => self.one_by_one(&mut Handler).await,
            (Some(site), Way::Here | Way::Waiting) => self.one_by_one(&mut site.service.clone()).await,
            (Some(site), Way::Together) => self.together(site).await,
        };
        elapsed.as_nanos() as f64 / self.requests() as f64
    }

    async fn one_by_one<S, R>(&self, service: &mut S) -> Duration
    where
        S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
    {
        let mut elapsed = Duration::ZERO;
        for _ in 0..self.requests() / AT_ONCE {
            let requests: [_; AT_ONCE] = std::array::from_fn(|_| self.request());
            let start = Instant::now();
            for request in requests {
                drop(black_box(service.call(request).await));
            }
            elapsed += start.elapsed();
        }
        elapsed
    }

    async fn together(&self, site: &Site) -> Duration {
        let browsers: Vec<Vec<_>> = (0..TOGETHER).map(|_| (0..AT_ONCE).map(|_| self.request()).collect()).collect();
        let start = Instant::now();
        let browsers = browsers.into_iter().map(|requests| {
            let mut service = site.service.clone();
            tokio::spawn(async move {
                for request in requests {
                    drop(black_box(service.call(request).await));
                }
            })
        });
        for browser in browsers.collect::<Vec<_>>() {
            browser.await.unwrap();
        }
        start.elapsed()
    }

    fn count_allocations(&mut self, runtime: &Runtime) {
        let mut count = 0;
        for _ in 0..TIMES {
            let request = self.request();
            let counted = allocation_counter::measure(|| match &self.site {
                None => drop(runtime.block_on(async { Handler.call(request).await })),
                Some(site) => drop(runtime.block_on(async { site.service.clone().call(request).await })),
            });
            count += counted.count_total;
        }
        self.allocations = count / TIMES as u64;
    }
}
