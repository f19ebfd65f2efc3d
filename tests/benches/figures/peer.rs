//! P5: npm's `oidc-provider` in the same run: the same requests with the same subject tokens, on the
//! same core. Its exchange grant is `tests/benches/peer/server.mjs`. It is fetched by `npm ci` from its
//! lock file; where that cannot be done nothing is measured, and the report says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use procura_token::Jwks;
use serde_json::json;

use crate::{
    Failure, WARM_UP,
    contender::{Contender, RUN},
    exchange::{Round, by},
    http::{Connection, FORM, form, request},
    load::{Outcome, Requests, closed},
    process::{Process, Program},
    report::Report,
    world::Site,
};

/// What its folder has to hold.
const FILES: &[&str] = &["package.json", "package-lock.json", "server.mjs"];

/// The other server, running.
pub struct Peer {
    process: Process,
    machine: Requests,
}

impl Peer {
    /// Installs and starts it; `None`, with the reason in the report, where that cannot be done.
    pub async fn start(
        site: &Site,
        ours: &Contender,
        jwks: &Jwks,
        report: &mut Report,
    ) -> Result<Option<Self>, Failure> {
        let demo = &ours.demo;
        let folder = match install() {
            Ok(folder) => folder,
            Err(failure) => {
                report.not_measured("P5", &failure.to_string());
                return Ok(None);
            }
        };
        let portal = demo.client("portal")?;
        let setup = json!({
            "issuer": demo.issuer,
            "jwks": jwks,
            "client_id": portal.client_id,
            "client_secret": portal.client_secret,
            "audience": demo.client("isp")?.audience,
            "partner": demo.tenant("northwind")?,
            "customer": demo.tenant("acme-corp")?,
        });
        let process = Process::start(&Program {
            file: "node".as_ref(),
            arguments: &[folder.join("server.mjs").as_os_str()],
            environment: &[],
            cores: site.one_core().as_deref(),
            log: &site.scratch.join("peer.log"),
            input: &format!("{setup}\n"),
        })?;
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("scope", "partner.billing.read partner.reports.read"),
        ]);
        let basic = demo.basic("portal")?;
        let machine = request("POST /oauth2/token", &[FORM, ("Authorization", &basic)], &body);
        let machine = Requests::again_and_again(Arc::new(vec![machine]));
        let peer = Self { process, machine };
        peer.check(ours).await?;
        Ok(Some(peer))
    }

    /// It takes what ours takes, and refuses a broken token and a stranger's tenant.
    async fn check(&self, ours: &Contender) -> Result<(), Failure> {
        let (demo, home) = (&ours.demo, ours.tokens.first());
        let home = home.ok_or_else(|| Failure::new("no token"))?;
        let mut connection = Connection::open(self.process.address).await?;
        connection.ask(&demo.exchange(home)?).await?.expect(200)?;
        connection.ask(&demo.exchange(&home.replacen('.', "..", 1))?).await?.expect(400)?;
        let stranger = demo.exchange_into(demo.tenant("umbrella")?, home)?;
        connection.ask(&stranger).await?.expect(400)?;
        Ok(())
    }

    /// Client credentials, then these exchanges.
    pub async fn load(&self, exchanges: &Requests) -> Result<[Outcome; 2], Failure> {
        let target = [self.process.target()];
        closed(&target, &self.machine, WARM_UP).await?;
        let machine = closed(&target, &self.machine, RUN).await?;
        closed(&target, exchanges, WARM_UP).await?;
        let exchange = closed(&target, exchanges, RUN).await?;
        Ok([machine, exchange])
    }
}

/// Copies its files below the target folder, and has npm fetch what its lock file names, unless that
/// was done before.
fn install() -> Result<PathBuf, Failure> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peer");
    fs::create_dir_all(&folder)?;
    let lock = fs::read(from.join("package-lock.json"))?;
    let is_there = fs::read(folder.join("installed")).is_ok_and(|known| known == lock);
    for file in FILES {
        fs::copy(from.join(file), folder.join(file))?;
    }
    if is_there {
        return Ok(folder);
    }
    println!("fetching oidc-provider (npm ci)");
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output();
    let npm = npm.map_err(|_| Failure::new("npm is not here"))?;
    if !npm.status.success() {
        return Err(Failure::new("npm cannot fetch oidc-provider"));
    }
    // Written last: an installation that broke off is done again.
    fs::write(folder.join("installed"), lock)?;
    Ok(folder)
}

/// The ratios, where it ran.
pub fn report(rounds: &[Round], report: &mut Report) {
    if rounds.iter().all(|round| round.peer.is_none()) {
        return;
    }
    let ratio = |of: fn(&Round, &[Outcome; 2]) -> f64| {
        by(rounds, &|round| round.peer.as_ref().map(|both| of(round, both)))
    };
    let cold = ratio(|round, both| round.cold.rate() / both[1].rate());
    let warm = ratio(|round, both| round.warm.rate() / both[1].rate());
    report.at_least("P5", "exchange ÷ oidc-provider's, in memory, cold", cold, 4.0);
    report.at_least("", "  warm", warm, 8.0);
    let machine = ratio(|round, both| round.cold.rate() / both[0].rate());
    report.shown("", "  cold ÷ its client credentials", &format!("{machine:.2}"));
}
