//! The table of counts, and how it is held to the one that is kept in `benches/counts/`.

#![allow(dead_code, reason = "for the programs that count")]

use std::path::PathBuf;
use std::process::exit;
use std::{env, fs};

use super::NAMES;

/// By how many per cent a count may differ from the kept one.
const TOLERANCE: i64 = 5;

/// Prints the count of each row: of all, or of those whose names begin as an argument says. `--check` compares them with the
/// kept ones and fails where one is off or no longer counted; `--write` keeps them all.
pub(crate) fn report(what: &str, count: impl Fn(&str) -> i64) {
    let (flags, chosen): (Vec<_>, Vec<_>) =
        env::args().skip(1).filter(|it| it != "--bench").partition(|it| it.starts_with("--"));
    let unknown = flags.iter().find(|flag| !["--check", "--write"].contains(&flag.as_str()));
    assert!(unknown.is_none(), "there is --check and --write, no {unknown:?}");
    let is_asked = |flag: &str| flags.iter().any(|asked| asked == flag);
    assert!(chosen.is_empty() || !is_asked("--write"), "--write keeps all rows: choose none");
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| name.starts_with(chosen.as_str()));
    let nothing = chosen.iter().find(|chosen| !NAMES.iter().any(|name| name.starts_with(chosen.as_str())));
    assert!(nothing.is_none(), "no row begins with {nothing:?}");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("benches/counts/{what}.txt"));
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let (mut table, mut wrong) = (String::new(), 0);
    println!("{:<26} {what:>12}", "request");
    for name in NAMES.iter().filter(|name| is_chosen(name)) {
        let counted = count(name);
        let line = format!("{name:<26} {counted:>12}");
        let was = kept.lines().filter_map(|line| line.split_once(' ')).find(|(kept, _)| kept == name);
        let was = was.map(|(_, count)| count.trim().parse::<i64>().expect("a number is kept"));
        if is_asked("--check") && was.is_none_or(|was| (counted - was).abs() * 100 > was * TOLERANCE) {
            println!("{line}   was {}", was.map_or_else(|| "not kept".to_owned(), |was| was.to_string()));
            wrong += 1;
        } else {
            println!("{line}");
        }
        table.push_str(&line);
        table.push('\n');
    }
    if is_asked("--check") && chosen.is_empty() {
        for line in kept.lines().filter(|line| !NAMES.contains(&line.split(' ').next().unwrap_or_default())) {
            println!("{line}   is kept and no longer counted");
            wrong += 1;
        }
    }
    if is_asked("--write") {
        fs::write(&path, table).expect("the table can be kept");
    }
    if wrong > 0 {
        println!("{wrong} differ by more than {TOLERANCE} %. If that is meant: cargo bench … -- --write, and say why");
        exit(1);
    }
}
