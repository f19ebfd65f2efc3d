//! The server under load, its data folder, and how it is started.

use std::{
    ffi::OsStr,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    Failure,
    load::Target,
    machine::{self, Cores},
    process::{Process, Program},
};

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

/// The release binary, built by cargo if it is not there as the sources say; or another one that
/// `PROCURA_FIGURES_BINARY` names, to compare two builds or to look into one with symbols.
pub fn build() -> Result<PathBuf, Failure> {
    if let Some(binary) = std::env::var_os("PROCURA_FIGURES_BINARY") {
        println!("measuring {}", binary.display());
        return Ok(binary.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    println!("building the release binary (cargo build --release -p procura-server)");
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", "procura-server"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !built.success() {
        return Err(Failure::new("the release binary cannot be built"));
    }
    let own = std::env::current_exe()?;
    // target/release/deps/figures-…
    let folder = own.ancestors().nth(2).ok_or_else(|| Failure::new("no target folder"))?;
    Ok(folder.join("procura"))
}

/// How Procura is started.
pub struct Starter {
    /// The binary.
    pub binary: PathBuf,
    /// Its core.
    pub core: Option<usize>,
}

impl Starter {
    /// Starts it on a data folder, which is filled with the demo if it is new.
    pub fn start(&self, data: &Path, listen: &str) -> Result<Process, Failure> {
        let log = data.with_extension("log");
        let words: [&OsStr; 6] = [
            "dev".as_ref(),
            "--demo".as_ref(),
            "--data".as_ref(),
            data.as_os_str(),
            "--listen".as_ref(),
            listen.as_ref(),
        ];
        Process::start(&Program {
            file: self.binary.as_os_str(),
            arguments: &words,
            core: self.core,
            log: &log,
            input: "",
        })
    }

    /// How long it takes to become ready: each of some new folders, then each of them again.
    pub fn time(&self, scratch: &Scratch, times: usize) -> Result<[Vec<Duration>; 2], Failure> {
        let mut all = [Vec::new(), Vec::new()];
        for starts in &mut all {
            for number in 0..times {
                let data = scratch.join(&format!("start-{number}"));
                let mut process = self.start(&data, "127.0.0.1:0")?;
                starts.push(process.ready_after);
                process.end()?;
            }
            starts.sort_unstable();
        }
        Ok(all)
    }
}

/// The server under load. Its name never changes, so that tokens outlive a restart.
pub struct World {
    starter: Starter,
    /// Its data folder.
    pub data: PathBuf,
    listen: String,
    process: Process,
}

impl World {
    /// Starts it on a new folder.
    pub fn start(starter: Starter, data: PathBuf) -> Result<Self, Failure> {
        let listen = lasting_address()?;
        let process = starter.start(&data, &listen)?;
        Ok(Self { starter, data, listen, process })
    }

    /// Ends it and starts it again: it has verified no token yet.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.process.end()?;
        self.process = self.starter.start(&self.data, &self.listen)?;
        Ok(())
    }

    /// Who is measured.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { address: self.process.address, pid: self.process.id() }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Resident memory now, in MB.
    pub fn memory(&self) -> Result<f64, Failure> {
        Ok(megabytes(machine::memory(self.process.id())?.0))
    }

    /// The most resident memory since the last start, in MB.
    pub fn peak(&self) -> Result<f64, Failure> {
        Ok(megabytes(machine::memory(self.process.id())?.1))
    }
}

/// The floor, which is this same binary.
pub fn start_floor(
    scratch: &Scratch,
    cores: Option<Cores>,
    setup: &str,
) -> Result<Process, Failure> {
    let own = std::env::current_exe()?;
    Process::start(&Program {
        file: own.as_os_str(),
        arguments: &["floor".as_ref()],
        core: cores.map(|cores| cores.server),
        log: &scratch.join("floor.log"),
        input: &format!("{setup}\n"),
    })
}

/// A free port below those that the system hands out, so that nobody takes it during a restart.
fn lasting_address() -> Result<String, Failure> {
    let first = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap_or_default();
    let mut candidates = (first..first + 100).map(|port| format!("127.0.0.1:{port}"));
    let free = candidates.find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| Failure::new("no free port"))
}

fn megabytes(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) * 1024.0 / 1e6
}
