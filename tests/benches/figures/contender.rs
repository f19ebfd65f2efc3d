//! A server with the subject tokens that it is loaded with.

use std::{sync::Arc, time::Duration};

use crate::{
    Failure, WARM_UP,
    load::{Outcome, Requests, Target, closed},
    people::{Demo, home_tokens},
    world::{Settings, Site, World},
};

/// A run that does not end by itself.
pub const RUN: Duration = Duration::from_secs(2);
/// Longer than this nobody waits for subject tokens.
const TOKENS_WITHIN: Duration = Duration::from_secs(45);

/// A server, and requests for it.
pub struct Contender {
    /// The server.
    pub world: World,
    /// What is in it.
    pub demo: Arc<Demo>,
    /// Different home tokens of one person.
    pub tokens: Vec<String>,
    /// Every token but the first once.
    pub once: Requests,
    /// The same requests, as often as asked.
    pub all: Requests,
    /// The first token again and again.
    pub often: Requests,
    /// Resident memory before anybody asked anything, in MB.
    pub idle_memory: f64,
}

impl Contender {
    /// Starts a server on a new folder, and logs people in until there are as many tokens.
    pub async fn start(
        site: &Site,
        name: &str,
        settings: Settings,
        wanted: usize,
    ) -> Result<Self, Failure> {
        let world = World::start(site, name, settings)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let idle_memory = world.memory()?;
        let demo = Demo::read(&world.data)?;
        let tokens = home_tokens(world.address(), &demo, (wanted, TOKENS_WITHIN)).await?;
        let requests = |tokens: &[String]| {
            let requests = tokens.iter().map(|token| demo.exchange(token));
            requests.collect::<Result<Vec<_>, _>>().map(Arc::new)
        };
        // The first one stays apart: it is the one that is used again and again.
        let (warm, cold) = tokens.split_at(1);
        let (often, cold) = (Requests::again_and_again(requests(warm)?), requests(cold)?);
        let (once, all) = (Requests::once(Arc::clone(&cold)), Requests::again_and_again(cold));
        Ok(Self { world, demo, tokens, once, all, often, idle_memory })
    }

    /// Who is measured.
    #[must_use]
    pub fn targets(&self) -> [Target; 1] {
        [self.world.target()]
    }

    /// After a restart: each subject token once, then one of them again and again.
    pub async fn cold_and_warm(&mut self) -> Result<[Outcome; 2], Failure> {
        self.world.restart()?;
        self.against(&self.targets()).await
    }

    /// The same against these nodes, which have verified no token yet.
    pub async fn against(&self, targets: &[Target]) -> Result<[Outcome; 2], Failure> {
        closed(targets, &self.often, WARM_UP).await?;
        let cold = closed(targets, &self.once, RUN * 5).await?;
        let warm = closed(targets, &self.often, RUN).await?;
        Ok([cold, warm])
    }
}
