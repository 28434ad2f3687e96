//! What `SignIn::check` says of the list.

use tower_signin::Report;

use crate::double::{Fault, KINDS, Step};
use crate::{Fleet, Site, sign_out};

fn line(report: &Report) -> Option<String> {
    report.findings().iter().find(|finding| finding.name() == "revocations").map(ToString::to_string)
}

#[tokio::test(start_paused = true)]
async fn a_list_that_can_be_read_is_ok() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        sign_out(&fleet.one, &mut browser).await;
        let line = line(&fleet.other.sign_in.check().await).unwrap();
        assert!(
            line.starts_with("ok ") && line.contains("has 1 entries") && line.contains("at most 10s old"),
            "{line}"
        );
    }
    assert!(line(&Site::new().sign_in.check().await).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_can_t_be_read_fails_and_the_source_is_told() {
    for kind in KINDS {
        for step in [Step::Load, Step::Members] {
            let fleet = Fleet::new(kind);
            for (fault, source) in [
                (Fault::Unreachable, "connection refused"),
                (Fault::Failed, "did not do as asked"),
                (Fault::Hangs, "more than five seconds"),
            ] {
                fleet.store.fail(&[step], fault);
                let report = fleet.one.sign_in.check().await;
                let line = line(&report).unwrap();
                assert!(line.starts_with("failed ") && line.contains(source), "{kind:?}: {line}");
                assert!(line.contains("remedy: ") && !report.is_ok(), "{kind:?}: {line}");
            }
        }
    }
}
