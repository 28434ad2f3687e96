//! Every seed still gets all the way to success, or the fuzzer would start from nothing; but for those called `refused_…`,
//! each of which is one step away from it.
//!
//! Those of structured inputs are written here: `WRITE_SEEDS=1` puts them into `seeds/` anew.

use std::fs;
use std::path::PathBuf;

use tower_signin_fuzz as targets;

#[rustfmt::skip]
const TARGETS: [(&str, fn(&[u8]) -> bool); 15] = [
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
    ("id_token", targets::id_token::run),
    ("logout_token", targets::logout_token::run),
    ("key_set", targets::key_set::run),
    ("discovery", targets::discovery::run),
    ("user_info", targets::user_info::run),
];

#[test]
fn every_seed_reaches_what_its_name_says() {
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
        let is_refused = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with("refused_");
        assert!(!files.iter().all(is_refused), "{target}");
        for file in files {
            assert_eq!(run(&fs::read(&file).unwrap()), !is_refused(&file), "{}", file.display());
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
        ("layer/redirected_under_attack", attacked(0)),
        ("layer/forwarded_under_attack", attacked(1)),
        ("layer/stored_under_attack", attacked(2)),
        ("layer/checked_under_attack", attacked(3)),
    ]
}

const GET: u8 = 0;
const POST: u8 = 1;
const NOW: u8 = 0;
const AN_HOUR_LATER: u8 = 5;
const A_DAY_LATER: u8 = 7;
const PAGE: u8 = 0;
const LOGIN: u8 = 1;
const CALLBACK: u8 = 2;
const LOGOUT: u8 = 3;
const SAME_ORIGIN: [u8; 2] = [0, 0];
const NAVIGATES: [u8; 2] = [1, 1];
/// Name, value, and the kind of a change.
const CODE: [u8; 3] = [0, 11, 0];
const STATE: [u8; 3] = [1, 0, 0];
const ANOTHER_CODE: [u8; 3] = [0, 11, 7];
const ANOTHER_STATE: [u8; 3] = [1, 0, 7];
const RETURN_TO: [u8; 3] = [4, 12, 0];
const FRAGMENT_IS_READ: [u8; 3] = [7, 8, 0];

/// A sign-in, two pages, the second of them after an hour, a sign-out, and a page.
fn life(settings: u8) -> Vec<u8> {
    [
        vec![settings],
        visit([GET, LOGIN, 0, NOW], &[RETURN_TO, FRAGMENT_IS_READ], &[NAVIGATES]),
        visit([GET, CALLBACK, 0, NOW], &[CODE, STATE], &[NAVIGATES]),
        visit([GET, PAGE, 0, NOW], &[], &[]),
        visit([GET, PAGE, 0, AN_HOUR_LATER], &[], &[]),
        visit([POST, LOGOUT, 0, NOW], &[], &[SAME_ORIGIN]),
        visit([GET, PAGE, 0, NOW], &[], &[]),
    ]
    .concat()
}

/// A sign-in among things that must come to nothing: another state, the same state again, a session whose time is over.
fn attacked(settings: u8) -> Vec<u8> {
    [
        vec![settings],
        visit([GET, LOGIN, 0, NOW], &[RETURN_TO, FRAGMENT_IS_READ], &[NAVIGATES]),
        visit([GET, CALLBACK, 0, NOW], &[CODE, ANOTHER_STATE], &[NAVIGATES]),
        visit([GET, CALLBACK, 0, NOW], &[CODE, STATE], &[NAVIGATES]),
        visit([GET, CALLBACK, 0, NOW], &[ANOTHER_CODE, STATE], &[NAVIGATES]),
        visit([GET, PAGE, 0, A_DAY_LATER], &[], &[]),
        visit([GET, LOGIN, 0, NOW], &[FRAGMENT_IS_READ], &[NAVIGATES]),
        visit([GET, CALLBACK, 1, NOW], &[CODE, STATE], &[NAVIGATES]),
    ]
    .concat()
}

/// One visit as `arbitrary` reads it: in front of each element of a list stands a 1, behind the last a 0.
fn visit(head: [u8; 4], query: &[[u8; 3]], headers: &[[u8; 2]]) -> Vec<u8> {
    let query = query.iter().flat_map(|[name, value, kind]| [1, *name, *value, *kind, 0, 0]);
    let headers = headers.iter().flat_map(|[name, value]| [1, *name, *value]);
    let with_jar = [1];
    [1].into_iter().chain(head).chain(with_jar).chain(query).chain([0]).chain(headers).chain([0, 0]).collect()
}
