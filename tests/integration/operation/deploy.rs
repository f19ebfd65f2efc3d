//! What `deploy/` says about the program is true: figures in alerts and dashboard, settings in files and
//! environments. A wrong name there fails in silence, or at the start of somebody's night.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use procura_tests::{Scratch, procura};
use serde_json::Value;

use super::{figures::busy_house, get_private};

/// What others measure, by name and labels: Prometheus itself, and the node exporter.
const FOREIGN: [(&str, &[&str]); 2] =
    [("up", &[]), ("node_filesystem_avail_bytes", &["mountpoint"])];
/// What Prometheus adds to every figure.
const ADDED: [&str; 2] = ["job", "instance"];
/// A setting that no example shows: it is taken from the environment alone.
const NOT_IN_THE_EXAMPLE: [&str; 1] = ["keys.master_key"];

#[tokio::test]
async fn alerts_and_dashboard_use_only_figures_and_labels_that_exist() {
    let (house, _redis) = busy_house().await;
    let text = get_private(house.private_url(), "/metrics").await.expect(200).text.clone();
    let known = exposed(&text);
    let rules = expressions_of_rules(&read("observability/alerts.yml"));
    let dashboard = expressions_of_dashboard(&read("observability/dashboard.json"));
    assert!(rules.len() > 10 && dashboard.len() > 20, "has their form changed?");
    let faults: Vec<_> =
        rules.iter().chain(&dashboard).filter_map(|expression| fault(expression, &known)).collect();
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
}

#[test]
fn a_wrong_figure_or_label_is_found() {
    let known =
        exposed("# HELP a b\na_total{kind=\"x\"} 1\nb_bucket{le=\"1.0\"} 1\nb_sum 2\nc 3\n");
    for good in [
        "sum by (job, kind) (rate(a_total{job=\"x\", kind!~\"procura_no\"}[5m])) > 0.5e3",
        "histogram_quantile(0.99, sum by (le) (rate(b_bucket[$__rate_interval]))) or vector(0)",
        "c unless on (job) b_sum offset 5m == 1",
        "label_values(a_total{job=\"$job\"}, instance)",
    ] {
        assert_eq!(fault(good, &known), None);
    }
    for bad in ["d > 0", "rate(a[5m])", "a_total{sort=\"x\"}", "c{kind=\"x\"}", "sum by (sort) (c)"]
    {
        assert!(fault(bad, &known).is_some(), "{bad}");
    }
}

#[test]
fn every_setting_in_deploy_exists() {
    let example = procura(&["config", "example"]).stdout;
    let mut known: BTreeSet<String> = NOT_IN_THE_EXAMPLE.map(str::to_owned).into();
    let mut section = "";
    for line in example.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ") {
            known.insert(format!("{section}.{key}"));
        }
    }
    let mut named = BTreeSet::new();
    for file in files(&deploy()) {
        let text = fs::read_to_string(&file).expect("deploy holds texts");
        let variables = text.split("PROCURA__").skip(1);
        named.extend(variables.map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
            rest[..end.unwrap_or(rest.len())].to_lowercase().replace("__", ".")
        }));
    }
    assert!(named.contains("server.issuer"), "{named:?}");
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no such settings: {unknown:?}");
}

#[test]
fn the_configurations_in_deploy_can_be_used() {
    let map = read("kubernetes/config.yaml");
    let (_, block) = map.split_once("procura.toml: |\n").expect("the file in the map");
    let block = block.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    for text in [read("systemd/procura.toml"), block] {
        let folder = Scratch::new();
        let file = folder.path().join("procura.toml");
        fs::write(&file, text).unwrap();
        let ended = procura(&["config", "check", "--config", file.to_str().unwrap()]);
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// Every series in a scrape, with its labels.
fn exposed(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a series has a value"));
        let labels = found.entry(name.to_owned()).or_default();
        let pairs = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let pairs = pairs.map_or("", |(pairs, _)| pairs).split("\",");
        labels.extend(pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
    }
    for (name, labels) in FOREIGN {
        found.insert(name.to_owned(), labels.iter().map(|&label| label.to_owned()).collect());
    }
    found
}

/// What is wrong with the names in an expression: a figure that nobody has, a label that it does
/// not carry, or, where a grouping names one, that none carries. Names are all that is looked at.
fn fault(expression: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    const WORDS: [&str; 10] = [
        "and",
        "or",
        "unless",
        "bool",
        "offset",
        "by",
        "without",
        "on",
        "ignoring",
        "label_values",
    ];
    let all: BTreeSet<&str> = known.values().flatten().map(String::as_str).chain(ADDED).collect();
    let wrong = |what: &str| Some(format!("{what} in {expression}"));
    // Texts and durations hold no names.
    let quoted = expression.split('"').enumerate();
    let text: String = quoted.map(|(at, piece)| if at % 2 == 0 { piece } else { "" }).collect();
    let (mut figure, mut last, mut is_grouping, mut is_selector, mut is_range) =
        ("", "", false, false, false);
    for piece in pieces(&text) {
        let is_name = piece.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        match piece {
            "{" => is_selector = true,
            "}" => is_selector = false,
            "[" => is_range = true,
            "]" => is_range = false,
            "(" => is_grouping = matches!(last, "by" | "without" | "on" | "ignoring"),
            ")" => is_grouping = false,
            _ if !is_name || is_range || WORDS.contains(&piece) => {}
            _ if is_selector => {
                let has = known.get(figure).is_some_and(|labels| labels.contains(piece));
                if !has && !ADDED.contains(&piece) {
                    return wrong(&format!("{figure} has no label {piece}"));
                }
            }
            _ if is_grouping || (last == "," && expression.starts_with("label_values")) => {
                if !all.contains(piece) {
                    return wrong(&format!("no figure has a label {piece}"));
                }
            }
            _ if known.contains_key(piece) => figure = piece,
            _ if is_function(piece) => {}
            _ => return wrong(&format!("there is no figure {piece}")),
        }
        last = piece;
    }
    None
}

/// Those that are used here; an unknown one is taken for a figure that nobody has, which is loud.
fn is_function(name: &str) -> bool {
    const FUNCTIONS: [&str; 13] = [
        "sum",
        "time",
        "min",
        "max",
        "count",
        "rate",
        "increase",
        "histogram_quantile",
        "max_over_time",
        "predict_linear",
        "scalar",
        "vector",
        "label_values",
    ];
    FUNCTIONS.contains(&name)
}

/// Words and single signs; a number is a word that does not begin with a letter.
fn pieces(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$' | ':');
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) { rest.find(|c| !is_word(c)) } else { Some(first.len_utf8()) };
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(piece);
        rest = after.trim_start();
    }
    found
}

/// `expr: …` on one line, or folded over the lines that follow it and stand further right.
fn expressions_of_rules(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let starts = lines.iter().enumerate().filter_map(|(at, line)| {
        let rest = line.trim_start().strip_prefix("expr:")?.trim();
        if rest != ">-" {
            return Some(rest.to_owned());
        }
        let folded = lines[at + 1..].iter().take_while(|next| indent(next) > indent(line));
        Some(folded.map(|line| line.trim()).collect::<Vec<_>>().join(" "))
    });
    starts.collect()
}

/// Those of the panels, and those that fill the choices at the top.
fn expressions_of_dashboard(text: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(text).expect("the dashboard is JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let panels = list(&dashboard["panels"]);
    let targets = panels.iter().flat_map(|panel| list(&panel["targets"]));
    let expressions = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let choices = list(&dashboard["templating"]["list"]);
    let choices = choices.iter().filter_map(|choice| choice["query"]["query"].as_str());
    expressions.chain(choices.map(str::to_owned)).collect()
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All files below a folder that belong to the source: secrets that were made there do not.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut found): (Vec<_>, Vec<_>) =
        entries.filter(|path| !path.ends_with("secrets")).partition(|path| path.is_dir());
    found.extend(folders.iter().flat_map(|folder| files(folder)));
    found
}
