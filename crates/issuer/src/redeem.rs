//! Redeeming a code for a home token and an ID token.

use procura_domain::{RelationshipKind, TenantStatus};
use procura_store::{
    Tx,
    audit::Entry,
    clients::Client,
    codes::Code,
    sessions::Session,
    users::{User, UserStatus},
};
use procura_token::{AuditId, Key, Scope, Seq};
use serde_json::json;

use crate::{
    Error, Issuer, Minted, Result, Via,
    authorize::Pending,
    dpop::{ProvenKey, admit_binding},
    environment::fingerprint,
    grants::code::{Kept, Presented, may_redeem},
    keys::Signers,
    mint::Home,
};

/// The grant type's name.
pub const GRANT: &str = "authorization_code";

/// Scopes of OpenID Connect that anybody may ask for.
const IDENTITY_SCOPES: &[&str] = &["openid", "profile", "email"];

const CODE_REPLAYED: &str = "code_replayed";

/// What the client sends.
#[derive(Clone, Copy)]
pub struct Redemption<'a> {
    /// The code.
    pub code: &'a str,
    /// Must be the one of the authorization request.
    pub redirect_uri: &'a str,
    /// The PKCE verifier.
    pub code_verifier: Option<&'a str>,
    /// The key that whoever sends it has proven to hold.
    pub key: Option<&'a ProvenKey>,
}

/// What the client gets.
pub struct Redeemed {
    /// The home access token.
    pub token: Minted,
    /// Where scope `openid` was granted.
    pub id_token: Option<String>,
}

/// Everything that the code stands for, as it is in this transaction.
struct Login {
    code_hash: String,
    pending: Pending,
    session: Session,
    user: User,
    key: Option<ProvenKey>,
}

impl Issuer {
    /// Redeems a code, once. A second attempt takes back what the first one gave.
    pub async fn redeem(
        &self,
        client: &Client,
        asked: Redemption<'_>,
        via: &Via,
    ) -> Result<Redeemed> {
        if !client.grant_types.contains(GRANT) {
            self.admit_failure_of(client, via)?;
            self.note("token.issue", "grant_not_allowed", Some(client.id.clone()), via).await?;
            return Err(Error::GrantNotAllowed);
        }
        if let Err(error) = admit_binding(client, asked.key) {
            self.admit_failure_of(client, via)?;
            self.note("token.issue", error.code(), Some(client.id.clone()), via).await?;
            return Err(error);
        }
        let code_hash = fingerprint(asked.code);
        // Nobody takes the order of all writers in hand for a code that never was.
        if !self.0.store.is_code_known(&code_hash).await? {
            self.admit_failure_of(client, via)?;
            self.note("token.issue", "code_unknown", Some(client.id.clone()), via).await?;
            return Err(Error::BadGrant);
        }
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        if !tx.is_current_client(client).await? {
            drop(tx);
            self.forget_client(&client.id);
            self.note("token.issue", "client_unusable", Some(client.id.clone()), via).await?;
            return Err(Error::Unauthenticated);
        }
        match self.check_code(&mut tx, client, asked, &code_hash).await? {
            Ok(login) => self.give(tx, client, login, via).await,
            Err(reason) => {
                // A replayed code takes back what it gave, whoever brings it; the next time there is
                // nothing left to take.
                if !tx.is_revoking() {
                    self.admit_failure_of(client, via)?;
                }
                let entry = self.issue_entry(client, "refused", Some(reason), via)?;
                tx.audit(entry);
                tx.commit().await?;
                Err(Error::BadGrant)
            }
        }
    }

    async fn check_code(
        &self,
        tx: &mut Tx,
        client: &Client,
        asked: Redemption<'_>,
        code_hash: &str,
    ) -> Result<Result<Login, &'static str>> {
        let Some(code) = tx.find_code(code_hash).await? else { return Ok(Err("code_unknown")) };
        if code.client != client.id {
            return Ok(Err("code_of_another_client"));
        }
        if code.used_at.is_some() {
            self.take_back(tx, &code).await?;
            return Ok(Err(CODE_REPLAYED));
        }
        let pending: Pending = serde_json::from_str(&code.grant_json).map_err(|_| Error::Broken)?;
        let presented = Presented {
            client_id: client.id.as_str(),
            code: asked.code,
            redirect_uri: asked.redirect_uri,
            code_verifier: asked.code_verifier,
        };
        let kept = Kept {
            client_id: pending.client.as_str(),
            redirect_uri: &pending.redirect_uri,
            challenge: &pending.challenge,
            expires_at: code.expires_at,
        };
        if !may_redeem(&presented, &kept, tx.now()) {
            return Ok(Err("code_unacceptable"));
        }
        // Whoever asked for the code named the key that will redeem it (RFC 9449 §10).
        if let Some(wanted) = &pending.terms.dpop_jkt
            && asked.key.is_none_or(|key| key.thumbprint() != wanted)
        {
            return Ok(Err("code_of_another_key"));
        }
        let now = tx.now();
        let session = tx.find_session(code.session).await?.filter(|session| session.is_live(now));
        let Some(session) = session else { return Ok(Err("session_ended")) };
        let user = tx.find_user(session.tenant, session.user).await?;
        let may_log_in = |user: &User| {
            user.status == UserStatus::Active && user.ends_at.is_none_or(|end| now < end)
        };
        let Some(user) = user.filter(may_log_in) else {
            return Ok(Err("user_inactive"));
        };
        let tenant = tx.find_tenant(session.tenant).await?;
        if tenant.is_none_or(|tenant| tenant.status != TenantStatus::Active) {
            return Ok(Err("home_tenant_inactive"));
        }
        let (code_hash, key) = (code_hash.to_owned(), asked.key.cloned());
        Ok(Ok(Login { code_hash, pending, session, user, key }))
    }

    /// A code that comes twice was stolen by one of the two: what it gave dies, and with it what was
    /// exchanged from it (RFC 6749 §4.1.2).
    async fn take_back(&self, tx: &mut Tx, code: &Code) -> Result<()> {
        if let Some(jti) = &code.jti {
            let key = Key::Jti(jti);
            // Once is enough: whoever replays it again adds nothing to the log.
            if !tx.is_dead(&[key.hash()], Seq(0)).await? {
                tx.revoke(&key, CODE_REPLAYED);
            }
        }
        for delegation in tx.end_delegations_through(code.session, &code.client).await? {
            tx.revoke(&Key::Delegation(delegation), CODE_REPLAYED);
        }
        Ok(())
    }

    async fn give(&self, mut tx: Tx, client: &Client, login: Login, via: &Via) -> Result<Redeemed> {
        let (now, jti) = (tx.now(), self.new_jti()?);
        let Login { code_hash, pending, session, user, key } = login;
        if !tx.redeem_code(&code_hash, &jti).await? {
            return Err(Error::BadGrant);
        }
        let kinds = [RelationshipKind::Manages, RelationshipKind::Trust];
        let can_enter =
            |kind: &RelationshipKind| user.roles.iter().any(|r| r.reach(*kind).is_some());
        let kinds: Vec<_> = kinds.into_iter().filter(can_enter).collect();
        let managed = tx.list_enterable(user.tenant, user.id, &kinds).await?;
        let scope = home_scope(&pending.scope, &user);
        let signers = self.signers_in(&mut tx).await?;
        let id_token = self.id_token(&signers, client, &pending, (&session, &user))?;
        let (user, rvs) = (&user, tx.rvs());
        let (signers, session, key) = (&signers, &session, key.as_ref());
        let home = Home { signers, client, user, session, scope, managed, key, rvs, jti };
        let token = self.mint_home(home, now)?;
        let entry = Entry {
            actor_user_id: Some(user.id),
            actor_tenant_id: Some(user.tenant),
            target_tenant_id: Some(user.tenant),
            jti: Some(token.jti.clone()),
            ..self.issue_entry(client, "ok", None, via)?
        };
        tx.audit(entry);
        tx.commit().await?;
        self.0.meters.token("home");
        if id_token.is_some() {
            self.0.meters.token("id");
        }
        Ok(Redeemed { token, id_token })
    }

    /// The ID token (OpenID Connect Core §2). No claims of ours: they belong into access tokens.
    fn id_token(
        &self,
        signers: &Signers,
        client: &Client,
        pending: &Pending,
        (session, user): (&Session, &User),
    ) -> Result<Option<String>> {
        let now = self.0.environment.now();
        if !pending.scope.contains("openid") {
            return Ok(None);
        }
        let mut claims = json!({
            "iss": self.0.settings.issuer,
            "sub": user.id,
            "aud": pending.client,
            "iat": now.secs(),
            "exp": now.plus_secs(self.0.settings.home_ttl_secs).secs(),
            "auth_time": session.auth_time.secs(),
            "acr": session.acr,
            "amr": session.amr,
            "sid": session.id,
        });
        if let (Some(nonce), Some(claims)) = (&pending.nonce, claims.as_object_mut()) {
            claims.insert("nonce".into(), nonce.clone().into());
        }
        signers.by(client.id_token_alg(), "JWT", &claims).map(Some)
    }

    pub(crate) fn issue_entry(
        &self,
        client: &Client,
        result: &str,
        reason: Option<&str>,
        via: &Via,
    ) -> Result<Entry> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        Ok(Entry {
            reason: reason.map(Into::into),
            client_id: Some(client.id.clone()),
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(id, self.0.environment.now(), "token.issue", result)
        })
    }
}

/// requested ∩ what the client may ask (checked before) ∩ what the user's roles give.
fn home_scope(requested: &Scope, user: &User) -> Scope {
    requested.filtered(|permission| {
        IDENTITY_SCOPES.contains(&permission)
            || user.roles.iter().any(|role| role.home_scope().contains(&permission))
    })
}
