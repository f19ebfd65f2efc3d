//! The table.

use std::time::Duration;

use crate::{
    CONNECTIONS, Failure,
    load::{Outcome, median, quantile},
    machine::{self, Cores},
    refusal::Refusals,
};

/// Floor, cold and warm, one after the other.
pub struct Round {
    /// HTTP, verify, sign.
    pub floor: Outcome,
    /// Each subject token once.
    pub cold: Outcome,
    /// One subject token again and again.
    pub warm: Outcome,
}

/// Everything that was measured.
#[derive(Default)]
pub struct Figures {
    /// Start to ready: new folders, existing folders; ascending.
    pub starts: [Vec<Duration>; 2],
    /// Size of the binary.
    pub binary_bytes: u64,
    /// Resident memory of an idle server in MB.
    pub idle: f64,
    /// At most, while exchanges are all there is and the cache of verified tokens is full.
    pub peak: f64,
    /// At most, while as many people logged in at once as there are connections.
    pub peak_of_logins: f64,
    /// Different subject tokens.
    pub tokens: usize,
    /// The load in turns.
    pub rounds: Vec<Round>,
    /// At half of full load, subject tokens once each.
    pub half_cold: Outcome,
    /// At half of full load, one subject token.
    pub half_warm: Outcome,
    /// Switched off.
    pub refusals: Refusals,
    /// Switched off with `confirm=applied`.
    pub confirmed: Refusals,
}

/// How the run was set up.
pub fn head(cores: Option<Cores>) {
    println!("{}", machine::describe());
    match cores {
        Some(Cores { server, generator }) => println!(
            "loopback, {CONNECTIONS} connections, servers on core {server}, generator on core {generator}"
        ),
        None => println!(
            "loopback, {CONNECTIONS} connections; NOT pinned (no taskset or only one core): servers \
             and generator share what there is"
        ),
    }
}

/// One line while it runs.
pub fn progress(number: usize, [floor, cold, warm]: [&Outcome; 3]) {
    println!(
        "round {number}: floor {:.0}/s {:.0} µs, cold {:.0}/s {:.0} µs, warm {:.0}/s {:.0} µs",
        floor.rate(),
        floor.cpu_micros(),
        cold.rate(),
        cold.cpu_micros(),
        warm.rate(),
        warm.cpu_micros(),
    );
}

/// Prints everything. Fails only if an answer was wrong.
pub fn print(figures: &Figures) -> Result<(), Failure> {
    let rounds = &figures.rounds;
    println!("\nmedians of {} rounds; {} different subject tokens", rounds.len(), figures.tokens);
    println!(
        "{:<26}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}",
        "load", "per s", "CPU µs", "p50 ms", "p99 ms", "server", "load gen", "errors"
    );
    loads("floor", &all(rounds, |round| &round.floor));
    loads("exchange, cold", &all(rounds, |round| &round.cold));
    loads("exchange, warm", &all(rounds, |round| &round.warm));
    loads("exchange, cold, half load", &[&figures.half_cold]);
    loads("exchange, warm, half load", &[&figures.half_warm]);

    println!("\n{:<6}{:<46}{:>11}{:>11}{:>10}", "", "figure", "measured", "goal", "ratio");
    ratios(rounds);
    times(figures);
    sizes(figures);
    let wrong: usize = rounds
        .iter()
        .flat_map(|round| [&round.floor, &round.cold, &round.warm])
        .chain([&figures.half_cold, &figures.half_warm])
        .map(|outcome| outcome.errors)
        .sum();
    if wrong > 0 {
        return Err(Failure::new(&format!("{wrong} answers were not 200")));
    }
    Ok(())
}

fn all(rounds: &[Round], which: fn(&Round) -> &Outcome) -> Vec<&Outcome> {
    rounds.iter().map(which).collect()
}

fn loads(name: &str, outcomes: &[&Outcome]) {
    let middle = |of: &dyn Fn(&Outcome) -> f64| median(outcomes.iter().map(|o| of(o)).collect());
    println!(
        "{name:<26}{:>9.0}{:>9.1}{:>9.2}{:>9.2}{:>8.0}%{:>8.0}%{:>8}",
        middle(&Outcome::rate),
        middle(&Outcome::cpu_micros),
        middle(&|o| millis(o.quantile(0.5))),
        middle(&|o| millis(o.quantile(0.99))),
        100.0 * middle(&Outcome::server_share),
        100.0 * middle(&Outcome::generator_share),
        outcomes.iter().map(|outcome| outcome.errors).sum::<usize>(),
    );
}

fn ratios(rounds: &[Round]) {
    let by = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let cold = by(&|r| r.cold.rate() / r.floor.rate());
    let warm = by(&|r| r.warm.rate() / r.floor.rate());
    at_least("P1", "exchange ÷ floor, cold, by rate", cold, 0.8);
    at_least("", "  (goal of the first landing)", cold, 0.5);
    at_least("", "  by CPU", by(&|r| r.floor.cpu_micros() / r.cold.cpu_micros()), 0.8);
    at_least("P2", "exchange ÷ floor, warm, by rate", warm, 1.7);
    at_least("", "  (goal of the first landing)", warm, 1.0);
    at_least("", "  by CPU", by(&|r| r.floor.cpu_micros() / r.warm.cpu_micros()), 1.7);
}

fn times(figures: &Figures) {
    let refusals = &figures.refusals;
    let of = |durations: &[Duration], part| millis(quantile(durations, part));
    at_most("P6", "switch off → refused, p99", of(&refusals.from_sending, 0.99), (5.0, "ms"));
    at_most("", "  (goal of the first landing)", of(&refusals.from_sending, 0.99), (50.0, "ms"));
    let sets = [
        ("from sending the switch", &refusals.from_sending),
        ("from its answer", &refusals.from_answer),
        ("the answer itself", &refusals.answer),
        ("confirm=applied, from sending", &figures.confirmed.from_sending),
        ("confirm=applied, from its answer", &figures.confirmed.from_answer),
        ("confirm=applied, the answer itself", &figures.confirmed.answer),
    ];
    for (name, durations) in sets {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| of(durations, part));
        println!("{:<8}{name:<40}p50 {p50:.2}  p99 {p99:.2}  max {max:.2} ms", "");
    }
    let [new, existing] = &figures.starts;
    let seconds = |durations| quantile(durations, 0.5).as_secs_f64();
    at_most("P8", "start to ready, new folder", seconds(new), (0.3, "s"));
    at_most("", "start to ready, existing folder", seconds(existing), (0.3, "s"));
    let p99 = |outcome: &Outcome| millis(outcome.quantile(0.99));
    at_most("P9", "p99 of an exchange at half load, cold", p99(&figures.half_cold), (10.0, "ms"));
    at_most("", "p99 of an exchange at half load, warm", p99(&figures.half_warm), (10.0, "ms"));
}

fn sizes(figures: &Figures) {
    at_most("P8", "resident memory, idle", figures.idle, (30.0, "MB"));
    at_most("", "resident memory, exchanges at full load", figures.peak, (80.0, "MB"));
    at_most("", "resident memory, many logins at once", figures.peak_of_logins, (80.0, "MB"));
    let bytes = u32::try_from(figures.binary_bytes).unwrap_or(u32::MAX);
    at_most("", "release binary", f64::from(bytes) / 1e6, (15.0, "MB"));
}

fn at_least(number: &str, figure: &str, measured: f64, goal: f64) {
    line(number, figure, [&format!("{measured:.2}"), &format!("≥ {goal}")], measured / goal);
}

fn at_most(number: &str, figure: &str, measured: f64, (goal, unit): (f64, &str)) {
    let shown = [&format!("{measured:.2} {unit}"), &format!("≤ {goal} {unit}")];
    line(number, figure, [shown[0], shown[1]], measured / goal);
}

/// The ratio is measured ÷ goal.
fn line(number: &str, figure: &str, [measured, goal]: [&str; 2], ratio: f64) {
    println!("{number:<6}{figure:<46}{measured:>11}{goal:>11}{ratio:>10.2}");
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
