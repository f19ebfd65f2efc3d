//! What clients learn about a person: the ID token, the hint that it is later, and userinfo (OpenID
//! Connect Core §2, §3.1.2.1, §5.3).

use procura_store::{clients::Client, sessions::Session, users::User};
use procura_token::{Algorithm, ClientId, Kind, SessionId, Shown, Ts, UserId, jws};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    authorize::Pending,
    callers::Presence,
    keys::{SIGNED_BY, Signers},
    requested::{Requested, claims_of},
};

/// `typ` of an ID token.
const ID_TOKEN_TYPE: &str = "JWT";

/// An ID token of ours that came back: who it was about, and for whom.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Hint {
    iss: String,
    /// The person.
    pub sub: UserId,
    /// The client.
    pub aud: ClientId,
    /// The login.
    pub sid: SessionId,
}

/// Userinfo, in the form that the client registered for.
#[derive(Debug)]
pub enum UserInfo {
    /// Plain members.
    Plain(Map<String, Value>),
    /// A signed JWT.
    Signed(String),
}

impl Issuer {
    /// The ID token. No claims of ours: they belong into access tokens. Profile data only where the
    /// request named it for this place.
    pub(crate) fn id_token(
        &self,
        signers: &Signers,
        client: &Client,
        (pending, nonce): (&Pending, Option<&str>),
        (session, user): (&Session, &User),
    ) -> Result<String> {
        let now = self.0.environment.now();
        let wanted = &pending.claims.id_token;
        let mut claims = claims_of(user, |_, claim| wanted.iter().any(|known| known == claim))?;
        let Value::Object(own) = json!({
            "iss": self.0.settings.issuer,
            "sub": user.id,
            "aud": pending.client,
            "iat": now.secs(),
            "exp": now.plus_secs(self.0.settings.home_ttl_secs).secs(),
            "auth_time": session.auth_time.secs(),
            "acr": session.acr,
            "amr": session.amr,
            "sid": session.id,
        }) else {
            return Err(Error::Broken);
        };
        claims.extend(own);
        if let Some(nonce) = nonce {
            claims.insert("nonce".into(), nonce.into());
        }
        signers.by(client.id_token_alg(), ID_TOKEN_TYPE, &claims)
    }

    /// Reads an ID token that a client sends back. Its end does not count: it is asked for when the
    /// person comes again, or leaves, long after.
    pub(crate) fn read_hint(&self, token: &str) -> Option<Hint> {
        let signed = jws::verify(token, ID_TOKEN_TYPE, &self.0.keys.verifying(), SIGNED_BY).ok()?;
        let hint: Hint = serde_json::from_slice(&signed.payload).ok()?;
        (hint.iss == self.0.settings.issuer).then_some(hint)
    }

    /// What a client may know of the person: the standard claims of the granted scopes, and those that
    /// the request named.
    pub async fn userinfo(&self, token: &str, shown: Shown<'_>) -> Result<UserInfo> {
        let caller = self.caller_by(token, shown, Presence::NotLoggedOut).await?;
        if !caller.scope.contains("openid") {
            return Err(Error::Forbidden);
        }
        let user = self.0.store.find_user(caller.tenant, caller.user).await?;
        let user = user.ok_or(Error::Unauthenticated)?;
        let named = self.named_at_userinfo(token).await?;
        let may_know = |scope: &'static str, claim: &str| {
            caller.scope.contains(scope) || named.iter().any(|known| known == claim)
        };
        let mut claims = claims_of(&user, may_know)?;
        claims.insert("sub".to_owned(), json!(user.id));
        let client = self.0.store.find_client(&caller.client).await?;
        let client = client.filter(|client| client.is_enabled).ok_or(Error::Unauthenticated)?;
        let Some(alg) = client.registration.userinfo_signed_response_alg else {
            return Ok(UserInfo::Plain(claims));
        };
        claims.insert("iss".into(), self.0.settings.issuer.clone().into());
        claims.insert("aud".into(), json!(client.id));
        let signers = self.signers(self.0.store.keys_version()).await?;
        Ok(UserInfo::Signed(signers.by(alg, ID_TOKEN_TYPE, &claims)?))
    }

    async fn named_at_userinfo(&self, token: &str) -> Result<Vec<String>> {
        let genuine = self.genuine(token, Shown::ByOther, self.0.environment.now());
        let genuine = genuine.map_err(|_| Error::Unauthenticated)?;
        if !matches!(genuine.kind, Kind::Home { .. }) {
            return Err(Error::Unauthenticated);
        }
        let Some(text) = self.0.store.find_home_token_claims(&genuine.claims.jti).await? else {
            return Ok(Vec::new());
        };
        let requested: Requested = serde_json::from_str(&text).map_err(|_| Error::Broken)?;
        Ok(requested.userinfo)
    }
}

/// Whether we can sign what this client registered for.
pub(crate) fn can_sign_for(client: &Client) -> bool {
    let asked = [Some(client.id_token_alg()), client.registration.userinfo_signed_response_alg];
    asked.into_iter().flatten().all(|alg: Algorithm| SIGNED_BY.contains(&alg))
}

/// The oldest login that is fresh enough.
pub(crate) fn login_since(asked_at: Ts, must_log_in: bool, max_age: Option<u32>) -> Option<Ts> {
    if must_log_in {
        return Some(asked_at);
    }
    max_age.map(|secs| asked_at.plus_secs(-i64::from(secs)))
}
