//! P4: what an exchange costs among a million relationships, ÷ what it costs among a thousand. The same
//! person enters a thousand customers, again and again; in the large world they lie among 250,000.

use std::time::{Duration, Instant};

use procura_tests::Postgres;
use procura_token::{AccessClaims, Ts};

use crate::{
    CONNECTIONS, Failure,
    contender::RUN,
    crowd::{Crowd, Size},
    fill,
    load::{Outcome, Requests, closed, median},
    machine::family_cpu_time,
    nodes::{backends, micros},
    people::{Demo, PARTNER, Person, claims},
    report::{Report, progress},
    world::{Settings, Site, World},
};

/// Small and large come in turns, so many times.
const ROUNDS: usize = 3;

/// Measures and reports both databases.
pub async fn measure(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let settings = Settings { cores: site.one_core(), ..Settings::default() };
    let small = Grown::start(site, ("small", settings.clone()), Size::THOUSAND).await?;
    let large = Grown::start(site, ("large", settings), Size::MILLION).await?;
    let rounds = turns(&small, &large, None).await?;
    let ratio = median(rounds.iter().map(Round::ratio).collect());
    report.at_most("P4", "CPU at 1 M relationships ÷ at 1 k, SQLite", ratio, (1.2, ""));
    loads(&rounds, "SQLite", report);
    drop((small, large));

    let (postgres, _redis, environment) = backends();
    let mut settings = Settings { environment, cores: site.one_core(), is_joining: false };
    let small = Grown::start(site, ("small-postgres", settings.clone()), Size::THOUSAND).await?;
    settings.environment.retain(|(name, _)| *name != DATABASE);
    settings.environment.push((DATABASE, postgres.database()));
    let large = Grown::start(site, ("large-postgres", settings), Size::MILLION).await?;
    let rounds = turns(&small, &large, Some(&postgres)).await?;
    let ratio = median(rounds.iter().map(Round::ratio).collect());
    report.at_most("", "  on Postgres, the node's CPU", ratio, (1.2, ""));
    let ratio = median(rounds.iter().map(Round::ratio_of_all).collect());
    report.at_most("", "  on Postgres, the node's and Postgres's CPU", ratio, (1.2, ""));
    loads(&rounds, "Postgres", report);
    drop((small, large));
    Ok(())
}

const DATABASE: &str = "PROCURA__DATABASE__URL";

/// A server in a world of some size, and an exchange into each customer of northwind's.
struct Grown {
    world: World,
    requests: Requests,
}

impl Grown {
    /// Starts a server, has somebody log in, fills the database while the server is down, and enters
    /// every customer once.
    async fn start(
        site: &Site,
        (name, settings): (&str, Settings),
        size: Size,
    ) -> Result<Self, Failure> {
        let mut world = World::start(site, name, settings)?;
        let demo = Demo::read(&world.data)?;
        // Logged in before: the token is as long as anywhere else.
        let (_, home) = Person::log_in(world.address(), &demo, PARTNER).await?;
        let wrong = |error: serde_json::Error| Failure::new(&error.to_string());
        let claims: AccessClaims = serde_json::from_slice(&claims(&home)?).map_err(wrong)?;
        world.end()?;
        let crowd = Crowd { size, northwind: claims.tenant, now: Ts::from_secs(claims.iat) };
        let begun = Instant::now();
        let url = world.settings.environment.iter().find(|(name, _)| *name == DATABASE);
        match url {
            // The role of the superuser, who is trusted on the socket like any other.
            Some((_, url)) => {
                fill::postgres(&url.replace("//procura@", "//postgres@"), crowd).await?;
            }
            None => fill::sqlite(&world.data.join("procura.db"), crowd).await?,
        }
        println!(
            "{name}: {} relationships in {:.1} s",
            size.edges(),
            begun.elapsed().as_secs_f64()
        );
        world.start_again()?;
        let requests =
            crowd.of_northwind().map(|customer| demo.exchange_into(&customer.to_string(), &home));
        let requests = std::sync::Arc::new(requests.collect::<Result<Vec<_>, _>>()?);
        let wanted = requests.len();
        let each = Requests::once(std::sync::Arc::clone(&requests));
        let first = closed(&[world.target()], &each, RUN * 5).await?;
        if first.answered != wanted || wanted < CONNECTIONS {
            let entered = first.answered;
            return Err(Failure::new(&format!(
                "only {entered} of {wanted} customers were entered"
            )));
        }
        Ok(Self { world, requests: Requests::again_and_again(requests) })
    }
}

/// Small and large, one after the other; and what Postgres used for one exchange in each.
struct Round {
    small: (Outcome, f64),
    large: (Outcome, f64),
}

impl Round {
    fn ratio(&self) -> f64 {
        self.large.0.cpu_micros() / self.small.0.cpu_micros()
    }

    fn ratio_of_all(&self) -> f64 {
        let all = |(outcome, postgres): &(Outcome, f64)| outcome.cpu_micros() + postgres;
        all(&self.large) / all(&self.small)
    }
}

async fn turns(
    small: &Grown,
    large: &Grown,
    postgres: Option<&Postgres>,
) -> Result<Vec<Round>, Failure> {
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round =
            Round { small: load(small, postgres).await?, large: load(large, postgres).await? };
        let shown = [("1 k", &round.small.0), ("1 M", &round.large.0)];
        progress(&format!("growth, round {number}"), &shown);
        rounds.push(round);
    }
    Ok(rounds)
}

async fn load(grown: &Grown, postgres: Option<&Postgres>) -> Result<(Outcome, f64), Failure> {
    let used = || postgres.map_or(Ok(Duration::ZERO), |postgres| family_cpu_time(postgres.pid()));
    let before = used()?;
    let outcome = closed(&[grown.world.target()], &grown.requests, RUN).await?;
    let micros = micros(used()?.saturating_sub(before), outcome.answered);
    Ok((outcome, micros))
}

fn loads(rounds: &[Round], database: &str, report: &mut Report) {
    let small: Vec<&Outcome> = rounds.iter().map(|round| &round.small.0).collect();
    let large: Vec<&Outcome> = rounds.iter().map(|round| &round.large.0).collect();
    report.load(&format!("{database}, 1 k relationships"), &small);
    report.load(&format!("{database}, 1 M relationships"), &large);
}
