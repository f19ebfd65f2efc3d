//! The tables: what each load did, and each figure beside its goal.

use std::time::Duration;

use crate::{
    CONNECTIONS, Failure,
    load::{Outcome, median, quantile},
    machine::{self, Cores},
};

/// What was measured so far.
#[derive(Default)]
pub struct Report {
    loads: Vec<String>,
    figures: Vec<String>,
    wrong_answers: usize,
    failures: Vec<String>,
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
pub fn progress(what: &str, outcomes: &[(&str, &Outcome)]) {
    let each = outcomes.iter().map(|(name, outcome)| {
        format!("{name} {:.0}/s {:.0} µs", outcome.rate(), outcome.cpu_micros())
    });
    println!("{what}: {}", each.collect::<Vec<_>>().join(", "));
}

impl Report {
    /// What one load did, by the medians of its rounds. Answers other than 200 fail the run.
    pub fn load(&mut self, name: &str, outcomes: &[&Outcome]) {
        let middle =
            |of: &dyn Fn(&Outcome) -> f64| median(outcomes.iter().map(|o| of(o)).collect());
        let errors = outcomes.iter().map(|outcome| outcome.errors).sum::<usize>();
        self.wrong_answers += errors;
        self.loads.push(format!(
            "{name:<32}{:>8.0}{:>9.1}{:>9.2}{:>9.2}{:>8.0}%{:>8.0}%{errors:>8}",
            middle(&Outcome::rate),
            middle(&Outcome::cpu_micros),
            middle(&|o| millis(o.quantile(0.5))),
            middle(&|o| millis(o.quantile(0.99))),
            100.0 * middle(&Outcome::server_share),
            100.0 * middle(&Outcome::generator_share),
        ));
    }

    /// A figure that should be at least its goal.
    pub fn at_least(&mut self, number: &str, figure: &str, measured: f64, goal: f64) {
        let shown = [&format!("{measured:.2}"), &format!("≥ {goal}")];
        self.line(number, figure, shown.map(String::as_str), Some(measured / goal));
    }

    /// A figure that should be at most its goal, in a unit.
    pub fn at_most(
        &mut self,
        number: &str,
        figure: &str,
        measured: f64,
        (goal, unit): (f64, &str),
    ) {
        let shown = [&format!("{measured:.2} {unit}"), &format!("≤ {goal} {unit}")];
        let ratio = (goal > 0.0).then(|| measured / goal);
        self.line(number, figure, shown.map(|text| text.trim_end()), ratio);
    }

    /// A figure without a goal.
    pub fn shown(&mut self, number: &str, figure: &str, measured: &str) {
        self.line(number, figure, [measured, ""], None);
    }

    /// A figure that this machine cannot give.
    pub fn not_measured(&mut self, number: &str, why: &str) {
        self.figures.push(format!("{number:<5}not measured: {why}"));
    }

    /// A figure of ascending durations, without a goal.
    pub fn spread(&mut self, figure: &str, durations: &[Duration]) {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| millis(quantile(durations, part)));
        let shown = format!("p50 {p50:.2}  p99 {p99:.2}  max {max:.2} ms");
        self.figures.push(format!("{:<7}{figure:<52}{shown}", ""));
    }

    /// How a part ended. One that failed fails the run, after all others.
    pub fn heed(&mut self, part: &str, done: Result<(), Failure>) {
        if let Err(failure) = done {
            println!("{part} failed: {failure}");
            self.failures.push(format!("{part}: {failure}"));
        }
    }

    /// The ratio is measured ÷ goal.
    fn line(
        &mut self,
        number: &str,
        figure: &str,
        [measured, goal]: [&str; 2],
        ratio: Option<f64>,
    ) {
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let line = format!("{number:<5}{figure:<54}{measured:>12}{goal:>11}{ratio:>8}");
        self.figures.push(line.trim_end().to_owned());
    }

    /// Prints everything. Fails if a part failed or an answer was wrong, never because of a timing.
    pub fn print(&self) -> Result<(), Failure> {
        if !self.loads.is_empty() {
            println!(
                "\n{:<32}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}",
                "load", "per s", "CPU µs", "p50 ms", "p99 ms", "servers", "load gen", "errors"
            );
        }
        self.loads.iter().for_each(|line| println!("{line}"));
        println!("\n{:<5}{:<54}{:>12}{:>11}{:>8}", "", "figure", "measured", "goal", "ratio");
        self.figures.iter().for_each(|line| println!("{line}"));
        if let Some(failure) = self.failures.first() {
            return Err(Failure::new(failure));
        }
        if self.wrong_answers > 0 {
            let wrong = self.wrong_answers;
            return Err(Failure::new(&format!("{wrong} answers were not 200")));
        }
        Ok(())
    }
}

/// In milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
