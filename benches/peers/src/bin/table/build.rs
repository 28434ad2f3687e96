//! Builds of this package with the crates of one row.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

/// The programs of one row.
pub(crate) struct Build {
    /// Where they are.
    programs: PathBuf,
    /// Crates below this package.
    pub(crate) crates: usize,
    /// CPU seconds, where it was built anew.
    pub(crate) seconds: Option<f64>,
}

impl Build {
    /// Builds from nothing, in a directory of its own; or what is missing there, where that is kept.
    pub(crate) fn new(feature: &str, is_kept: bool) -> Self {
        let target = PathBuf::from(DIRECTORY).join("target/peers").join(feature);
        if !is_kept && target.exists() {
            fs::remove_dir_all(&target).expect("what was built before can go");
        }
        let build = |features: &str, what: &str| {
            eprintln!("building {what} with {features}");
            let mut cargo = cargo("build");
            cargo.args(["--release", "--features", features, what]).arg("--target-dir").arg(&target);
            assert!(cargo.stdout(Stdio::null()).status().expect("cargo runs").success(), "{features} does not build");
        };
        // What is downloaded and unpacked is no part of a build.
        assert!(cargo("fetch").status().expect("cargo runs").success(), "the crates can't be fetched");
        let before = seconds_of_children();
        build(feature, "--bin=serve");
        let seconds = seconds_of_children() - before;
        build(&format!("{feature},programs"), "--bins");
        Self { programs: target.join("release"), crates: crates(feature), seconds: (!is_kept).then_some(seconds) }
    }

    /// One of the programs.
    pub(crate) fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }
}

const DIRECTORY: &str = env!("CARGO_MANIFEST_DIR");

fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([command, "--quiet", "--locked", "--manifest-path"]).arg(PathBuf::from(DIRECTORY).join("Cargo.toml"));
    cargo
}

fn crates(feature: &str) -> usize {
    let output = cargo("tree").args(["-e", "normal", "--prefix", "none", "--features", feature]).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8_lossy(&output.stdout);
    // A crate that was listed before has a mark; the first line is this package.
    listed.lines().skip(1).map(|line| line.trim_end_matches(" (*)")).collect::<BTreeSet<_>>().len()
}

/// CPU seconds, user's and system's, of the processes that this one has waited for: proc(5), `cutime` and `cstime`.
fn seconds_of_children() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let (_, after_name) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks = after_name.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().expect("a number"));
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
