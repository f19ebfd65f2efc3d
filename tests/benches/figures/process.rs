//! The processes that are measured: started for real, ended by their own id.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::Failure;

/// A process that is not ready by then never will be.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// A process that was asked to end has this long.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// A running server.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process to its ready line.
    pub ready_after: Duration,
    /// Kept open: a process must never fail because nobody listens to it.
    _out: BufReader<ChildStdout>,
}

/// What to start.
pub struct Program<'a> {
    /// The binary.
    pub file: &'a OsStr,
    /// Its arguments.
    pub arguments: &'a [&'a OsStr],
    /// Settings on top of this process's own.
    pub environment: &'a [(&'static str, String)],
    /// Its cores, as `taskset` wants them.
    pub cores: Option<&'a str>,
    /// Where its standard error goes.
    pub log: &'a Path,
    /// The first lines of its standard input, which stays open after them.
    pub input: &'a str,
}

impl Process {
    /// Starts it and waits for its line `… ready on http://ADDRESS`.
    pub fn start(program: &Program<'_>) -> Result<Self, Failure> {
        let mut command = match program.cores {
            // `taskset` turns into the program: same process, same id.
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cores]).arg(program.file);
                command
            }
            None => Command::new(program.file),
        };
        command.args(program.arguments);
        command.envs(program.environment.iter().map(|(name, value)| (name, value)));
        let log = File::options().create(true).append(true).open(program.log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let ready = wait_until_ready(&mut child, program.input);
        match ready {
            Ok((address, out)) => {
                Ok(Self { child, address, ready_after: started.elapsed(), _out: out })
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let log = program.log.display();
                Err(Failure::new(&format!("{}: {error} (see {log})", program.file.display())))
            }
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an operator would, and waits until it has gone.
    pub fn end(&mut self) -> Result<(), Failure> {
        Command::new("kill").args(["-TERM", &self.id().to_string()]).status()?;
        let asked = Instant::now();
        while asked.elapsed() < ENDED_WITHIN {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(Failure::new("the server does not end"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Ready = (SocketAddr, BufReader<ChildStdout>);

fn wait_until_ready(child: &mut Child, input: &str) -> Result<Ready, Failure> {
    if let Some(stdin) = &mut child.stdin {
        stdin.write_all(input.as_bytes())?;
        stdin.flush()?;
    }
    let out = child.stdout.take().ok_or_else(|| Failure::new("no standard output"))?;
    let (found, finding) = mpsc::channel();
    thread::spawn(move || {
        let mut out = BufReader::new(out);
        let mut line = String::new();
        while out.read_line(&mut line).is_ok_and(|length| length > 0) {
            let address = line.trim_end().split_once(" ready on http://");
            if let Some((_, address)) = address {
                let _ = found.send((address.parse(), out));
                return;
            }
            line.clear();
        }
    });
    let found = finding.recv_timeout(READY_WITHIN);
    let (address, out) = found.map_err(|_| Failure::new("it did not become ready"))?;
    Ok((address.map_err(|_| Failure::new("no address in the ready line"))?, out))
}
