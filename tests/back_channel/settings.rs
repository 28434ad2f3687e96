//! Where the layer can't work, and where it may stand.

use tower_signin::{Builder, Keys, MemoryStore, SignIn};

use crate::site::{CALLBACK, siwbb};
use crate::teller::Teller;

fn builder(provider: impl tower_signin::Provider) -> Builder {
    SignIn::builder(provider).redirect_uri(CALLBACK).keys(Keys::generate().unwrap())
}

#[test]
fn it_needs_a_store_and_a_provider_that_tells() {
    for (name, builder, problem) in [
        ("no store", builder(Teller::default()), Some("sessions are nowhere but in their cookies")),
        (
            "nobody tells",
            builder(siwbb()).session_store(MemoryStore::new()),
            Some("none of the providers tells of logouts"),
        ),
        ("both", builder(Teller::default()).session_store(MemoryStore::new()), None),
        ("a list", builder(Teller::default()).revocation_list(MemoryStore::new()), None),
    ] {
        let error = builder.build().unwrap().back_channel_logout().err();
        assert_eq!(error.as_ref().map(|error| error.setting()), problem.map(|_| "back_channel_logout"), "{name}");
        let told = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains(problem.unwrap_or_default()), "{name}: {told}");
    }
}

#[test]
fn it_has_a_path_of_its_own() {
    let sign_in = |configure: fn(Builder) -> Builder| {
        configure(builder(Teller::default()).session_store(MemoryStore::new())).build().unwrap()
    };
    let plain = sign_in(|builder| builder);
    assert_eq!(plain.back_channel_logout().unwrap().path(), "/api/backchannel-logout");
    for (path, is_taken) in [
        ("/op/told", true),
        ("/api/backchannel-logout/", true),
        ("/api/frontchannel-logout", true),
        ("/api/logout", false),
        ("/api/login", false),
        ("/api/callback", false),
        ("/", false),
        ("told", false),
        ("//told", false),
        ("/told?x=1", false),
        ("", false),
    ] {
        let layer = plain.back_channel_logout().unwrap().at(path);
        assert_eq!(layer.as_ref().ok().map(|layer| layer.path()), is_taken.then_some(path), "{path:?}");
        assert!(layer.err().is_none_or(|error| error.setting() == "back_channel_logout"), "{path:?}");
    }
    let framed = sign_in(Builder::front_channel_logout);
    assert!(framed.back_channel_logout().unwrap().at("/api/frontchannel-logout").is_err());
    let moved = sign_in(|builder| builder.logout_path("/api/backchannel-logout"));
    assert!(moved.back_channel_logout().is_err(), "its own sibling is taken");
    let taken = builder(Teller::default()).login_path("/api/frontchannel-logout").front_channel_logout().build();
    assert_eq!(taken.unwrap_err().setting(), "provider");
}
