//! Refresh tokens (RFC 6749 §6, RFC 9700 §4.14): a client comes back without the person. Every token
//! works once and gives its successor; one that comes back shows that two parties have it, and ends the
//! whole family with what it gave.

use procura_domain::Profile;
use procura_store::{
    Tx,
    clients::Client,
    refresh::{Family, RefreshToken},
};
use procura_token::{Scope, Ts};

use crate::{
    Error, Issuer, Result, Via,
    authorize::Pending,
    dpop::{ProvenKey, admit_binding},
    environment::fingerprint,
    home::{Given, Login, Portion, take_back},
    requested::OFFLINE_ACCESS,
};

/// The grant type's name.
pub const GRANT: &str = "refresh_token";
/// The action in the audit log.
pub const ACTION: &str = "token.refresh";

/// An honest client that asks twice at once has both answers within this time. Whoever is late gets
/// nothing, but is no thief, as long as nobody has used the successor.
const RACE_SECS: i64 = 2;

/// What the client sends.
pub struct Refreshing<'a> {
    /// The refresh token.
    pub token: &'a str,
    /// Less than was agreed, where the client wants less this time.
    pub scope: Option<Scope>,
    /// One of the resources that were agreed on, where the client says which (RFC 8707 §2.2).
    pub resource: Option<&'a str>,
    /// The key that whoever sends it has proven to hold.
    pub key: Option<&'a ProvenKey>,
}

/// A right that may be used, as it is in this transaction.
struct Renewal {
    login: Login,
    family: Family,
    scope: Scope,
}

impl Issuer {
    /// Gives a new home token for a refresh token, and its successor. `fapi2` clients keep their token
    /// (FAPI 2.0 Security Profile §5.3.2.1): theirs is bound to their key.
    pub async fn refresh(
        &self,
        client: &Client,
        asked: Refreshing<'_>,
        via: &Via,
    ) -> Result<Given> {
        if !client.grant_types.contains(GRANT) {
            self.admit_failure_of(client, via)?;
            self.note(ACTION, "grant_not_allowed", Some(client.id.clone()), via).await?;
            return Err(Error::GrantNotAllowed);
        }
        if let Err(error) = admit_binding(client, asked.key) {
            self.admit_failure_of(client, via)?;
            self.note(ACTION, error.code(), Some(client.id.clone()), via).await?;
            return Err(error);
        }
        let hash = fingerprint(asked.token);
        // Nobody takes the order of all writers in hand for a token that never was.
        if self.0.store.find_refresh_client(&hash).await?.is_none() {
            self.admit_failure_of(client, via)?;
            self.note(ACTION, "refresh_token_unknown", Some(client.id.clone()), via).await?;
            return Err(Error::BadGrant);
        }
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        if !tx.is_current_client(client).await? {
            drop(tx);
            self.forget_client(&client.id);
            self.note(ACTION, "client_unusable", Some(client.id.clone()), via).await?;
            return Err(Error::Unauthenticated);
        }
        match self.check_refresh(&mut tx, client, &asked, &hash).await? {
            Ok(renewal) => self.renew(tx, client, (renewal, &hash), via).await,
            Err((error, reason)) => {
                // A replay ends its family, whoever brings it; the next time there is none to end.
                if reason != REPLAYED {
                    self.admit_failure_of(client, via)?;
                }
                let mut entry = self.issue_entry(client, "refused", Some(reason), via)?;
                ACTION.clone_into(&mut entry.action);
                tx.audit(entry);
                tx.commit().await?;
                Err(error)
            }
        }
    }

    async fn check_refresh(
        &self,
        tx: &mut Tx,
        client: &Client,
        asked: &Refreshing<'_>,
        hash: &str,
    ) -> Result<Result<Renewal, (Error, &'static str)>> {
        let refuse = |reason| Ok(Err((Error::BadGrant, reason)));
        let now = tx.now();
        let Some(found) = tx.find_refresh_token(hash).await? else {
            return refuse("refresh_token_unknown");
        };
        if found.family.client != client.id {
            return refuse("refresh_token_of_another_client");
        }
        if let Some(reason) = unusable(&found, now) {
            if reason == REPLAYED {
                let of = (found.family.session, &found.family.client);
                take_back(tx, &found.family.origin_hash, of, REPLAYED).await?;
            }
            return refuse(reason);
        }
        let family = found.family;
        // The login may have run out, but nobody may have ended it.
        let session = tx.find_session(family.session).await?;
        let Some(session) = session.filter(|session| session.ended_at.is_none()) else {
            return refuse("session_ended");
        };
        let user = match self.person_of(tx, &session).await? {
            Ok(user) => user,
            Err(reason) => return refuse(reason),
        };
        let agreed = tx.find_consent(family.user, &client.id).await?;
        if agreed.is_none_or(|agreed| !agreed.contains(OFFLINE_ACCESS)) {
            return refuse("consent_withdrawn");
        }
        let pending: Pending =
            serde_json::from_str(&family.grant_json).map_err(|_| Error::Broken)?;
        // Nothing else tells a public client from whoever found its token (RFC 9449 §5).
        let is_held = |jkt: &String| asked.key.is_some_and(|key| key.thumbprint() == jkt);
        if !client.is_confidential() && !pending.terms.dpop_jkt.as_ref().is_none_or(is_held) {
            return refuse("refresh_token_of_another_key");
        }
        let wanted = asked.scope.as_ref().unwrap_or(&pending.scope);
        if !wanted.is_subset(&pending.scope) {
            return Ok(Err((Error::BadScope, Error::BadScope.code())));
        }
        // What was taken from the client since is not in it any more.
        let scope = wanted.filtered(|permission| client.scope.contains(permission));
        let audience = match self.audience_of(tx, client, &pending, asked.resource).await {
            Ok(audience) => audience,
            Err(error @ Error::Refused(_)) => return Ok(Err((error, error.code()))),
            Err(other) => return Err(other),
        };
        let (origin_hash, key) = (family.origin_hash.clone(), asked.key.cloned());
        let login = Login { origin_hash, pending, session, user, audience, key };
        Ok(Ok(Renewal { login, family, scope }))
    }

    async fn renew(
        &self,
        mut tx: Tx,
        client: &Client,
        (renewal, hash): (Renewal, &str),
        via: &Via,
    ) -> Result<Given> {
        let Renewal { login, family, scope } = renewal;
        let refresh_token = if client.profile == Profile::Fapi2 {
            None
        } else {
            let successor = self.0.environment.secret()?;
            if !tx.rotate_refresh_token(hash, &fingerprint(&successor), &family).await? {
                return Err(Error::BadGrant);
            }
            Some(successor)
        };
        let idle_ends_at = tx.now().plus_secs(self.0.settings.refresh.idle_secs);
        tx.update_family(&family.origin_hash, idle_ends_at).await?;
        let portion = Portion { scope, ends_at: family.ends_at, nonce: None };
        let (token, id_token) = self.give_home(&mut tx, client, &login, portion).await?;
        let entry = self.issue_entry(client, "ok", None, via)?;
        let mut entry = Self::given_entry(entry, &login.user, &token);
        ACTION.clone_into(&mut entry.action);
        tx.audit(entry);
        tx.commit().await?;
        let given = Given { token, id_token, refresh_token };
        self.count_given(&given);
        Ok(given)
    }

    /// Begins a family, where the person agreed to one and the client may have it.
    pub(crate) async fn begin_family(
        &self,
        tx: &mut Tx,
        client: &Client,
        login: &Login,
    ) -> Result<Option<String>> {
        if !login.pending.scope.contains(OFFLINE_ACCESS) || !client.grant_types.contains(GRANT) {
            return Ok(None);
        }
        let mut pending = login.pending.clone();
        if let Some(key) = &login.key {
            // The first use of the code binds what follows from it, also where nobody named a key before.
            pending.terms.dpop_jkt = Some(key.thumbprint().to_owned());
        }
        let token = self.0.environment.secret()?;
        let (now, settings) = (tx.now(), self.0.settings.refresh);
        let family = Family {
            origin_hash: login.origin_hash.clone(),
            session: login.session.id,
            user: login.user.id,
            tenant: login.user.tenant,
            client: client.id.clone(),
            grant_json: serde_json::to_string(&pending).map_err(|_| Error::Broken)?,
            ends_at: now.plus_secs(settings.ttl_secs),
            idle_ends_at: now.plus_secs(settings.idle_secs),
            ended_at: None,
        };
        tx.insert_family(&family, &fingerprint(&token)).await?;
        Ok(Some(token))
    }

    /// Ends the family of a refresh token of this client (RFC 7009 §2.1), and what it gave. `false` where
    /// it is none.
    pub(crate) async fn revoke_refresh_token(
        &self,
        client: &Client,
        token: &str,
        via: &Via,
    ) -> Result<bool> {
        let hash = fingerprint(token);
        if self.0.store.find_refresh_client(&hash).await?.as_ref() != Some(&client.id) {
            return Ok(false);
        }
        let mut tx = self.0.store.begin_urgent(self.0.environment.now()).await?;
        let found = tx.find_refresh_token(&hash).await?;
        // Over already: nothing to do, however often it is asked for.
        let Some(family) = found.map(|found| found.family).filter(|f| f.ended_at.is_none()) else {
            return Ok(true);
        };
        take_back(&mut tx, &family.origin_hash, (family.session, &client.id), "token_revoked")
            .await?;
        let mut entry = self.issue_entry(client, "ok", None, via)?;
        "token.revoke".clone_into(&mut entry.action);
        entry.resource_type = Some("refresh_token".to_owned());
        entry.actor_user_id = Some(family.user);
        entry.actor_tenant_id = Some(family.tenant);
        entry.target_tenant_id = Some(family.tenant);
        tx.audit(entry);
        tx.commit().await?;
        Ok(true)
    }
}

const REPLAYED: &str = "refresh_token_replayed";

/// Why a token cannot be used, by itself.
fn unusable(found: &RefreshToken, now: Ts) -> Option<&'static str> {
    let family = &found.family;
    if family.ended_at.is_some() {
        return Some("refresh_token_revoked");
    }
    if now >= family.ends_at || now >= family.idle_ends_at {
        return Some("refresh_token_expired");
    }
    let used_at = found.used_at?;
    let is_race = !found.is_successor_used && now < used_at.plus_secs(RACE_SECS);
    Some(if is_race { "refresh_token_used" } else { REPLAYED })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(used_at: Option<i64>, is_successor_used: bool) -> RefreshToken {
        RefreshToken {
            family: Family {
                origin_hash: "o".to_owned(),
                session: procura_token::SessionId::from_bits(1),
                user: procura_token::UserId::from_bits(2),
                tenant: procura_token::TenantId::from_bits(3),
                client: "cli_app".parse().unwrap(),
                grant_json: String::new(),
                ends_at: Ts::from_secs(1_000),
                idle_ends_at: Ts::from_secs(500),
                ended_at: None,
            },
            used_at: used_at.map(Ts::from_secs),
            is_successor_used,
        }
    }

    #[test]
    fn a_token_is_good_once_and_until_the_family_ends() {
        let now = Ts::from_secs(100);
        assert_eq!(unusable(&token(None, false), now), None);
        for end in [500, 1_000] {
            let at = Ts::from_secs(end);
            assert_eq!(unusable(&token(None, false), at), Some("refresh_token_expired"));
        }
        let mut ended = token(None, false);
        ended.family.ended_at = Some(now);
        assert_eq!(unusable(&ended, now), Some("refresh_token_revoked"));
    }

    #[test]
    fn a_race_is_no_theft_and_a_replay_is() {
        let late = |used, is_successor_used, now| {
            unusable(&token(Some(used), is_successor_used), Ts::from_secs(now))
        };
        assert_eq!(late(100, false, 101), Some("refresh_token_used"));
        assert_eq!(late(100, true, 101), Some(REPLAYED), "the successor was used");
        assert_eq!(late(100, false, 102), Some(REPLAYED), "too late");
    }
}
