//! What `SignIn::check` says of the store.

use std::time::Duration;

use tower_signin::{Report, Verdict};

use crate::Stored;
use crate::double::{Fault, KINDS, Step};

fn line(report: &Report) -> Option<String> {
    report.findings().iter().find(|finding| finding.name() == "session_store").map(ToString::to_string)
}

#[tokio::test]
async fn a_store_that_answers_is_ok_and_keeps_nothing_of_it() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let report = stored.site.sign_in.check().await;
        let line = line(&report).unwrap();
        assert!(line.starts_with("ok ") && line.contains("it answers"), "{kind:?}: {line}");
        assert_eq!(stored.store.asked(), [Step::Load], "{kind:?}");
        assert!(stored.store.sessions().is_empty(), "{kind:?}");
        assert!(line_of_none(&stored).await, "{kind:?}");
    }
}

async fn line_of_none(stored: &Stored) -> bool {
    line(&stored.without_store().sign_in.check().await).is_none()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_fails_and_the_source_is_told() {
    let cases = [
        (Fault::Unreachable, "connection refused", 0),
        (Fault::Failed, "did not do as asked", 0),
        (Fault::Hangs, "more than five seconds", 5),
    ];
    for kind in KINDS {
        for (fault, source, seconds) in cases {
            let stored = Stored::new(kind);
            stored.store.fail(&[Step::Load], fault);
            let began = tokio::time::Instant::now();
            let report = stored.site.sign_in.check().await;
            assert_eq!(began.elapsed(), Duration::from_secs(seconds), "{kind:?}, {fault:?}");
            let line = line(&report).unwrap();
            assert!(line.starts_with("failed ") && line.contains(source), "{kind:?}: {line}");
            assert!(line.contains("remedy: see that it runs and can be reached from here"), "{kind:?}: {line}");
            assert!(!report.is_ok() && report.findings().iter().any(|it| it.verdict() == Verdict::Failed), "{kind:?}");
        }
    }
}
