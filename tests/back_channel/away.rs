//! Where the store or the provider does not answer, nothing counts as done, and the provider may come again.

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower_signin::SessionEnd;

use crate::double::{Fault, KINDS, Kind, STEPS, Step};
use crate::site::BOB;
use crate::teller::{self, Token};
use crate::{DONE, NOT_DONE, REJECTED, Told, token, told};

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_tried_again_with_the_same_token() {
    const FAULTS: [Fault; 5] = [Fault::Unreachable, Fault::Failed, Fault::Hangs, Fault::Panics, Fault::PanicsAtOnce];
    for kind in KINDS {
        for fault in FAULTS {
            for step in [Step::Mark, Step::Load, Step::Delete, Step::Members, Step::Leave] {
                let name = format!("{kind:?}, {fault:?}, {step:?}");
                let told_of = Told::new(kind);
                let browser = told_of.site.signed_in().await;
                let token = token();
                told_of.store.fail(&[step], fault);
                let began = Instant::now();
                let answer = told_of.tell(&token).await;
                assert_eq!(told(&answer), NOT_DONE, "{name}");
                assert_eq!(answer.headers()[RETRY_AFTER], "5", "{name}");
                assert!(began.elapsed() <= Duration::from_secs(5), "{name}: {:?}", began.elapsed());
                told_of.store.recover();
                assert_eq!(told(&told_of.tell(&token).await), DONE, "{name}");
                assert!(!told_of.knows(&browser).await, "{name}");
                assert_eq!(told(&told_of.tell(&token).await), REJECTED, "{name}: once it was done");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_can_t_be_asked_is_no_refusal() {
    for (fault, expected) in [
        (teller::Fault::Unreachable, NOT_DONE),
        (teller::Fault::Panics, NOT_DONE),
        (teller::Fault::Waits(Arc::new(Semaphore::new(0))), NOT_DONE),
        (teller::Fault::Unsupported, REJECTED),
    ] {
        let told_of = Told::new(Kind::Private);
        let browser = told_of.site.signed_in().await;
        let token = token();
        told_of.teller.set_fault(Some(fault.clone()));
        let answer = told_of.tell(&token).await;
        assert_eq!(told(&answer), expected, "{fault:?}");
        assert_eq!(answer.headers().contains_key(RETRY_AFTER), expected == NOT_DONE, "{fault:?}");
        assert!(told_of.knows(&browser).await, "{fault:?}");
        told_of.teller.set_fault(None);
        assert_eq!(told(&told_of.tell(&token).await), DONE, "{fault:?}");
        assert!(!told_of.knows(&browser).await, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_is_forgotten_once_it_would_be_refused_for_its_age() {
    let told_of = Told::new(Kind::Private);
    let token = Token::of(Some(BOB), None);
    assert_eq!(told(&told_of.tell(&token).await), DONE);
    let browser = told_of.site.signed_in().await;
    told_of.clock.advance(Duration::from_secs(119));
    assert_eq!(told(&told_of.tell(&token).await), REJECTED);
    assert!(told_of.knows(&browser).await, "whoever signed in since is none of its business");
    told_of.clock.advance(Duration::from_secs(1));
    // This provider believes it still; a real one does not.
    assert_eq!(told(&told_of.tell(&token).await), DONE);
}

#[tokio::test]
async fn nothing_is_asked_of_the_store_before_the_token_is_believed() {
    let told_of = Told::new(Kind::Private);
    told_of.store.fail(&STEPS, Fault::Failed);
    told_of.store.forget();
    let mut forged = token();
    forged.signature = "forged";
    assert_eq!(told(&told_of.tell(&forged).await), REJECTED);
    assert!(told_of.store.asked().is_empty());
}

#[tokio::test]
async fn who_waits_for_the_end_is_told_why() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let told_of = Told::with(Kind::Private, |builder| {
        builder.on_sign_in(move |who| {
            sender.send(who.identity().clone()).unwrap();
            async { Ok(tower_signin::Admission::new()) }
        })
    });
    told_of.site.signed_in().await;
    let identity = receiver.recv().await.unwrap();
    let ended = tokio::spawn(identity.ended());
    assert_eq!(told(&told_of.tell(&token()).await), DONE);
    assert_eq!(ended.await.unwrap(), SessionEnd::Revoked);
}
