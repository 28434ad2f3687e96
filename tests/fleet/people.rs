//! What somebody does at one node counts at all of them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::nodes::{BOUND, Fleet, PATIENCE, Person, SET_UPS, Seen, SetUp};
use crate::server::Server;
use crate::support::{address_of, code, location, navigation, text};

/// How long an end may take to be known everywhere, with time for a busy machine.
const BY_THE_LIST: Duration = Duration::from_secs(2 * BOUND.as_secs() + 10);

#[tokio::test]
#[ignore = "needs redis"]
async fn with_redis_who_signs_in_at_one_node_is_known_at_all_and_who_signs_out_at_none() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let fleet = Fleet::start(set_up, 3, redis.url()).await;
        let (mut alice, mut bob) = (Person::alice(), Person::bob());
        fleet.sign_in(&mut alice, 0).await;
        fleet.sign_in(&mut bob, 1).await;
        for person in [&mut alice, &mut bob] {
            assert_eq!(fleet.ask_all(person).await, [Seen::Themselves; 3], "{set_up:?}");
        }
        let mut copy = alice.clone();
        fleet.sign_out(&mut alice, 2).await;
        assert_eq!(fleet.ask(&mut copy.clone(), 2).await, Seen::Nobody, "{set_up:?}");
        for node in 0..2 {
            let took = fleet.wait_until(&mut copy.clone(), node, Seen::Nobody, Seen::Themselves).await;
            assert!(set_up != SetUp::Stored || took < Duration::from_secs(1), "at once: {took:?}");
            assert!(took < BY_THE_LIST, "{set_up:?}: {took:?}");
        }
        assert_eq!(fleet.ask_all(&mut copy).await, [Seen::Nobody; 3], "{set_up:?}");
        assert_eq!(fleet.ask_all(&mut bob).await, [Seen::Themselves; 3], "{set_up:?}: bob goes on");
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn with_redis_a_login_that_began_at_one_node_is_finished_at_another() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let fleet = Fleet::start(set_up, 2, redis.url()).await;
        let mut alice = Person::alice();
        let callback = fleet.begin(&mut alice, 0).await;
        let answer = alice.browser.get(&fleet.url(1, &callback)).await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/me"), "{set_up:?}");
        assert_eq!(fleet.ask_all(&mut alice).await, [Seen::Themselves; 2], "{set_up:?}");
    }
}

/// A double click: the code is sent once. Where sessions are in Redis both get the same one; where they are in cookies, only the
/// node that has redeemed the code has one to give.
#[tokio::test]
#[ignore = "needs redis"]
async fn with_redis_a_callback_that_comes_to_two_nodes_at_once_redeems_its_code_once() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let fleet = Fleet::start(set_up, 2, redis.url()).await;
        let mut alice = Person::alice();
        let callback = fleet.begin(&mut alice, 0).await;
        let (mut one, mut other) = (alice.clone(), alice);
        let urls = [fleet.url(0, &callback), fleet.url(1, &callback)];
        let answers = tokio::join!(one.browser.get(&urls[0]), other.browser.get(&urls[1]));
        assert_eq!(fleet.redeemed(), 1, "{set_up:?}");
        let mut signed_in = 0;
        for (answer, mut person) in [(answers.0, one), (answers.1, other)] {
            if answer.status() == StatusCode::SEE_OTHER {
                assert_eq!(location(&answer), "/me", "{set_up:?}");
                assert_eq!(fleet.ask_all(&mut person).await, [Seen::Themselves; 2], "{set_up:?}");
                signed_in += 1;
            } else {
                assert_eq!(
                    (answer.status().as_u16(), code(&answer).as_str()),
                    (400, "state_already_used"),
                    "{set_up:?}"
                );
            }
        }
        assert_eq!(signed_in, if set_up == SetUp::Stored { 2 } else { 1 }, "{set_up:?}");
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn with_redis_who_signs_out_everywhere_is_signed_in_at_no_node() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let fleet = Fleet::start(set_up, 2, redis.url()).await;
        let (mut phone, mut laptop, mut bob) = (Person::alice(), Person::alice(), Person::bob());
        fleet.sign_in(&mut phone, 0).await;
        fleet.sign_in(&mut laptop, 1).await;
        fleet.sign_in(&mut bob, 1).await;
        let home = laptop.browser.get(&fleet.url(0, "/")).await;
        let listed = text(&home).matches("<li>begun ").count();
        assert_eq!(listed, if set_up == SetUp::Stored { 2 } else { 0 }, "{set_up:?}: {}", text(&home));
        let mut stream = stream(&fleet, &phone, 0).await;
        assert!(timeout(Duration::from_millis(100), &mut stream).await.is_err(), "{set_up:?}: it goes on");

        let ended = Instant::now();
        let answer = laptop.browser.post(&fleet.url(1, "/everywhere"), "").await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"), "{set_up:?}");
        for person in [&mut phone, &mut laptop] {
            for node in 0..2 {
                let took = fleet.wait_until(person, node, Seen::Nobody, Seen::Themselves).await;
                assert!(set_up != SetUp::Stored || took < Duration::from_secs(1), "at once: {took:?}");
            }
        }
        assert!(ended.elapsed() < BY_THE_LIST, "{set_up:?}: {:?}", ended.elapsed());
        // A stream that nobody asks for looks into the list by itself, and into a store once a minute.
        let bound = if set_up == SetUp::Stored { Duration::from_secs(60) + PATIENCE } else { BY_THE_LIST };
        let end = timeout(bound, stream).await.expect("it ends in time").unwrap();
        println!("{set_up:?}: the stream at another node ended after {:?}", ended.elapsed());
        assert_eq!(end, "elsewhere", "{set_up:?}");
        assert_eq!(fleet.ask_all(&mut bob).await, [Seen::Themselves; 2], "{set_up:?}: bob goes on");
        // By then it is another second than that of the end.
        fleet.sign_in(&mut phone, 0).await;
        assert_eq!(fleet.ask_all(&mut phone).await, [Seen::Themselves; 2], "{set_up:?}");
    }
}

/// A stream that has begun; it gives the reason why it ended.
async fn stream(fleet: &Fleet, person: &Person, node: usize) -> JoinHandle<String> {
    let connection = TcpStream::connect(address_of(&fleet.url(node, ""))).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
    tokio::spawn(connection);
    let request: Request<()> = navigation(Method::GET, "/ended", "none").body(()).unwrap();
    let mut request = request.map(|()| Empty::<Bytes>::new());
    request.headers_mut().insert("host", "localhost".parse().unwrap());
    request.headers_mut().insert(COOKIE, person.browser.cookie_header().unwrap().parse().unwrap());
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    tokio::spawn(async move {
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        drop(sender);
        String::from_utf8(body.to_vec()).unwrap()
    })
}
