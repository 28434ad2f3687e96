#!/usr/bin/env python3
"""Runs the tests against every mutant that cargo-mutants lists, from one build.

cargo-mutants builds the crate and all its tests anew for each mutant: minutes each, days in all. Here every mutant that
it lists is compiled in at once, each behind a switch, and the tests run once per mutant with the switch in their
environment. What can't be compiled behind a switch is left to cargo-mutants itself; `results.tsv` says which.

    pip install tree-sitter tree-sitter-rust && cargo install cargo-mutants --locked
    mutants/run.py build            # copies the tree to target/mutants/tree, puts the mutants in, builds, finds out
                                    # which test programs reach which mutant
    mutants/run.py run [--shard K/N] [--jobs 2] [--again missed]     # writes mutants/results.tsv as it goes
    mutants/run.py report           # counts and survivors
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from source import SWITCHES, Source

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target/mutants"
TREE = WORK / "tree"
PLAN = WORK / "plan.json"
RESULTS = ROOT / "mutants/results.tsv"
LISTED = ROOT / "mutants/listed.tsv"
# The stand-in for BitBadges and the counters see to development and operation; neither decides who is signed in. The fuzz
# targets alone are compiled with fuzzing.rs.
LEFT_OUT = ("src/dev/", "src/telemetry.rs", "src/fuzzing.rs")
# Programs whose tests open fixed ports, need a browser or Node, or only compare documents with the source.
NOT_RUN = {"examples", "browser", "sdk", "openid", "error_reference", "allocations"}
SWITCH = "TOWER_SIGNIN_MUTANT"
TRACE = "TOWER_SIGNIN_MUTANT_TRACE"

ALLOWED = b"#![allow(warnings, arithmetic_overflow, unconditional_panic)]\n"
MODULE = b"\npub(crate) mod mutants;\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("step", choices=["build", "run", "report"])
    arguments.add_argument("--shard", default="0/1", help="K/N: every N-th mutant from K on")
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--again", default="", help="verdicts to run again, such as missed, or tests whose word is not believed")
    given = arguments.parse_args()
    {"build": build, "run": run, "report": report}[given.step](given)


# --- build -----------------------------------------------------------------------------------------------------------


def build(_given):
    mutants = listed_by_cargo_mutants()
    copy_tree()
    still_const = set()
    while True:
        put_in(mutants, still_const)
        unviable, called_in_constants = compile_library()
        if not unviable and not called_in_constants:
            break
        still_const |= called_in_constants
        for mutant in mutants:
            if mutant["id"] in unviable:
                mutant["left"] = "does not compile behind a switch"
        print(f"{len(unviable)} do not compile, {len(called_in_constants)} must stay const", flush=True)
    programs = find_out_who_reaches(mutants)
    PLAN.write_text(json.dumps({"mutants": mutants, "programs": programs}))
    switched = [mutant for mutant in mutants if not mutant["left"]]
    print(f"{len(mutants)} mutants, {len(switched)} behind switches, {len(programs)} test programs")


def listed_by_cargo_mutants():
    out = subprocess.run(["cargo", "mutants", "--list", "--json"], cwd=ROOT, check=True, capture_output=True).stdout
    mutants = [mutant for mutant in json.loads(out) if not mutant["file"].startswith(LEFT_OUT)]
    for mutant in mutants:
        mutant.pop("diff", None)
        mutant["left"] = ""
    mutants.sort(key=lambda mutant: (mutant["file"], place(mutant["span"]["start"]), mutant["name"]))
    for number, mutant in enumerate(mutants, 1):
        mutant["id"] = number
    return mutants


def place(position):
    return position["line"], position["column"]


def copy_tree():
    if TREE.exists():
        shutil.rmtree(TREE)
    skip = shutil.ignore_patterns("target", ".git", "node_modules", "peers", "fuzz")
    shutil.copytree(ROOT, TREE, ignore=skip)


def put_in(mutants, still_const):
    by_file = {}
    for mutant in mutants:
        if not mutant["left"]:
            by_file.setdefault(mutant["file"], []).append(mutant)
    for file in {mutant["file"] for mutant in mutants}:
        source = (ROOT / file).read_bytes()
        changed = Source(source, by_file.get(file, []), still_const).render()
        (TREE / file).write_bytes(changed)
    library = (TREE / "src/lib.rs").read_bytes().removeprefix(ALLOWED)
    if not library.endswith(MODULE):
        library += MODULE
    (TREE / "src/lib.rs").write_bytes(ALLOWED + library)
    count = max(mutant["id"] for mutant in mutants) + 1
    (TREE / "src/mutants.rs").write_text(SWITCHES.replace("COUNT", str(count)))


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOWER_SIGNIN")}
    settings = {"CARGO_INCREMENTAL": "0", "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_TARGET_DIR": str(WORK / "target")}
    return {**kept, **settings, **more}


def compile_library():
    """Gives the mutants that an error points at, and the functions that must stay const."""
    check = ["cargo", "check", "--lib", "--all-features", "--message-format=json"]
    messages = subprocess.run(check, cwd=TREE, env=environment(), capture_output=True, text=True)
    unviable, called_in_constants = set(), set()
    for line in messages.stdout.splitlines():
        message = json.loads(line).get("message") or {}
        if message.get("level") != "error":
            continue
        constant = re.match(r"cannot call non-const .*`(?:.*::)?(\w+)(?:::<.*>)?` in", message["message"])
        if constant and constant.group(1) not in ("among", "on"):
            called_in_constants.add(constant.group(1))
            continue
        for span in message["spans"]:
            if span["is_primary"] and span["file_name"].startswith("src/"):
                text = (TREE / span["file_name"]).read_bytes()
                if (message["code"] or {}).get("code") == "E0004":
                    unviable |= arms_of(text, span["byte_start"])
                else:
                    unviable |= blamed(text, span["byte_start"], span["byte_end"])
    if messages.returncode != 0 and not unviable and not called_in_constants:
        sys.exit(messages.stderr[-4000:] + messages.stdout[-4000:])
    return unviable, called_in_constants


def arms_of(text, scrutinee):
    """The arms with a guard of ours, in the `match` over what stands there: they no longer cover everything."""
    body = text[scrutinee:]
    depth, end = 0, len(body)
    for brace in re.finditer(rb"[{}]", body):
        depth += 1 if brace.group() == b"{" else -1
        if depth == 0:
            end = brace.end()
            break
    return {int(mark) for mark in re.findall(rb"/\*M(\d+)\*/ if !crate", body[:end])}


def blamed(text, at, end):
    """The mutant whose mark comes last before an error, or first in it, or the first one of the switch that stands there."""
    here = text[at : at + 60]
    if here.startswith(b"crate::mutants::") or here.startswith(b"match crate::mutants::"):
        return {int(re.search(rb"\d+", here).group())}
    inside = re.search(rb"/\*M([1-9]\d*)\*/", text[at:end])
    if inside:
        return {int(inside.group(1))}
    marks = [int(mark.group(1)) for mark in re.finditer(rb"/\*M(\d+)\*/", text[: at + 8]) if mark.group(1) != b"0"]
    return {marks[-1]} if marks else set()


def find_out_who_reaches(mutants):
    command = ["cargo", "test", "--no-run", "--message-format=json"]
    messages = subprocess.run(command, cwd=TREE, env=environment(), stdout=subprocess.PIPE, text=True)
    if messages.returncode != 0:
        sys.exit("the tests do not build")
    programs = []
    for line in messages.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact" or not message.get("executable") or not message["profile"]["test"]:
            continue
        name = message["target"]["name"]
        if name in NOT_RUN or message["target"]["kind"] == ["bench"] or message["target"]["kind"] == ["example"]:
            continue
        programs.append({"name": name, "path": message["executable"]})
    for program in programs:
        trace = WORK / "trace"
        trace.unlink(missing_ok=True)
        started = time.monotonic()
        done = tests(program, 600, **{TRACE: str(trace)})
        if done != "passed":
            # Noting what is reached allocates, the first time.
            done = tests(program, 600, **{TRACE: str(trace)})
        program["seconds"] = round(time.monotonic() - started, 1)
        if done != "passed":
            sys.exit(f"{program['name']} does not pass without a mutant: {done}")
        program["reached"] = sorted({int(line) for line in trace.read_text().split()}) if trace.exists() else []
        print(f"{program['name']}: {program['seconds']} s, reaches {len(program['reached'])}", flush=True)
    programs.sort(key=lambda program: program["seconds"])
    return programs


def tests(program, limit, **more):
    """`passed`, the first test that failed, `timeout`, or how the program ended."""
    gigabytes = 6 << 30
    process = subprocess.Popen(
        [program["path"], "--test-threads=4"],
        cwd=TREE,
        env=environment(CARGO_MANIFEST_DIR=str(TREE), **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (gigabytes, gigabytes)),
    )
    try:
        out, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return "timeout"
    if process.returncode == 0:
        return "passed"
    failed = re.search(r"^test (\S+)(?: - should panic)? \.\.\. FAILED$", out, re.M)
    return failed.group(1) if failed else f"ended with {process.returncode}"


# --- run -------------------------------------------------------------------------------------------------------------


def run(given):
    plan = json.loads(PLAN.read_text())
    shard, shards = map(int, given.shard.split("/"))
    again = given.again.split(",") if given.again else []
    known = {key: row for key, row in read_results().items() if not any(row[1] == word or row[2].endswith(word) for word in again)}
    wanted = [mutant for mutant in plan["mutants"] if mutant["id"] % shards == shard and key_of(mutant) not in known]
    reaching = {}
    for program in plan["programs"]:
        for number in program["reached"]:
            reaching.setdefault(number, []).append(program)
    print(f"{len(wanted)} to run", flush=True)
    done = 0
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        running = {pool.submit(judge, mutant, reaching.get(mutant["id"], [])): mutant for mutant in wanted}
        for future in concurrent.futures.as_completed(running):
            mutant, done = running[future], done + 1
            verdict, by = future.result()
            known[key_of(mutant)] = (mutant["name"], verdict, by)
            if verdict == "missed":
                print(f"missed: {mutant['name']} {by}", flush=True)
            if done % 25 == 0 or done == len(wanted):
                write_results(plan["mutants"], known)
                print(f"{done} of {len(wanted)}", flush=True)
    write_results(plan["mutants"], known)
    report(given)


def judge(mutant, programs):
    if mutant["left"]:
        return "left", mutant["left"]
    for program in programs:
        limit = 30 + 4 * program["seconds"]
        result = tests(program, limit, **{SWITCH: str(mutant["id"])})
        # A test that fails without the mutant as well, on a busy machine say, has shown nothing.
        if result != "passed" and tests(program, limit) == "passed":
            return ("timeout" if result == "timeout" else "caught"), f"{program['name']} {result}"
    return "missed", f"by {len(programs)} programs" if programs else "reached by no test"


def key_of(mutant):
    """The same for as long as the function and what is done to it stay the same, wherever the lines move."""
    lines = (ROOT / mutant["file"]).read_text().splitlines()
    span = (mutant.get("function") or mutant)["span"]
    text = "\n".join(line.strip() for line in lines[span["start"]["line"] - 1 : span["end"]["line"]])
    inside = mutant["span"]["start"]["line"] - span["start"]["line"], mutant["span"]["start"]["column"]
    told = f"{mutant['file']} {text} {inside} {mutant['genre']} {mutant['replacement']}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def read_results():
    if not RESULTS.exists():
        return {}
    rows = [line.split("\t") for line in RESULTS.read_text().splitlines()]
    return {row[0]: tuple(row[1:4]) for row in rows if len(row) == 4}


def write_results(mutants, known):
    lines = []
    for mutant in mutants:
        key = key_of(mutant)
        if key in known:
            lines.append("\t".join((key, mutant["name"], *known[key][1:])))
    RESULTS.write_text("\n".join(lines) + "\n")


def report(_given):
    listed = {}
    if LISTED.exists():
        for line in LISTED.read_text().splitlines():
            key, reason = line.split("\t")[0], line.split("\t")[-1]
            listed[key] = reason
    counts, missed = {}, []
    for key, (name, verdict, by) in read_results().items():
        if verdict == "missed":
            verdict = "listed" if key in listed else "missed"
            if verdict == "missed":
                missed.append(f"{key}\t{name}\t{by}")
        counts[verdict] = counts.get(verdict, 0) + 1
    print("\n".join(missed))
    judged = sum(count for verdict, count in counts.items() if verdict != "left")
    found = counts.get("caught", 0) + counts.get("timeout", 0)
    print(", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items())))
    if judged:
        print(f"caught {found} of {judged}: {100 * found / judged:.1f} %")


if __name__ == "__main__":
    main()
