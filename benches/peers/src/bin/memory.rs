//! Memory that the server keeps for each person who is signed in: `memory axum-login 100000` lets so many sign in and
//! prints by how many bytes each made the process grow, 0 where the server keeps nothing.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

#[path = "../../../situations/memory.rs"]
mod memory;

use std::env;

use tokio::runtime::Builder;

use self::memory::resident;

fn main() {
    let row = env::args().nth(1).expect("a row is named");
    let sign_ins: usize = env::args().nth(2).and_then(|count| count.parse().ok()).expect("a number is given");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let peer = peers::peers::peer(&row).await;
        let Some(sign_in_another) = &peer.sign_in_another else { return println!("0") };
        sign_in_another().await;
        let before = resident();
        for _ in 0..sign_ins {
            sign_in_another().await;
        }
        println!("{}", resident().saturating_sub(before) / sign_ins);
    });
}
