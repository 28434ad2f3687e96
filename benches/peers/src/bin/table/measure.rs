//! The cells of a row.

use peers::rows::Row;

use crate::build::Build;
use crate::load::under_wrk;

/// In the order of the columns.
pub(crate) fn cells(row: &Row, build: &Build) -> Vec<String> {
    let instructions = run(build, "instructions", &[row.name]);
    let allocations = run(build, "allocations", &[row.name]);
    let mut cells = vec![row.title.to_owned()];
    cells.extend(["signed-in", "nobody", "login"].map(|kind| {
        let of_kind = |lines: &str| lines.lines().find_map(|line| Some(with_commas(line.strip_prefix(kind)?.trim())));
        let both = of_kind(&instructions).zip(of_kind(&allocations));
        both.map_or_else(|| "–".to_owned(), |(instructions, allocations)| format!("{instructions} / {allocations}"))
    }));
    let time: f64 = run(build, "time", &[row.name]).trim().parse().expect("a ratio");
    let load = under_wrk(row.name, build);
    let memory = run(build, "memory", &[row.name, &row.sign_ins.to_string()]);
    cells.push(format!("{time:.*}", if time < 9.95 { 1 } else { 0 }));
    cells.push(format!("{:.2}", load.rate));
    cells.push(format!("{:.1} MB", load.peak_megabytes));
    cells.push(format!("{} B", with_commas(memory.trim())));
    cells.push(build.crates.to_string());
    cells.extend(build.seconds.map(|seconds| format!("{seconds:.0} s")));
    cells
}

/// What a program of the row prints.
fn run(build: &Build, program: &str, arguments: &[&str]) -> String {
    eprintln!("{program} of {}", arguments[0]);
    let output = build.program(program).args(arguments).output().expect("it was built");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

fn with_commas(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("−", digits));
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_third_digit_has_a_comma() {
        for (number, shown) in [("0", "0"), ("999", "999"), ("1000", "1,000"), ("-1234567", "−1,234,567")] {
            assert_eq!(with_commas(number), shown);
        }
    }
}
