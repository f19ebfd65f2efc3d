//! The house test: what the design promises about the tree itself, read from the tree. It knows no
//! Rust beyond lines and words, and nothing outside the standard library, so that it can't break with
//! what it watches.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room of the house, and all the rooms that it may know. Tests of a room count as the room.
struct Room {
    folder: &'static str,
    package: &'static str,
    knows: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    Room { folder: "token", package: "procura-token", knows: &[] },
    Room { folder: "domain", package: "procura-domain", knows: &["procura-token"] },
    Room { folder: "redis", package: "procura-redis", knows: &["procura-token"] },
    Room {
        folder: "store",
        package: "procura-store",
        knows: &["procura-domain", "procura-redis", "procura-token"],
    },
    Room { folder: "outbound", package: "procura-outbound", knows: &[] },
    Room {
        folder: "issuer",
        package: "procura-issuer",
        knows: &["procura-outbound", "procura-store", "procura-domain", "procura-token"],
    },
    Room {
        folder: "server",
        package: "procura-server",
        // The store and the outbound client too: the server sets them up for the issuer.
        knows: &[
            "procura-issuer",
            "procura-outbound",
            "procura-store",
            "procura-domain",
            "procura-token",
        ],
    },
    Room {
        folder: "verify",
        package: "procura-verify",
        knows: &["procura-redis", "procura-token"],
    },
    Room { folder: "sample-isp", package: "sample-isp", knows: &["procura-verify"] },
];

/// A library, and the only folders below `crates` whose sources may name it.
const TOUCHES: &[(&str, &[&str])] = &[
    ("aws_lc_rs", &["token/src"]),
    ("josekit", &["token/src"]),
    ("sqlx", &["store/src", "sample-isp/src"]),
    ("redis", &["redis/src"]),
    ("oxide_auth", &["issuer/src/grants"]),
    ("argon2", &["issuer/src"]),
    ("hyper_util", &["server/src"]),
    ("prometheus_client", &["store/src", "issuer/src", "server/src"]),
    ("axum", &["server/src", "verify/src", "sample-isp/src"]),
    ("reqwest", &["outbound/src", "verify/src", "sample-isp/src"]),
    ("rustls", &["redis/src", "server/src"]),
    ("tokio_rustls", &["server/src"]),
];

const MOST_LINES: usize = 500;
/// Files that may be longer: the path from the top, and why it can't be two files.
const LONGER: &[(&str, &str)] = &[];

const MOST_README_LINES: usize = 40;

/// Words that say where a thing was put, not what it is.
const NO_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "manager", "managers", "service", "services"];

/// What may stand at the top level. Names in `.gitignore` may too: they are nobody's work.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".editorconfig",
    ".git",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "deploy",
    "docs",
    "keys",
    "migrations",
    "rustfmt.toml",
    "sdk",
    "tests",
];

/// What the project is known by, and what a newcomer looks for first.
const ALWAYS: &[&str] =
    &["Cargo.toml", "README.md", "crates", "deploy", "keys", "migrations", "tests"];

#[test]
fn arrows_between_crates_point_one_way() {
    let mut faults = Vec::new();
    for folder in names_in(&top().join("crates")) {
        let Some(room) = ROOMS.iter().find(|room| room.folder == folder) else {
            faults.push(format!("crates/{folder} has no place in the list of rooms"));
            continue;
        };
        for named in packages_of_ours(&read(&format!("crates/{folder}/Cargo.toml"))) {
            if named != room.package && !room.knows.contains(&named.as_str()) {
                faults.push(format!("crates/{folder} must not depend on {named}"));
            }
        }
    }
    for room in ROOMS {
        if !top().join("crates").join(room.folder).is_dir() {
            faults.push(format!("crates/{} is missing", room.folder));
        }
    }
    none(&faults);
}

#[test]
fn the_verifier_brings_nobody_openssl() {
    let token = read("crates/token/Cargo.toml");
    let josekit = token.lines().find(|line| line.starts_with("josekit"));
    let optional = josekit.is_some_and(|line| line.contains("optional = true"));
    assert!(optional, "crates/token: josekit (and with it OpenSSL) must be optional");
    assert!(
        !token.lines().any(|line| line.starts_with("default = ") && line.contains("issue")),
        "crates/token: `issue` must not be a default feature"
    );
    let verify = read("crates/verify/Cargo.toml");
    let asks = section(&verify, "[dependencies]")
        .into_iter()
        .any(|line| line.contains("procura-token") && line.contains("\"issue\""));
    assert!(!asks, "crates/verify must not ask for the signing half of procura-token");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut faults = Vec::new();
    for manifest in manifests() {
        if !section(&read(&manifest), "[lints]").contains(&"workspace = true") {
            faults.push(format!("{manifest} needs `[lints] workspace = true`"));
        }
    }
    none(&faults);
}

#[test]
fn each_library_is_touched_by_its_owner_alone() {
    let mut faults = Vec::new();
    for path in rust_files("crates") {
        let inside = path.trim_start_matches("crates/");
        if !inside.split('/').any(|part| part == "src") {
            continue;
        }
        let text = read(&path);
        for (library, owners) in TOUCHES {
            let owned = owners.iter().any(|owner| inside.starts_with(&format!("{owner}/")));
            if !owned && let Some(line) = first_touch(&text, library) {
                faults.push(format!(
                    "{path}:{line} names {library}, which only {owners:?} may touch"
                ));
            }
        }
    }
    none(&faults);
}

#[test]
fn no_source_file_is_longer_than_its_reader_is_patient() {
    let mut faults = Vec::new();
    for path in rust_files("crates") {
        let lines = read(&path).lines().count();
        let excused = LONGER.iter().any(|(longer, _why)| *longer == path);
        if lines > MOST_LINES && !excused {
            faults.push(format!("{path} has {lines} lines, more than {MOST_LINES}"));
        }
        if lines <= MOST_LINES && excused {
            faults.push(format!("{path} has only {lines} lines and needs no exception"));
        }
    }
    none(&faults);
}

#[test]
fn every_crate_introduces_itself_briefly() {
    let mut faults = Vec::new();
    for folder in names_in(&top().join("crates")) {
        match fs::read_to_string(top().join("crates").join(&folder).join("README.md")) {
            Err(_) => faults.push(format!("crates/{folder}/README.md is missing")),
            Ok(text) if text.lines().count() > MOST_README_LINES => {
                faults.push(format!("crates/{folder}/README.md: over {MOST_README_LINES} lines"));
            }
            Ok(_) => {}
        }
    }
    none(&faults);
}

#[test]
fn migrations_are_twins() {
    let sqlite = names_in(&top().join("migrations/sqlite"));
    assert!(!sqlite.is_empty(), "migrations/sqlite is empty");
    let postgres = top().join("migrations/postgres");
    if postgres.exists() {
        assert_eq!(sqlite, names_in(&postgres), "left: migrations/sqlite, right: its twin");
    }
}

#[test]
fn names_say_what_a_thing_is() {
    let mut faults = Vec::new();
    for path in rust_files("crates").into_iter().chain(rust_files("tests")) {
        let words = path.trim_end_matches(".rs").split(['/', '_', '-']);
        if let Some(word) = words.into_iter().find(|word| NO_NAMES.contains(word)) {
            faults.push(format!("{path}: `{word}` says nothing; name the duty"));
        }
    }
    none(&faults);
}

#[test]
fn the_top_level_holds_what_was_agreed() {
    let present = names_in(top());
    let ignored = read(".gitignore");
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches(['/', ' '])).collect();
    let mut faults = Vec::new();
    for name in &present {
        if !TOP_LEVEL.contains(&name.as_str()) && !ignored.contains(&name.as_str()) {
            faults.push(format!("{name} is not among the top-level entries"));
        }
    }
    for name in ALWAYS {
        if !present.contains(*name) {
            faults.push(format!("{name} is missing at the top level"));
        }
    }
    none(&faults);
}

#[test]
fn the_eight_stops_of_one_exchange_exist() {
    let stops = stops(&read("docs/ARCHITECTURE.md"));
    let mut faults = Vec::new();
    if stops.len() != 8 {
        faults.push(format!("docs/ARCHITECTURE.md names {} stops, not 8", stops.len()));
    }
    for stop in stops {
        match stop {
            Err(line) => faults.push(format!("no `path` and `snippet` in: {line}")),
            Ok((path, snippet)) => match fs::read_to_string(top().join(&path)) {
                Err(_) => faults.push(format!("{path} does not exist")),
                Ok(text) if !text.contains(&snippet) => {
                    faults.push(format!("{path} does not contain `{snippet}`"));
                }
                Ok(_) => {}
            },
        }
    }
    none(&faults);
}

// The readings above prove nothing if they overlook things, so they are tested too.

#[test]
fn a_dependency_is_seen_however_it_is_written() {
    let found = packages_of_ours(
        "[package]\nname = \"procura-token\"\ndescription = \"built on procura-server\"\n\
         [dependencies] # see procura-store\nprocura-domain.workspace = true\n\
         short = { package = \"procura-store\", path = \"../store\" }\n\
         [dev-dependencies.procura-verify]\nworkspace = true\n\
         [target.'cfg(unix)'.dependencies]\nsample-isp = { path = \"../sample-isp\" }\n\
         [features]\nall = [\"dep:procura-issuer\"]\n",
    );
    let expected = ["procura-domain", "procura-store", "procura-verify", "sample-isp"];
    assert_eq!(found, expected.map(String::from).into());
}

#[test]
fn a_library_is_seen_in_code_and_not_in_prose() {
    assert_eq!(first_touch("use sqlx::Row;", "sqlx"), Some(1));
    assert_eq!(first_touch("\nuse sqlx;", "sqlx"), Some(2));
    assert_eq!(first_touch("pub use ::sqlx as db;", "sqlx"), Some(1));
    assert_eq!(first_touch("use {serde::Serialize, sqlx::Row};", "sqlx"), Some(1));
    assert_eq!(first_touch("#[derive(sqlx::FromRow)]", "sqlx"), Some(1));
    assert_eq!(first_touch("extern crate sqlx;", "sqlx"), Some(1));
    assert_eq!(first_touch("//! `sqlx::Row` is not for us", "sqlx"), None);
    assert_eq!(first_touch("let level = \"info,sqlx=warn\";", "sqlx"), None);
    assert_eq!(first_touch("use my_sqlx::Row; sqlx_like::run();", "sqlx"), None);
}

#[test]
fn a_stop_is_a_numbered_line_of_its_section() {
    let found = stops(
        "1. `a` `b`\n## One exchange in eight stops\nIt starts here.\n\
         1. `crates/x.rs` `pub fn x` – why, and `more`\n   2 wrapped `line` `of` prose\n\
         2. `crates/y.rs` alone\n## Next\n3. `c` `d`\n",
    );
    let first = Ok(("crates/x.rs".to_owned(), "pub fn x".to_owned()));
    assert_eq!(found, [first, Err("2. `crates/y.rs` alone".to_owned())]);
}

/// Reports all faults at once: a reader mends a list faster than one line at a time.
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
}

/// The top of the tree, where this package is the folder `tests`.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in a folder")
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The entries of a folder that can be read, sorted.
fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The manifests of all packages, as paths from the top.
fn manifests() -> Vec<String> {
    let folders = names_in(&top().join("crates"));
    let mut found: Vec<String> =
        folders.iter().map(|folder| format!("crates/{folder}/Cargo.toml")).collect();
    found.push("tests/Cargo.toml".to_owned());
    found
}

/// All Rust sources below a folder, as paths from the top, with `/` on every system.
fn rust_files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![top().join(folder)];
    while let Some(folder) = open.pop() {
        for name in names_in(&folder) {
            let path = folder.join(&name);
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let path = path.strip_prefix(top()).unwrap().to_str().unwrap();
                found.push(path.replace('\\', "/"));
            }
        }
    }
    assert!(!found.is_empty(), "no Rust source below {folder}");
    found.sort();
    found
}

/// The lines below one header of a manifest, up to the next header.
fn section<'a>(manifest: &'a str, header: &str) -> Vec<&'a str> {
    let mut lines = manifest.lines().skip_while(|line| line.trim() != header);
    lines.next();
    lines.take_while(|line| !line.starts_with('[')).collect()
}

/// The packages of this workspace that a manifest depends on, for whatever purpose and platform.
fn packages_of_ours(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut depends = false;
    for line in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default();
        if line.starts_with('[') {
            depends = line.contains("dependencies");
        }
        if depends {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '-');
            let ours = words.filter(|word| word.starts_with("procura-") || *word == "sample-isp");
            found.extend(ours.map(str::to_owned));
        }
    }
    found
}

/// The first line, counted from one, whose code names a library: in a path or after `use` or `crate`.
fn first_touch(text: &str, library: &str) -> Option<usize> {
    let touches = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices(library).any(|(at, _)| {
            let (before, after) = (&code[..at], &code[at + library.len()..]);
            let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
            let introduced = before.trim_end_matches(['{', ':', ' ']);
            let named = introduced.ends_with("use") || introduced.ends_with("crate");
            whole && (after.starts_with("::") || named)
        })
    };
    text.lines().position(touches).map(|line| line + 1)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The stops that the architecture page lists: a path and a piece of that file's text, or the line that
/// names none.
fn stops(page: &str) -> Vec<Result<(String, String), String>> {
    let lines = page.lines().skip_while(|line| *line != "## One exchange in eight stops").skip(1);
    let section = lines.take_while(|line| !line.starts_with("## "));
    let numbered = section.filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let stop = |line: &str| {
        let mut quoted = line.split('`').skip(1).step_by(2);
        match (quoted.next(), quoted.next()) {
            (Some(path), Some(snippet)) => Ok((path.to_owned(), snippet.to_owned())),
            _ => Err(line.to_owned()),
        }
    };
    numbered.map(stop).collect()
}
