//! The servers under load, their data folders, and how they are started.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use procura_tests::lasting_port;

use crate::{
    Failure,
    load::Target,
    machine::{self, Cores},
    process::{Process, Program},
};

/// Long enough for every token to outlive the run.
const HOME_TTL_SECS: (&str, &str) = ("PROCURA__TOKENS__HOME_TTL_SECS", "900");
/// One person does here what thousands do: limits count, and refuse nobody.
const NO_LIMIT: &str = "10000000";
const LIMITS: [&str; 7] = [
    "PROCURA__RATE_LIMITS__CROSS_USER_PER_MINUTE",
    "PROCURA__RATE_LIMITS__CROSS_PARTNER_PER_MINUTE",
    "PROCURA__RATE_LIMITS__CROSS_TARGET_PER_MINUTE",
    "PROCURA__RATE_LIMITS__HOME_USER_PER_MINUTE",
    "PROCURA__RATE_LIMITS__HOME_TENANT_PER_MINUTE",
    "PROCURA__RATE_LIMITS__CLIENT_PER_MINUTE",
    "PROCURA__RATE_LIMITS__ADDRESS_PER_MINUTE",
];

/// A folder that is gone with this value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder on the disk on which the workspace is built: no memory file system, so that
    /// what is durable has its price.
    pub fn new() -> Result<Self, Failure> {
        let name = format!("figures-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where everything happens: the programs, the cores, the folder.
pub struct Site {
    /// The server.
    pub procura: PathBuf,
    /// The sample resource server.
    pub isp: PathBuf,
    /// Who runs on which core; `None` where nobody is tied to any.
    pub cores: Option<Cores>,
    /// Gone at the end.
    pub scratch: Scratch,
}

impl Site {
    /// The release binaries, built by cargo if they are not there as the sources say; or another server
    /// that `PROCURA_FIGURES_BINARY` names, to compare two builds or to look into one with symbols.
    pub fn build() -> Result<Self, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        println!("building the release binaries");
        let built = Command::new(cargo)
            .args(["build", "--release", "--quiet", "-p", "procura-server", "-p", "sample-isp"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()?;
        if !built.success() {
            return Err(Failure::new("the release binaries cannot be built"));
        }
        let own = std::env::current_exe()?;
        // target/release/deps/figures-…
        let folder = own.ancestors().nth(2).ok_or_else(|| Failure::new("no target folder"))?;
        let procura = match std::env::var_os("PROCURA_FIGURES_BINARY") {
            Some(binary) => binary.into(),
            None => folder.join("procura"),
        };
        println!("measuring {}", procura.display());
        let isp = folder.join("sample-isp");
        Ok(Self { procura, isp, cores: Cores::part(), scratch: Scratch::new()? })
    }

    /// The servers' core alone.
    #[must_use]
    pub fn one_core(&self) -> Option<String> {
        self.cores.map(Cores::one)
    }

    /// Both cores, shared with the load generator.
    #[must_use]
    pub fn both_cores(&self) -> Option<String> {
        self.cores.map(Cores::both)
    }

    /// How long the server takes to become ready: on each of some new folders, then on each of them
    /// again.
    pub fn time_starts(&self, times: usize) -> Result<[Vec<Duration>; 2], Failure> {
        let mut all = [Vec::new(), Vec::new()];
        for starts in &mut all {
            for number in 0..times {
                let settings = Settings { cores: self.one_core(), ..Settings::default() };
                let mut world = World::start(self, &format!("start-{number}"), settings)?;
                starts.push(world.process.ready_after);
                world.end()?;
            }
            starts.sort_unstable();
        }
        Ok(all)
    }
}

/// How a server differs from the embedded default.
#[derive(Clone, Default)]
pub struct Settings {
    /// Settings by environment variables.
    pub environment: Vec<(&'static str, String)>,
    /// Its cores.
    pub cores: Option<String>,
    /// Whether it is one more node of a deployment that has the demo already.
    pub is_joining: bool,
}

/// A server. Its name never changes, so that tokens outlive a restart.
pub struct World {
    procura: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    listen: String,
    /// Taken in at the next start.
    pub settings: Settings,
    process: Process,
}

impl World {
    /// Starts it on a folder, which is filled with the demo if it is new.
    pub fn start(site: &Site, name: &str, settings: Settings) -> Result<Self, Failure> {
        let data = site.scratch.join(name);
        let listen = format!("127.0.0.1:{}", lasting_port());
        let process = start(&site.procura, &data, &listen, &settings)?;
        Ok(Self { procura: site.procura.clone(), data, listen, settings, process })
    }

    /// Starts one more node: the same database, master key and issuer.
    pub fn join(&self, site: &Site, name: &str) -> Result<Self, Failure> {
        let data = site.scratch.join(name);
        fs::create_dir_all(data.join("keys"))?;
        for file in ["keys/master.key", "demo.json"] {
            fs::copy(self.data.join(file), data.join(file))?;
        }
        let mut settings = self.settings.clone();
        settings.is_joining = true;
        settings.environment.push(("PROCURA__SERVER__ISSUER", format!("http://{}", self.listen)));
        Self::start(site, name, settings)
    }

    /// Ends it and starts it again: it has verified no token yet.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.end()?;
        self.start_again()
    }

    /// Ends it.
    pub fn end(&mut self) -> Result<(), Failure> {
        self.process.end()
    }

    /// Starts it after its end.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        self.process = start(&self.procura, &self.data, &self.listen, &self.settings)?;
        Ok(())
    }

    /// Who is measured.
    #[must_use]
    pub fn target(&self) -> Target {
        self.process.target()
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Resident memory now, in MB.
    pub fn memory(&self) -> Result<f64, Failure> {
        Ok(machine::memory(self.process.id())?.0)
    }

    /// The most resident memory since the last start, in MB.
    pub fn peak(&self) -> Result<f64, Failure> {
        Ok(machine::memory(self.process.id())?.1)
    }
}

fn start(
    procura: &Path,
    data: &Path,
    listen: &str,
    settings: &Settings,
) -> Result<Process, Failure> {
    let verb: &[&str] = if settings.is_joining { &["serve"] } else { &["dev", "--demo"] };
    let mut words: Vec<&OsStr> = verb.iter().map(AsRef::as_ref).collect();
    words.extend(["--listen".as_ref(), listen.as_ref(), "--data".as_ref(), data.as_os_str()]);
    let mut environment: Vec<_> = LIMITS.map(|name| (name, NO_LIMIT.to_owned())).to_vec();
    environment.extend(settings.environment.iter().cloned());
    environment.push((HOME_TTL_SECS.0, HOME_TTL_SECS.1.to_owned()));
    Process::start(&Program {
        file: procura.as_os_str(),
        arguments: &words,
        environment: &environment,
        cores: settings.cores.as_deref(),
        log: &data.with_extension("log"),
        input: "",
    })
}

/// The floor, which is this same binary.
pub fn start_floor(site: &Site, setup: &str) -> Result<Process, Failure> {
    let own = std::env::current_exe()?;
    Process::start(&Program {
        file: own.as_os_str(),
        arguments: &["floor".as_ref()],
        environment: &[],
        cores: site.one_core().as_deref(),
        log: &site.scratch.join("floor.log"),
        input: &format!("{setup}\n"),
    })
}
