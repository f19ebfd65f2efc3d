//! The figures of Procura, measured in one run: `cargo bench -p procura-tests --bench figures`; some of
//! them alone: `… --bench figures -- P3 P6`.
//!
//! Real release processes on loopback, the server on one core, the load on another. What counts are
//! ratios within the run, because absolute figures drift with the machine. Nothing here fails because
//! of a timing; wrong answers do fail it.

#![allow(
    clippy::indexing_slicing,
    clippy::similar_names,
    clippy::struct_field_names,
    reason = "a benchmark that meets what it does not expect has failed"
)]

mod contender;
mod crowd;
mod exchange;
mod fairness;
mod fill;
mod fleet;
mod floor;
mod growth;
mod http;
mod isp;
mod load;
mod machine;
mod nodes;
mod parts;
mod peer;
mod people;
mod process;
mod refusal;
mod report;
mod verifier;
mod world;

use std::{fmt, process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    load::{Target, quantile},
    parts::{Part, Parts},
    report::Report,
    world::Site,
};

/// As many connections the load has.
pub const CONNECTIONS: usize = 64;
/// Connections, pages and allocator are warm after this.
pub const WARM_UP: Duration = Duration::from_millis(400);
/// Started so many times on a new folder, and on one that is there.
const STARTS: usize = 5;

/// Why the benchmark cannot go on.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// With these words.
    #[must_use]
    pub fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = if words.iter().any(|word| word == "floor") {
        floor::run()
    } else if words.iter().any(|word| word == "--bench") {
        measure(&words)
    } else {
        // `cargo test --benches` comes without the flag: only that it starts is tested then.
        println!("figures: run me with `cargo bench -p procura-tests --bench figures`");
        Ok(())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("figures: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &[String]) -> Result<(), Failure> {
    let parts = Parts::chosen(words)?;
    let site = Site::build()?;
    report::head(site.cores);
    let mut report = Report::default();
    // One thread: the generator has one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            () = run(&site, &parts, &mut report) => Ok(()),
            // What was started goes with the future that started it.
            _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted")),
            _ = terminate.recv() => Err(Failure::new("told to end")),
        }
    })?;
    report.print()
}

/// A part that fails does not keep the others from being measured.
async fn run(site: &Site, parts: &Parts, report: &mut Report) {
    let exchanging = [Part::Exchange, Part::Postgres, Part::Peer, Part::Process];
    if parts.has(Part::Process) {
        let done = starts(site, report);
        report.heed("P8", done);
    }
    if exchanging.iter().any(|part| parts.has(*part)) {
        let done = exchange::measure(site, parts, report).await;
        report.heed("exchanges", done);
    }
    if parts.has(Part::Growth) {
        let done = growth::measure(site, report).await;
        report.heed("P4", done);
    }
    if parts.has(Part::Refusal) {
        let done = refusal::measure(site, report).await;
        report.heed("P6", done);
        let done = fleet::measure(site, report).await;
        report.heed("P6 with three nodes", done);
    }
    if parts.has(Part::Fairness) {
        let done = fairness::measure(site, report).await;
        report.heed("P11", done);
    }
    if parts.has(Part::Verifier) {
        let done = verifier::measure(site, report).await;
        report.heed("P7", done);
    }
}

fn starts(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let [new, existing] = site.time_starts(STARTS)?;
    let seconds = |durations: &[Duration]| quantile(durations, 0.5).as_secs_f64();
    report.at_most("P8", "start to ready, new folder", seconds(&new), (0.3, "s"));
    report.at_most("", "start to ready, existing folder", seconds(&existing), (0.3, "s"));
    let bytes = std::fs::metadata(&site.procura)?.len();
    let megabytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6;
    report.at_most("", "release binary", megabytes, (15.0, "MB"));
    Ok(())
}

impl process::Process {
    /// Who is measured.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { address: self.address, pid: self.id() }
    }
}
