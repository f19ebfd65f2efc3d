//! Redeeming a code for a home token and an ID token.

use procura_store::{Tx, audit::Entry, clients::Client};
use procura_token::AuditId;

use crate::{
    Error, Issuer, Result, Via,
    authorize::Pending,
    dpop::{ProvenKey, admit_binding},
    environment::fingerprint,
    grants::code::{Kept, Presented, may_redeem},
    home::{Given, Login, Portion, take_back},
};

/// The grant type's name.
pub const GRANT: &str = "authorization_code";

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
    /// One of the resources that were agreed on, where the client says which (RFC 8707 §2.2).
    pub resource: Option<&'a str>,
    /// The key that whoever sends it has proven to hold.
    pub key: Option<&'a ProvenKey>,
}

/// Why a code gives nothing.
struct Unredeemed {
    error: Error,
    reason: &'static str,
    /// Whether it takes something back.
    is_taking_back: bool,
}

impl Issuer {
    /// Redeems a code, once. A second attempt takes back what the first one gave.
    pub async fn redeem(&self, client: &Client, asked: Redemption<'_>, via: &Via) -> Result<Given> {
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
            Err(Unredeemed { error, reason, is_taking_back }) => {
                // A replayed code takes back what it gave, whoever brings it; the next time there is
                // nothing left to take.
                if !is_taking_back {
                    self.admit_failure_of(client, via)?;
                }
                let entry = self.issue_entry(client, "refused", Some(reason), via)?;
                tx.audit(entry);
                tx.commit().await?;
                Err(error)
            }
        }
    }

    async fn check_code(
        &self,
        tx: &mut Tx,
        client: &Client,
        asked: Redemption<'_>,
        code_hash: &str,
    ) -> Result<Result<Login, Unredeemed>> {
        let no = |error, reason| Ok(Err(Unredeemed { error, reason, is_taking_back: false }));
        let refuse = |reason| no(Error::BadGrant, reason);
        let Some(code) = tx.find_code(code_hash).await? else { return refuse("code_unknown") };
        if code.client != client.id {
            return refuse("code_of_another_client");
        }
        if code.used_at.is_some() {
            // A code that comes twice was stolen by one of the two: what it gave dies, and with it what
            // was exchanged from it (RFC 6749 §4.1.2).
            let of = (code.session, &code.client);
            let is_taking_back = take_back(tx, code_hash, of, CODE_REPLAYED).await?;
            let (error, reason) = (Error::BadGrant, CODE_REPLAYED);
            return Ok(Err(Unredeemed { error, reason, is_taking_back }));
        }
        let mut pending: Pending =
            serde_json::from_str(&code.grant_json).map_err(|_| Error::Broken)?;
        // What was taken from the client while the person thought about it is not in it any more.
        if !client.redirect_uris.contains(&pending.redirect_uri) {
            return refuse("redirect_uri_gone");
        }
        pending.narrow_to(&client.scope);
        let presented = Presented {
            client_id: client.id.as_str(),
            code: asked.code,
            redirect_uri: asked.redirect_uri,
            code_verifier: asked.code_verifier,
        };
        let kept = Kept {
            client_id: pending.client.as_str(),
            redirect_uri: &pending.redirect_uri,
            challenge: pending.challenge.as_deref(),
            expires_at: code.expires_at,
        };
        if !may_redeem(&presented, &kept, tx.now()) {
            return refuse("code_unacceptable");
        }
        // Whoever asked for the code named the key that will redeem it (RFC 9449 §10).
        if let Some(wanted) = &pending.terms.dpop_jkt
            && asked.key.is_none_or(|key| key.thumbprint() != wanted)
        {
            return refuse("code_of_another_key");
        }
        let now = tx.now();
        let session = tx.find_session(code.session).await?.filter(|session| session.is_live(now));
        let Some(session) = session else { return refuse("session_ended") };
        let user = match self.person_of(tx, &session).await? {
            Ok(user) => user,
            Err(reason) => return refuse(reason),
        };
        let agreed = tx.find_consent(user.id, &client.id).await?;
        if agreed.is_none_or(|agreed| !pending.agreement().is_subset(&agreed)) {
            return refuse("consent_withdrawn");
        }
        let audience = match self.audience_of(tx, client, &pending, asked.resource).await {
            Ok(audience) => audience,
            Err(error @ Error::Refused(_)) => return no(error, error.code()),
            Err(other) => return Err(other),
        };
        let (origin_hash, key) = (code_hash.to_owned(), asked.key.cloned());
        Ok(Ok(Login { origin_hash, pending, session, user, audience, key }))
    }

    async fn give(&self, mut tx: Tx, client: &Client, login: Login, via: &Via) -> Result<Given> {
        let given = self.give_first(&mut tx, client, &login, via).await?;
        if !tx.redeem_code(&login.origin_hash, &given.token.jti).await? {
            return Err(Error::BadGrant);
        }
        tx.commit().await?;
        self.count_given(&given);
        Ok(given)
    }

    /// What a login gives the client the first time, with its audit entry. It counts when the transaction
    /// is committed.
    pub(crate) async fn give_first(
        &self,
        tx: &mut Tx,
        client: &Client,
        login: &Login,
        via: &Via,
    ) -> Result<Given> {
        let Login { pending, session, .. } = login;
        let portion = Portion {
            scope: pending.scope.clone(),
            ends_at: session.expires_at,
            nonce: pending.nonce.as_deref(),
        };
        let (token, id_token) = self.give_home(tx, client, login, portion).await?;
        let refresh_token = self.begin_family(tx, client, login).await?;
        let entry = self.issue_entry(client, "ok", None, via)?;
        tx.audit(Self::given_entry(entry, &login.user, &token));
        Ok(Given { token, id_token, refresh_token })
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
