//! What an exchange starts from: the home token of a login, or a key. Step 3 of an exchange, whichever it is:
//! genuine, of this client, and of a person.

use procura_domain::permission::SWITCH_CONTEXT;
use procura_store::{api_keys::ApiKey, audit::Entry};
use procura_token::{
    ClientId, Key, KeyHash, Kind, Rejection, Seq, SessionId, Shown, TenantId, Ts, UserId,
};

use crate::{Error, Issuer, api_keys::AUDITED_KEY, exchange::Request};

/// A subject token as it comes.
#[derive(Clone, Copy)]
pub enum SubjectToken<'a> {
    /// The home token of a login.
    Access(&'a str),
    /// A key of a partner's person.
    ApiKey(&'a str),
}

/// Who asks for an exchange, and what a login says where there is one.
pub(crate) struct Subject {
    pub user: UserId,
    /// The person's own tenant.
    pub home: TenantId,
    /// The client that the token was issued to.
    pub client: ClientId,
    /// What ends with the login, or with the key.
    pub session: SessionId,
    /// By what it can be revoked.
    pub keys: Vec<KeyHash>,
    /// Where the log stood when it was issued.
    pub rvs: Seq,
    pub may_switch: bool,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    pub auth_time: Option<i64>,
    pub idp: Option<String>,
    /// The key by which it is asked for.
    pub key: Option<ApiKey>,
}

/// The answer, and the true reason for the audit log.
pub(crate) type Unusable = (Error, &'static str);

const fn unusable(reason: &'static str) -> Unusable {
    (Error::SubjectUnusable, reason)
}

impl Issuer {
    pub(crate) async fn subject_of(
        &self,
        request: &Request<'_>,
        now: Ts,
        entry: &mut Entry,
    ) -> Result<Subject, Unusable> {
        let subject = match request.subject_token {
            SubjectToken::Access(token) => self.subject_by_login(request, token, now)?,
            SubjectToken::ApiKey(text) => self.subject_by_key(text, now, entry).await?,
        };
        // What somebody let one client do, another one does only where the operator said so; a key is for one.
        let (from, to) = (&subject.client, &request.client);
        let is_shared = subject.key.is_none() && to.exchange_for.contains(from);
        if *from != to.id && !is_shared {
            return Err(unusable("subject_token_of_another_client"));
        }
        if subject.key.is_some() && !to.is_confidential() {
            return Err(unusable("key_by_public_client"));
        }
        Ok(subject)
    }

    /// One that is bound to a key of its own comes with a proof of it, and what it gives is bound to that again.
    fn subject_by_login(
        &self,
        request: &Request<'_>,
        token: &str,
        now: Ts,
    ) -> Result<Subject, Unusable> {
        let genuine = self.genuine(token, Shown::ByOther, now);
        let genuine = genuine.map_err(|rejection| unusable(rejection.code()))?;
        let Kind::Home { user } = genuine.kind else {
            return Err(unusable(match genuine.kind {
                Kind::Delegated(_) => "subject_token_delegated",
                _ => "subject_token_without_user",
            }));
        };
        let claims = &genuine.claims;
        if let Some(bound) = &claims.cnf
            && request.key.as_ref().is_none_or(|key| key.thumbprint() != bound.jkt)
        {
            return Err(unusable(Rejection::Bound.code()));
        }
        if claims.aud != self.0.settings.issuer {
            return Err(unusable("subject_token_for_another_audience"));
        }
        Ok(Subject {
            user,
            home: claims.tenant,
            client: claims.client_id.clone(),
            session: claims.sid.ok_or(unusable("subject_token_without_session"))?,
            keys: genuine.keys.clone(),
            rvs: claims.rvs,
            may_switch: claims.scope.contains(SWITCH_CONTEXT),
            acr: claims.acr.clone(),
            amr: claims.amr.clone(),
            auth_time: claims.auth_time,
            idp: claims.idp.clone(),
            key: None,
        })
    }

    /// Nobody is logged in: nothing of a login is known, and nothing of the one that made the key counts.
    async fn subject_by_key(
        &self,
        text: &str,
        now: Ts,
        entry: &mut Entry,
    ) -> Result<Subject, Unusable> {
        let key = self.proven_key(text).await.map_err(|error| (error, error.code()))?;
        let key = key.ok_or(unusable("key_unknown"))?;
        // Proven: whose it is stands in the log, also where it is good for nothing any more.
        entry.actor_user_id = Some(key.user);
        entry.actor_tenant_id = Some(key.tenant);
        entry.add_detail(AUDITED_KEY, &key.id);
        if !key.is_live(now) {
            return Err(unusable("key_over"));
        }
        Ok(Subject {
            user: key.user,
            home: key.tenant,
            client: key.client.clone(),
            session: key.session,
            // A session that was ended never comes back, whenever it was.
            keys: vec![Key::Session(key.session).hash()],
            rvs: Seq(0),
            may_switch: key.bounds.at_home().contains(SWITCH_CONTEXT),
            acr: None,
            amr: Vec::new(),
            auth_time: None,
            idp: None,
            key: Some(key),
        })
    }
}
