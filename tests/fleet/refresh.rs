//! One refresh in the whole fleet.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tower_signin::dev::Fault;

use crate::nodes::{Fleet, Person, Seen, SetUp};
use crate::server::Server;

/// Long enough for a busy machine to sign somebody in.
pub const LIFE: Duration = Duration::from_secs(10);

/// Signs somebody in whose tokens have just ended when this is done, and whose next ones last.
pub async fn with_ended_tokens(fleet: &Fleet, node: usize) -> Person {
    let mut alice = Person::alice();
    fleet.tokens_last(Some(LIFE));
    fleet.sign_in(&mut alice, node).await;
    let ended = SystemTime::now() + LIFE;
    fleet.tokens_last(None);
    assert_eq!((fleet.ask(&mut alice, node).await, fleet.refreshes()), (Seen::Themselves, 0), "they are good still");
    tokio::time::sleep(ended.duration_since(SystemTime::now()).unwrap_or_default()).await;
    alice
}

/// At four processes. Each request has a connection of its own, so this needs 1,100 open files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis"]
async fn with_redis_a_thousand_requests_over_four_nodes_refresh_once_at_the_end_of_the_tokens() {
    for set_up in [SetUp::Stored, SetUp::List] {
        let redis = Server::start();
        let fleet = Fleet::start(set_up, 4, redis.url()).await;
        let mut alice = with_ended_tokens(&fleet, 0).await;
        // The answer takes some six hundred milliseconds, in which the others come.
        fleet.dev.set_fault(Some(Fault::Drip(Duration::from_millis(1))));
        let requests: Vec<_> = (0..1000).map(|turn| fleet.spawn(&alice, turn % 4)).collect();
        let mut seen = HashMap::new();
        for (turn, request) in requests.into_iter().enumerate() {
            let answer = request.await.unwrap().expect("the node answers");
            let whom = format!("{set_up:?}, request {turn}");
            *seen.entry(format!("{:?}", alice.seen(&answer, &whom))).or_insert(0) += 1;
        }
        assert_eq!(seen, HashMap::from([("Themselves".to_owned(), 1000)]), "{set_up:?}");
        assert_eq!(fleet.refreshes(), 1, "{set_up:?}");
        // Nobody has the old ones by now who would have to come back with them.
        assert_eq!(fleet.ask_all(&mut alice).await, [Seen::Themselves; 4], "{set_up:?}");
        assert_eq!(fleet.refreshes(), 1, "{set_up:?}");
    }
}
