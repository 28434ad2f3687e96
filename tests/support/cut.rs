//! A network between a store and its server that can be cut.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower_signin::{RedisStore, RedisStoreBuilder};

/// What becomes of connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Whole,
    /// They are closed, and new ones as well.
    Cut,
    /// Nothing comes through, and nobody is told. Those that were there when it began never come back.
    Silent,
}

/// An address in front of a server, which may become another one's.
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    to: Arc<AtomicU16>,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, seen) = watch::channel(Network::Whole);
        let (to, connections) = (Arc::new(AtomicU16::new(port)), Arc::new(AtomicUsize::new(0)));
        let (server, accepted) = (Arc::clone(&to), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(stream, server.load(Ordering::SeqCst), seen.clone()));
            }
        });
        Self { address, network, to, connections, accepting }
    }

    pub fn builder(&self) -> RedisStoreBuilder {
        RedisStore::builder(format!("redis://{}", self.address))
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn is(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// New connections go to this server.
    pub fn leads_to(&self, port: u16) {
        self.to.store(port, Ordering::SeqCst);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut stream: TcpStream, port: u16, mut network: watch::Receiver<Network>) {
    if *network.borrow() == Network::Whole {
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut server) => return,
            _ = async { network.wait_for(|network| *network != Network::Whole).await.is_ok() } => {}
        }
    }
    // It may be another by now, but it was not whole.
    if *network.borrow() != Network::Cut {
        // Held open until the test is over.
        std::future::pending::<()>().await;
    }
}
