//! P1, P2, P9, and what P3 and P5 compare with: all that exchanges tokens, in turns, so that a machine
//! that drifts drifts for all of them.

use procura_token::{AccessClaims, Jwks, Ts};

use crate::{
    Failure, WARM_UP,
    contender::{Contender, RUN},
    floor,
    http::{Connection, request},
    load::{Outcome, closed, median, open},
    nodes::Cluster,
    parts::{Part, Parts},
    peer::Peer,
    people::{Demo, access_token, claims},
    process::Process,
    report::{Report, millis, progress},
    world::{Settings, Site, start_floor},
};

/// As many different subject tokens are wanted: more than the server keeps verified.
const TOKENS: usize = 9_000;
/// Floor, cold and warm come in turns, so many times.
const ROUNDS: usize = 3;

/// Who takes part besides the embedded server and the floor.
struct Others {
    cluster: Option<Cluster>,
    peer: Option<Peer>,
}

/// One after the other.
pub struct Round {
    /// HTTP, verify, sign.
    pub floor: Outcome,
    /// Each subject token once.
    pub cold: Outcome,
    /// One subject token again and again.
    pub warm: Outcome,
    /// The same two on Postgres and Redis.
    pub postgres: Option<[Outcome; 2]>,
    /// Another server: client credentials, exchanges.
    pub peer: Option<[Outcome; 2]>,
}

/// Measures and reports whatever is asked for.
pub async fn measure(site: &Site, parts: &Parts, report: &mut Report) -> Result<(), Failure> {
    let settings = Settings { cores: site.one_core(), ..Settings::default() };
    let mut sqlite = Contender::start(site, "sqlite", settings, TOKENS).await?;
    println!("{} different subject tokens", sqlite.tokens.len());
    let peak_of_logins = sqlite.world.peak()?;
    let setup = setup(sqlite.world.address(), &sqlite.demo, &sqlite.tokens).await?;
    let floor = start_floor(site, &json(&setup)?)?;
    let mut others = Others { cluster: None, peer: None };
    if parts.has(Part::Postgres) {
        others.cluster = Some(Cluster::start(site).await?);
    }
    if parts.has(Part::Peer) {
        others.peer = Peer::start(site, &sqlite, &setup.jwks, report).await?;
    }
    closed(&[floor.target()], &sqlite.all, WARM_UP).await?;
    let (mut rounds, mut peak) = (Vec::new(), 0.0_f64);
    for number in 1..=ROUNDS {
        rounds.push(round(&mut sqlite, &floor, &mut others, number).await?);
        peak = peak.max(sqlite.world.peak()?);
    }
    drop((floor, others.peer));
    loads(&rounds, report);
    if parts.has(Part::Exchange) {
        ratios(&rounds, report);
        half_load(&mut sqlite, &rounds, report).await?;
    }
    if parts.has(Part::Process) {
        report.at_most("P8", "resident memory, idle", sqlite.idle_memory, (30.0, "MB"));
        report.at_most("", "resident memory, exchanges at full load", peak, (80.0, "MB"));
        report.at_most("", "resident memory, many logins at once", peak_of_logins, (80.0, "MB"));
    }
    drop(sqlite);
    crate::peer::report(&rounds, report);
    match others.cluster {
        Some(cluster) => cluster.measure_nodes(&rounds, site, report).await,
        None => Ok(()),
    }
}

async fn round(
    sqlite: &mut Contender,
    floor: &Process,
    others: &mut Others,
    number: usize,
) -> Result<Round, Failure> {
    let bottom = closed(&[floor.target()], &sqlite.all, RUN).await?;
    let [cold, warm] = sqlite.cold_and_warm().await?;
    let mut shown = vec![("floor", &bottom), ("cold", &cold), ("warm", &warm)];
    let postgres = match &mut others.cluster {
        Some(cluster) => Some(cluster.cold_and_warm().await?),
        None => None,
    };
    if let Some([cold, warm]) = &postgres {
        shown.extend([("Postgres cold", cold), ("Postgres warm", warm)]);
    }
    let peer = match &others.peer {
        Some(peer) => Some(peer.load(&sqlite.all).await?),
        None => None,
    };
    if let Some([machine, exchange]) = &peer {
        shown.extend([("peer credentials", machine), ("peer exchange", exchange)]);
    }
    progress(&format!("round {number}"), &shown);
    Ok(Round { floor: bottom, cold, warm, postgres, peer })
}

/// The middle of what each round says.
pub fn by(rounds: &[Round], of: &dyn Fn(&Round) -> Option<f64>) -> f64 {
    median(rounds.iter().filter_map(of).collect())
}

fn loads(rounds: &[Round], report: &mut Report) {
    type Which = for<'a> fn(&'a Round) -> Option<&'a Outcome>;
    let all: [(&str, Which); 7] = [
        ("floor", |r| Some(&r.floor)),
        ("exchange, cold", |r| Some(&r.cold)),
        ("exchange, warm", |r| Some(&r.warm)),
        ("on Postgres + Redis, cold", |r| r.postgres.as_ref().map(|both| &both[0])),
        ("on Postgres + Redis, warm", |r| r.postgres.as_ref().map(|both| &both[1])),
        ("oidc-provider, credentials", |r| r.peer.as_ref().map(|both| &both[0])),
        ("oidc-provider, exchange", |r| r.peer.as_ref().map(|both| &both[1])),
    ];
    for (name, which) in all {
        let outcomes: Vec<&Outcome> = rounds.iter().filter_map(which).collect();
        if !outcomes.is_empty() {
            report.load(name, &outcomes);
        }
    }
}

fn ratios(rounds: &[Round], report: &mut Report) {
    let by = |of: fn(&Round) -> f64| by(rounds, &|round| Some(of(round)));
    let cold = by(|r| r.cold.rate() / r.floor.rate());
    let warm = by(|r| r.warm.rate() / r.floor.rate());
    report.at_least("P1", "exchange ÷ floor, cold, by rate", cold, 0.8);
    report.at_least("", "  (goal of the first landing)", cold, 0.5);
    report.at_least("", "  by CPU", by(|r| r.floor.cpu_micros() / r.cold.cpu_micros()), 0.8);
    report.at_least("P2", "exchange ÷ floor, warm, by rate", warm, 1.7);
    report.at_least("", "  (goal of the first landing)", warm, 1.0);
    report.at_least("", "  by CPU", by(|r| r.floor.cpu_micros() / r.warm.cpu_micros()), 1.7);
}

async fn half_load(
    sqlite: &mut Contender,
    rounds: &[Round],
    report: &mut Report,
) -> Result<(), Failure> {
    let half = |of: fn(&Round) -> f64| by(rounds, &|round| Some(of(round))) / 2.0;
    let (cold_pace, warm_pace) = (half(|r| r.cold.rate()), half(|r| r.warm.rate()));
    let warm = open(&sqlite.targets(), &sqlite.often, (RUN, warm_pace)).await?;
    sqlite.world.restart()?;
    closed(&sqlite.targets(), &sqlite.often, WARM_UP).await?;
    let cold = open(&sqlite.targets(), &sqlite.once, (RUN, cold_pace)).await?;
    for (name, outcome) in [("cold", &cold), ("warm", &warm)] {
        report.load(&format!("exchange, {name}, half load"), &[outcome]);
        let p99 = millis(outcome.quantile(0.99));
        report.at_most("P9", &format!("p99 at half load, {name}"), p99, (10.0, "ms"));
    }
    Ok(())
}

/// What the floor must know: the real keys, and the claims of a real answer.
async fn setup(
    address: std::net::SocketAddr,
    demo: &Demo,
    tokens: &[String],
) -> Result<floor::Setup, Failure> {
    let wrong = |error: serde_json::Error| Failure::new(&error.to_string());
    let mut connection = Connection::open(address).await?;
    let jwks = connection.ask(&request("GET /oauth2/jwks", &[], "")).await?.expect(200)?;
    let jwks: Jwks = serde_json::from_value(jwks.json()?).map_err(wrong)?;
    let last = tokens.last().ok_or_else(|| Failure::new("no token"))?;
    let answer = connection.ask(&demo.exchange(last)?).await?.expect(200)?.json()?;
    let claims = claims(&access_token(&answer)?)?;
    let claims: AccessClaims = serde_json::from_slice(&claims).map_err(wrong)?;
    let now = Ts::from_secs(claims.iat);
    Ok(floor::Setup { issuer: demo.issuer.clone(), jwks, claims, now })
}

fn json(setup: &floor::Setup) -> Result<String, Failure> {
    serde_json::to_string(setup).map_err(|error| Failure::new(&error.to_string()))
}
