//! The figures of Procura, measured in one run: `cargo bench -p procura-tests --bench figures`.
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

mod floor;
mod http;
mod load;
mod machine;
mod people;
mod process;
mod refusal;
mod report;
mod world;

use std::{fmt, process::ExitCode, sync::Arc, time::Duration};

use procura_token::{AccessClaims, Jwks, Ts};

use crate::{
    http::{Connection, request},
    load::{Outcome, Requests, Target, closed, median, open},
    machine::Cores,
    people::{Demo, access_token, home_tokens},
    refusal::Stage,
    report::{Figures, Round},
    world::{Scratch, Starter, World, start_floor},
};

/// As many connections the load has.
pub const CONNECTIONS: usize = 64;
/// As many different subject tokens are wanted: more than the server keeps verified.
const TOKENS: usize = 16_500;
/// Longer than this nobody waits for them.
const TOKENS_WITHIN: Duration = Duration::from_mins(1);
/// Floor, cold and warm come in turns, so that a machine that drifts drifts for all of them.
const ROUNDS: usize = 3;
/// A run that does not end by itself.
const RUN: Duration = Duration::from_secs(2);
/// Connections, pages and allocator are warm after this.
const WARM_UP: Duration = Duration::from_millis(400);
/// Switched off and on so many times.
const SWITCHES: usize = 200;
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
        measure()
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

fn measure() -> Result<(), Failure> {
    let binary = world::build()?;
    let binary_bytes = std::fs::metadata(&binary)?.len();
    let cores = Cores::part();
    report::head(cores);
    let scratch = Scratch::new()?;
    let core = cores.map(|cores| cores.server);
    let starter = Starter { binary, core };
    let starts = starter.time(&scratch, STARTS)?;
    let world = World::start(starter, scratch.join("procura"))?;
    // One thread: the generator has one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = runtime.block_on(under_load(world, &scratch, cores))?;
    figures.starts = starts;
    figures.binary_bytes = binary_bytes;
    report::print(&figures)
}

async fn under_load(
    mut world: World,
    scratch: &Scratch,
    cores: Option<Cores>,
) -> Result<Figures, Failure> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut figures = Figures { idle: world.memory()?, ..Figures::default() };
    let demo = Demo::read(&world.data)?;
    let tokens = home_tokens(world.address(), &demo, (TOKENS, TOKENS_WITHIN)).await?;
    figures.tokens = tokens.len();
    figures.peak_of_logins = world.peak()?;
    let requests = |tokens: &[String]| {
        tokens.iter().map(|token| demo.exchange(token)).collect::<Result<Vec<_>, _>>().map(Arc::new)
    };
    // The first one stays apart: it is the one that is used again and again.
    let (warm, cold) = tokens.split_at(1);
    let (warm, cold) = (requests(warm)?, requests(cold)?);
    let (often, once) = (Requests::again_and_again(warm), Requests::once(Arc::clone(&cold)));
    let setup = floor_setup(&world, &demo, &tokens).await?;
    let floor = start_floor(scratch, cores, &setup)?;
    let floor = (floor.target(), floor);

    let all = Requests::again_and_again(cold);
    closed(floor.0, &all, WARM_UP).await?;
    for number in 1..=ROUNDS {
        let bottom = closed(floor.0, &all, RUN).await?;
        world.restart()?;
        closed(world.target(), &often, WARM_UP).await?;
        let cold = closed(world.target(), &once, RUN * 5).await?;
        let warm = closed(world.target(), &often, RUN).await?;
        report::progress(number, [&bottom, &cold, &warm]);
        figures.peak = figures.peak.max(world.peak()?);
        figures.rounds.push(Round { floor: bottom, cold, warm });
    }
    drop(floor);

    let half = |rate: fn(&Round) -> &Outcome| {
        median(figures.rounds.iter().map(|round| rate(round).rate()).collect()) / 2.0
    };
    let (cold_pace, warm_pace) = (half(|round| &round.cold), half(|round| &round.warm));
    figures.half_warm = open(world.target(), &often, (RUN, warm_pace)).await?;
    world.restart()?;
    closed(world.target(), &often, WARM_UP).await?;
    figures.half_cold = open(world.target(), &once, (RUN, cold_pace)).await?;

    let subject = tokens.first().ok_or_else(|| Failure::new("no token"))?;
    let mut stage = Stage::set(world.address(), &demo, subject).await?;
    figures.refusals = stage.play(SWITCHES, "").await?;
    figures.confirmed = stage.play(SWITCHES, "?confirm=applied").await?;
    Ok(figures)
}

/// What the floor must know: the real keys, and the claims of a real answer.
async fn floor_setup(world: &World, demo: &Demo, tokens: &[String]) -> Result<String, Failure> {
    let wrong = |error: serde_json::Error| Failure::new(&error.to_string());
    let mut connection = Connection::open(world.address()).await?;
    let jwks = connection.ask(&request("GET /oauth2/jwks", &[], "")).await?.expect(200)?;
    let jwks: Jwks = serde_json::from_value(jwks.json()?).map_err(wrong)?;
    let last = tokens.last().ok_or_else(|| Failure::new("no token"))?;
    let answer = connection.ask(&demo.exchange(last)?).await?.expect(200)?.json()?;
    let claims = people::claims(&access_token(&answer)?)?;
    let claims: AccessClaims = serde_json::from_slice(&claims).map_err(wrong)?;
    let now = Ts::from_secs(claims.iat);
    let setup = floor::Setup { issuer: demo.issuer.clone(), jwks, claims, now };
    serde_json::to_string(&setup).map_err(wrong)
}

impl process::Process {
    /// Who is measured.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { address: self.address, pid: self.id() }
    }
}
