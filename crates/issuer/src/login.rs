//! Logging in with e-mail and password. Every failure looks alike and takes as long, whether the
//! person exists, is disabled, or mistyped.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use procura_domain::{TenantStatus, UserRole};
use procura_store::{
    Tx,
    audit::Entry,
    policies,
    sessions::Session,
    users::{User, UserStatus},
};
use procura_token::{AuditId, SessionId, TenantId, Ts};

use crate::{
    Error, Issuer, Result, Via,
    environment::fingerprint,
    identity_providers::is_alone,
    login_rules::{Demand, Lack},
    passwords,
};

/// Why somebody's login by an identity provider does not count: for the audit log.
pub(crate) const OPERATOR_BY_UPSTREAM: &str = "operator_by_upstream";
/// What a password alone is worth.
pub const ACR_PASSWORD: &str = "urn:procura:acr:pwd";
/// The identity provider that Procura itself is.
pub const IDP_LOCAL: &str = "local";

/// So many failures in a row, under any spelling of the name, and the name waits.
const MAX_FAILURES: u32 = 10;
const WAIT_SECS: i64 = 15 * 60;
/// As many names are remembered; the oldest go first.
const MAX_NAMES: usize = 10_000;

/// Failures by login name, also of names that nobody has, so that waiting tells nothing.
#[derive(Default)]
pub struct Attempts(Mutex<HashMap<String, (u32, Ts)>>);

impl Attempts {
    fn may_try(&self, name: &str, now: Ts) -> bool {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).is_none_or(|(failures, last)| {
            *failures < MAX_FAILURES || now >= last.plus_secs(WAIT_SECS)
        })
    }

    fn note(&self, name: &str, is_success: bool, now: Ts) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_success {
            names.remove(name);
            return;
        }
        if names.len() >= MAX_NAMES {
            names.retain(|_, (_, last)| now < last.plus_secs(WAIT_SECS));
        }
        if names.len() >= MAX_NAMES
            && let Some(oldest) =
                names.iter().min_by_key(|(_, (_, last))| *last).map(|(n, _)| n.clone())
        {
            names.remove(&oldest);
        }
        let (failures, last) = names.entry(name.to_owned()).or_insert((0, now));
        if now >= last.plus_secs(WAIT_SECS) {
            *failures = 0;
        }
        *failures = failures.saturating_add(1);
        *last = now;
    }
}

/// A login that succeeded.
pub struct LoggedIn {
    /// The session.
    pub session: Session,
    /// The value of the session cookie; only its hash is stored.
    pub cookie: String,
}

/// How somebody proved who it is.
pub(crate) struct How {
    /// When.
    pub auth_time: Ts,
    /// How strongly.
    pub acr: String,
    /// By which methods.
    pub amr: Vec<String>,
    /// Through which identity provider.
    pub idp: String,
    /// How long the login lasts at most.
    pub life_secs: i64,
}

/// One spelling for each login name: trimmed, lower case. `None` where it cannot be a name.
#[must_use]
pub fn normalise_email(email: &str) -> Option<String> {
    let email = email.trim();
    let (local, domain) = email.rsplit_once('@')?;
    let is_plain = email.len() <= 254
        && !local.is_empty()
        && !domain.is_empty()
        && email.bytes().all(|b| b.is_ascii_graphic());
    is_plain.then(|| email.to_ascii_lowercase())
}

/// The address of somebody new, as a login name: what mailers read as one address and nothing else (the
/// `dot-atom` form of RFC 5322 §3.4.1). Names from before are found as they are.
#[must_use]
pub fn new_address(email: &str) -> Option<String> {
    let name = normalise_email(email)?;
    let (local, domain) = name.rsplit_once('@')?;
    let is_atom = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let is_label = |part: &str| {
        let ends = !part.starts_with('-') && !part.ends_with('-');
        ends && !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_plain =
        local.len() <= 64 && local.split('.').all(is_atom) && domain.split('.').all(is_label);
    is_plain.then_some(name)
}

impl Issuer {
    /// Logs a person in. `Unauthenticated` for every wrong combination.
    ///
    /// `before` is the login that the browser had: where it is of the same person it goes on under its id,
    /// so that a later logout ends what came from either.
    pub async fn log_in(
        &self,
        (email, password): (&str, &str),
        before: Option<&Session>,
        via: &Via,
    ) -> Result<LoggedIn> {
        let now = self.0.environment.now();
        let name = normalise_email(email);
        let key = fingerprint(name.as_deref().unwrap_or(email));
        if !self.0.attempts.may_try(&key, now) {
            self.note_login(None, "too_many_failures", via).await?;
            return Err(Error::Unauthenticated);
        }
        let user = match &name {
            Some(name) => self.0.store.find_user_by_email(name).await?,
            None => None,
        };
        let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let is_short = password.len() <= passwords::MAX_BYTES;
        let checked = if is_short { password } else { "" };
        let is_match = self.0.passwords.is_match(stored, checked).await? && is_short;
        let Some(user) = user else {
            self.0.attempts.note(&key, false, now);
            self.note_login(None, "user_unknown", via).await?;
            return Err(Error::Unauthenticated);
        };
        let reason = match (is_match, may_log_in(&user, now)) {
            (false, _) => Some("password_wrong"),
            (true, false) => Some("user_inactive"),
            (true, true) => None,
        };
        if let Some(reason) = reason {
            self.0.attempts.note(&key, false, now);
            self.note_login(Some(&user), reason, via).await?;
            return Err(Error::Unauthenticated);
        }
        let before = before.filter(|before| before.user == user.id).map(|before| before.id);
        let started = self.start_session(&user, before, via).await;
        // Whoever is refused with the right password waits like everybody: else the clock told which it is.
        if matches!(started, Ok(_) | Err(Error::Unauthenticated)) {
            self.0.attempts.note(&key, started.is_ok(), now);
        }
        started
    }

    async fn start_session(
        &self,
        user: &User,
        before: Option<SessionId>,
        via: &Via,
    ) -> Result<LoggedIn> {
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let now = tx.now();
        // Between the check above and this transaction the person may have been shut out.
        let current = tx.find_user(user.tenant, user.id).await?;
        let demand = Demand::of(&mut tx, current.as_ref().unwrap_or(user)).await?;
        let lack = match current {
            Some(current)
                if may_log_in(&current, now) && is_active(&mut tx, user.tenant).await? =>
            {
                let is_off = are_passwords_off(&mut tx, &current).await?;
                let off = is_off.then_some(Lack::from("password_login_off"));
                off.or_else(|| demand.lack(ACR_PASSWORD, IDP_LOCAL))
            }
            _ => Some("user_inactive".into()),
        };
        if let Some(lack) = lack {
            drop(tx);
            self.note_login(Some(user), lack, via).await?;
            return Err(Error::Unauthenticated);
        }
        let how = How {
            life_secs: demand.life_secs(self.0.settings.session_ttl_secs),
            auth_time: now,
            acr: ACR_PASSWORD.to_owned(),
            amr: vec!["pwd".to_owned()],
            idp: IDP_LOCAL.to_owned(),
        };
        let logged_in = self.put_session(&mut tx, user, before, how).await?;
        tx.audit(self.login_entry(Some(user), "ok", None, via)?);
        tx.commit().await?;
        self.0.meters.login("ok");
        Ok(logged_in)
    }

    /// Writes the login of a person. It goes on under the id of the one before where both came in the same
    /// way: what ends the logins of one way must find all that came by it.
    pub(crate) async fn put_session(
        &self,
        tx: &mut Tx,
        user: &User,
        before: Option<SessionId>,
        how: How,
    ) -> Result<LoggedIn> {
        let now = tx.now();
        let before = match before {
            Some(id) => tx.find_session(id).await?,
            None => None,
        };
        let before = before.filter(|session| {
            session.is_live(now) && session.user == user.id && session.idp == how.idp
        });
        let session = Session {
            id: match &before {
                Some(before) => before.id,
                None => SessionId::from_bits(self.0.environment.id_bits()?),
            },
            user: user.id,
            tenant: user.tenant,
            auth_time: how.auth_time,
            started_at: now,
            acr: how.acr,
            amr: how.amr,
            idp: how.idp,
            expires_at: now.plus_secs(how.life_secs),
            ended_at: None,
        };
        let cookie = self.0.environment.secret()?;
        if before.is_some() {
            tx.renew_session(&session, &fingerprint(&cookie)).await?;
        } else {
            tx.insert_session(&session, &fingerprint(&cookie)).await?;
        }
        Ok(LoggedIn { session, cookie })
    }

    /// The live session behind a cookie.
    pub async fn session(&self, cookie: &str) -> Result<Option<Session>> {
        let now = self.0.environment.now();
        let session = self.0.store.find_session_by_cookie(&fingerprint(cookie)).await?;
        let Some(session) = session.filter(|session| session.is_live(now)) else { return Ok(None) };
        let user = self.0.store.find_user(session.tenant, session.user).await?;
        let Some(user) = user.filter(|user| user.status == UserStatus::Active) else {
            return Ok(None);
        };
        // Whoever is somebody else than at the login may be bound by more.
        let applied = self.0.store.list_applied(session.tenant).await?;
        let rules = policies::demands(&applied, &user.roles);
        Ok(rules.unmet_by(&session.acr, &session.idp).is_none().then_some(session))
    }

    async fn note_login(
        &self,
        user: Option<&User>,
        lack: impl Into<Lack>,
        via: &Via,
    ) -> Result<()> {
        let lack = lack.into();
        self.0.meters.login(lack.reason);
        self.admit_failure(via)?;
        let entry = self.login_entry(user, "refused", Some(lack.reason), via)?;
        Ok(self.0.store.record(lack.named_in(entry)).await?)
    }

    pub(crate) fn login_entry(
        &self,
        user: Option<&User>,
        result: &str,
        reason: Option<&str>,
        via: &Via,
    ) -> Result<Entry> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        Ok(Entry {
            reason: reason.map(Into::into),
            actor_user_id: user.map(|user| user.id),
            actor_tenant_id: user.map(|user| user.tenant),
            target_tenant_id: user.map(|user| user.tenant),
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(id, self.0.environment.now(), "login", result)
        })
    }
}

/// Whether the person is one who can be logged in at all.
pub(crate) fn may_log_in(user: &User, now: Ts) -> bool {
    user.status == UserStatus::Active && user.ends_at.is_none_or(|end| now < end)
}

/// Whether this is an operator who came in by a tenant's identity provider. Who made the provider could log
/// in as anybody of the tenant; that must not make an operator.
pub(crate) fn is_operator_from_elsewhere(user: &User, idp: &str) -> bool {
    user.roles.contains(&UserRole::SuperAdmin) && idp != IDP_LOCAL
}

/// Whether the tenant is.
pub(crate) async fn is_active(tx: &mut Tx, tenant: TenantId) -> Result<bool> {
    let tenant = tx.find_tenant(tenant).await?;
    Ok(tenant.is_some_and(|tenant| tenant.status == TenantStatus::Active))
}

/// Whether an identity provider took the place of this person's password. Operators have no other way in.
async fn are_passwords_off(tx: &mut Tx, user: &User) -> Result<bool> {
    let providers = tx.list_providers(user.tenant).await?;
    Ok(providers.iter().any(is_alone) && !user.roles.contains(&UserRole::SuperAdmin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        assert_eq!(normalise_email(" Pat@Northwind.TEST "), normalise_email("pat@northwind.test"));
        for bad in ["", "pat", "@x", "pat@", "p at@x", "pat@x\0", "pät@x"] {
            assert_eq!(normalise_email(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn somebody_new_has_an_address_that_is_one_address() {
        for good in
            ["pat@northwind.test", "Pat.O'Hara+a=b@x-y.example", "root@localhost", "a/b@x.y"]
        {
            assert_eq!(new_address(good), Some(good.to_ascii_lowercase()), "{good}");
        }
        for bad in [
            "a@x.test,b@y.test",
            "a,b@x.test",
            "a;b@x.test",
            "<a@x.test>",
            "a:b@x.test",
            "a\"b@x.test",
            "\"a\"@x.test",
            "a(b)@x.test",
            "a\\b@x.test",
            "a@b@x.test",
            "a[b]@x.test",
            ".a@x.test",
            "a.@x.test",
            "a..b@x.test",
            "a@x..test",
            "a@-x.test",
            "a@x-.test",
            "a@[10.0.0.1]",
            "a@x_y.test",
            "a@x.test,",
            "a@x.test\nBcc: b@y.test",
            &format!("{}@x.test", "a".repeat(65)),
        ] {
            assert_eq!(new_address(bad), None, "{bad:?}");
        }
        assert!(normalise_email("a,b@x.test").is_some(), "who is known by it still logs in");
    }

    #[test]
    fn ten_failures_make_a_name_wait_and_a_success_forgives() {
        let attempts = Attempts::default();
        let now = Ts::from_secs(1_000);
        for _ in 0..MAX_FAILURES {
            assert!(attempts.may_try("a", now));
            attempts.note("a", false, now);
        }
        assert!(!attempts.may_try("a", now));
        assert!(attempts.may_try("b", now));
        assert!(attempts.may_try("a", now.plus_secs(WAIT_SECS)));
        attempts.note("a", true, now);
        assert!(attempts.may_try("a", now));
    }
}
