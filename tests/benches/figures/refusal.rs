//! P6 with one node: how long a token lives on after the customer has switched partner access off: a real verifier that
//! follows the real feed, asked again and again until it refuses.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use procura_verify::{Config, Refused, Verifier};
use tokio::{task::yield_now, time::timeout};

use crate::{
    Failure,
    http::{Connection, request},
    load::quantile,
    people::{Demo, PARTNER, Person, access_token},
    report::{Report, millis},
    world::{Settings, Site, World},
};

/// A verifier that has not refused by then never will.
const PATIENCE: Duration = Duration::from_secs(5);

/// Switched off and on so many times.
const SWITCHES: usize = 200;

/// Measures and reports one node with one verifier on its event stream.
pub async fn measure(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let settings = Settings { cores: site.one_core(), ..Settings::default() };
    let world = World::start(site, "refusal", settings)?;
    let demo = Demo::read(&world.data)?;
    let (_, subject) = Person::log_in(world.address(), &demo, PARTNER).await?;
    let mut stage = Stage::set(world.address(), &demo, &subject).await?;
    let plain = stage.play(SWITCHES, "").await?;
    let confirmed = stage.play(SWITCHES, "?confirm=applied").await?;
    let p99 = millis(quantile(&plain.from_sending, 0.99));
    report.at_most("P6", "one node, one verifier over SSE: p99", p99, (5.0, "ms"));
    report.at_most("", "  (goal of the first landing)", p99, (50.0, "ms"));
    report.spread("from sending the switch", &plain.from_sending);
    report.spread("from its answer", &plain.from_answer);
    report.spread("the answer itself", &plain.answer);
    report.spread("confirm=applied, from sending", &confirmed.from_sending);
    report.spread("confirm=applied, from its answer", &confirmed.from_answer);
    report.spread("confirm=applied, the answer itself", &confirmed.answer);
    Ok(())
}

/// Durations of all rounds, ascending.
#[derive(Default)]
struct Refusals {
    /// From just before the switch was sent.
    from_sending: Vec<Duration>,
    /// From the answer to the switch; zero where the verifier was earlier.
    from_answer: Vec<Duration>,
    /// How long the answer took.
    answer: Vec<Duration>,
}

/// What takes part.
struct Stage {
    demo: Arc<Demo>,
    portal: Connection,
    admin: Connection,
    admins_token: String,
    subject: String,
    verifier: Verifier,
}

impl Stage {
    /// A customer's admin, a partner's token, and a verifier that is in step.
    async fn set(address: SocketAddr, demo: &Arc<Demo>, subject: &str) -> Result<Self, Failure> {
        let (_, admins_token) = Person::log_in(address, demo, "ada@acme.test").await?;
        let isp = demo.client("isp")?;
        let verifier = Verifier::start(Config {
            name: "figures".to_owned(),
            accepts_delegated: true,
            ..Config::new(&demo.issuer, &isp.audience, &isp.client_id, &isp.client_secret)
        })
        .map_err(|error| Failure::new(&error.to_string()))?;
        let ready = timeout(PATIENCE, verifier.ready()).await;
        ready.map_err(|_| Failure::new("the verifier is not ready"))?;
        Ok(Self {
            demo: Arc::clone(demo),
            portal: Connection::open(address).await?,
            admin: Connection::open(address).await?,
            admins_token,
            subject: subject.to_owned(),
            verifier,
        })
    }

    /// Switches off and on again so many times.
    async fn play(&mut self, rounds: usize, query: &str) -> Result<Refusals, Failure> {
        let mut all = Refusals::default();
        for _ in 0..rounds {
            let (sent, answered, refused) = self.round(query).await?;
            all.from_sending.push(refused.duration_since(sent));
            all.from_answer.push(refused.saturating_duration_since(answered));
            all.answer.push(answered.duration_since(sent));
        }
        for durations in [&mut all.from_sending, &mut all.from_answer, &mut all.answer] {
            durations.sort_unstable();
        }
        Ok(all)
    }

    /// When the switch was sent, when it was answered, and when the verifier refused.
    async fn round(&mut self, query: &str) -> Result<(Instant, Instant, Instant), Failure> {
        let exchange = self.demo.exchange(&self.subject)?;
        let token = access_token(&self.portal.ask(&exchange).await?.expect(200)?.json()?)?;
        let accepted = self.verifier.check(&token).await;
        accepted.map_err(|refused| Failure::new(&format!("refused before: {refused}")))?;

        let off = switch("off", query, &self.admins_token);
        let sent = Instant::now();
        let (answered, refused) = tokio::join!(
            async {
                let answer = self.admin.ask(&off).await;
                (Instant::now(), answer)
            },
            timeout(PATIENCE, until_refused(&self.verifier, &token)),
        );
        let (answered, answer) = answered;
        answer?.expect(200)?;
        let refused = refused.map_err(|_| Failure::new("the verifier does not refuse"))??;

        let on = switch("on", "", &self.admins_token);
        self.admin.ask(&on).await?.expect(200)?;
        Ok((sent, answered, refused))
    }
}

/// The customer's switch for all partners, turned.
pub fn switch(mode: &str, query: &str, token: &str) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let line = format!("PUT /api/tenants/partner-access{query}");
    request(&line, &headers, &format!("{{\"mode\":\"{mode}\"}}"))
}

async fn until_refused(verifier: &Verifier, token: &str) -> Result<Instant, Failure> {
    loop {
        match verifier.check(token).await {
            // The feed is read on this same thread.
            Ok(_) => yield_now().await,
            Err(Refused::Revoked) => return Ok(Instant::now()),
            Err(other) => {
                return Err(Failure::new(&format!("refused for another reason: {other}")));
            }
        }
    }
}
