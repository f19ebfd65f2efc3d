//! Who gets what: each described operation, as each kind of caller, where it is about a relationship in each
//! state of it. The table is reviewed by a person; whoever adds a route adds its line.

use std::{collections::BTreeSet, env, fmt::Write, fs, path::Path};

use futures_util::future::join_all;
use procura_tests::Answer;
use reqwest::Method;
use serde_json::Value;

use super::{
    callers::{COLUMNS, HARMLESS, STRANGERS},
    samples::{ONCE_ONLY, Sent, prepare, sent, states_of},
    states::STATES,
    world::World,
};

/// Beside this package. Read when the test runs: who writes it anew need not build again.
const GOLDEN: &str = "goldens/permissions.txt";

const HEAD: &str = "\
Who gets what. A column: who calls. A cell: the status. A line: a method, a path and, where it is about the
relationship between msp and the customer, the states of it that have the same answers; it is tried in no others.
Everything in a path belongs to the customer. At POST /oauth2/token a portal exchanges the caller's token for one in
the customer. At par and device_authorization the form itself says which client asks. strp does not know the
customer's partner code. What is possible once has a test of its own: break-glass, and consents taken back.
States: proposed (active, and msp asks for more), restricted and off (the customer's switch), suspended (by the
customer), stopped (suspended by msp).

";

/// A request that is tried as everybody, in one state.
struct Line {
    name: String,
    method: Method,
    path: String,
    needs_body: bool,
    state: Option<&'static str>,
}

/// What came of it.
struct Row {
    method: Method,
    path: String,
    state: Option<&'static str>,
    statuses: Vec<u16>,
}

impl Line {
    fn label(&self) -> String {
        let state = self.state.map(|state| format!(" [{state}]")).unwrap_or_default();
        format!("{} {}{state}", self.method, self.path)
    }

    /// It comes to its state by itself: somebody has to ask before.
    fn is_about_a_wish(&self) -> bool {
        self.name.ends_with("AccessRequest")
    }

    /// Whether what is done leaves the relationship in another state.
    fn moves(&self) -> bool {
        let leaves = ["getToken", "previewRelationship", "setReview"].contains(&self.name.as_str());
        self.method != Method::GET && !leaves && !self.is_about_a_wish()
    }

    fn sent(&self, column: &str, world: &World) -> Option<Sent> {
        sent((&self.name, &self.method, &self.path), self.needs_body, column, world)
    }
}

async fn lines(world: &World) -> Vec<Line> {
    let document = world.root.get("/api/openapi.json").await.expect(200).json();
    let mut lines = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let name = operation["operationId"].as_str().expect("a name");
            let states: Vec<_> = match states_of(name, path) {
                [] => vec![None],
                some => some.iter().map(|state| Some(*state)).collect(),
            };
            lines.extend(states.into_iter().map(|state| Line {
                name: name.to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                needs_body: operation["requestBody"]["required"] == Value::Bool(true),
                state,
            }));
        }
    }
    // State by state: to come to one takes several requests.
    lines.sort_by_key(|line| (place(line.state), line.path.clone(), line.method.to_string()));
    lines
}

fn place(state: Option<&str>) -> Option<usize> {
    STATES.iter().position(|known| Some(*known) == state)
}

/// What an answer says, without what no two answers share.
fn said(answer: &Answer) -> (u16, String) {
    let text = match serde_json::from_str::<Value>(&answer.text) {
        Ok(Value::Object(mut members)) => {
            members.remove("request_id");
            Value::Object(members).to_string()
        }
        _ => answer.text.clone(),
    };
    (answer.status, text)
}

/// To a stranger what is the customer's is what is nowhere: the same again, with ids of nothing.
async fn compare(line: &Line, answers: &[Answer], world: &mut World, faults: &mut Vec<String>) {
    let own = world.things.clone();
    let nothing = world.of_nothing();
    world.things = nothing;
    for ((column, _), answer) in COLUMNS.iter().zip(answers) {
        if !STRANGERS.contains(column) || answer.status < 300 {
            continue;
        }
        let Some(sent) = line.sent(column, world) else { continue };
        let (is, other) = (said(answer), said(&world.send(&sent).await));
        if is != other {
            faults.push(format!(
                "{}: {column} learns what is there: {is:?}, {other:?}",
                line.label()
            ));
        }
    }
    world.things = own;
}

/// Tries a line as everybody, from the left to the right.
async fn try_line(world: &mut World, line: &Line, faults: &mut Vec<String>) -> Vec<u16> {
    prepare(&line.name, line.state, world).await;
    let (harmless, others) = COLUMNS.split_at(HARMLESS);
    let all: Option<Vec<_>> = harmless.iter().map(|(column, _)| line.sent(column, world)).collect();
    let Some(all) = all else {
        faults.push(format!(
            "{} needs a body: say in tests/integration/described/samples.rs which is a good one for \
             \"{}\"",
            line.label(),
            line.name
        ));
        return Vec::new();
    };
    let mut answers = join_all(all.iter().map(|sent| world.send(sent))).await;
    if matches!(line.state, None | Some("requested" | "active")) {
        compare(line, &answers, world, faults).await;
    }
    let mut secrets = vec![world.secrets(); answers.len()];
    for (column, _) in others {
        let Some(sent) = line.sent(column, world) else { continue };
        let answer = world.send(&sent).await;
        secrets.push(world.secrets());
        if answer.status < 300 && line.method != Method::GET {
            if let Some(state) = line.state.filter(|_| line.moves()) {
                world.arrive(state).await;
            }
            prepare(&line.name, line.state, world).await;
        }
        answers.push(answer);
    }
    for (((column, _), answer), secrets) in COLUMNS.iter().zip(&answers).zip(&secrets) {
        let leak = world.seen.look(column, answer, secrets);
        faults.extend(leak.map(|what| format!("{}: {what}", line.label())));
        if answer.status >= 500 {
            faults.push(format!("{} answers {} to {column}", line.label(), answer.status));
        }
    }
    answers.iter().map(|answer| answer.status).collect()
}

/// The table. States in which everybody is answered the same share a line.
fn table(rows: &[Row]) -> String {
    let mut text = String::from(HEAD);
    for (column, who) in COLUMNS {
        let _ = writeln!(text, "{column}  {who}");
    }
    let mut lines: Vec<(String, Vec<u16>)> = Vec::new();
    let mut done = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        if done.contains(&at) {
            continue;
        }
        let same = |other: &&Row| {
            (&other.method, &other.path, &other.statuses) == (&row.method, &row.path, &row.statuses)
        };
        let alike: Vec<_> = rows.iter().enumerate().filter(|(_, other)| same(other)).collect();
        done.extend(alike.iter().map(|(at, _)| *at));
        let states: Vec<_> = alike.iter().filter_map(|(_, other)| other.state).collect();
        let states = match states.len() {
            0 => String::new(),
            n if n == STATES.len() => " [in each state]".to_owned(),
            _ => format!(" [{}]", states.join(" ")),
        };
        lines.push((format!("{} {}{states}", row.method, row.path), row.statuses.clone()));
    }
    let names: Vec<_> = COLUMNS.iter().map(|(column, _)| *column).collect();
    let _ = writeln!(text, "\n{}", names.join(" "));
    for (label, statuses) in lines {
        let cells: Vec<_> = statuses.iter().map(|status| format!("{status:<4}")).collect();
        let _ = writeln!(text, "{}  {label}", cells.join(" "));
    }
    text
}

/// Whatever nobody gets says nothing about who may.
fn closed_to_all(lines: &[Line], rows: &[Row]) -> Vec<String> {
    let tried: BTreeSet<_> = lines.iter().map(|line| line.name.as_str()).collect();
    let is_open = |line: &Line, row: &Row| {
        (&line.method, &line.path) == (&row.method, &row.path)
            && row.statuses.iter().any(|status| *status < 400)
    };
    let open: BTreeSet<_> = lines
        .iter()
        .filter(|line| rows.iter().any(|row| is_open(line, row)))
        .map(|line| line.name.as_str())
        .collect();
    let closed = tried.difference(&open).copied();
    let mut faults: Vec<_> = closed
        .filter(|name| !ONCE_ONLY.iter().any(|(known, _)| known == name))
        .map(|name| format!("nobody gets through to {name}: its lines say nothing"))
        .collect();
    let known = ONCE_ONLY.iter().map(|(name, _)| *name).filter(|name| open.contains(name));
    faults.extend(known.map(|name| format!("somebody does get through to {name}")));
    faults
}

/// Neither the log nor the metrics name anybody.
async fn nothing_is_named(world: &World) {
    let metrics = reqwest::get(format!("{}/metrics", world.house.private_url())).await;
    let metrics = metrics.expect("the metrics").text().await.expect("a text").to_lowercase();
    let log = world.house.stderr().to_lowercase();
    // There is something to search.
    assert!(metrics.contains("/api/v1/partner/relationships/{id}"), "{metrics}");
    assert!(log.lines().count() > 1000 && log.contains("from relationships"), "{log}");
    for (_, secret) in world.secrets() {
        assert!(!metrics.contains(&secret), "the metrics say {secret}");
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "the log says {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_what_the_reviewed_table_says_and_no_stranger_learns_of_a_customer() {
    let mut world = World::set().await;
    let (mut faults, mut rows) = (Vec::new(), Vec::new());
    let all = lines(&world).await;
    let mut stands = None;
    for line in &all {
        match line.state {
            Some(_) if line.is_about_a_wish() => stands = None,
            Some(state) if stands != Some(state) => {
                world.arrive(state).await;
                stands = Some(state);
            }
            _ => {}
        }
        let statuses = try_line(&mut world, line, &mut faults).await;
        let (method, path) = (line.method.clone(), line.path.clone());
        rows.push(Row { method, path, state: line.state, statuses });
    }
    faults.extend(closed_to_all(&all, &rows));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    // There was something to leak, and to whoever may know it was said.
    assert_eq!(world.seen.never(), []);
    assert!(world.are_delegated_alive().await);
    nothing_is_named(&world).await;

    rows.sort_by_key(|row| (row.path.clone(), row.method.to_string(), place(row.state)));
    let is = table(&rows);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if env::var_os("PROCURA_TESTS_GOLDENS").is_some_and(|wanted| wanted == "write") {
        return fs::write(golden, is).expect("a writable tree");
    }
    let golden = fs::read_to_string(golden).expect("the reviewed table");
    let differs: Vec<_> =
        is.lines().filter(|line| !golden.lines().any(|old| old == *line)).collect();
    assert!(
        is == golden,
        "tests/goldens/permissions.txt says otherwise of:\n{}\nIf that is meant, run this test with \
         PROCURA_TESTS_GOLDENS=write and let a person look at the difference.",
        differs.join("\n")
    );
}
