//! Who calls the management API: a home token becomes a [`Caller`] only if the login, the person and
//! the person's roles are what they were, now and in the database.

use procura_domain::{Caller, TenantStatus};
use procura_store::{Tx, audit::Entry, sessions::Session, users::UserStatus};
use procura_token::{AuditId, KeyHash, Kind, Seq, Shown, TenantId};

use crate::{Call, Error, Issuer, Result, api_keys::AUDITED_KEY, idempotency::Claim};

/// By what a caller's token can be revoked, and where the log stood when it was issued.
#[derive(Clone, Debug)]
pub struct Proof {
    keys: Vec<KeyHash>,
    rvs: Seq,
    /// When the person logged in, in seconds; `None` where nobody is logged in.
    pub(crate) auth_time: Option<i64>,
    /// The key under which the change happens, where the caller named one.
    pub(crate) claim: Option<Claim>,
}

impl Proof {
    /// That of a key: nobody is logged in.
    pub(crate) const fn of_key(keys: Vec<KeyHash>, rvs: Seq) -> Self {
        Self { keys, rvs, auth_time: None, claim: None }
    }
}

/// How much of a login a token needs behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The person is logged in.
    LoggedIn,
    /// The login may have run out, but nobody ended it: what offline access is good for.
    NotLoggedOut,
}

impl Issuer {
    /// What a change is checked against once more, in its own transaction.
    pub fn proof(&self, token: &str, shown: Shown<'_>) -> Result<Proof> {
        let genuine = self.genuine(token, shown, self.0.environment.now());
        let genuine = genuine.map_err(|_| Error::Unauthenticated)?;
        let (keys, auth_time) = (genuine.keys.clone(), genuine.claims.auth_time);
        Ok(Proof { keys, rvs: genuine.claims.rvs, auth_time, claim: None })
    }

    /// Opens the transaction of a change. Whoever was disabled while the request waited changes nothing.
    pub(crate) async fn begin_for(&self, call: &Call) -> Result<Tx> {
        let tx = self.0.store.begin(self.0.environment.now()).await?;
        admit(tx, &call.proof).await
    }

    /// The same for a change that takes something away.
    pub(crate) async fn begin_urgent_for(&self, call: &Call) -> Result<Tx> {
        let tx = self.0.store.begin_urgent(self.0.environment.now()).await?;
        admit(tx, &call.proof).await
    }

    /// The person behind an access token. Delegated tokens, tokens of clients and tokens for another
    /// audience are nobody here.
    pub async fn caller(&self, token: &str, shown: Shown<'_>) -> Result<Caller> {
        self.caller_by(token, shown, Presence::LoggedIn).await
    }

    /// The same, with as much of a login behind the token as is said.
    pub(crate) async fn caller_by(
        &self,
        token: &str,
        shown: Shown<'_>,
        presence: Presence,
    ) -> Result<Caller> {
        let now = self.0.environment.now();
        let genuine = self.genuine(token, shown, now).map_err(|_| Error::Unauthenticated)?;
        let claims = &genuine.claims;
        let Kind::Home { user } = genuine.kind else { return Err(Error::Unauthenticated) };
        self.0.store.revocation_head().await?;
        let is_dead = self.0.store.revocations().is_dead(&genuine.keys, claims.rvs);
        if claims.aud != self.0.settings.issuer || is_dead {
            return Err(Error::Unauthenticated);
        }
        let sid = claims.sid.ok_or(Error::Unauthenticated)?;
        let session = self.0.store.find_session(sid).await?;
        let is_present = |s: &Session| match presence {
            Presence::LoggedIn => s.is_live(now),
            Presence::NotLoggedOut => s.ended_at.is_none(),
        };
        let session =
            session.filter(|s| is_present(s) && s.user == user && s.tenant == claims.tenant);
        let session = session.ok_or(Error::Unauthenticated)?;
        let person = self.0.store.find_user(claims.tenant, user).await?;
        let is_active = |u: &procura_store::users::User| {
            u.status == UserStatus::Active && u.ends_at.is_none_or(|end| now < end)
        };
        let person = person.filter(is_active).ok_or(Error::Unauthenticated)?;
        let tenant = self.0.store.find_tenant(claims.tenant).await?;
        if tenant.is_none_or(|tenant| tenant.status != TenantStatus::Active) {
            return Err(Error::Unauthenticated);
        }
        Ok(Caller {
            user,
            tenant: claims.tenant,
            roles: person.roles,
            scope: claims.scope.clone(),
            session: session.id,
            client: claims.client_id.clone(),
            key: None,
        })
    }

    /// The tenant that a path names: an id, or a slug among the caller's own tenant and those that it
    /// has a relationship with (for the operator: any).
    pub async fn resolve_tenant(&self, caller: &Caller, name: &str) -> Result<TenantId> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let own = self.0.store.find_tenant(caller.tenant).await?.ok_or(Error::NotFound)?;
        if own.slug == name {
            return Ok(own.id);
        }
        let managed = self.0.store.list_managed(caller.tenant).await?;
        let managing = self.0.store.list_managing(caller.tenant).await?;
        let linked = managed.iter().chain(&managing).find(|link| link.tenant_slug == name);
        if let Some(link) = linked {
            return Ok(link.tenant);
        }
        if caller.is(procura_domain::UserRole::SuperAdmin)
            && let Some(tenant) = self.0.store.find_tenant_by_slug(name).await?
        {
            return Ok(tenant.id);
        }
        Err(Error::NotFound)
    }

    /// An audit entry of what a caller did to a tenant.
    pub(crate) fn entry(&self, call: &Call, action: &str, target: TenantId) -> Result<Entry> {
        let Call { caller, via, .. } = call;
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let mut entry = Entry {
            actor_user_id: Some(caller.user),
            actor_tenant_id: Some(caller.tenant),
            target_tenant_id: Some(target),
            client_id: Some(caller.client.clone()),
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(id, self.0.environment.now(), action, "ok")
        };
        if let Some(key) = &caller.key {
            entry.add_detail(AUDITED_KEY, &key.id);
        }
        Ok(entry)
    }
}

async fn admit(mut tx: Tx, proof: &Proof) -> Result<Tx> {
    if tx.is_dead(&proof.keys, proof.rvs).await? {
        return Err(Error::Unauthenticated);
    }
    // Done is done together with the change; whoever has lost its claim changes nothing.
    if let Some(claim) = &proof.claim
        && !tx.fulfil(claim).await?
    {
        return Err(Error::Conflict);
    }
    Ok(tx)
}
