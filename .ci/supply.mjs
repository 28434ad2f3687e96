// What this crate is made of: `node .ci/supply.mjs`.
// Licences, sources and wildcards are looked at for every package of the lock file, duplicates for those that users build.
// What nothing needs any more must go from the lists, or this fails.

import { execFileSync } from "node:child_process";

const LICENCES = ["Apache-2.0", "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Unicode-3.0", "Zlib", "Unlicense", "0BSD"];

// Others, for one package each.
const EXCEPTIONS = {
  "webdriver": ["MPL-2.0", "speaks to the browser of the tests; no part of what is published"],
  "xxhash-rust": ["BSL-1.0", "Boost's, as permissive as MIT; the client library of Redis hashes with it (feature redis)"],
  "webpki-root-certs": ["CDLA-Permissive-2.0", "data: the roots of reqwest's verifier on Android, which has no other"],
};

// Packages that are there in several versions, and who keeps the older one.
const DUPLICATES = {
  "base64": "jsonwebtoken needs 0.22 (feature oidc)",
  "getrandom": "jsonwebtoken needs 0.2, on wasm alone (feature oidc), and so does rand of tower-sessions-core (feature tower-sessions)",
  "syn": "jni's macros, of reqwest's verifier on Android, need 2; at build time only",
  "untrusted": "aws-lc-rs as jsonwebtoken has it needs 0.7 (feature oidc)",
};

const CRATES = "registry+https://github.com/rust-lang/crates.io-index";

const { packages } = JSON.parse(cargo("metadata", "--format-version", "1"));
// Unlike the metadata, this follows no feature that nobody turned on.
const tree = cargo("tree", "--edges", "normal,build", "--target", "all", "--prefix", "none", "--format", "{p}");
const failures = [];
const used = new Set();

for (const { name, version, license, source, dependencies } of packages) {
  const allowed = [...LICENCES];
  if (EXCEPTIONS[name] && !permits(license, allowed)) {
    used.add(name);
    allowed.push(EXCEPTIONS[name][0]);
  }
  if (!permits(license, allowed)) failures.push(`licence of ${name} ${version}: ${license ?? "none is stated"}`);
  if (source !== CRATES && source !== null) failures.push(`source of ${name} ${version}: ${source}`);
  // A package of ours names the versions that it works with; one by path is ours as well.
  if (source === null) {
    const wild = dependencies.filter((found) => found.req === "*" && !found.path);
    failures.push(...wild.map((found) => `${name} takes any version of ${found.name}`));
  }
}

const versions = new Map();
for (const line of tree.split("\n").filter((line) => line)) {
  const [name, version] = line.split(" ");
  versions.set(name, (versions.get(name) ?? new Set()).add(version));
}
for (const [name, found] of versions) {
  if (found.size === 1) continue;
  if (DUPLICATES[name]) used.add(name);
  else failures.push(`${name} is there as ${[...found].join(" and ")}`);
}

for (const name of [...Object.keys(EXCEPTIONS), ...Object.keys(DUPLICATES)]) {
  if (!used.has(name)) failures.push(`nothing needs the entry of ${name} any more`);
}

console.log(`${packages.length} packages, ${versions.size} names among what users build`);
failures.forEach((failure) => console.log(failure));
process.exit(failures.length === 0 && versions.size > 1 ? 0 : 1);

function cargo(...words) {
  return execFileSync("cargo", [...words, "--locked", "--all-features"], { encoding: "utf8", maxBuffer: 1 << 26 });
}

// An SPDX expression, or the older form with slashes: AND binds more closely than OR.
function permits(expression, allowed) {
  if (!expression) return false;
  const tokens = expression.replaceAll("/", " OR ").match(/[()]|[^\s()]+/g);
  const any = () => {
    let holds = all();
    while (tokens[0] === "OR") holds = [tokens.shift(), all()][1] || holds;
    return holds;
  };
  const all = () => {
    let holds = one();
    while (tokens[0] === "AND") holds = [tokens.shift(), one()][1] && holds;
    return holds;
  };
  const one = () => {
    const token = tokens.shift();
    if (token === "(") return [any(), tokens.shift()][0];
    // An exception to a licence allows more.
    if (tokens[0] === "WITH") tokens.splice(0, 2);
    return allowed.includes(token);
  };
  return any() && tokens.length === 0;
}
