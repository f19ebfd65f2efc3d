//! A Postgres of its own: on a socket in a folder of its own, with a role that passes no walls.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{process::run, scratch::Scratch};

/// Starts the server, tells so, and stops it when standard input ends: that is when the test's process
/// has gone, however it went. Then the folder goes too.
const TETHER: &str = r#"
set -eu
bin=$1 folder=$2
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }
if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
cd "$folder"
trap exit INT TERM HUP
trap 'as "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
as "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions >/dev/null
as "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -o "-k $folder -c listen_addresses='' -c max_connections=500 -c shared_buffers=64MB" start >/dev/null
echo ready
while read -r command; do
  case $command in
    restart) as "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -m immediate restart >/dev/null; echo done ;;
  esac
done
"#;

/// A running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    tether: Child,
    said: BufReader<std::process::ChildStdout>,
    folder: PathBuf,
    bin: PathBuf,
    // Keeps the name of the folder taken; the tether puts the folder away.
    _scratch: Scratch,
}

/// The one cluster that tests share which do it no harm.
static SHARED: LazyLock<Postgres> = LazyLock::new(Postgres::start);

impl Postgres {
    /// The cluster that all tests of this process share: each with a database of its own.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// Starts one, for a test that restarts it or takes it away.
    pub fn start() -> Self {
        let bin = programs();
        let scratch = Scratch::new();
        let folder = scratch.path().to_owned();
        let mut tether = Command::new("sh")
            .args(["-c", TETHER, "tether"])
            .args([&bin, &folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("every machine has a shell");
        let said = BufReader::new(tether.stdout.take().expect("piped"));
        let mut postgres = Self { tether, said, folder, bin, _scratch: scratch };
        assert_eq!(postgres.hear(), "ready", "Postgres did not start");
        postgres.tell("CREATE ROLE procura LOGIN NOSUPERUSER NOBYPASSRLS");
        postgres
    }

    /// Makes an empty database; answers the URL under which Procura's role owns it.
    pub fn database(&self) -> String {
        self.database_like("template1")
    }

    /// Makes a database with everything that is in this one, which nobody uses.
    pub(crate) fn copy_of(&self, url: &str) -> String {
        let name = url.rsplit('/').find_map(|part| part.split_once("?host="));
        self.database_like(name.expect("a URL of ours").0)
    }

    fn database_like(&self, template: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("procura_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.tell(&format!("CREATE DATABASE {name} OWNER procura TEMPLATE {template}"));
        self.url("procura", &name)
    }

    /// The URL of a database for this role.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@localhost/{database}?host={}", self.folder.display())
    }

    /// The id of its first process, whose children are all others.
    pub fn pid(&self) -> u32 {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("it runs");
        file.lines().next().and_then(|line| line.parse().ok()).expect("an id in the first line")
    }

    /// Stops it as a power cut would, and starts it again; returns when it answers.
    pub fn restart(&mut self) {
        let stdin = self.tether.stdin.as_mut().expect("piped");
        stdin.write_all(b"restart\n").expect("the tether holds");
        assert_eq!(self.hear(), "done", "Postgres did not come back");
    }

    /// Runs a statement as the superuser.
    fn tell(&self, statement: &str) {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.arg("-h").arg(&self.folder).args(["-U", "postgres", "-qc", statement]);
        let ended = run(psql);
        assert!(ended.status.success(), "{statement}: {}", ended.stderr);
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("the tether holds");
        line.trim_end().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.tether.stdin.take());
        let _ = self.tether.wait();
    }
}

/// Where the server's programs are: on the path, or where Debian keeps each version's.
fn programs() -> PathBuf {
    let paths = env::var_os("PATH").unwrap_or_default();
    let debian = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<_> = fs::read_dir(debian)
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    versions.sort();
    let mut found = env::split_paths(&paths).chain(versions.into_iter().rev());
    found
        .find(|bin| bin.join("initdb").is_file() && bin.join("psql").is_file())
        .expect("Postgres is not installed: run tests/run")
}
