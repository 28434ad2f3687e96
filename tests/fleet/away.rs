//! Redis that is away, comes back, or has lost what it had: nobody is signed out by that, nobody is taken for somebody else, and
//! whoever was signed out stays so.

use std::time::Instant;

use http::StatusCode;
use http::header::{RETRY_AFTER, SET_COOKIE};

use crate::nodes::{BOUND, Fleet, PATIENCE, Person, SET_UPS, Seen, SetUp};
use crate::proxy::{Network, Proxy};
use crate::server::Server;
use crate::support::{code, location, text};

/// Two nodes, and people in each situation.
struct Scene {
    fleet: Fleet,
    /// Signed in.
    alice: Person,
    bob: Person,
    /// A copy of the cookies of somebody who has signed out since.
    carol: Person,
    /// Signed in, and about to sign out.
    agent: Person,
    /// On the way back from the provider, and where to.
    newcomer: (Person, String),
}

impl Scene {
    async fn new(set_up: SetUp, redis: String) -> Self {
        let fleet = Fleet::start(set_up, 2, redis).await;
        let (mut alice, mut bob, mut carol, mut agent) =
            (Person::alice(), Person::bob(), Person::carol(), Person::agent());
        for (person, node) in [(&mut alice, 0), (&mut bob, 1), (&mut carol, 0), (&mut agent, 1)] {
            fleet.sign_in(person, node).await;
        }
        let mut copy = carol.clone();
        fleet.sign_out(&mut carol, 0).await;
        for node in 0..2 {
            // A copy each, since one that is told of the end has its cookies deleted.
            fleet.wait_until(&mut copy.clone(), node, Seen::Nobody, Seen::Themselves).await;
        }
        for person in [&mut alice, &mut bob, &mut agent] {
            assert_eq!(fleet.ask_all(person).await, [Seen::Themselves; 2], "{set_up:?}");
        }
        copy.browser.jar.retain(|name, _| !name.contains("-rounds"));
        let mut newcomer = Person::alice();
        let callback = fleet.begin(&mut newcomer, 0).await;
        Self { fleet, alice, bob, carol: copy, agent, newcomer: (newcomer, callback) }
    }

    /// What people get while Redis does not answer.
    async fn while_away(&mut self) {
        let Self { fleet, alice, bob, carol, agent, newcomer } = self;
        let set_up = fleet.set_up;
        let began = Instant::now();
        match set_up {
            SetUp::Stored => {
                for person in [&mut *alice, &mut *bob, &mut *carol] {
                    assert_eq!(fleet.ask_all(person).await, [Seen::Unavailable; 2], "{set_up:?}");
                }
            }
            SetUp::List => {
                for person in [&mut *alice, &mut *bob] {
                    for node in 0..2 {
                        fleet.wait_until(person, node, Seen::Unavailable, Seen::Themselves).await;
                    }
                }
                println!("{set_up:?}: nobody is let in any more after {:?}", began.elapsed());
            }
            SetUp::StaleList => {
                while began.elapsed() < BOUND * 2 {
                    for person in [&mut *alice, &mut *bob] {
                        assert_eq!(fleet.ask_all(person).await, [Seen::Themselves; 2], "{set_up:?}");
                    }
                }
            }
        }
        if set_up != SetUp::Stored {
            for node in 0..2 {
                assert_eq!(fleet.ask(&mut carol.clone(), node).await, Seen::Nobody, "{set_up:?}: both nodes know");
            }
        }

        let (person, callback) = newcomer;
        let (cookies, redeemed) = (person.browser.jar.clone(), fleet.redeemed());
        let answer = person.browser.get(&fleet.url(1, callback)).await;
        let told = (answer.status(), code(&answer));
        assert_eq!(told, (StatusCode::SERVICE_UNAVAILABLE, "session_unavailable".to_owned()), "{set_up:?}");
        assert!(answer.headers().contains_key(RETRY_AFTER), "{set_up:?}: {answer:?}");
        assert!(!answer.headers().contains_key(SET_COOKIE), "{set_up:?}: {answer:?}");
        assert_eq!((&person.browser.jar, fleet.redeemed()), (&cookies, redeemed), "{set_up:?}: the code is not sent");

        let copy = agent.clone();
        fleet.sign_out(agent, 1).await;
        *agent = copy;
        let seen = fleet.ask(&mut agent.clone(), 1).await;
        assert!(seen != Seen::Themselves, "{set_up:?}: signed out at this node");
    }

    /// Waits until Redis answers again and everybody is whom they were. The newcomer signs in with a reload.
    async fn when_back(&mut self) {
        let set_up = self.fleet.set_up;
        let began = Instant::now();
        for person in [&mut self.alice, &mut self.bob] {
            for node in 0..2 {
                self.fleet.wait_until(person, node, Seen::Themselves, Seen::Unavailable).await;
            }
        }
        println!("{set_up:?}: everybody is back after {:?}", began.elapsed());
        self.newcomer_signs_in().await;
        self.who_was_signed_out_stays_so().await;
    }

    async fn newcomer_signs_in(&mut self) {
        let (fleet, (person, callback)) = (&self.fleet, &mut self.newcomer);
        let began = Instant::now();
        let answer = loop {
            let answer = person.browser.get(&fleet.url(1, callback)).await;
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                break answer;
            }
            assert!(began.elapsed() < PATIENCE, "{:?}: {}", fleet.set_up, text(&answer));
        };
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{:?}: {}", fleet.set_up, text(&answer));
        assert_eq!(location(&answer), "/me", "{:?}", fleet.set_up);
        println!("{:?}: the newcomer is signed in after {:?}", fleet.set_up, began.elapsed());
        assert_eq!(fleet.ask_all(person).await, [Seen::Themselves; 2], "{:?}", fleet.set_up);
    }

    /// In the store, the one that could not be told is left: the log says so.
    async fn who_was_signed_out_stays_so(&mut self) {
        let (fleet, set_up) = (&self.fleet, self.fleet.set_up);
        for node in 0..2 {
            assert_eq!(fleet.ask(&mut self.carol.clone(), node).await, Seen::Nobody, "{set_up:?}");
        }
        assert_eq!(fleet.ask(&mut self.agent.clone(), 1).await, Seen::Nobody, "{set_up:?}");
        if set_up != SetUp::Stored {
            fleet.wait_until(&mut self.agent.clone(), 0, Seen::Nobody, Seen::Themselves).await;
        }
    }

    /// Redis has lost everything.
    async fn when_back_and_empty(&mut self, redis: &Server) {
        if self.fleet.set_up != SetUp::Stored {
            self.when_back().await;
            return self.the_list_is_written_again(redis).await;
        }
        for person in [&mut self.alice, &mut self.bob, &mut self.agent] {
            for node in 0..2 {
                let mut copy = person.clone();
                self.fleet.wait_until(&mut copy, node, Seen::Nobody, Seen::Unavailable).await;
            }
            assert_eq!(self.fleet.ask_all(person).await, [Seen::Nobody; 2], "those sessions are over");
            self.fleet.sign_in(person, 0).await;
            assert_eq!(self.fleet.ask_all(person).await, [Seen::Themselves; 2]);
        }
        self.newcomer_signs_in().await;
        assert_eq!(self.fleet.ask_all(&mut self.carol).await, [Seen::Nobody; 2]);
    }

    /// A node that starts afterwards knows who was signed out before.
    async fn the_list_is_written_again(&mut self, redis: &Server) {
        let began = Instant::now();
        // Two have signed out, and each entry is in a group for those who look often and in one for those who start.
        while entries(redis) < 4 {
            assert_eq!(self.fleet.ask_all(&mut self.alice).await, [Seen::Themselves; 2], "{:?}", self.fleet.set_up);
            assert!(began.elapsed() < PATIENCE, "{:?}: {:?}", self.fleet.set_up, redis.keys());
        }
        println!("{:?}: the list is there again after {:?}", self.fleet.set_up, began.elapsed());
        let new = self.fleet.add().await;
        for (person, seen) in
            [(&self.carol, Seen::Nobody), (&self.agent, Seen::Nobody), (&self.alice, Seen::Themselves)]
        {
            assert_eq!(self.fleet.ask(&mut person.clone(), new).await, seen, "{:?}", self.fleet.set_up);
        }
    }
}

/// How many members all groups have.
fn entries(redis: &Server) -> i64 {
    let keys = redis.keys();
    let groups = keys.iter().filter(|key| redis.ask(&["TYPE", key]).contains("zset"));
    groups.map(|key| redis.number(&["ZCARD", key])).sum()
}

#[tokio::test]
#[ignore = "needs redis"]
async fn while_redis_is_stopped_nobody_is_signed_out_and_afterwards_everybody_is_there() {
    for set_up in SET_UPS {
        let mut redis = Server::with(&["--appendonly", "yes", "--appendfsync", "always"]);
        let mut scene = Scene::new(set_up, redis.url()).await;
        redis.stop();
        scene.while_away().await;
        redis.start_again();
        scene.when_back().await;
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn while_redis_hangs_nobody_is_signed_out_and_afterwards_everybody_is_there() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let mut scene = Scene::new(set_up, redis.url()).await;
        redis.pause();
        scene.while_away().await;
        redis.go_on();
        scene.when_back().await;
    }
}

/// What a server that hangs is sent first it takes once it goes on, though nobody heard of that: here that a state is spent.
#[tokio::test]
#[ignore = "needs redis"]
async fn while_redis_hangs_a_sign_in_is_put_off_and_goes_on_by_a_reload_at_any_node() {
    for set_up in SET_UPS {
        for node in [1, 0] {
            let redis = Server::start();
            let fleet = Fleet::start(set_up, 2, redis.url()).await;
            let mut alice = Person::alice();
            fleet.sign_in(&mut alice, 1).await;
            let mut newcomer = Person::bob();
            let callback = fleet.begin(&mut newcomer, 0).await;
            redis.pause();
            let answer = newcomer.browser.get(&fleet.url(1, &callback)).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{set_up:?}: {}", text(&answer));
            assert_eq!(fleet.redeemed(), 1, "{set_up:?}: that is alice");
            redis.go_on();
            let began = Instant::now();
            let answer = newcomer.browser.get(&fleet.url(node, &callback)).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{set_up:?}, node {node}: {}", text(&answer));
            println!("{set_up:?}: the reload at node {node} took {:?}", began.elapsed());
            assert_eq!(fleet.redeemed(), 2, "{set_up:?}, node {node}");
            assert_eq!(fleet.ask_all(&mut newcomer).await, [Seen::Themselves; 2], "{set_up:?}, node {node}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis"]
async fn while_the_network_to_redis_is_cut_nobody_is_signed_out_and_afterwards_everybody_is_there() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let network = Proxy::to(redis.port).await;
        let mut scene = Scene::new(set_up, format!("redis://127.0.0.1:{}", network.port())).await;
        network.is(Network::Cut);
        scene.while_away().await;
        network.is(Network::Whole);
        scene.when_back().await;
    }
}

/// With all that its master had; what becomes of the rest is in `tests/redis/replicas.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis"]
async fn while_a_redis_replica_is_promoted_nobody_is_signed_out_and_afterwards_everybody_is_there() {
    for set_up in SET_UPS {
        let mut master = Server::with(&["--repl-diskless-sync-delay", "0"]);
        let replica = Server::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        replica.wait_for(&["INFO", "replication"], "master_link_status:up");
        let network = Proxy::to(master.port).await;
        let mut scene = Scene::new(set_up, format!("redis://127.0.0.1:{}", network.port())).await;
        wait_for_all(&master, &replica);
        master.stop();
        scene.while_away().await;
        assert_eq!(replica.ask(&["REPLICAOF", "NO", "ONE"]), "+OK\r\n");
        network.leads_to(replica.port);
        scene.when_back().await;
    }
}

fn wait_for_all(master: &Server, replica: &Server) {
    let offset = |server: &Server, name: &str| {
        let info = server.ask(&["INFO", "replication"]);
        let line = info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{name} in {info}"))
    };
    let started = Instant::now();
    while offset(master, "master_repl_offset:") != offset(replica, "slave_repl_offset:") {
        assert!(started.elapsed() < PATIENCE, "the replica has everything");
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_starts_again_empty_has_no_sessions_and_gets_its_list_back() {
    for set_up in SET_UPS {
        let mut redis = Server::start();
        let mut scene = Scene::new(set_up, redis.url()).await;
        redis.stop();
        scene.while_away().await;
        redis.start_again();
        scene.when_back_and_empty(&redis).await;
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_was_flushed_has_no_sessions_and_gets_its_list_back() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let mut scene = Scene::new(set_up, redis.url()).await;
        let copy = scene.agent.clone();
        scene.fleet.sign_out(&mut scene.agent, 1).await;
        scene.agent = copy;
        if set_up != SetUp::Stored {
            scene.fleet.wait_until(&mut scene.agent.clone(), 0, Seen::Nobody, Seen::Themselves).await;
        }
        assert_eq!(redis.ask(&["FLUSHALL"]), "+OK\r\n");
        scene.when_back_and_empty(&redis).await;
    }
}
