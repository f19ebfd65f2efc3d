//! A real binary of this workspace, run as somebody who installed it would run it.

use std::{
    env, fmt,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Generous: many start at once when all tests run.
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// A running process. Dropping it kills it.
pub struct Process {
    name: &'static str,
    child: Child,
    /// The address in its ready line.
    url: String,
    /// The lines before that one.
    before: Vec<String>,
    stderr: Arc<Mutex<String>>,
    /// Lines of the start; closed when the process has closed its outputs.
    lines: Receiver<String>,
}

/// How a process ended, and what it had to say.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// All of its standard output; empty where that was read for the ready line.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// It refused: an error status, and one line that says why. Answers the line.
    #[track_caller]
    pub fn refused(&self) -> &str {
        assert!(!self.status.success(), "it did not refuse: {self:?}");
        let lines: Vec<_> = self.stderr.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 1, "not one clear line: {}", self.stderr);
        lines[0]
    }
}

/// The command for a binary of this workspace: it stands where cargo has put this test's folder.
pub(crate) fn command(name: &str) -> Command {
    let own = env::current_exe().expect("a test is a file");
    let target = own.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let binary: PathBuf = target.join(name);
    assert!(
        binary.is_file(),
        "{} is not built: run tests/run, or `cargo build -p procura-server -p sample-isp` first",
        binary.display()
    );
    let mut command = Command::new(binary);
    // What the caller's shell says about proxies and settings is none of the test's business.
    for (name, _) in env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("PROCURA_") || upper.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The same, after the words of a shell that change what the process inherits: without unsafe code only a
/// shell can limit open files (`ulimit -n`), or let a signal be ignored (`trap '' XFSZ`).
pub(crate) fn command_after(name: &str, words: &str) -> Command {
    let binary = command(name);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{words} && exec \"$0\" \"$@\"")]);
    shell.arg(binary.get_program()).stdin(Stdio::null());
    for (variable, value) in binary.get_envs() {
        if value.is_none() {
            shell.env_remove(variable);
        }
    }
    shell
}

impl Process {
    /// Starts it and waits for its line `NAME ready on URL`.
    pub(crate) fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let said = Arc::new(Mutex::new(String::new()));
        let (line, lines) = mpsc::channel();
        // Both are read to the end, so that the process never waits for a reader.
        thread::spawn({
            let line = line.clone();
            let keep = move |text| drop(line.send(text));
            move || stdout.lines().map_while(Result::ok).for_each(keep)
        });
        thread::spawn({
            let said = Arc::clone(&said);
            move || {
                for text in stderr.lines().map_while(Result::ok) {
                    let mut said = said.lock().expect("no reader panics");
                    said.push_str(&text);
                    said.push('\n');
                }
                drop(line);
            }
        });
        // Made before the wait: a process that never gets ready is put away like any other.
        let mut process =
            Self { name, child, url: String::new(), before: Vec::new(), stderr: said, lines };
        process.wait_until_ready();
        process
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + READY_WITHIN;
        let marker = format!("{} ready on ", self.name);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("{} did not get ready: {}", self.name, self.stderr());
            };
            if let Some(url) = line.strip_prefix(&marker) {
                url.clone_into(&mut self.url);
                return;
            }
            self.before.push(line);
        }
    }

    /// Where it listens: `http://HOST:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of its other listener: in a line `NAME WHAT on URL` before the ready line.
    pub(crate) fn other_url(&self, what: &str) -> &str {
        let marker = format!("{} {what} on ", self.name);
        let found = self.before.iter().find_map(|line| line.strip_prefix(&marker));
        found.unwrap_or_else(|| panic!("{} said nothing of {what}: {:?}", self.name, self.before))
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no reader panics").clone()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        // The standard library can only kill. Every POSIX shell has a `kill` of its own.
        let pid = self.child.id().to_string();
        let asked = Command::new("sh").args(["-c", "kill -\"$1\" \"$0\"", &pid, signal]).status();
        assert!(asked.is_ok_and(|status| status.success()), "{} cannot be asked", self.name);
    }

    /// Sets how large a file it may write; `u64::MAX` is without a limit.
    pub(crate) fn limit_files(&self, bytes: u64) {
        let limit = if bytes == u64::MAX { "unlimited".to_owned() } else { bytes.to_string() };
        let mut prlimit = Command::new("prlimit");
        // Only the soft limit: whoever lowers the hard one cannot raise it again.
        prlimit.arg("--pid").arg(self.child.id().to_string()).arg(format!("--fsize={limit}:"));
        assert!(
            prlimit.status().is_ok_and(|status| status.success()),
            "prlimit (util-linux) failed"
        );
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> Ended {
        self.signal("TERM");
        // It ends by closing both of its outputs, and then nobody can send lines any more.
        let deadline = Instant::now() + ENDED_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{} does not end", self.name),
            }
        }
        let status = self.child.wait().expect("it is our child");
        Ended { status, stdout: String::new(), stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- what {} said ---\n{}", self.name, self.stderr());
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.name, self.url)
    }
}

/// Runs a command that ends by itself, within the same bound.
pub(crate) fn run(mut command: Command) -> Ended {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let read = |mut from: Box<dyn Read + Send>, done: mpsc::Sender<()>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = from.read_to_end(&mut bytes);
            let _ = done.send(());
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let (done, is_done) = mpsc::channel();
    let stdout = read(Box::new(child.stdout.take().expect("piped")), done.clone());
    let stderr = read(Box::new(child.stderr.take().expect("piped")), done);
    let deadline = Instant::now() + READY_WITHIN;
    for _ in 0..2 {
        let left = deadline.saturating_duration_since(Instant::now());
        if is_done.recv_timeout(left).is_err() {
            let _ = child.kill();
        }
    }
    let status = child.wait().expect("it is our child");
    let text = |reader: JoinHandle<String>| reader.join().expect("a reader does not panic");
    Ended { status, stdout: text(stdout), stderr: text(stderr) }
}
