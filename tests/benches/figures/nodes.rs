//! P3: the same exchanges on Postgres and Redis, with one node and with two.
//!
//! Postgres and Redis run on the load generator's core, as if they were another machine. Where two
//! nodes are compared with one, everything shares both cores: more than two cores' work cannot come out.

use std::time::Duration;

use procura_tests::{Postgres, Redis};

use crate::{
    Failure,
    contender::Contender,
    exchange::{Round, by},
    load::{Outcome, median},
    machine::family_cpu_time,
    report::{Report, progress},
    world::{Settings, Site},
};

/// As many different subject tokens are wanted.
const TOKENS: usize = 6_000;
/// One node and two nodes come in turns, so many times.
const ROUNDS: usize = 3;

/// A deployment with one node, to which others can be added.
pub struct Cluster {
    // Goes first: a node that loses its database says so for seconds.
    node: Contender,
    postgres: Postgres,
    _redis: Redis,
    /// What Postgres used for one exchange in each cold run, in microseconds.
    postgres_micros: Vec<f64>,
}

/// A Postgres, a Redis, and what a node has to know of them.
#[must_use]
pub fn backends() -> (Postgres, Redis, Vec<(&'static str, String)>) {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let environment =
        vec![("PROCURA__DATABASE__URL", postgres.database()), ("PROCURA__REDIS__URL", redis.url())];
    (postgres, redis, environment)
}

impl Cluster {
    /// Starts everything, with one node on the servers' core.
    pub async fn start(site: &Site) -> Result<Self, Failure> {
        let (postgres, redis, environment) = backends();
        let settings = Settings { environment, cores: site.one_core(), is_joining: false };
        let node = Contender::start(site, "postgres", settings, TOKENS).await?;
        println!("{} of them on Postgres", node.tokens.len());
        Ok(Self { node, postgres, _redis: redis, postgres_micros: Vec::new() })
    }

    /// One round of the one node.
    pub async fn cold_and_warm(&mut self) -> Result<[Outcome; 2], Failure> {
        let before = family_cpu_time(self.postgres.pid())?;
        let both = self.node.cold_and_warm().await?;
        let used = family_cpu_time(self.postgres.pid())?.saturating_sub(before);
        let answered = both.iter().map(|outcome| outcome.answered).sum();
        self.postgres_micros.push(micros(used, answered));
        Ok(both)
    }

    /// Reports the one node, and measures two beside it.
    pub async fn measure_nodes(
        mut self,
        rounds: &[Round],
        site: &Site,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let ratio = |of: fn(&Round, &[Outcome; 2]) -> f64| {
            by(rounds, &|round| round.postgres.as_ref().map(|both| of(round, both)))
        };
        let cold = ratio(|round, both| both[0].rate() / round.cold.rate());
        let warm = ratio(|round, both| both[1].rate() / round.warm.rate());
        report.at_least("P3", "on Postgres + Redis ÷ on SQLite, one node, cold", cold, 0.8);
        report.at_least("", "  warm", warm, 0.8);
        let used = format!("{:.0} µs", median(self.postgres_micros.clone()));
        report.shown("", "  CPU of Postgres for one exchange, on the other core", &used);

        self.node.world.settings.cores = site.both_cores();
        self.node.world.restart()?;
        let mut second = self.node.world.join(site, "second")?;
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for number in 1..=ROUNDS {
            alone.push(self.node.cold_and_warm().await?);
            self.node.world.restart()?;
            second.restart()?;
            let targets = [self.node.world.target(), second.target()];
            together.push(self.node.against(&targets).await?);
            if let (Some([cold, _]), Some([cold_of_two, _])) = (alone.last(), together.last()) {
                let shown = [("one, cold", cold), ("two, cold", cold_of_two)];
                progress(&format!("nodes, round {number}"), &shown);
            }
        }
        report_nodes(&alone, &together, report);
        second.end()
    }
}

fn report_nodes(alone: &[[Outcome; 2]], together: &[[Outcome; 2]], report: &mut Report) {
    for (ix, name) in ["cold", "warm"].into_iter().enumerate() {
        let of = |rounds: &[[Outcome; 2]]| {
            median(rounds.iter().map(|both| both[ix].rate()).collect::<Vec<_>>())
        };
        for (nodes, rounds) in [("one node", alone), ("two nodes", together)] {
            let outcomes: Vec<&Outcome> = rounds.iter().map(|both| &both[ix]).collect();
            report.load(&format!("{nodes}, all on two cores, {name}"), &outcomes);
        }
        let ratio = format!("{:.2}", of(together) / of(alone));
        report.shown("", &format!("  two nodes ÷ one, all on two cores, {name}"), &ratio);
    }
}

/// CPU time for one answer, in microseconds.
#[must_use]
pub fn micros(used: Duration, answered: usize) -> f64 {
    let answered = u32::try_from(answered).unwrap_or(u32::MAX).max(1);
    used.as_secs_f64() * 1e6 / f64::from(answered)
}
