//! The file of keys can't be had. It is the one thing that the crate itself reads from a disk, and it writes none.

use std::fs;
use std::path::{Path, PathBuf};

use tower_signin::Keys;

use crate::place::{Place, signs_in};
use crate::support::Browser;
use crate::table::Seen;

const RING: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=\n";

#[tokio::test]
async fn a_file_of_keys_that_can_t_be_had() {
    let folder = std::env::temp_dir().join(format!("tower-signin-faults-folder-{}", std::process::id()));
    // What an earlier process of this number may have left behind.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let (file, good) = (folder.join("keys"), folder.join("good"));
    fs::write(&good, RING).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    fs::write(folder.join("torn"), &RING[..20]).unwrap();
    fs::write(folder.join("binary"), [0xff, 0xfe, 0x00]).unwrap();
    std::os::unix::fs::symlink(folder.join("loop"), folder.join("loop")).unwrap();
    let cases = [
        ("the file is not there", file.clone()),
        ("a folder in its place", folder.clone()),
        ("a file where its folder should be", good.join("keys")),
        ("a link to itself", folder.join("loop")),
        // Opens for root, too, and gives nothing.
        ("a file whose reading fails", PathBuf::from("/proc/self/mem")),
        ("an empty file", folder.join("empty")),
        ("half a key", folder.join("torn")),
        ("not text", folder.join("binary")),
    ];
    let mut seen = Seen::of("The file of keys");
    for (name, path) in &cases {
        seen.row(name, "start", start(path), start(&good));
    }

    // It is read once.
    let keys = Keys::from_file(&good).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let place = Place::start(|builder| builder.keys(keys)).await;
    let mut browser = Browser::new();
    let first = signs_in(&mut browser, &place.origin).await;
    seen.row("the file goes after the start", "sign-in", first, place.guarded(&mut browser).await);
    seen.check();
}

/// What the operator is told. Where the file can't be read it is named, and none of its text is shown.
fn start(path: &Path) -> String {
    match Keys::from_file(path) {
        Ok(_) => "starts".to_owned(),
        Err(error) => {
            assert_eq!(error.setting(), "keys");
            let told = error.to_string();
            assert!(!told.contains(&RING[..10]), "{told}");
            let (problem, remedy) = told.split_once("; ").unwrap();
            assert_eq!(remedy, error.remedy());
            problem.replace(path.to_str().unwrap(), "FILE")
        }
    }
}
