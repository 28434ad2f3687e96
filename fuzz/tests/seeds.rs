//! Every seed still gets all the way to success, or the fuzzer would start from nothing.
//!
//! Those of structured inputs are written here: `WRITE_SEEDS=1` puts them into `seeds/` anew.

use std::fs;
use std::path::PathBuf;

use tower_signin_fuzz as targets;

#[rustfmt::skip]
const TARGETS: [(&str, fn(&[u8]) -> bool); 10] = [
    ("cookies", targets::cookies::run),
    ("sealed", targets::sealed::run),
    ("chunks", targets::chunks::run),
    ("callback_query", targets::callback_query::run),
    ("return_target", targets::return_target::run),
    ("token_response", targets::token_response::run),
    ("error_response", targets::error_response::run),
    ("claims", targets::claims::run),
    ("refusal", targets::refusal::run),
    ("layer", targets::layer::run),
];

#[test]
fn every_seed_reaches_success() {
    let seeds = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds");
    if std::env::var_os("WRITE_SEEDS").is_some() {
        for (name, bytes) in structured() {
            fs::write(seeds.join(name), bytes).unwrap();
        }
    }
    for (name, bytes) in structured() {
        assert!(fs::read(seeds.join(name)).is_ok_and(|found| found == bytes), "WRITE_SEEDS=1 writes {name} anew");
    }
    for (target, run) in TARGETS {
        let files: Vec<_> = fs::read_dir(seeds.join(target)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{target}");
        for file in files {
            assert!(run(&fs::read(&file).unwrap()), "{} does not reach success", file.display());
        }
    }
}

fn structured() -> Vec<(&'static str, Vec<u8>)> {
    let piece = |name: u8, session: u8, part: u8| [1, name, session, part, 0, 0, 0];
    let set = |session: u8, count: u8| (0..count).flat_map(|part| piece(part, session, part)).collect::<Vec<_>>();
    vec![
        ("sealed/same_place", vec![0, 1, 0, 0, 0, 1, 0, 0, 40]),
        ("sealed/older_key", vec![1, 0, 4, 2, 0, 0, 4, 2, 0]),
        ("chunks/one", set(0, 1)),
        ("chunks/two", set(1, 2)),
        ("chunks/three_beside_another", [set(2, 3), piece(4, 3, 0).to_vec()].concat()),
        ("chunks/four", set(4, 4)),
        ("layer/redirected", life(0)),
        ("layer/forwarded", life(1)),
        ("layer/stored", life(2)),
        ("layer/checked", life(3)),
    ]
}

/// A sign-in, two pages, a second of them after an hour, a sign-out, and a page.
fn life(settings: u8) -> Vec<u8> {
    const GET: u8 = 0;
    const POST: u8 = 1;
    const NOW: u8 = 0;
    const AN_HOUR_LATER: u8 = 5;
    let (page, login, callback, logout) = (0, 1, 2, 3);
    let (same_origin, navigates) = ([0, 0], [1, 1]);
    let [code, state, return_to, fragment] = [[0, 11], [1, 0], [4, 12], [7, 8]];
    [
        vec![settings],
        visit([GET, login, 0, NOW], &[return_to, fragment], &[navigates]),
        visit([GET, callback, 0, NOW], &[code, state], &[navigates]),
        visit([GET, page, 0, NOW], &[], &[]),
        visit([GET, page, 0, AN_HOUR_LATER], &[], &[]),
        visit([POST, logout, 0, NOW], &[], &[same_origin]),
        visit([GET, page, 0, NOW], &[], &[]),
    ]
    .concat()
}

/// One visit as `arbitrary` reads it: in front of each element of a list stands a 1, behind the last a 0.
fn visit(head: [u8; 4], query: &[[u8; 2]], headers: &[[u8; 2]]) -> Vec<u8> {
    let query = query.iter().flat_map(|[name, value]| [1, *name, *value, 0, 0, 0]);
    let headers = headers.iter().flat_map(|[name, value]| [1, *name, *value]);
    let with_jar = [1];
    [1].into_iter().chain(head).chain(with_jar).chain(query).chain([0]).chain(headers).chain([0, 0]).collect()
}
