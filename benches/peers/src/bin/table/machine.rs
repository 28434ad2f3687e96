//! Where the numbers come from.

use std::fs;
use std::process::Command;

/// Processor, compiler and date, in one line.
pub(crate) fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").expect("this is Linux");
    let models: Vec<_> = cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": ")).collect();
    let model = models.first().map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores; {}; {}", output("rustc", "--version"), output("date", "+%Y-%m-%d"))
}

fn output(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output().expect("it is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
