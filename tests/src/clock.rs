//! A clock that a test moves while the server runs. The server is the one that everybody gets, and has no door
//! for this: on Linux a small library stands between a process that is linked dynamically and the system's clocks
//! (`tests/clock/ahead.c`).

use std::{
    env, fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::LazyLock,
};

use crate::{HouseOptions, now, scratch::Scratch};

/// Where the library is, made once.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let own = env::current_exe().expect("a test is a file");
    let folder = own.parent().expect("target/PROFILE/deps");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clock/ahead.c");
    let (made, library) =
        (folder.join(format!("ahead-{}", process::id())), folder.join("ahead.so"));
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut compile = Command::new(compiler);
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(&source);
    assert!(compile.status().is_ok_and(|status| status.success()), "a C compiler is needed");
    // Whoever else made it has made the same.
    fs::rename(&made, &library).expect("a folder of ours");
    library
});

/// The clock of one server. Its houses stand on files: a database of its own has a clock of its own.
#[derive(Debug)]
pub struct MovedClock(Scratch);

impl MovedClock {
    /// One that shows the machine's time.
    #[allow(clippy::new_without_default, reason = "it does something: it is no default value")]
    pub fn new() -> Self {
        let clock = Self(Scratch::new());
        fs::write(clock.file(), [0; 16]).expect("a new file");
        clock
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("clock")
    }

    /// What makes a house live by it.
    pub fn options(&self) -> HouseOptions {
        let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let environment =
            vec![("LD_PRELOAD", text(&LIBRARY)), ("PROCURA_TESTS_CLOCK", text(&self.file()))];
        HouseOptions { environment, ..HouseOptions::default() }
    }

    /// By how much it is ahead, and where it stands still, if it does.
    fn read(&self) -> (i64, i64) {
        let bytes = fs::read(self.file()).expect("its file");
        let (ahead, stopped_at) = bytes.split_at(8);
        let number = |bytes: &[u8]| i64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        (number(ahead), number(stopped_at))
    }

    fn write(&self, ahead: i64, stopped_at: i64) {
        // In place: the process looks at these very bytes. What waits wakes up at the new time.
        let file = fs::OpenOptions::new().write(true).open(self.file()).expect("its file");
        file.write_all_at(&stopped_at.to_ne_bytes(), 8).expect("its file");
        file.write_all_at(&ahead.to_ne_bytes(), 0).expect("its file");
    }

    /// What it shows, in Unix seconds.
    pub fn now(&self) -> i64 {
        match self.read() {
            (ahead, 0) => now() + ahead,
            (_, stopped_at) => stopped_at,
        }
    }

    /// From now on it stands still, so that a test can be there in the last second of something. Answers at which.
    pub fn stop(&self) -> i64 {
        let at = self.now();
        self.write(self.read().0, at);
        at
    }

    /// From now on it is so many seconds later.
    pub fn advance(&self, secs: i64) {
        let (ahead, stopped_at) = self.read();
        let stopped_at = if stopped_at == 0 { 0 } else { stopped_at + secs };
        self.write(ahead + secs, stopped_at);
    }

    /// It stands still then, from now on.
    pub fn go_to(&self, then: i64) {
        let secs = then - self.now();
        assert!(secs >= 0, "it never goes back");
        self.write(self.read().0 + secs, then);
    }

    /// Whoever waits for a minute has waited, and the clock on the wall still stands where it stood.
    pub fn pass_a_minute(&self) {
        let (ahead, stopped_at) = self.read();
        assert!(stopped_at != 0, "it goes on");
        self.write(ahead + 61, stopped_at);
    }
}
