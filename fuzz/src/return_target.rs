//! Return targets: a browser that resolves what comes out stays on the site.

use tower_signin::fuzzing::return_to;
use url::Url;

const OWN: [&str; 3] = ["/auth/login", "/auth/callback", "/auth/logout"];

pub fn run(data: &[u8]) -> bool {
    let Ok(raw) = std::str::from_utf8(data) else { return false };
    for longest in [8, 64, 250, usize::MAX] {
        let target = return_to(raw, &OWN, longest);
        assert!(target.len() <= longest.min(2048) && target.bytes().all(|byte| byte.is_ascii_graphic()), "{target:?}");
        assert!(target.starts_with('/') && !target.starts_with("//"), "{target:?}");
        assert_eq!(return_to(&target, &OWN, longest), target, "it is not taken again");
        for base in ["https://app.example/auth/callback", "http://localhost:3000/auth/callback"] {
            let base = Url::parse(base).unwrap();
            let resolved = base.join(&target).unwrap();
            assert_eq!(resolved.origin(), base.origin(), "{target:?} leads to {resolved}");
            assert!(!OWN.contains(&resolved.path()), "{target:?} leads to {resolved}");
            // No part of the path is read as another: what a router sees is what was checked.
            let path = target.split(['?', '#']).next().unwrap();
            assert_eq!(resolved.path().split('/').count(), path.split('/').count(), "{target:?} leads to {resolved}");
        }
    }
    return_to(raw, &OWN, usize::MAX) != "/"
}
