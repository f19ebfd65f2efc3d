//! Keys of partners' people: made by somebody who has just logged in, shown once, kept as hashes, never changed,
//! and what one proves. Why so: docs/decisions/0019-keys-of-partners.md.

use ipnet::IpNet;
use procura_domain::{
    ByKey, Caller, KeyBounds, Permissions, TenantStatus, UserRole,
    api_key::{self, FRESH_LOGIN_SECS, MAX_DAYS, MAX_LIVE, MAX_MEMBERS, MAX_OVER},
};
use procura_store::{
    Tx,
    api_keys::{ApiKey, Place, Which},
    clients::Client,
    users::UserStatus,
};
use procura_token::{ApiKeyId, ClientId, Key, SessionId, TenantId, Ts, UserId, crypto};
use serde_json::json;

use crate::{
    Call, Error, Issuer, Result, Via,
    callers::Proof,
    environment::fingerprint,
    exchange::GRANT,
    hand::{Hand, Subject},
    registration::details,
    revoke::Revoked,
};

/// The name in details of audit entries under which the key stands by which somebody acted.
pub(crate) const AUDITED_KEY: &str = "api_key";
/// The hash of no text.
const NOBODYS: &str = "-";

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The client through which it is exchanged.
    pub client: ClientId,
    /// What it is for.
    pub name: String,
    /// The most that it permits.
    pub permissions: Permissions,
    /// The customers that it can enter, by id or slug; without a list, whichever the person can.
    pub tenants: Option<Vec<String>>,
    /// Networks from which it can be used; without a list, any.
    pub networks: Option<Vec<IpNet>>,
    /// How long it lives, in days.
    pub days: i64,
}

impl Issuer {
    /// Makes a key of the caller's; answers it, and what is to be shown once. Only for who has logged in a
    /// moment ago: whoever found a browser open, or a token, makes nothing that outlives it.
    pub async fn make_api_key(&self, call: &Call, new: NewKey) -> Result<(ApiKey, String)> {
        let permit = call.caller.make_key()?;
        let now = self.0.environment.now();
        let is_fresh = |at: i64| now.secs() <= at.saturating_add(FRESH_LOGIN_SECS);
        if !call.proof.auth_time.is_some_and(is_fresh) {
            return Err(Error::StepUp { acr: None, max_age: Some(FRESH_LOGIN_SECS) });
        }
        let length = new.name.chars().count();
        if !(1..=120).contains(&length) || new.name.chars().any(char::is_control) {
            return Err(Error::Invalid("name"));
        }
        if !(1..=MAX_DAYS).contains(&new.days) {
            return Err(Error::Invalid("expires_in_days"));
        }
        let tenants = self.own_customers(permit.tenant(), new.tenants).await?;
        let bounds = KeyBounds { permissions: new.permissions, tenants, networks: new.networks };
        // What the person has, and did not let this client have, is not in the key either.
        let mut roles = call.caller.roles.clone();
        roles.retain(|role| role.is_partner_role() && call.caller.is(*role));
        if let Some(fault) = bounds.fault(&roles, &call.caller.scope) {
            return Err(Error::Invalid(fault));
        }
        let bounds = bounds.in_order();
        let key = ApiKey {
            id: ApiKeyId::from_bits(self.0.environment.id_bits()?),
            user: call.caller.user,
            tenant: permit.tenant(),
            client: new.client,
            made_through: Some(call.caller.client.clone()),
            name: new.name,
            bounds,
            session: SessionId::from_bits(self.0.environment.id_bits()?),
            created_at: now,
            expires_at: now.plus_secs(new.days.saturating_mul(86_400)),
            ended_at: None,
            last_used_at: None,
        };
        self.keep_api_key(call, key).await
    }

    /// Keeps a key that may be; answers it, and its text.
    async fn keep_api_key(&self, call: &Call, key: ApiKey) -> Result<(ApiKey, String)> {
        let text = api_key::written(key.id, &self.0.environment.secret()?);
        let mut tx = self.begin_for(call).await?;
        let client = tx.find_client(&key.client).await?;
        let is_fit = |client: &Client| client.is_enabled && is_for_keys(client);
        if !client.as_ref().is_some_and(is_fit) {
            return Err(Error::Invalid("client_id"));
        }
        let (live, over) = tx.count_api_keys(key.user).await?;
        if live >= MAX_LIVE {
            return Err(Error::WrongState("too_many_keys"));
        }
        // Else whoever makes and ends keys by turns fills the list, for whoever is to look after it too.
        if over >= MAX_OVER {
            return Err(Error::WrongState("too_many_ended_keys"));
        }
        let behind = tx.find_session(call.caller.session).await?;
        let behind = behind.filter(|s| s.is_live(tx.now())).ok_or(Error::Unauthenticated)?;
        tx.insert_api_key(&key, &fingerprint(&text), &behind).await?;
        self.audit_key(&mut tx, Hand::Person(call), "api_key.create", &key)?;
        tx.commit().await?;
        Ok((key, text))
    }

    /// The customers that somebody names, of those that the own tenant has.
    async fn own_customers(
        &self,
        home: TenantId,
        names: Option<Vec<String>>,
    ) -> Result<Option<Vec<TenantId>>> {
        let Some(names) = names else { return Ok(None) };
        if names.len() > MAX_MEMBERS {
            return Err(Error::Invalid("tenants"));
        }
        let managed = self.0.store.list_managed(home).await?;
        let find = |name: &String| {
            let id: Option<TenantId> = name.parse().ok();
            let link = managed.iter().find(|l| Some(l.tenant) == id || l.tenant_slug == *name);
            link.map(|link| link.tenant).ok_or(Error::Invalid("tenants"))
        };
        names.iter().map(find).collect::<Result<_>>().map(Some)
    }

    /// A page of the keys of a tenant's people, or of all; without a caller, of whichever are asked for. Whoever
    /// administers no keys sees the own ones, and by a token without a partner's role those of its client.
    /// What is over at `now` is listed for a month more, behind what is live.
    pub async fn list_api_keys(
        &self,
        caller: Option<&Caller>,
        tenant: Option<TenantId>,
        page: (Option<Place>, i64),
        now: Ts,
    ) -> Result<Vec<ApiKey>> {
        let mut which = Which { tenant, ..Which::default() };
        if let Some(caller) = caller.filter(|caller| !caller.is(UserRole::SuperAdmin)) {
            let tenant = tenant.unwrap_or(caller.tenant);
            which.tenant = Some(tenant);
            if caller.administer_keys(tenant).is_err() {
                if tenant != caller.tenant {
                    return Err(Error::NotFound);
                }
                which.user = Some(caller.user);
                which.client = (!caller.is_for_own_keys()).then(|| caller.client.clone());
            }
        }
        Ok(self.0.store.list_api_keys(&which, page, now).await?)
    }

    /// Ends a key with everything that runs from it.
    pub async fn end_api_key(&self, hand: Hand<'_>, id: ApiKeyId) -> Result<(ApiKey, Revoked)> {
        let mut tx = self.begin_by(hand).await?;
        let key = tx.find_api_key(id).await?.ok_or(Error::NotFound)?;
        if let Some(caller) = hand.caller()
            && !is_known_to(&key, caller)
        {
            caller.administer_keys(key.tenant)?;
        }
        if !key.is_live(tx.now()) {
            return Err(Error::WrongState("over"));
        }
        tx.end_session(key.session).await?;
        let ended = tx.end_delegations_of_session(key.session).await?;
        tx.revoke(&Key::Session(key.session), "api_key.revoke");
        self.audit_key(&mut tx, hand, "api_key.revoke", &key)?;
        let key = ApiKey { ended_at: Some(tx.now()), ..key };
        Ok((key, self.commit_revocation(tx, ended, hand.confirm()).await?))
    }

    fn audit_key(&self, tx: &mut Tx, hand: Hand<'_>, action: &str, key: &ApiKey) -> Result<()> {
        let id = key.id.to_string();
        let about = Subject { tenant: key.tenant, kind: AUDITED_KEY, id: &id };
        let how = details(json!({
            "user": key.user,
            "client": key.client,
            "name": key.name,
            "permissions": key.bounds.permissions,
            "tenants": key.bounds.tenants,
            "networks": key.bounds.networks,
            "expires_at": key.expires_at.rfc3339(),
        }));
        tx.audit(self.entry_by(hand, action, about, how)?);
        Ok(())
    }

    /// The key that a text proves to hold, good or not; `None` where it proves nothing.
    pub(crate) async fn proven_key(&self, text: &str) -> Result<Option<ApiKey>> {
        let Some(id) = api_key::read(text) else { return Ok(None) };
        let (key, expected) = match self.0.store.find_api_key(id).await? {
            Some((key, hash)) => (Some(key), hash),
            None => (None, NOBODYS.to_owned()),
        };
        let is_proven = crypto::is_equal(fingerprint(text).as_bytes(), expected.as_bytes());
        Ok(key.filter(|_| is_proven))
    }

    /// Remembers that a key was used. What was done by it is done, whether this is known or not.
    pub(crate) fn note_use(&self, key: &ApiKey, now: Ts) {
        let (store, key) = (self.0.store.clone(), key.clone());
        tokio::spawn(async move {
            if let Err(error) = store.note_use_of_key(&key, now).await {
                tracing::warn!(%error, "the use of a key could not be noted");
            }
        });
    }

    /// The person behind a key, with no other roles than those of a partner, and no more scope than the key
    /// names; and what a change is checked against once more.
    pub async fn caller_by_key(&self, text: &str, via: &Via) -> Result<(Caller, Proof)> {
        let now = self.0.environment.now();
        if api_key::read(text).is_none() {
            self.limit_address(via).await?;
            return Err(Error::Unauthenticated);
        }
        // Before anything is looked at: whatever ends meanwhile is seen in the change's own transaction.
        let rvs = self.0.store.revocation_head().await?;
        let ip = via.ip.as_deref().and_then(|ip| ip.parse().ok());
        let is_good = |key: &ApiKey| key.is_live(now) && key.bounds.admit(ip);
        let Some(key) = self.proven_key(text).await?.filter(is_good) else {
            self.limit_address(via).await?;
            return Err(Error::Unauthenticated);
        };
        // Whoever found it spends its own budget, and not that of the person whose it is.
        self.limit_key(key.session, via).await?;
        let person = self.0.store.find_user(key.tenant, key.user).await?;
        let person = person.filter(|person| {
            person.status == UserStatus::Active && person.ends_at.is_none_or(|end| now < end)
        });
        let person = person.ok_or(Error::Unauthenticated)?;
        let tenant = self.0.store.find_tenant(key.tenant).await?;
        if tenant.is_none_or(|tenant| tenant.status != TenantStatus::Active) {
            return Err(Error::Unauthenticated);
        }
        self.note_use(&key, now);
        let roles = person.roles.into_iter().filter(|role| role.is_partner_role()).collect();
        let keys = [
            Key::All,
            Key::Session(key.session),
            Key::Actor(key.user),
            Key::Client(&key.client),
            Key::Tenant(key.tenant),
        ];
        let proof = Proof::of_key(keys.iter().map(Key::hash).collect(), rvs);
        let caller = Caller {
            user: key.user,
            tenant: key.tenant,
            roles,
            scope: key.bounds.at_home(),
            session: key.session,
            client: key.client.clone(),
            key: Some(by_key(&key)),
        };
        Ok((caller, proof))
    }
}

/// What of a key the decision and the policy go by.
pub(crate) fn by_key(key: &ApiKey) -> ByKey {
    ByKey { id: key.id, bounds: key.bounds.clone() }
}

/// Whether somebody is told of a key as of an own one. A person lets each client see what that has to do with,
/// and one by which the person acts as a partner all.
fn is_known_to(key: &ApiKey, caller: &Caller) -> bool {
    let is_of = key.client == caller.client || key.made_through.as_ref() == Some(&caller.client);
    caller.user == key.user && (is_of || caller.is_for_own_keys())
}

/// Whether keys can be for a client. A public one proves nothing: whoever found a key would need no more.
pub(crate) fn is_for_keys(client: &Client) -> bool {
    client.is_confidential() && client.grant_types.contains(GRANT)
}

/// Ends the keys for a client, and those made through it, with what runs from them; answers how many
/// delegations that were.
pub(crate) async fn end_keys_of(
    tx: &mut Tx,
    client: &ClientId,
    cause: &'static str,
) -> Result<u64> {
    let sessions = tx.end_api_keys_of(client).await?;
    end_of_keys(tx, sessions, cause).await
}

/// The same for one person's keys alone.
pub(crate) async fn end_keys_between(
    tx: &mut Tx,
    (user, client): (UserId, &ClientId),
    cause: &'static str,
) -> Result<u64> {
    let sessions = tx.end_api_keys_between(user, client).await?;
    end_of_keys(tx, sessions, cause).await
}

async fn end_of_keys(tx: &mut Tx, sessions: Vec<SessionId>, cause: &'static str) -> Result<u64> {
    let mut ended = 0;
    for session in sessions {
        ended += tx.end_delegations_of_session(session).await?;
        tx.revoke(&Key::Session(session), cause);
    }
    Ok(ended)
}
