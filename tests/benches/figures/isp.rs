//! Resource servers: real processes of the sample, each with a verifier.

use std::{
    ffi::OsStr,
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    Failure,
    http::{Connection, request},
    machine,
    process::{Process, Program},
    world::Site,
};

/// A verifier that is not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(15);
/// Read with the permission that the tokens here have.
const ALLOWED: &str = "GET /api/v1/partner/billing/summary";
/// Behind the verifier, but for another permission: refused without a look into the database, so that
/// it can be asked often.
const PROBE: &str = "GET /api/v1/subscribers";

/// What a resource server makes of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The verifier let it through.
    Accepted,
    /// 401.
    Refused,
}

/// A running resource server.
pub struct Isp {
    process: Process,
    /// Kept open.
    pub connection: Connection,
}

impl Isp {
    /// Starts one for the demo in this data folder, and waits until its verifier judges by itself;
    /// with more arguments that say where revocations come from.
    pub async fn start(
        site: &Site,
        name: &str,
        demo: &Path,
        arguments: &[&str],
        cores: Option<&str>,
    ) -> Result<Self, Failure> {
        let data = site.scratch.join(name);
        let mut words: Vec<&OsStr> = vec!["--listen".as_ref(), "127.0.0.1:0".as_ref()];
        words.extend(["--data".as_ref(), data.as_os_str(), "--demo".as_ref(), demo.as_os_str()]);
        words.extend::<[&OsStr; 2]>(["--name".as_ref(), name.as_ref()]);
        words.extend(arguments.iter().map(AsRef::<OsStr>::as_ref));
        let process = Process::start(&Program {
            file: site.isp.as_os_str(),
            arguments: &words,
            environment: &[],
            cores,
            log: &data.with_extension("log"),
            input: "",
        })?;
        let connection = Connection::open(process.address).await?;
        let mut isp = Self { process, connection };
        isp.ready(arguments.contains(&"redis")).await?;
        Ok(isp)
    }

    async fn ready(&mut self, is_by_copy: bool) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let health = self.connection.ask(&request("GET /health", &[], "")).await?;
            let health = health.expect(200)?.json()?;
            if health["is_verifier_ready"] == true && health["is_copy_followed"] == is_by_copy {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(Failure::new("a verifier does not get ready"))
    }

    /// Resident memory now, in MB.
    pub fn memory(&self) -> Result<f64, Failure> {
        Ok(machine::memory(self.process.id())?.0)
    }

    /// Reads something with a token that may.
    pub async fn read(&mut self, token: &str) -> Result<Verdict, Failure> {
        self.judge(ALLOWED, 200, token).await
    }

    /// Whether a token passes the verifier.
    pub async fn probe(&mut self, token: &str) -> Result<Verdict, Failure> {
        self.judge(PROBE, 403, token).await
    }

    async fn judge(&mut self, line: &str, passed: u16, token: &str) -> Result<Verdict, Failure> {
        let bearer = format!("Bearer {token}");
        let bytes = request(line, &[("Authorization", &bearer)], "");
        match self.connection.status(&bytes).await? {
            401 => Ok(Verdict::Refused),
            status if status == passed => Ok(Verdict::Accepted),
            other => Err(Failure::new(&format!("{line}: {other}"))),
        }
    }
}
