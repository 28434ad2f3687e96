//! Has the crate take shuttle's locks in place of the standard ones; see `src/sync.rs`.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(shuttle, fuzzing)");
    println!("cargo::rustc-cfg=shuttle");
    println!("cargo::rerun-if-changed=build.rs");
}
