//! Logging out (OpenID Connect RP-Initiated Logout 1.0), and the token by which clients hear of it
//! (OpenID Connect Back-Channel Logout 1.0).

use procura_store::{audit::Entry, logout::Notice, sessions::Session};
use procura_token::{AuditId, Key};
use serde_json::json;

use crate::{Error, Issuer, Result, Via, identity::Hint};

/// A client has this long to take a logout token (Back-Channel Logout §2.4 advises two minutes at most).
const LOGOUT_TOKEN_SECS: i64 = 120;
/// Longer parameters are not looked at.
const MAX_PARAMETER: usize = 4096;
const CAUSE: &str = "logged_out";

/// What a client sends the browser with.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogoutRequest<'a> {
    /// `id_token_hint`.
    pub id_token_hint: Option<&'a str>,
    /// `client_id`.
    pub client_id: Option<&'a str>,
    /// `post_logout_redirect_uri`.
    pub redirect_uri: Option<&'a str>,
}

/// What to do with the browser.
#[derive(Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Only the person can say whether this was meant.
    Ask,
    /// It is over. Where to go, if the client may say so: registered, byte by byte.
    Done(Option<String>),
}

impl Issuer {
    /// Takes in a logout request. It is carried out at once only where it comes with an ID token of ours
    /// for the person who is logged in here; and nobody is redirected without one.
    pub async fn begin_logout(
        &self,
        asked: LogoutRequest<'_>,
        session: Option<&Session>,
        via: &Via,
    ) -> Result<Leaving> {
        let Some((hint, target)) = self.check_logout(asked).await? else {
            return Ok(Leaving::Ask);
        };
        if session.is_some_and(|session| session.user != hint.sub) {
            return Ok(Leaving::Ask);
        }
        // The login that the client knows, and the one of this browser where that is a later one.
        let known = self.0.store.find_session(hint.sid).await?;
        let known = known.filter(|s| s.user == hint.sub && s.ended_at.is_none());
        let later = session.filter(|session| session.id != hint.sid);
        for session in known.iter().chain(later) {
            self.log_out(session, via).await?;
        }
        Ok(Leaving::Done(target))
    }

    /// The hint and where to go afterwards; `None` where anything about the request is not as it should be.
    async fn check_logout(
        &self,
        asked: LogoutRequest<'_>,
    ) -> Result<Option<(Hint, Option<String>)>> {
        let is_long = |text: Option<&str>| text.is_some_and(|text| text.len() > MAX_PARAMETER);
        if is_long(asked.id_token_hint) || is_long(asked.redirect_uri) {
            return Ok(None);
        }
        let Some(hint) = asked.id_token_hint.and_then(|token| self.read_hint(token)) else {
            return Ok(None);
        };
        if asked.client_id.is_some_and(|id| id != hint.aud.as_str()) {
            return Ok(None);
        }
        let client = self.0.store.find_client(&hint.aud).await?.filter(|client| client.is_enabled);
        let Some(client) = client else { return Ok(None) };
        let Some(wanted) = asked.redirect_uri else { return Ok(Some((hint, None))) };
        let registered = &client.registration.post_logout_redirect_uris;
        Ok(registered.iter().find(|uri| *uri == wanted).cloned().map(|uri| (hint, Some(uri))))
    }

    /// Ends a login: its tokens die, its refresh tokens and delegations end, and the clients that were
    /// told of it are to hear of it. Also where it has run out by itself, because refresh tokens may go on.
    pub async fn log_out(&self, session: &Session, via: &Via) -> Result<()> {
        let now = self.0.environment.now();
        let mut tx = self.0.store.begin_urgent(now).await?;
        if !tx.end_session(session.id).await? {
            return Ok(());
        }
        tx.end_delegations_of_session(session.id).await?;
        tx.revoke(&Key::Session(session.id), CAUSE);
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        tx.audit(Entry {
            actor_user_id: Some(session.user),
            actor_tenant_id: Some(session.tenant),
            target_tenant_id: Some(session.tenant),
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            resource_type: Some("session".to_owned()),
            resource_id: Some(session.id.to_string()),
            ..Entry::new(id, now, "logout", "ok")
        });
        tx.commit().await?;
        Ok(())
    }

    /// The token by which a client hears that a login is over, signed as its ID tokens are.
    pub async fn logout_token(&self, notice: &Notice) -> Result<String> {
        let now = self.0.environment.now();
        let client = self.0.store.find_client(&notice.client).await?.ok_or(Error::NotFound)?;
        let claims = json!({
            "iss": self.0.settings.issuer,
            "aud": client.id,
            "iat": now.secs(),
            "exp": now.plus_secs(LOGOUT_TOKEN_SECS).secs(),
            "jti": self.new_jti()?,
            "sub": notice.user,
            "sid": notice.session,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        let signers = self.signers(self.0.store.keys_version()).await?;
        signers.by(client.id_token_alg(), "logout+jwt", &claims)
    }
}
