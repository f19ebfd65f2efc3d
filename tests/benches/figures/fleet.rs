//! P6 with three nodes and eight resource servers: the switch is turned at one node, and every resource
//! server is asked again and again until it refuses. Everything shares both cores.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Failure,
    http::Connection,
    isp::{Isp, Verdict},
    load::quantile,
    nodes::backends,
    people::{Demo, PARTNER, Person, access_token},
    refusal::switch,
    report::{Report, millis},
    world::{Settings, Site, World},
};

const NODES: usize = 3;
const VERIFIERS: usize = 8;
/// Switched off and on so many times, each way.
const SWITCHES: usize = 100;
/// A resource server that has not refused by then never will.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions to a resource server: all of them share the cores with what they wait for.
const PAUSE: Duration = Duration::from_millis(1);

/// All rounds, over all resource servers; ascending.
#[derive(Default)]
struct Refusals {
    from_sending: Vec<Duration>,
    from_answer: Vec<Duration>,
    answer: Vec<Duration>,
    /// Accepted although asked after the answer to the switch.
    accepted_late: usize,
}

/// Measures and reports both ways by which revocations come.
pub async fn measure(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let (_postgres, redis, environment) = backends();
    let settings = Settings { environment, cores: site.both_cores(), is_joining: false };
    let mut nodes = vec![World::start(site, "node-0", settings)?];
    for number in 1..NODES {
        let node = nodes[0].join(site, &format!("node-{number}"))?;
        nodes.push(node);
    }
    let url = redis.url();
    let ways = [
        ("Redis", vec!["--revocations", "redis", "--redis-url", url.as_str()]),
        ("SSE", vec!["--revocations", "feed"]),
    ];
    for (name, way) in ways {
        let mut stage = Stage::set(site, &nodes, &way).await?;
        let plain = stage.play("").await?;
        let confirmed = stage.play("?confirm=applied").await?;
        show(name, &plain, &confirmed, report);
    }
    // The nodes before what they stand on.
    drop(nodes);
    Ok(())
}

fn show(way: &str, plain: &Refusals, confirmed: &Refusals, report: &mut Report) {
    let of = |part| millis(quantile(&plain.from_sending, part));
    let title = format!("{NODES} nodes, {VERIFIERS} verifiers over {way}");
    for (number, part, name, goal) in
        [("P6", 0.5, "p50", 10.0), ("", 0.99, "p99", 50.0), ("", 1.0, "max", 250.0)]
    {
        report.at_most(number, &format!("{title}: {name}"), of(part), (goal, "ms"));
    }
    report.spread("from the switch's answer", &plain.from_answer);
    report.spread("the answer itself", &plain.answer);
    report.spread("confirm=applied, from sending", &confirmed.from_sending);
    report.spread("confirm=applied, the answer itself", &confirmed.answer);
    let late = f64::from(u32::try_from(confirmed.accepted_late).unwrap_or(u32::MAX));
    report.at_most("", "  confirm=applied: accepted after the answer", late, (0.0, ""));
}

/// Who takes part.
struct Stage {
    demo: Arc<Demo>,
    portal: Connection,
    admin: Connection,
    admins_token: String,
    subject: String,
    isps: Vec<Isp>,
}

impl Stage {
    /// People at the first node, the portal at the second, resource servers at all of them in turn.
    async fn set(site: &Site, nodes: &[World], way: &[&str]) -> Result<Self, Failure> {
        let first: SocketAddr = nodes[0].address();
        let demo = Demo::read(&nodes[0].data)?;
        let (_, admins_token) = Person::log_in(first, &demo, "ada@acme.test").await?;
        let (_, subject) = Person::log_in(first, &demo, PARTNER).await?;
        let cores = site.both_cores();
        let mut isps = Vec::with_capacity(VERIFIERS);
        for number in 0..VERIFIERS {
            let node = &nodes[number % nodes.len()];
            let address = format!("http://{}", node.address());
            let mut arguments = vec!["--issuer-address", address.as_str()];
            arguments.extend(way);
            let (name, file) = (format!("isp-{number}"), node.data.join("demo.json"));
            isps.push(Isp::start(site, &name, &file, &arguments, cores.as_deref()).await?);
        }
        Ok(Self {
            demo,
            portal: Connection::open(nodes[1].address()).await?,
            admin: Connection::open(first).await?,
            admins_token,
            subject,
            isps,
        })
    }

    async fn play(&mut self, query: &str) -> Result<Refusals, Failure> {
        let mut all = Refusals::default();
        for _ in 0..SWITCHES {
            self.round(query, &mut all).await?;
        }
        for durations in [&mut all.from_sending, &mut all.from_answer, &mut all.answer] {
            durations.sort_unstable();
        }
        Ok(all)
    }

    async fn round(&mut self, query: &str, all: &mut Refusals) -> Result<(), Failure> {
        let exchange = self.demo.exchange(&self.subject)?;
        let token = access_token(&self.portal.ask(&exchange).await?.expect(200)?.json()?)?;
        let token: Arc<str> = token.into();
        for isp in &mut self.isps {
            if isp.read(&token).await? == Verdict::Refused {
                return Err(Failure::new("refused before the switch"));
            }
        }
        let mut asking = JoinSet::new();
        for isp in self.isps.drain(..) {
            asking.spawn(until_refused(isp, Arc::clone(&token)));
        }
        let off = switch("off", query, &self.admins_token);
        let sent = Instant::now();
        // The resource servers are asked meanwhile: this thread is theirs while it waits here.
        self.admin.ask(&off).await?.expect(200)?;
        let answered = Instant::now();
        all.answer.push(answered - sent);
        while let Some(done) = asking.join_next().await {
            let (mut isp, refused, accepted) =
                done.map_err(|_| Failure::new("a task crashed"))??;
            all.from_sending.push(refused.saturating_duration_since(sent));
            all.from_answer.push(refused.saturating_duration_since(answered));
            all.accepted_late += accepted.iter().filter(|asked| **asked > answered).count();
            if isp.read(&token).await? == Verdict::Accepted {
                return Err(Failure::new("accepted again after it was refused"));
            }
            self.isps.push(isp);
        }
        let on = switch("on", "", &self.admins_token);
        self.admin.ask(&on).await?.expect(200)?;
        Ok(())
    }
}

/// Asks until it refuses: when that was, and when the questions were asked that it still accepted.
async fn until_refused(
    mut isp: Isp,
    token: Arc<str>,
) -> Result<(Isp, Instant, Vec<Instant>), Failure> {
    let mut accepted = Vec::new();
    let refused = timeout(PATIENCE, async {
        loop {
            let asked = Instant::now();
            match isp.probe(&token).await? {
                Verdict::Refused => return Ok::<_, Failure>(Instant::now()),
                Verdict::Accepted => accepted.push(asked),
            }
            sleep(PAUSE).await;
        }
    });
    let refused = refused.await.map_err(|_| Failure::new("a verifier does not refuse"))??;
    Ok((isp, refused, accepted))
}
