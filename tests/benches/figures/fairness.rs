//! P11: what a partner that asks for ten times its limit costs another one that keeps to its own, on one
//! node: beside nobody, beside a partner that stays at its limit, and without limits.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    Failure, WARM_UP,
    http::{Connection, request},
    load::{Outcome, Requests, Target, closed, median, open},
    people::{Demo, PARTNER, Person},
    report::{Report, millis, progress},
    world::{Settings, Site, World},
};

/// Into customers' tenants by one person, a second.
const LIMIT: u32 = 200;
const LIMITS: [(&str, u32); 4] = [
    ("PROCURA__RATE_LIMITS__CROSS_USER_PER_MINUTE", LIMIT * 60),
    ("PROCURA__RATE_LIMITS__CROSS_TARGET_PER_MINUTE", LIMIT * 60),
    ("PROCURA__RATE_LIMITS__CROSS_PARTNER_PER_MINUTE", LIMIT * 60),
    ("PROCURA__RATE_LIMITS__BURST_SECS", 1),
];
/// What the noisy one asks for, what is its own by right, and what the quiet one does, a second.
const NOISE: f64 = 2000.0;
const BY_RIGHT: f64 = 200.0;
const QUIET: f64 = 100.0;
const RUN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

/// Measures and reports.
pub async fn measure(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let limited = LIMITS.map(|(name, value)| (name, value.to_string()));
    let bounded = rounds(site, "bounded", limited.to_vec(), report).await?;
    let off = vec![("PROCURA__RATE_LIMITS__ENABLED", "false".to_owned())];
    let unbounded = rounds(site, "unbounded", off, report).await?;
    let rate = |of: &Ratios| of.rate;
    let middle = |of: &dyn Fn(&Ratios) -> f64, all: &[Ratios]| median(all.iter().map(of).collect());
    report.at_least(
        "P11",
        "beside a noisy partner ÷ alone, exchanges a second",
        middle(&rate, &bounded),
        0.9,
    );
    let by_noise = middle(&|of| of.by_noise, &bounded);
    report.at_most("", "  p50 ÷ p50 beside one that stays at its limit", by_noise, (1.1, ""));
    for (name, ratios) in [("", &bounded), (", without limits", &unbounded)] {
        let late = format!("{:.2}", middle(&|of| of.late, ratios));
        report.shown("", &format!("  p50 ÷ p50 alone{name}"), &late);
    }
    Ok(())
}

/// With the noise ÷ without: exchanges a second, and the middle latency; and that ÷ the middle latency
/// beside a partner that asks for what is its own by right.
struct Ratios {
    rate: f64,
    late: f64,
    by_noise: f64,
}

async fn rounds(
    site: &Site,
    name: &str,
    environment: Vec<(&'static str, String)>,
    report: &mut Report,
) -> Result<Vec<Ratios>, Failure> {
    let settings = Settings { environment, cores: site.one_core(), ..Settings::default() };
    let world = World::start(site, &format!("fairness-{name}"), settings)?;
    let demo = Demo::read(&world.data)?;
    let targets = [world.target()];
    let (_, noisy) = Person::log_in(world.address(), &demo, PARTNER).await?;
    let noisy = again_and_again(demo.exchange(&noisy)?);
    let quiet = again_and_again(quiet(world.address(), &demo).await?);
    open(&targets, &quiet, (WARM_UP, QUIET)).await?;
    let mut all = Vec::new();
    let (mut alone, mut by_right, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=ROUNDS {
        let without = open(&targets, &quiet, (RUN, QUIET)).await?;
        let (fair, _) = together(&targets, &quiet, (&noisy, BY_RIGHT)).await?;
        let (with, noise) = together(&targets, &quiet, (&noisy, NOISE)).await?;
        progress(
            &format!("{name}, round {number}"),
            &[("alone", &without), ("by right", &fair), ("beside", &with), ("noise", &noise)],
        );
        let late = |beside: &Outcome| millis(with.quantile(0.5)) / millis(beside.quantile(0.5));
        all.push(Ratios {
            rate: with.rate() / without.rate(),
            late: late(&without),
            by_noise: late(&fair),
        });
        alone.push(without);
        by_right.push(fair);
        beside.push(with);
    }
    report.load(&format!("alone, {name}"), &alone.iter().collect::<Vec<_>>());
    report.load(&format!("beside one at its limit, {name}"), &by_right.iter().collect::<Vec<_>>());
    report.load(&format!("beside a noisy one, {name}"), &beside.iter().collect::<Vec<_>>());
    Ok(all)
}

/// The quiet one, while the other asks for so much a second.
async fn together(
    targets: &[Target],
    quiet: &Requests,
    (noisy, rate): (&Requests, f64),
) -> Result<(Outcome, Outcome), Failure> {
    // What may come at once is gone before anybody looks.
    closed(targets, noisy, Duration::from_millis(200)).await?;
    let noise = open(targets, noisy, (RUN + WARM_UP, rate));
    let (with, noise) = tokio::join!(open(targets, quiet, (RUN, QUIET)), noise);
    Ok((with?, noise?))
}

fn again_and_again(request: Vec<u8>) -> Requests {
    Requests::again_and_again(Arc::new(vec![request]))
}

/// The exchange of somebody else's person into somebody else's tenant.
async fn quiet(address: SocketAddr, demo: &Arc<Demo>) -> Result<Vec<u8>, Failure> {
    let (trusting, trusted) = (demo.tenant("umbrella")?, demo.tenant("globex")?);
    let (_, uma) = Person::log_in(address, demo, "uma@umbrella.test").await?;
    let (_, gil) = Person::log_in(address, demo, "gil@globex.test").await?;
    let put = format!("PUT /auth/admin/tenants/{trusting}/trust-tenant/{trusted}");
    let bearer = format!("Bearer {uma}");
    let put = request(&put, &[("Authorization", &bearer), ("Content-Length", "0")], "");
    Connection::open(address).await?.ask(&put).await?.expect(201)?;
    demo.exchange_into(trusting, &gil)
}
