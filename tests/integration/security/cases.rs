//! `docs/SECURITY-CASES.md` tells the truth: each case stands in it once, and each test that it names exists.

use std::{collections::BTreeSet, fs, path::Path};

const CASES: usize = 82;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in a folder")
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(top().join(path)).ok()
}

/// The cells of each row of the table.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| S"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks: `file::test`.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// What is wrong with a name; files stand below `tests/integration`, or are named from the top.
fn fault(name: &str) -> Option<String> {
    let Some((file, test)) = name.rsplit_once("::") else {
        return Some(format!("no test: {name}"));
    };
    let path = match file.strip_prefix("crates/") {
        Some(_) => format!("{file}.rs"),
        None => format!("tests/integration/{file}.rs"),
    };
    let Some(source) = read(&path) else { return Some(format!("no file: {path}")) };
    (!source.contains(&format!("fn {test}("))).then(|| format!("no test {test} in {path}"))
}

#[test]
fn every_case_is_listed_with_tests_that_exist() {
    let text = read("docs/SECURITY-CASES.md").expect("the list");
    let rows = rows(&text);
    let ids: Vec<_> = rows.iter().map(|row| row[0].to_owned()).collect();
    let expected: Vec<_> = (1..=CASES).map(|n| format!("S{n}")).collect();
    assert_eq!(ids, expected, "each once, in order");
    let mut faults = Vec::new();
    let mut tests = BTreeSet::new();
    for row in &rows {
        assert_eq!(row.len(), 5, "{row:?}");
        let (attack, twin) = (named(row[3]), named(row[4]));
        // A case without a subject says in one word what there is none of.
        let is_open = row[3].starts_with("none: ") && row[4] == "–";
        if !is_open && (attack.is_empty() || (twin.is_empty() && row[4] != "in it")) {
            faults.push(format!("{}: no test named", row[0]));
        }
        faults.extend(attack.iter().chain(&twin).filter_map(|name| fault(name)));
        tests.extend(attack);
    }
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
    assert!(tests.len() > 40, "{}", tests.len());
}

#[test]
fn a_name_that_is_none_is_found() {
    assert!(fault("security/cases::a_name_that_is_none_is_found").is_none());
    assert!(fault("crates/token/tests/attacks::a_public_key_is_no_secret_for_hmac").is_none());
    for wrong in ["security/cases::nothing_of_that_name", "security/nowhere::x", "nonsense"] {
        assert!(fault(wrong).is_some(), "{wrong}");
    }
    let shown = rows("| id | x |\n|---|---|\n| S1 | A | b | `c::d`, `e::f` | in it |\n");
    assert_eq!(shown, [["S1", "A", "b", "`c::d`, `e::f`", "in it"]]);
    assert_eq!(named(shown[0][3]), ["c::d", "e::f"]);
}

/// What had to be mended in libraries of ours: nothing older is linked (S82).
#[test]
fn no_dependency_is_older_than_its_mending() {
    let lock = read("Cargo.lock").expect("the lock file");
    let versions = |name: &str| -> Vec<[u32; 3]> {
        let marker = format!("name = \"{name}\"\nversion = \"");
        let found = lock.split(&marker).skip(1).filter_map(|rest| rest.split('"').next());
        let number =
            |part: &str| part.split(['-', '+']).next().unwrap_or_default().parse().unwrap();
        found
            .map(|version| {
                let mut parts = version.splitn(3, '.').map(number);
                std::array::from_fn(|_| parts.next().unwrap_or(0))
            })
            .collect()
    };
    for (name, floor) in [("sqlx", [0, 8, 1]), ("h2", [0, 4, 16]), ("time", [0, 3, 47])] {
        let found = versions(name);
        assert!(!found.is_empty(), "{name} is not there");
        assert!(found.iter().all(|version| *version >= floor), "{name}: {found:?}");
    }
    // Its private operations leak by their time: nothing that ships may have it, not even further down.
    assert_eq!(whoever_needs("rsa", &lock), ["openidconnect", "procura-tests", "rsa"]);
    assert!(whoever_needs("h2", &lock).contains(&"procura-server"), "the way down is found");
}

/// A package of the lock file, and all that link it, in whatever way.
fn whoever_needs<'a>(name: &'a str, lock: &'a str) -> Vec<&'a str> {
    let packages: Vec<_> = lock.split("[[package]]").skip(1).collect();
    let name_of = |package: &'a str| package.split('"').nth(1).unwrap();
    let mut found = BTreeSet::from([name]);
    loop {
        let needs = |package: &&&str| {
            let (_, needed) = package.split_once("dependencies = [").unwrap_or_default();
            let mut needed = needed.split('"').skip(1).step_by(2);
            needed.any(|needed| found.contains(needed.split(' ').next().unwrap()))
        };
        let more: BTreeSet<_> = packages.iter().filter(needs).map(|p| name_of(p)).collect();
        let before = found.len();
        found.extend(more);
        if found.len() == before {
            return found.into_iter().collect();
        }
    }
}
