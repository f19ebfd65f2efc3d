//! Clients that others wrote, in their own processes: scripts of `tests/clients`, with their libraries in a
//! folder below the target folder. A script tells what it did, one JSON object a line, and asks a person
//! to open an address; a test is that person.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

/// Generous: many start at once when all tests run.
const NEXT_LINE_WITHIN: Duration = Duration::from_mins(1);

/// A running script. Dropping it kills it.
#[derive(Debug)]
pub struct Script {
    name: String,
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
}

/// What a script did.
#[derive(Debug)]
pub struct Done(Vec<Value>);

impl Done {
    /// All that it says of steps of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |line| line["did"] == name)
    }

    /// What it says of this step.
    #[track_caller]
    pub fn step(&self, name: &str) -> &Value {
        let mut steps = self.0.iter().filter(|line| line["did"] == name);
        let step = steps.next().unwrap_or_else(|| panic!("it did not {name}: {:?}", self.0));
        assert!(steps.next().is_none(), "twice: {name}");
        step
    }
}

impl Script {
    /// A script of `tests/clients/node`.
    pub fn node(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut node = Command::new("node");
        node.arg(node_folder().join(name));
        Self::start(name, node, environment)
    }

    /// A script of `tests/clients/python`.
    pub fn python(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut python = Command::new(python_folder().join("installed/bin/python"));
        python.arg(sources("python").join(name));
        Self::start(name, python, environment)
    }

    fn start(name: &str, mut command: Command, environment: &[(&str, &str)]) -> Self {
        // No proxy stands between a client and this machine.
        command.envs(environment.iter().copied()).env("NO_PROXY", "*").env("no_proxy", "*");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut stderr = child.stderr.take().expect("piped");
        let (line, lines) = mpsc::channel();
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|text| drop(line.send(text)));
        });
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self { name: name.to_owned(), child, lines, stderr: Some(stderr) }
    }

    /// Lets it run to its end. `answer` gets what it asks for, and what about.
    pub async fn run(mut self, mut answer: impl AsyncFnMut(&str, &Value) -> String) -> Done {
        let mut done = Vec::new();
        loop {
            let text = match self.lines.recv_timeout(NEXT_LINE_WITHIN) {
                Ok(text) => text,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    break;
                }
            };
            let line: Value = serde_json::from_str(&text)
                .unwrap_or_else(|_| panic!("{} said no JSON: {text}", self.name));
            let Some(what) = line["ask"].as_str() else {
                done.push(line);
                continue;
            };
            let answer = answer(what, &line["about"]).await;
            let stdin = self.child.stdin.as_mut().expect("piped");
            writeln!(stdin, "{answer}").unwrap_or_else(|_| panic!("{} is gone", self.name));
        }
        let status = self.child.wait().expect("it is our child");
        let stderr = self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        assert!(status.success(), "{} ended with {status} after {done:?}\n{stderr}", self.name);
        Done(done)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder with the scripts for Node, and beside them what they need.
fn node_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let (from, folder) = (sources("node"), installed("node"));
        // Node looks for libraries beside the script, so the scripts go there.
        for file in names_in(&from) {
            fs::copy(from.join(&file), folder.join(&file)).expect("a readable script");
        }
        once(&folder, &from.join("package-lock.json"), || {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
            must("Node 20 or newer with npm", npm);
        });
        folder
    })
}

/// The folder with a virtual environment of Python.
fn python_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let (from, folder) = (sources("python"), installed("python"));
        let requirements = from.join("requirements.txt");
        once(&folder, &requirements, || {
            let mut python = Command::new("python3");
            python.args(["-m", "venv", "--clear", "installed"]).current_dir(&folder);
            must("Python 3.11 or newer with venv", python);
            let mut pip = Command::new(folder.join("installed/bin/python"));
            // Nothing is built here, so nobody's code runs by being installed.
            pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary=:all:"]);
            pip.arg("--requirement").arg(&requirements);
            must("the package index of Python", pip);
        });
        folder
    })
}

/// Installs, unless what the lock file names was installed before.
fn once(folder: &Path, lock: &Path, install: impl FnOnce()) {
    let (stamp, lock) = (folder.join("locked"), fs::read(lock).expect("a lock file"));
    if fs::read(&stamp).is_ok_and(|known| known == lock) {
        return;
    }
    install();
    // Written last: an installation that broke off is done again.
    fs::write(stamp, lock).expect("a writable target folder");
}

/// The tests do not go on without these clients: what is not tried is not known to work.
fn must(what: &str, mut command: Command) {
    let ended = command.stdin(Stdio::null()).output();
    let ended = ended.unwrap_or_else(|_| panic!("{what} is missing: `tests/run --needs` tells"));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{what} is needed, and {command:?} failed: {said}");
}

fn sources(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(language)
}

/// `target/clients/LANGUAGE`, made where it is not there.
fn installed(language: &str) -> PathBuf {
    let own = env::current_exe().expect("a test is a file");
    let target = own.ancestors().nth(3).expect("target/PROFILE/deps/TEST");
    let folder = target.join("clients").join(language);
    fs::create_dir_all(&folder).expect("a writable target folder");
    folder
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder of ours");
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
