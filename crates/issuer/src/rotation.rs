//! The life of signing keys: `next` → `active` → `retired` → `gone`, by schedule, by command, and at
//! once when a key was stolen. Every step is one transaction with its audit entry; it is decided again
//! inside, so that two nodes that come at the same moment take one step.

use procura_store::{
    Store, Tx,
    audit::Entry,
    keys::{KeyState, StoredKey},
};
use procura_token::{Algorithm, AuditId, Key, KeyId, Ts, signing::SigningKey};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Environment, Error, Issuer, Result,
    keys::{MasterKey, Secrets, WANTED, reseal},
};

/// No token lives longer than 15 minutes; with a margin, a retired key is published for this long.
const RETIRED_SECS: i64 = 20 * 60;

/// How long keys live. In seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// A key is published for so long before it signs.
    pub publish_ahead_secs: i64,
    /// A key signs for so long.
    pub rotate_after_secs: i64,
    /// For so long whoever fetched the keys may go by them.
    pub jwks_max_age_secs: i64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { publish_ahead_secs: 3600, rotate_after_secs: 30 * 24 * 3600, jwks_max_age_secs: 300 }
    }
}

/// How a key is retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// What it signed lives on; its successor has been published long enough.
    InTurn,
    /// What it signed lives on; verifiers that do not know the successor yet refuse its tokens until
    /// they have fetched it.
    Now,
    /// It was stolen: whatever it signed, or will have signed, is dead, and so is the key.
    Emergency,
}

/// A key, for a table that people read.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub kid: KeyId,
    /// Its algorithm.
    pub alg: Algorithm,
    /// Where it stands.
    pub state: KeyState,
    /// Since when.
    pub since: Ts,
    /// Until when, as the schedule has it.
    pub until: Option<Ts>,
}

/// The schedule's next step for one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing signs.
    MakeActive,
    /// Nothing waits.
    MakeNext,
    /// The active key is old, or missing, and the next one is known to everybody.
    Turn,
    /// What this key signed is dead.
    Drop(KeyId),
}

impl Step {
    const fn needs_pair(self) -> bool {
        !matches!(self, Self::Drop(_))
    }
}

fn find(keys: &[StoredKey], alg: Algorithm, state: KeyState) -> Option<&StoredKey> {
    keys.iter().find(|key| key.alg == alg && key.state == state)
}

fn is_known_to_all(next: &StoredKey, plan: Plan, now: Ts) -> bool {
    next.changed_at.plus_secs(plan.publish_ahead_secs) <= now
}

/// What is due for one algorithm. Pure.
fn due(keys: &[StoredKey], alg: Algorithm, plan: Plan, now: Ts) -> Vec<Step> {
    let has_ended = |key: &&StoredKey| {
        key.alg == alg && key.state == KeyState::Retired && key.ends_at.is_none_or(|end| end <= now)
    };
    let mut steps: Vec<_> = keys.iter().filter(has_ended).map(|key| Step::Drop(key.kid)).collect();
    let active = find(keys, alg, KeyState::Active);
    let next = find(keys, alg, KeyState::Next);
    steps.extend(match (active, next) {
        (None, None) => Some(Step::MakeActive),
        (None, Some(_)) => Some(Step::Turn),
        (Some(_), None) => Some(Step::MakeNext),
        (Some(active), Some(next)) => {
            let is_old = active.changed_at.plus_secs(plan.rotate_after_secs) <= now;
            (is_old && is_known_to_all(next, plan, now)).then_some(Step::Turn)
        }
    });
    steps
}

/// Makes the keys without which nothing can be signed; where another node was first, its keys stay.
pub(crate) async fn first_keys(
    store: &Store,
    secrets: &Secrets,
    environment: &Environment,
) -> Result<()> {
    let stored = store.list_keys().await?;
    for alg in WANTED {
        if find(&stored, alg, KeyState::Active).is_some() {
            continue;
        }
        let pair = generate(alg, secrets, environment).await?;
        let mut tx = store.begin(environment.now()).await?;
        let keys = tx.list_keys().await?;
        if find(&keys, alg, KeyState::Active).is_none() {
            let kid = turn(&mut tx, &keys, pair, None).await?;
            tx.audit(entry(environment, "key.create", kid, alg)?);
            tx.commit().await?;
        }
    }
    Ok(())
}

/// The active key ends, the next one takes its place, and the new one waits. Without a next one the
/// new one signs at once. Answers which key signs now.
async fn turn(
    tx: &mut Tx,
    keys: &[StoredKey],
    pair: StoredKey,
    ends_at: Option<Ts>,
) -> Result<KeyId> {
    if let Some(active) = find(keys, pair.alg, KeyState::Active) {
        tx.end_key(active.kid, ends_at).await?;
    }
    if let Some(next) = find(keys, pair.alg, KeyState::Next) {
        tx.promote_key(next.kid).await?;
        tx.insert_key(&pair).await?;
        Ok(next.kid)
    } else {
        let kid = pair.kid;
        tx.insert_key(&StoredKey { state: KeyState::Active, ..pair }).await?;
        Ok(kid)
    }
}

/// RSA keys take a while to find: not on the async threads, and never inside a transaction.
async fn generate(
    alg: Algorithm,
    secrets: &Secrets,
    environment: &Environment,
) -> Result<StoredKey> {
    let pkcs8 = tokio::task::spawn_blocking(move || SigningKey::generate(alg).map(Zeroizing::new))
        .await
        .map_err(|_| Error::Broken)??;
    let kid = KeyId::from_bits(environment.id_bits()?);
    let now = environment.now();
    Ok(StoredKey {
        kid,
        alg,
        state: KeyState::Next,
        public: SigningKey::load(kid, alg, &pkcs8)?.public()?,
        sealed: secrets.seal_pair(kid, &pkcs8)?,
        created_at: now,
        changed_at: now,
        ends_at: None,
    })
}

fn entry(environment: &Environment, action: &str, kid: KeyId, alg: Algorithm) -> Result<Entry> {
    let id = AuditId::from_bits(environment.id_bits()?);
    Ok(Entry {
        resource_type: Some("signing_key".into()),
        resource_id: Some(kid.to_string()),
        details: Some(json!({ "alg": alg.name() }).to_string()),
        ..Entry::new(id, environment.now(), action, "ok")
    })
}

impl Issuer {
    /// All keys that ever were, oldest first.
    pub async fn list_keys(&self) -> Result<Vec<Listed>> {
        let keys = self.0.store.list_keys().await?;
        let plan = self.0.settings.keys;
        let turns_at = |alg| {
            find(&keys, alg, KeyState::Active)
                .map(|active| active.changed_at.plus_secs(plan.rotate_after_secs))
        };
        let listed = keys.iter().map(|key| Listed {
            kid: key.kid,
            alg: key.alg,
            state: key.state,
            since: key.changed_at,
            until: match key.state {
                KeyState::Next => {
                    let is_known_at = key.changed_at.plus_secs(plan.publish_ahead_secs);
                    turns_at(key.alg).map(|at| at.max(is_known_at))
                }
                KeyState::Active => turns_at(key.alg),
                KeyState::Retired => key.ends_at,
                KeyState::Gone => None,
            },
        });
        Ok(listed.collect())
    }

    /// Takes the steps of the schedule that are due. Every node may do so at any time.
    pub async fn tend_keys(&self) -> Result<()> {
        let stored = self.0.store.list_keys().await?;
        for alg in WANTED {
            // One at a time: each is looked at again inside of its own transaction.
            for step in due(&stored, alg, self.0.settings.keys, self.0.environment.now()) {
                self.take_step(alg, step).await?;
            }
        }
        self.0.store.revocation_head().await?;
        self.follow_keys().await
    }

    async fn take_step(&self, alg: Algorithm, step: Step) -> Result<()> {
        let (secrets, environment) = (&self.0.secrets, &self.0.environment);
        let pair =
            if step.needs_pair() { Some(generate(alg, secrets, environment).await?) } else { None };
        let mut tx = self.0.store.begin(environment.now()).await?;
        let keys = tx.list_keys().await?;
        if !due(&keys, alg, self.0.settings.keys, tx.now()).contains(&step) {
            // Another node was first.
            return Ok(());
        }
        let (action, kid) = match (step, pair) {
            (Step::Drop(kid), _) => {
                tx.end_key(kid, None).await?;
                ("key.drop", kid)
            }
            (Step::MakeNext, Some(pair)) => {
                tx.insert_key(&pair).await?;
                ("key.create", pair.kid)
            }
            (Step::MakeActive | Step::Turn, Some(pair)) => {
                let ends_at = Some(tx.now().plus_secs(RETIRED_SECS));
                ("key.rotate", turn(&mut tx, &keys, pair, ends_at).await?)
            }
            (_, None) => return Err(Error::Broken),
        };
        tx.audit(entry(environment, action, kid, alg)?);
        tx.commit().await?;
        tracing::info!(%kid, %alg, action, "signing keys changed");
        Ok(())
    }

    /// Lets the next key of each of these algorithms sign; all of them, or none. Answers which ones.
    pub async fn rotate_keys(
        &self,
        algorithms: &[Algorithm],
        how: Retirement,
    ) -> Result<Vec<(Algorithm, KeyId)>> {
        let environment = &self.0.environment;
        let mut pairs = Vec::new();
        for alg in algorithms {
            pairs.push(generate(*alg, &self.0.secrets, environment).await?);
        }
        let mut tx = self.0.store.begin(environment.now()).await?;
        let keys = tx.list_keys().await?;
        let mut rotated = Vec::new();
        for pair in pairs {
            let alg = pair.alg;
            let active = find(&keys, alg, KeyState::Active).ok_or(Error::NotFound)?;
            self.may_retire(&keys, active, how, tx.now())?;
            let ends_at = Some(tx.now().plus_secs(RETIRED_SECS));
            let successor = turn(&mut tx, &keys, pair, ends_at).await?;
            tx.audit(self.retirement_entry("key.retire", active, Some(successor))?);
            rotated.push((alg, successor));
        }
        let keys = tx.commit().await?.keys;
        self.signers(keys).await?;
        Ok(rotated)
    }

    /// Ends a key. Answers which key signs in its place, where it did sign.
    ///
    /// `NotFound` where there is no such key, `WrongState` where it has ended already, or its
    /// successor is not published long enough. An emergency is never refused: also a key that is gone
    /// can be in a verifier's copy.
    pub async fn retire_key(&self, kid: KeyId, how: Retirement) -> Result<Option<KeyId>> {
        let stored = self.0.store.list_keys().await?;
        let alg = stored.iter().find(|key| key.kid == kid).ok_or(Error::NotFound)?.alg;
        let pair = generate(alg, &self.0.secrets, &self.0.environment).await?;

        let mut tx = self.0.store.begin_urgent(self.0.environment.now()).await?;
        let keys = tx.list_keys().await?;
        let key = keys.iter().find(|key| key.kid == kid).ok_or(Error::NotFound)?;
        let is_emergency = how == Retirement::Emergency;
        if !is_emergency {
            self.may_retire(&keys, key, how, tx.now())?;
        }
        let successor = match key.state {
            KeyState::Active => {
                let lives_on = tx.now().plus_secs(RETIRED_SECS);
                let ends_at = (!is_emergency).then_some(lives_on);
                Some(turn(&mut tx, &keys, pair, ends_at).await?)
            }
            KeyState::Next => {
                tx.end_key(kid, None).await?;
                tx.insert_key(&pair).await?;
                None
            }
            KeyState::Retired | KeyState::Gone => {
                tx.end_key(kid, None).await?;
                None
            }
        };
        if is_emergency {
            tx.revoke(&Key::SigningKey(&kid.to_string()), "signing_key_stolen");
        }
        let action = if is_emergency { "key.retire_emergency" } else { "key.retire" };
        tx.audit(self.retirement_entry(action, key, successor)?);
        let keys = tx.commit().await?.keys;
        self.signers(keys).await?;
        Ok(successor)
    }

    fn retirement_entry(
        &self,
        action: &str,
        key: &StoredKey,
        successor: Option<KeyId>,
    ) -> Result<Entry> {
        let details = json!({
            "alg": key.alg.name(), "was": key.state.as_str(), "successor": successor,
        });
        let entry = entry(&self.0.environment, action, key.kid, key.alg)?;
        Ok(Entry { details: Some(details.to_string()), ..entry })
    }

    fn may_retire(
        &self,
        keys: &[StoredKey],
        key: &StoredKey,
        how: Retirement,
        now: Ts,
    ) -> Result<()> {
        match key.state {
            KeyState::Retired => Err(Error::WrongState("it is retired already")),
            KeyState::Gone => Err(Error::WrongState("it is gone already")),
            KeyState::Next => Ok(()),
            KeyState::Active => {
                let next = find(keys, key.alg, KeyState::Next);
                let plan = self.0.settings.keys;
                let is_ready = next.is_some_and(|next| is_known_to_all(next, plan, now));
                if is_ready || how == Retirement::Now {
                    Ok(())
                } else {
                    Err(Error::WrongState("the next key is not published long enough"))
                }
            }
        }
    }

    /// Seals everything under another master key; answers how many keys. From then on only that one
    /// opens this database.
    pub async fn rewrap_keys(&self, new: &MasterKey) -> Result<usize> {
        let mut tx = self.0.store.begin_urgent(self.0.environment.now()).await?;
        let count = reseal(&mut tx, &self.0.secrets, new).await?;
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        tx.audit(Entry::new(id, self.0.environment.now(), "key.rewrap", "ok"));
        tx.commit().await?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use procura_token::Jwk;

    use super::*;

    const ALG: Algorithm = Algorithm::Es256;
    const START: Ts = Ts::from_secs(1_800_000_000);

    fn key(n: u128, state: KeyState, changed_at: Ts) -> StoredKey {
        StoredKey {
            kid: KeyId::from_bits(n),
            alg: ALG,
            state,
            public: Jwk::ed25519(String::new(), &[]),
            sealed: vec![1],
            created_at: changed_at,
            changed_at,
            ends_at: (state == KeyState::Retired).then(|| changed_at.plus_secs(RETIRED_SECS)),
        }
    }

    fn steps(keys: &[StoredKey], after_secs: i64) -> Vec<Step> {
        due(keys, ALG, Plan::default(), START.plus_secs(after_secs))
    }

    #[test]
    fn there_is_always_a_key_that_signs_and_one_that_waits() {
        let (active, next) = (key(1, KeyState::Active, START), key(2, KeyState::Next, START));
        assert_eq!(steps(&[], 0), [Step::MakeActive]);
        assert_eq!(steps(std::slice::from_ref(&active), 0), [Step::MakeNext]);
        assert_eq!(steps(std::slice::from_ref(&next), 0), [Step::Turn]);
        assert_eq!(steps(&[active, next], 0), []);
    }

    #[test]
    fn an_old_key_makes_way_once_its_successor_is_known_to_everybody() {
        let plan = Plan::default();
        let active = key(1, KeyState::Active, START);
        let old = key(2, KeyState::Next, START);
        let keys = [active.clone(), old];
        assert_eq!(steps(&keys, plan.rotate_after_secs - 1), []);
        assert_eq!(steps(&keys, plan.rotate_after_secs), [Step::Turn]);
        let young = key(2, KeyState::Next, START.plus_secs(plan.rotate_after_secs));
        let keys = [active, young];
        assert_eq!(steps(&keys, plan.rotate_after_secs + plan.publish_ahead_secs - 1), []);
        assert_eq!(steps(&keys, plan.rotate_after_secs + plan.publish_ahead_secs), [Step::Turn]);
    }

    #[test]
    fn a_retired_key_is_dropped_when_what_it_signed_is_dead() {
        let keys = [
            key(1, KeyState::Retired, START),
            key(2, KeyState::Active, START),
            key(3, KeyState::Next, START),
            key(4, KeyState::Gone, START),
        ];
        assert_eq!(steps(&keys, RETIRED_SECS - 1), []);
        assert_eq!(steps(&keys, RETIRED_SECS), [Step::Drop(KeyId::from_bits(1))]);
    }
}
