//! What many processes of one site share.

use std::sync::Arc;
use std::time::Duration;

use super::Builder;
use crate::session::bounded::Store;
use crate::session::recheck::WhenUnchecked;
use crate::session::store::SessionStore;

impl Builder {
    /// Keeps sessions on the server; the cookie then holds nothing but a sealed 256-bit id. By default they live in their
    /// cookies, which needs nothing else and asks nobody.
    ///
    /// With a store a sign-out counts at every node at once, and in a copy of the cookie too; a person's sessions can be
    /// [listed](crate::SignIn::list_sessions_of); a session may be large (64 KiB, its [tokens](Self::keep_tokens) included), and its
    /// cookie stays at some 110 bytes. Nodes that share the store spend a state once, and refresh tokens once, between them. What
    /// it costs is a look into the store at each request of somebody signed in, and that it has to be there:
    ///
    /// * Where it does not answer, nobody is signed out and no cookie is deleted. Guards and extractors, those of an
    ///   `Option` too, answer 503 and `session_unavailable`; what asks for nobody goes on. Nobody can sign in: who comes back from
    ///   the provider is told so before the code is used up, and goes on by a reload once the store is back (`session_store_failed`
    ///   where it goes away after that). Signing out deletes the cookies; the log has an error where the store could not be told.
    /// * Sessions that were made before live on in their cookies, with their tokens. When the store is taken away again, those in it
    ///   are over; so a node that has no store yet takes who signed in at one that has for nobody.
    /// * [`session_idle_timeout`](Self::session_idle_timeout) moves the end in the store, not in the cookie. A shorter one
    ///   counts from a session's next request on.
    ///
    /// The guide to many machines, `docs/fleet.md`, says when to choose it.
    ///
    /// ```
    /// use tower_signin::MemoryStore;
    ///
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.session_store(MemoryStore::with_capacity(10_000))
    /// # }
    /// ```
    pub fn session_store(mut self, store: impl SessionStore) -> Self {
        self.store = Some(Arc::new(Store::new(Box::new(store))));
        self
    }

    /// Shares among all nodes which sessions were ended before their time, while sessions themselves live on in their cookies:
    /// the store holds a short entry for each sign-out, and each node has a copy of the list. So a sign-out counts at every node
    /// within [a few seconds](Self::revocation_bound), and in every copy of the cookie, though no request waits for a store. By
    /// default a cookie that was copied before a sign-out is good to the session's end.
    ///
    /// Entered are sessions that somebody signs out of or replaces by signing in anew, and those that the provider ends. An entry
    /// goes once the longest session that it may speak of is over, after [`session_lifetime`](Self::session_lifetime). It says
    /// nothing of anybody to who reads the store, and who writes there can end sessions and make none.
    ///
    /// * Each node reads what is new when requests come, a third of the bound after the last time, two or three steps of the
    ///   store; a node that starts reads the whole list first. No request waits for that while the copy is young enough. Where the list
    ///   is empty, a request pays a look at two clocks; else the session's names are looked up, three for each key. A node takes
    ///   some 5 MiB for 100,000 entries.
    /// * A store that does not answer: see [`revocation_bound`](Self::revocation_bound). Nobody can sign in, since nodes that share the
    ///   list spend a state once between them (and refresh tokens once), and it is there that they note it. Who signs out is signed
    ///   out at this node and in this browser all the same; the log has an error, and the store is told as soon as it is back:
    ///   tried each second for five minutes, and then whenever this node reads the list.
    /// * A store that has lost everything is written anew by the nodes that are there, each with what it knows, as soon as they
    ///   look next. What only nodes knew that have stopped since is lost, and so is what they have not read yet.
    /// * Of a person whose sessions were all ended, those that began up to that second are over. Who signs in again has a new one that
    ///   counts, but for who does so within the same second at another node, which has not heard of it: that is begun once more.
    ///   Where they were ended more than once within a second, that goes for as many seconds.
    ///   Nodes' clocks should agree to the second: at one that is ahead, a session that began just before is not ended.
    /// * Give all nodes the same `session_lifetime`, and raise it at all of them at once: one with a shorter lifetime has its entries
    ///   forgotten too early for those with a longer one that start afterwards.
    ///
    /// A [`MemoryStore`](crate::MemoryStore) serves a single process: the list is lost with it, and copies of cookies come back to
    /// life. With [`session_store`](Self::session_store) beside, sessions that are in that store are ended there, and the list is
    /// for those that were begun before.
    ///
    /// ```
    /// use tower_signin::MemoryStore;
    ///
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.revocation_list(MemoryStore::new()) // of one process; of many, a store that they share
    /// # }
    /// ```
    pub fn revocation_list(mut self, store: impl SessionStore) -> Self {
        self.revocation_list = Some(Arc::new(Store::new(Box::new(store))));
        self
    }

    /// How old a node's copy of the [revocation list](Self::revocation_list) may get, which is how long a session that was ended
    /// at another node may still be let in; and what becomes of sessions when the list can't be read for so long. Ten seconds by
    /// default, and then [`WhenUnchecked::Unavailable`]; between a second and ten minutes.
    ///
    /// A request that finds the copy older waits until it is read anew, five seconds at most. With
    /// [`WhenUnchecked::SignedIn`] it then goes on by the old copy, and those after it do not wait: nobody gets in whom a node
    /// knows to have signed out, and somebody may of whom it has not heard. The age is that by the machine's steady clock or by
    /// [`clock`](Self::clock), whichever is longer; where the latter is set back, the copy is read anew.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_signin::{MemoryStore, WhenUnchecked};
    ///
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder
    ///     .revocation_list(MemoryStore::new())
    ///     .revocation_bound(Duration::from_secs(3), WhenUnchecked::SignedIn)
    /// # }
    /// ```
    pub fn revocation_bound(mut self, bound: Duration, then: WhenUnchecked) -> Self {
        self.revocation_bound = Some((bound, then));
        self
    }
}
