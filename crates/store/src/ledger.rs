//! The ledger: one task through which every exchange and every plain audit entry goes.
//!
//! It takes whatever waits, opens one transaction, reads the facts of all exchanges in one statement,
//! decides each in memory, writes delegations and audit entries, commits once and answers all. Check
//! and record are one transaction, so there is no gap between them in which a relationship could end.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use procura_domain::{
    AccessRequest, Facts, Limits, Mandate, Quotas, Refusal, Relationship, Wish, decide,
    quota::UtcDay,
    relationship::{Approval, Conditions},
};
use procura_token::{
    AccessRequestId, ClientId, DelegationId, KeyHash, RelationshipId, Seq, SessionId, Ts,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Error, Result, Store, Tx, access_requests,
    audit::Entry,
    clients::Client,
    facts::{self, Loaded},
    keys::KeysVersion,
    patience,
    revocations::RevocationLog,
    sql::{ManyRows, Pool, Transaction, Value},
    token_counts::Counting,
};

/// As many jobs may wait; more are refused at once instead of being left to time out.
const QUEUE: usize = 4096;
/// As many are taken into one transaction.
const BATCH: usize = 256;
/// Longer than this nobody waits for the ledger, so that the answer is out within three seconds.
const PATIENCE: Duration = Duration::from_millis(2750);
/// Under load a commit starts at most this often: a fuller batch costs less per job.
const PACE: Duration = Duration::from_millis(1);

/// An exchange that waits for its decision.
pub struct Exchange {
    /// What is wanted. Its target is filled in here where the request named a slug.
    pub wish: Wish,
    /// The slug, where the request named the target by one.
    pub target_slug: Option<String>,
    /// The client as it was authenticated.
    pub client: Arc<Client>,
    /// The client that the subject token was issued to.
    pub subject_client: ClientId,
    /// The resource server.
    pub audience: String,
    /// The login session of the subject token.
    pub session: SessionId,
    /// The keys by which the subject token can be revoked.
    pub subject_keys: Vec<KeyHash>,
    /// Where the log stood when the subject token was issued.
    pub subject_rvs: Seq,
    /// Bounds of the deployment.
    pub limits: Limits,
    /// Quotas of tenants that have none of their own.
    pub quotas: Quotas,
    /// The id of the delegation, should a new one start.
    pub new_delegation: DelegationId,
    /// The id of the access request, should the customer have to be asked.
    pub new_access_request: AccessRequestId,
    /// The audit entry as far as it is known before the decision.
    pub entry: Entry,
}

/// The outcome, durable.
#[derive(Debug)]
pub struct Recorded {
    /// What was decided; with the delegation that now runs.
    pub outcome: Result<(Mandate, DelegationId), Refusal>,
    /// The instant of the transaction; on its day the tokens are counted.
    pub at: Ts,
    /// Where the revocation log stood before the facts were read.
    pub rvs: Seq,
    /// The version of the signing keys in the same transaction.
    pub keys: KeysVersion,
    /// The id under which the token is in the audit log; `None` where none may be issued.
    pub jti: Option<String>,
    /// What login would be strong and fresh enough, where that was the reason.
    pub conditions: Option<Conditions>,
}

enum Job {
    Exchange(Box<Exchange>, oneshot::Sender<Recorded>),
    Record(Box<Entry>, oneshot::Sender<()>),
}

/// The way in, and the pool behind it.
#[derive(Clone)]
pub(crate) struct Ledger {
    way_in: mpsc::Sender<Job>,
    pool: Pool,
}

impl Store {
    /// Decides and records an exchange.
    ///
    /// `Unavailable` when the ledger is full or slow, or the commit failed: then no token may leave.
    pub async fn exchange(&self, exchange: Exchange) -> Result<Recorded> {
        let (answer, answered) = oneshot::channel();
        self.ledger.submit(Job::Exchange(Box::new(exchange), answer))?;
        wait(answered).await
    }

    /// How many exchanges and audit entries wait for the ledger.
    #[must_use]
    pub fn ledger_depth(&self) -> usize {
        self.ledger.depth()
    }

    /// Appends an audit entry; returns when it is durable.
    pub async fn record(&self, entry: Entry) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.ledger.submit(Job::Record(Box::new(entry), answer))?;
        wait(answered).await
    }
}

async fn wait<T>(answered: oneshot::Receiver<T>) -> Result<T> {
    match patience::wait(PATIENCE, answered).await {
        Some(Ok(answer)) => Ok(answer),
        // Dropped unanswered (the commit failed), or too slow.
        _ => Err(Error::Unavailable),
    }
}

impl Ledger {
    pub(crate) fn start(writer: Pool, log: Arc<RevocationLog>) -> Self {
        let (way_in, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(run(jobs, writer.clone(), log));
        Self { way_in, pool: writer }
    }

    /// Its connections.
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Jobs that wait.
    pub(crate) fn depth(&self) -> usize {
        self.way_in.max_capacity().saturating_sub(self.way_in.capacity())
    }

    fn submit(&self, job: Job) -> Result<()> {
        self.way_in.try_send(job).map_err(|_| Error::Unavailable)
    }
}

async fn run(mut jobs: mpsc::Receiver<Job>, writer: Pool, log: Arc<RevocationLog>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut next_start = Instant::now();
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        if Instant::now() < next_start {
            sleep_until(next_start).await;
            while batch.len() < BATCH {
                let Ok(job) = jobs.try_recv() else { break };
                batch.push(job);
            }
        }
        let started = Instant::now();
        // Alone, a job is committed at once; in company, the next batch may fill a little.
        next_start = if batch.len() >= 3 { started + PACE } else { started };
        let jobs_taken = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        // A database that is gone without a word answers nothing, for ever: then this batch fails,
        // and the next one tries another connection.
        let done = timeout(PATIENCE, commit(std::mem::take(&mut batch), &writer, &log));
        let done = done.await.unwrap_or(Err(Error::Unavailable));
        log.meters.batch_jobs.observe(f64::from(jobs_taken));
        log.meters.commit_seconds.observe(started.elapsed().as_secs_f64());
        if let Err(error) = done {
            log.meters.commit_failures.inc();
            // Nobody is answered; every caller reports "unavailable" and hands out nothing.
            tracing::error!(%error, "a batch was not recorded");
        }
    }
}

async fn commit(batch: Vec<Job>, writer: &Pool, log: &Arc<RevocationLog>) -> Result<()> {
    // Every job brought its own instant; the transaction takes the latest.
    let now = batch.iter().map(Job::at).max().unwrap_or(Ts(0));
    let mut tx = Tx::begin(writer, Arc::clone(log), now).await?;
    let (rvs, keys) = (tx.rvs(), tx.keys_version());
    let log = tx.catch_up().await?;

    let mut exchanges = Vec::new();
    let mut recorded = Vec::new();
    for job in batch {
        match job {
            Job::Exchange(exchange, answer) => exchanges.push((exchange, answer)),
            Job::Record(entry, answer) => {
                tx.audit(*entry);
                recorded.push(answer);
            }
        }
    }
    let mut outcomes = Vec::with_capacity(exchanges.len());
    if !exchanges.is_empty() {
        let questions: Vec<_> = exchanges.iter().map(|(exchange, _)| &**exchange).collect();
        let day = UtcDay::of(now);
        let mut loaded = facts::load(tx.connection(), &questions, day).await?;
        access_requests::load(tx.connection(), &questions, &mut loaded).await?;
        let (mut starting, mut asking) = (Starting::default(), Asking::default());
        let mut counting = Counting::on(day);
        for ((exchange, answer), loaded) in exchanges.into_iter().zip(loaded) {
            // Dropped unanswered: only this caller hears "unavailable".
            let Some(loaded) = loaded else { continue };
            let Settled { outcome, entry, conditions } =
                settle(*exchange, loaded, &log, (&mut starting, &mut asking, &mut counting));
            let jti = entry.jti.clone();
            tx.audit(entry);
            outcomes.push((Recorded { outcome, at: now, rvs, keys, jti, conditions }, answer));
        }
        starting.insert(tx.connection()).await?;
        counting.write(tx.connection()).await?;
        for request in &asking.0 {
            access_requests::insert(tx.connection(), request).await?;
        }
    }
    tx.commit().await?;

    // Whoever has gone in the meantime gets no token; the entry stays.
    for (recorded, answer) in outcomes {
        let _ = answer.send(recorded);
    }
    for answer in recorded {
        let _ = answer.send(());
    }
    Ok(())
}

impl Job {
    fn at(&self) -> Ts {
        match self {
            Self::Exchange(exchange, _) => exchange.entry.at,
            Self::Record(entry, _) => entry.at,
        }
    }
}

/// One exchange, decided.
struct Settled {
    outcome: Result<(Mandate, DelegationId), Refusal>,
    entry: Entry,
    conditions: Option<Conditions>,
}

/// Decides one exchange and completes its audit entry.
fn settle(
    mut exchange: Exchange,
    mut loaded: Loaded,
    log: &RevocationLog,
    (starting, asking, counting): (&mut Starting, &mut Asking, &mut Counting),
) -> Settled {
    if exchange.target_slug.is_some() {
        exchange.wish.target = loaded.facts.target.map(|target| target.id);
    }
    loaded.facts.subject.is_revoked = log.is_dead(&exchange.subject_keys, exchange.subject_rvs);
    exchange.entry.target_tenant_id = loaded.facts.target.map(|target| target.id);
    loaded.facts.access_requests.extend(asking.lately(&exchange).cloned());
    counting.add_to(&mut loaded.facts, exchange.wish.home);

    let (limits, now) = (exchange.limits, exchange.entry.at);
    match decide(&loaded.facts, &exchange.wish, limits, now) {
        Err(refusal) => {
            let spoke = loaded.facts.edge_that_spoke(&exchange.wish, (limits, now), &Err(refusal));
            // The other edge of this pair may ask for more, and is not what stands in the way.
            let is_step_up = refusal == Refusal::StepUpRequired;
            let conditions = spoke.filter(|_| is_step_up).map(|edge| edge.conditions.clone());
            let is_asking = refusal == Refusal::ApprovalRequired;
            let asked = is_asking.then(|| asking.ask(&exchange, &loaded.facts)).flatten();
            let mut entry = exchange.entry;
            entry.relationship_id = spoke.map(|edge| edge.id);
            if let Some((relationship, request)) = asked {
                entry.relationship_id = Some(relationship);
                entry.add_detail("access_request", &request);
            }
            "refused".clone_into(&mut entry.result);
            entry.reason = Some(refusal.as_str().to_owned());
            entry.jti = None;
            Settled { outcome: Err(refusal), entry, conditions }
        }
        Ok(mandate) => {
            counting.count(exchange.wish.home, mandate.tenant);
            let delegation = starting.delegation(
                &mandate,
                &loaded.running,
                Row {
                    id: exchange.new_delegation,
                    session: exchange.session,
                    relationship: mandate.relationship,
                    client: exchange.client.id.to_string(),
                    user: exchange.wish.user,
                    actor_tenant: exchange.wish.home,
                    tenant: mandate.tenant,
                    started_at: now,
                    ends_at: mandate.delegation_ends_at,
                },
            );
            if exchange.subject_client != exchange.client.id {
                starting.sources.insert((delegation, exchange.subject_client));
            }
            let mut entry = exchange.entry;
            entry.add_detail("scope", &mandate.scope);
            if !mandate.access_requests.is_empty() {
                entry.add_detail("access_requests", &mandate.access_requests);
            }
            "ok".clone_into(&mut entry.result);
            entry.relationship_id = Some(mandate.relationship);
            entry.delegation_id = Some(delegation);
            Settled { outcome: Ok((mandate, delegation)), entry, conditions: None }
        }
    }
}

/// What this batch puts before customers. Two exchanges of one batch ask once.
#[derive(Default)]
struct Asking(Vec<AccessRequest>);

impl Asking {
    /// What the batch has asked for this person, client and audience already.
    fn lately<'a>(&'a self, exchange: &'a Exchange) -> impl Iterator<Item = &'a AccessRequest> {
        self.0.iter().filter(|r| {
            r.user == exchange.wish.user
                && r.client == exchange.client.id
                && r.audience == exchange.audience
        })
    }

    /// Asks the customer for exactly what its approval would make of this exchange; `None` where the person
    /// has asked too often.
    fn ask(
        &mut self,
        exchange: &Exchange,
        facts: &Facts,
    ) -> Option<(RelationshipId, AccessRequestId)> {
        let (wish, now) = (&exchange.wish, exchange.entry.at);
        let once_approved = facts.relationships.iter().find_map(|edge| {
            let edge = Relationship { approval: Approval::Standing, ..edge.clone() };
            let alone = Facts { relationships: vec![edge], ..facts.clone() };
            decide(&alone, wish, exchange.limits, now).ok()
        })?;
        let relationship = once_approved.relationship;
        let since = now.plus_secs(-AccessRequest::COUNTED_SECS);
        let is_counted = |r: &&AccessRequest| r.relationship == relationship && r.asked_at > since;
        if facts.access_requests.iter().filter(is_counted).count() >= AccessRequest::MAX_COUNTED {
            return None;
        }
        let id = exchange.new_access_request;
        self.0.push(AccessRequest {
            id,
            relationship,
            partner: wish.home,
            customer: once_approved.tenant,
            user: wish.user,
            key: wish.key.as_ref().map(|key| key.id),
            client: exchange.client.id.clone(),
            audience: exchange.audience.clone(),
            scope: once_approved.scope,
            purpose: wish.purpose.clone(),
            asked_at: now,
            lapses_at: now.plus_secs(AccessRequest::WAITS_SECS),
            answer: None,
        });
        Some((relationship, id))
    }
}

static INSERT: ManyRows = ManyRows::new(
    "INSERT INTO delegations (id, session_id, relationship_id, client_id, user_id, \
     actor_tenant_id, tenant_id, started_at, ends_at) VALUES ",
    9,
    " ON CONFLICT (session_id, relationship_id, client_id) WHERE ended_at IS NULL \
     DO UPDATE SET ends_at = excluded.ends_at",
);

/// A delegation that starts, or whose end moved.
struct Row {
    id: DelegationId,
    session: SessionId,
    relationship: RelationshipId,
    client: String,
    user: procura_token::UserId,
    actor_tenant: procura_token::TenantId,
    tenant: procura_token::TenantId,
    started_at: Ts,
    ends_at: Ts,
}

static INSERT_SOURCES: ManyRows = ManyRows::new(
    "INSERT INTO delegation_sources (delegation_id, client_id) VALUES ",
    2,
    " ON CONFLICT (delegation_id, client_id) DO NOTHING",
);

/// The delegations that this batch starts; two exchanges of one batch share one.
#[derive(Default)]
struct Starting {
    rows: HashMap<(SessionId, RelationshipId, String), Row>,
    /// Those that came, or go on, by a token of another client.
    sources: BTreeSet<(DelegationId, ClientId)>,
}

impl Starting {
    /// The running delegation, or a new one.
    fn delegation(
        &mut self,
        mandate: &Mandate,
        running: &[(RelationshipId, DelegationId, Ts)],
        mut row: Row,
    ) -> DelegationId {
        if let Some((_, id, ends_at)) = running.iter().find(|(r, ..)| *r == mandate.relationship) {
            if *ends_at == mandate.delegation_ends_at {
                return *id;
            }
            row.id = *id;
        }
        let key = (row.session, row.relationship, row.client.clone());
        self.rows.entry(key).or_insert(row).id
    }

    async fn insert(self, open: &mut Transaction) -> Result<()> {
        let mut values = Vec::with_capacity(INSERT.columns() * self.rows.len());
        for row in self.rows.into_values() {
            values.extend([
                Value::from(row.id.to_string()),
                Value::from(row.session.to_string()),
                Value::from(row.relationship.to_string()),
                Value::from(row.client),
                Value::from(row.user.to_string()),
                Value::from(row.actor_tenant.to_string()),
                Value::from(row.tenant.to_string()),
                Value::from(row.started_at.0),
                Value::from(row.ends_at.0),
            ]);
        }
        INSERT.execute(values, open).await?;
        let mut values = Vec::with_capacity(INSERT_SOURCES.columns() * self.sources.len());
        for (delegation, client) in self.sources {
            values.extend([
                Value::from(delegation.to_string()),
                Value::from(client.as_str().to_owned()),
            ]);
        }
        INSERT_SOURCES.execute(values, open).await
    }
}
