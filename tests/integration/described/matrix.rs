//! Who gets what: each described operation, as each kind of caller, where it is about a relationship in each
//! state of it. The table is reviewed by a person; whoever adds a route adds its line.

use std::{env, fmt::Write, fs, path::Path};

use futures_util::future::join_all;
use procura_tests::Answer;
use reqwest::Method;
use serde_json::Value;

use super::{
    samples::{Body, body, complete, is_about_a_relationship, prepare},
    world::{CANARY, COLUMNS, HARMLESS, STATES, WHY, World},
};

const GOLDEN: &str = include_str!("../../goldens/permissions.txt");

/// A line of the table.
struct Line {
    name: String,
    method: Method,
    path: String,
    needs_body: bool,
    state: Option<&'static str>,
}

impl Line {
    fn label(&self) -> String {
        let state = self.state.map(|state| format!(" [{state}]")).unwrap_or_default();
        format!("{} {}{state}", self.method, self.path)
    }
}

async fn lines(world: &World) -> Vec<Line> {
    let document = world.root.get("/api/openapi.json").await.expect(200).json();
    let mut lines = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let states: Vec<_> = if is_about_a_relationship(path) {
                STATES.iter().map(|state| Some(*state)).collect()
            } else {
                vec![None]
            };
            lines.extend(states.into_iter().map(|state| Line {
                name: operation["operationId"].as_str().expect("a name").to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                needs_body: operation["requestBody"]["required"] == Value::Bool(true),
                state,
            }));
        }
    }
    // State by state: to come to one takes several requests.
    let place = |line: &Line| STATES.iter().position(|state| Some(*state) == line.state);
    lines.sort_by_key(|line| (place(line), line.path.clone(), line.method.to_string()));
    lines
}

/// What is wrong with an answer that a column was given.
fn leak(column: &str, answer: &Answer, secrets: &[String]) -> Option<String> {
    let mut all = answer.text.to_lowercase();
    for (name, value) in &answer.headers {
        let _ =
            write!(all, "\n{name}: {}", String::from_utf8_lossy(value.as_bytes()).to_lowercase());
    }
    let is_partner = matches!(column, "pbil" | "paud" | "psup" | "padm" | "akey");
    let is_stranger = matches!(column, "anon" | "strg" | "clnt" | "rsrv");
    let found = match (is_stranger, is_partner) {
        (true, _) => secrets.iter().find(|secret| all.contains(secret.as_str())).cloned(),
        (_, true) => Some(WHY.to_owned()).filter(|why| all.contains(why.as_str())),
        _ => None,
    };
    found.map(|secret| format!("{column} is told {secret}: {all}"))
}

/// Tries a line as everybody, from the left to the right.
async fn try_line(world: &mut World, line: &Line, faults: &mut Vec<String>) -> Vec<u16> {
    prepare(&line.name, world).await;
    let mut statuses = Vec::new();
    let Some(sent) = body(&line.name, line.needs_body, world) else {
        faults.push(format!(
            "{} needs a body: say in tests/integration/described/samples.rs which is a good one for \
             \"{}\"",
            line.label(),
            line.name
        ));
        return statuses;
    };
    let (harmless, others) = COLUMNS.split_at(HARMLESS);
    let path = complete(&line.path, world);
    let each = harmless.iter().map(|(column, _)| {
        let request = (line.method.clone(), path.as_str());
        world.send(column, request, &sent)
    });
    let answers = join_all(each).await;
    let secrets = world.secrets();
    for ((column, _), answer) in harmless.iter().zip(&answers) {
        faults
            .extend(leak(column, answer, &secrets).map(|what| format!("{}: {what}", line.label())));
        statuses.push(answer.status);
    }
    for (column, _) in others {
        let sent = body(&line.name, line.needs_body, world).unwrap_or(Body::None);
        let path = complete(&line.path, world);
        let answer = world.send(column, (line.method.clone(), &path), &sent).await;
        if *column == "admn" {
            let text = answer.text.to_lowercase();
            world.shown.0 += u32::from(text.contains(CANARY));
            world.shown.1 += u32::from(text.contains(WHY));
        }
        let secrets = world.secrets();
        faults.extend(
            leak(column, &answer, &secrets).map(|what| format!("{}: {what}", line.label())),
        );
        statuses.push(answer.status);
        if answer.status < 300 && line.method != Method::GET {
            if let Some(state) = line.state.filter(|_| !line.name.starts_with("preview")) {
                world.arrive(state).await;
            }
            prepare(&line.name, world).await;
        }
    }
    statuses
}

fn table(rows: &[(String, Vec<u16>)]) -> String {
    let mut text = String::from(
        "Who gets what. A line: a method, a path and, for relationships between msp and customer, the state.\n\
         A column: who calls. A cell: the status. Everything in a path belongs to the customer.\n\n",
    );
    for (column, who) in COLUMNS {
        let _ = writeln!(text, "{column}  {who}");
    }
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    let names: Vec<_> = COLUMNS.iter().map(|(column, _)| *column).collect();
    let _ = writeln!(text, "\n{:width$}  {}", "", names.join(" "));
    for (label, statuses) in rows {
        let cells: Vec<_> = statuses.iter().map(|status| format!("{status:<4}")).collect();
        let _ = writeln!(text, "{label:width$}  {}", cells.join(" ").trim_end());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_what_the_reviewed_table_says_and_no_stranger_learns_of_a_customer() {
    let mut world = World::set().await;
    let (mut faults, mut rows) = (Vec::new(), Vec::new());
    let mut state = None;
    for line in lines(&world).await {
        if line.state != state {
            state = line.state;
            world.arrive(state.unwrap_or("active")).await;
        }
        let statuses = try_line(&mut world, &line, &mut faults).await;
        faults.extend(
            statuses
                .iter()
                .filter(|status| **status >= 500)
                .map(|status| format!("{} answers {status}", line.label())),
        );
        rows.push((line.label(), statuses));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    // There was something to leak.
    assert!(world.shown.0 > 10 && world.shown.1 > 0, "{:?}", world.shown);
    // It was refused everywhere, and not because it had died.
    assert!(world.house.is_alive(&world.delegated).await);

    let metrics = reqwest::get(format!("{}/metrics", world.house.private_url())).await;
    let metrics = metrics.expect("the metrics").text().await.expect("a text").to_lowercase();
    let log = world.house.stderr().to_lowercase();
    for secret in world.secrets() {
        assert!(!metrics.contains(&secret), "the metrics say {secret}");
        assert!(!log.contains(&secret), "the log says {secret}: {log}");
    }

    rows.sort_by_key(|(label, _)| {
        let (method, path) = label.split_once(' ').expect("a method");
        (path.to_owned(), method.to_owned())
    });
    let is = table(&rows);
    if env::var_os("PROCURA_TESTS_GOLDENS").is_some_and(|wanted| wanted == "write") {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/permissions.txt");
        return fs::write(golden, is).expect("a writable tree");
    }
    let differs: Vec<_> =
        is.lines().filter(|line| !GOLDEN.lines().any(|old| old == *line)).collect();
    assert!(
        is == GOLDEN,
        "tests/goldens/permissions.txt says otherwise of:\n{}\nIf that is meant, run this test with \
         PROCURA_TESTS_GOLDENS=write and let a person look at the difference.",
        differs.join("\n")
    );
}
