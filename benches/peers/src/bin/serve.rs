//! Serves one row on loopback until its standard input ends. `serve axum-login` first prints the port, and the headers
//! of the signed-in user, a line each.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::env;
use std::io::Read as _;
use std::net::Ipv4Addr;

use peers::requests::{Kind, Template, prove};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

fn main() {
    let row = env::args().nth(1).expect("a row is named");
    // wrk has the other core.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads can be made");
    runtime.block_on(async {
        let mut peer = peers::peers::peer(&row).await;
        prove(&mut peer, row == "bare").await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        println!("{}", listener.local_addr().expect("it is bound").port());
        let template = Template::new(&peer, Kind::SignedIn).expect("every row has one");
        for (name, value) in template.credentials() {
            println!("{name}: {value}");
        }
        println!();
        tokio::spawn(axum::serve(listener, peer.router.clone()).into_future());
        let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        drop(end.await);
    });
}
