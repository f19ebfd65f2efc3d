//! What a login gives a client, whether by its code or by a refresh token: the home token, the ID token,
//! and the record by which both can be taken back.

use procura_domain::{RelationshipKind, TenantStatus};
use procura_store::{
    Tx,
    audit::Entry,
    clients::{Client, ResourceServer},
    refresh::HomeToken,
    sessions::Session,
    users::{User, UserStatus},
};
use procura_token::{ClientId, Key, Scope, Seq, SessionId, Ts};

use crate::{
    Error, Issuer, Minted, Result,
    authorize::Pending,
    dpop::ProvenKey,
    login::{OPERATOR_BY_UPSTREAM, is_operator_from_elsewhere},
    login_rules::Demand,
    mint::Home,
    requested::{IDENTITY_SCOPES, Requested},
};

/// More home tokens than this are not revoked one by one: the login dies, and with it all that came
/// from it.
const MOST_ONE_BY_ONE: usize = 32;

/// What the client gets.
pub struct Given {
    /// The home access token.
    pub token: Minted,
    /// Where scope `openid` was granted.
    pub id_token: Option<String>,
    /// Where scope `offline_access` was granted, and the token is a new one.
    pub refresh_token: Option<String>,
}

/// Everything that a client's right stands for, as it is in this transaction.
pub(crate) struct Login {
    /// The hash of the code that it goes back to.
    pub origin_hash: String,
    /// What was agreed.
    pub pending: Pending,
    pub session: Session,
    pub user: User,
    /// Whom the token is for, where that is not ourselves.
    pub audience: Option<ResourceServer>,
    /// The key that whoever asks has proven to hold.
    pub key: Option<ProvenKey>,
}

/// What is given this time.
pub(crate) struct Portion<'a> {
    /// Asked for and agreed.
    pub scope: Scope,
    /// No token lives longer.
    pub ends_at: Ts,
    /// Echoed in the ID token.
    pub nonce: Option<&'a str>,
}

impl Issuer {
    /// The person behind a session, if person and tenant still may; else why not.
    pub(crate) async fn person_of(
        &self,
        tx: &mut Tx,
        session: &Session,
    ) -> Result<Result<User, &'static str>> {
        let now = tx.now();
        let user = tx.find_user(session.tenant, session.user).await?;
        let may_log_in = |user: &User| {
            user.status == UserStatus::Active && user.ends_at.is_none_or(|end| now < end)
        };
        let Some(user) = user.filter(may_log_in) else {
            return Ok(Err("user_inactive"));
        };
        // Whoever rose after this login has to come in again, by a password.
        if is_operator_from_elsewhere(&user, &session.idp) {
            return Ok(Err(OPERATOR_BY_UPSTREAM));
        }
        let tenant = tx.find_tenant(session.tenant).await?;
        if tenant.is_none_or(|tenant| tenant.status != TenantStatus::Active) {
            return Ok(Err("home_tenant_inactive"));
        }
        match Demand::of(tx, &user).await?.lack_of(session, now) {
            Some(lack) => Ok(Err(lack.reason)),
            None => Ok(Ok(user)),
        }
    }

    /// Signs the tokens and writes down what was given. It counts when the transaction is committed.
    pub(crate) async fn give_home(
        &self,
        tx: &mut Tx,
        client: &Client,
        login: &Login,
        portion: Portion<'_>,
    ) -> Result<(Minted, Option<String>)> {
        let (now, jti) = (tx.now(), self.new_jti()?);
        let Login { origin_hash, pending, session, user, audience, key } = login;
        let kinds = [RelationshipKind::Manages, RelationshipKind::Trust];
        let can_enter =
            |kind: &RelationshipKind| user.roles.iter().any(|r| r.reach(*kind).is_some());
        let kinds: Vec<_> = kinds.into_iter().filter(can_enter).collect();
        let managed = tx.list_enterable(user.tenant, user.id, &kinds).await?;
        let scope = home_scope(&portion.scope, user, audience.as_ref());
        let signers = self.signers_in(tx).await?;
        let id_token = if scope.contains("openid") {
            let about = (pending, portion.nonce);
            let token = self.id_token(&signers, client, about, (session, user))?;
            tx.insert_session_client(session.id, &client.id).await?;
            Some(token)
        } else {
            None
        };
        let home = Home {
            signers: &signers,
            client,
            audience: audience.as_ref().map(|server| server.audience.as_str()),
            user,
            session,
            ends_at: portion.ends_at,
            scope,
            managed,
            key: key.as_ref(),
            rvs: tx.rvs(),
            jti,
        };
        let token = self.mint_home(home, now)?;
        tx.insert_home_token(&HomeToken {
            jti: token.jti.clone(),
            session: session.id,
            user: user.id,
            client: client.id.clone(),
            origin_hash: origin_hash.clone(),
            claims: named(&pending.claims)?,
            expires_at: now.plus_secs(token.expires_in),
        })
        .await?;
        Ok((token, id_token))
    }

    /// Counts what left.
    pub(crate) fn count_given(&self, given: &Given) {
        self.0.meters.token("home");
        if given.id_token.is_some() {
            self.0.meters.token("id");
        }
        if given.refresh_token.is_some() {
            self.0.meters.token("refresh");
        }
    }

    /// The entry of what was given, with the person's part.
    pub(crate) fn given_entry(entry: Entry, user: &User, token: &Minted) -> Entry {
        Entry {
            actor_user_id: Some(user.id),
            actor_tenant_id: Some(user.tenant),
            target_tenant_id: Some(user.tenant),
            jti: Some(token.jti.clone()),
            ..entry
        }
    }
}

/// Takes back all that goes back to one code: the family of refresh tokens, the living home tokens, and
/// what was exchanged from them, through this client or another one. Whether there was anything left to take.
pub(crate) async fn take_back(
    tx: &mut Tx,
    origin_hash: &str,
    (session, client): (SessionId, &ClientId),
    cause: &'static str,
) -> Result<bool> {
    let has_ended = tx.end_family(origin_hash).await?;
    let jtis = tx.list_home_tokens_from(origin_hash).await?;
    revoke_home_tokens(tx, jtis.into_iter().map(|jti| (jti, session)).collect(), cause).await?;
    for delegation in tx.end_delegations_through(session, client).await? {
        tx.revoke(&Key::Delegation(delegation), cause);
    }
    Ok(has_ended || tx.is_revoking())
}

/// Kills home tokens, each with its login.
pub(crate) async fn revoke_home_tokens(
    tx: &mut Tx,
    tokens: Vec<(String, SessionId)>,
    cause: &'static str,
) -> Result<()> {
    if tokens.len() > MOST_ONE_BY_ONE {
        let mut sessions: Vec<_> = tokens.into_iter().map(|(_, session)| session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        for session in sessions {
            tx.revoke(&Key::Session(session), cause);
        }
        return Ok(());
    }
    for (jti, _) in tokens {
        let key = Key::Jti(&jti);
        // Once is enough: whoever asks for it again adds nothing to the log.
        if !tx.is_dead(&[key.hash()], Seq(0)).await? {
            tx.revoke(&key, cause);
        }
    }
    Ok(())
}

fn named(claims: &Requested) -> Result<Option<String>> {
    if claims.userinfo.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(claims).map(Some).map_err(|_| Error::Broken)
}

/// requested ∩ what the client may ask (checked before) ∩ what the user's roles give; for somebody else than
/// ourselves ∩ what that one understands.
fn home_scope(requested: &Scope, user: &User, audience: Option<&ResourceServer>) -> Scope {
    requested.filtered(|permission| {
        let is_given = permission == crate::consents::SCOPE
            || user.roles.iter().any(|role| role.home_scope().contains(&permission));
        let is_known = audience.is_none_or(|server| server.permissions.allows(permission));
        IDENTITY_SCOPES.contains(&permission) || (is_given && is_known)
    })
}
