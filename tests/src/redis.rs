//! A real Redis of its own, on a socket in its own folder, that can be killed, paused and emptied.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{process::run, scratch::Scratch};

/// Generous: many start at once when all tests run.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running Redis. It keeps nothing on disk, so a restart is empty.
#[derive(Debug)]
pub struct Redis {
    /// `None` while it is dead.
    child: Option<Child>,
    config: Option<PathBuf>,
    arguments: Vec<String>,
    folder: Scratch,
}

impl Redis {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut redis = Self::reserved();
        redis.arguments = arguments.iter().map(ToString::to_string).collect();
        redis.start_again();
        redis
    }

    /// Starts a sentinel, which watches the primary at this port under the name `main`.
    pub fn sentinel(port: u16, primary: u16) -> Self {
        let mut redis = Self::reserved();
        let config = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
        );
        // It writes to this file what it has learned.
        let file = redis.folder.path().join("sentinel.conf");
        std::fs::write(&file, config).expect("a new folder");
        redis.config = Some(file);
        redis.arguments = vec!["--sentinel".to_owned()];
        redis.start_again();
        redis
    }

    /// A place for one, where none runs yet.
    pub fn reserved() -> Self {
        Self { child: None, config: None, arguments: Vec::new(), folder: Scratch::new() }
    }

    /// Starts it at the same address, empty.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        // Left by one that was killed.
        let _ = std::fs::remove_file(self.socket());
        let mut command = Command::new("redis-server");
        match &self.config {
            Some(file) => command.arg(file),
            None => command.args(["--port", "0", "--save", "", "--appendonly", "no"]),
        };
        command.arg("--unixsocket").arg(self.socket()).arg("--dir").arg(self.folder.path());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!("redis-server is missing: tests/run --needs installs it"),
            _ => panic!("redis-server: {error}"),
        });
        self.child = Some(child);
        let deadline = Instant::now() + READY_WITHIN;
        let is_up = |answer: String| answer.starts_with("PONG") || answer.starts_with("NOAUTH");
        while !self.try_ask(&["PING"]).is_some_and(is_up) {
            assert!(Instant::now() < deadline, "redis-server does not get ready");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it as the kernel does when memory is gone: no goodbye to anybody.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }

    /// Stops it in the middle of whatever it does; connections stay open and are answered no more.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Forgets everything that is in it.
    pub fn flush(&self) {
        assert_eq!(self.ask(&["FLUSHALL"]), "OK\n");
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Asks it something, as an operator would on a command line.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> String {
        self.try_ask(words).unwrap_or_else(|| panic!("redis-cli {words:?} failed"))
    }

    /// The same, where it may be away for a moment.
    pub fn try_ask(&self, words: &[&str]) -> Option<String> {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.socket()).args(words);
        let ended = run(command);
        ended.status.success().then_some(ended.stdout)
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -\"$1\" \"$0\"", &pid, name]).status();
        assert!(sent.is_ok_and(|status| status.success()), "redis-server cannot be signalled");
    }

    fn socket(&self) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join("redis.sock")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A paused process dies of this too. Both fail only where it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
