//! The authorization request: from a browser that arrives, over login and consent, to a code.

use procura_domain::{AuthMethod, Profile};
use procura_store::{
    Tx,
    audit::Entry,
    clients::Client,
    codes::{Code, Interaction},
    sessions::Session,
};
use procura_token::{AuditId, ClientId, InteractionId, Scope, Ts};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Issuer, Result, Via, details,
    environment::fingerprint,
    grants::authorization::{Asked, Checked, check},
    identity::login_since,
    jarm::Signed,
    login::ACR_PASSWORD,
    prompt::Prompt,
    pushed::Terms,
    redeem, refresh,
    requested::{ClaimsParameter, OFFLINE_ACCESS, Requested},
};

pub use crate::parameters::{Parameters, ResponseMode};

/// A person has this long for login and consent.
const INTERACTION_SECS: i64 = 10 * 60;
/// RFC 6749 §4.1.2 recommends at most ten minutes; nobody needs more than this.
const CODE_SECS: i64 = 60;

/// A request that was checked and waits for the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Who asks.
    pub client: ClientId,
    /// Where the answer goes; registered, byte by byte.
    pub redirect_uri: String,
    /// Echoed.
    pub state: Option<String>,
    /// How the answer goes there.
    pub mode: ResponseMode,
    /// Echoed in the ID token.
    pub nonce: Option<String>,
    /// What is asked for and possible for this client.
    pub scope: Scope,
    /// Claims that are asked for one by one.
    pub claims: Requested,
    /// The PKCE challenge; absent for clients that may do without.
    pub challenge: Option<String>,
    /// `prompt=login`, `max_age`: a login from before this is not enough.
    pub login_since: Option<Ts>,
    /// `prompt=login`: said again to whoever logs the person in for us.
    #[serde(default)]
    pub must_log_in: bool,
    /// `id_token_hint`: nobody else may answer.
    pub subject: Option<String>,
    /// `prompt=consent`: a remembered consent is not enough.
    pub must_consent: bool,
    /// Who will probably log in.
    pub login_hint: Option<String>,
    /// What is agreed on beyond plain OAuth.
    #[serde(flatten)]
    pub terms: Terms,
}

impl Pending {
    /// Whether this login may answer the request.
    #[must_use]
    pub fn accepts(&self, session: &Session) -> bool {
        let is_fresh = self.login_since.is_none_or(|since| session.auth_time >= since);
        let is_wanted = |subject: &String| *subject == session.user.to_string();
        is_fresh && self.subject.as_ref().is_none_or(is_wanted)
    }

    /// Leaves out what the client may not ask for any more.
    pub(crate) fn narrow_to(&mut self, allowed: &Scope) {
        self.scope = self.scope.filtered(|permission| allowed.contains(permission));
        self.claims.narrow_to(allowed);
    }

    /// What the person has to agree to: a claim that is named is worth its scope.
    #[must_use]
    pub fn agreement(&self) -> Scope {
        self.scope.iter().chain(self.claims.scopes()).collect()
    }
}

/// Where the browser goes next.
#[derive(Debug)]
pub enum Next {
    /// To the client, with a code or an error.
    Client(Answer),
    /// To the login page.
    LogIn(InteractionId),
    /// To the consent page.
    Consent(InteractionId),
}

/// The answer to the client, by redirect (RFC 6749 §4.1.2, RFC 9207).
#[derive(Debug)]
pub struct Answer {
    /// Registered, byte by byte.
    pub redirect_uri: String,
    /// Echoed.
    pub state: Option<String>,
    /// How it goes there.
    pub mode: ResponseMode,
    /// Where it is to be signed.
    pub signed: Option<Signed>,
    /// The code, or an error code.
    pub outcome: Result<String, &'static str>,
}

/// A pending request as its pages show it.
pub struct Shown {
    /// Its id.
    pub id: InteractionId,
    /// What was asked.
    pub pending: Pending,
    /// Who asks.
    pub client: Client,
}

impl Issuer {
    /// Takes in an authorization request from a browser. `NotFound` and `Invalid` are for a page: the
    /// client or its redirect URI is not bound, and nothing may be redirected.
    pub async fn begin_authorization(
        &self,
        parameters: &Parameters<'_>,
        browser: &str,
        session: Option<&Session>,
    ) -> Result<Next> {
        let pending = match self.check_authorization(parameters).await? {
            Ok(pending) => pending,
            Err(answer) => return Ok(Next::Client(answer)),
        };
        let is_silent = Prompt::parse(parameters.prompt).is_some_and(|prompt| prompt.is_silent);
        let session = session.filter(|session| pending.accepts(session));
        let is_agreed = match session {
            Some(session) => self.has_consent(session, &pending).await?,
            None => false,
        };
        match (session, is_agreed) {
            (Some(session), true) => Ok(Next::Client(self.issue_code(&pending, session).await?)),
            _ if is_silent => {
                let error = if session.is_some() { "consent_required" } else { "login_required" };
                self.refuse(&pending, error).await
            }
            (session, _) => {
                let id = self.keep(&pending, browser).await?;
                Ok(if session.is_some() { Next::Consent(id) } else { Next::LogIn(id) })
            }
        }
    }

    /// The outer error is for a page, the inner one for the client.
    pub(crate) async fn check_authorization(
        &self,
        p: &Parameters<'_>,
    ) -> Result<Result<Pending, Answer>> {
        if p.is_oversized() {
            return Err(Error::Invalid("request"));
        }
        let client_id: ClientId =
            p.client_id.and_then(|id| id.parse().ok()).ok_or(Error::NotFound)?;
        let client = self.0.store.find_client(&client_id).await?.filter(|c| c.is_enabled);
        let client = client.ok_or(Error::NotFound)?;
        let asked = Asked {
            client_id: client_id.as_str(),
            redirect_uri: p.redirect_uri,
            response_type: p.response_type,
            scope: p.scope,
            state: p.state,
            code_challenge: p.code_challenge,
            code_challenge_method: p.code_challenge_method,
            is_pkce_optional: is_pkce_optional(&client),
        };
        let checked = check(&asked, &client.redirect_uris);
        let mode = p.response_mode.map_or(Some(ResponseMode::default()), ResponseMode::named);
        let refused = match checked {
            Checked::Page => return Err(Error::Invalid("redirect_uri")),
            Checked::Redirect(code) => code,
            Checked::Good { challenge } => match self.pending(p, &client, challenge) {
                Ok(pending) if self.are_resources_there(&pending.terms.resources).await? => {
                    return Ok(Ok(pending));
                }
                Ok(_) => "invalid_target",
                Err(code) => code,
            },
        };
        Ok(Err(Answer {
            // The machine has bound it by now.
            redirect_uri: p.redirect_uri.unwrap_or_default().to_owned(),
            state: p.state.map(ToOwned::to_owned),
            mode: mode.unwrap_or_default(),
            signed: Signed::of(&client, p.response_mode),
            outcome: Err(refused),
        }))
    }

    /// What the request comes to for this client; or the error code that the client may hear.
    fn pending(
        &self,
        p: &Parameters<'_>,
        client: &Client,
        challenge: Option<String>,
    ) -> Result<Pending, &'static str> {
        const INVALID: &str = "invalid_request";
        if p.authorization_details.is_some() {
            // Nobody can agree at a login to what a customer decides at each exchange.
            return Err(details::INVALID);
        }
        let mut terms = Terms::of(client, p)?;
        terms.resources = self.named_resources(p.resource, client)?;
        if !client.grant_types.contains(redeem::GRANT) {
            return Err("unauthorized_client");
        }
        let mode = p.response_mode.map_or(Some(ResponseMode::default()), ResponseMode::named);
        let mode = mode.ok_or(INVALID)?;
        let scope: Scope = p.scope.unwrap_or_default().parse().map_err(|_| "invalid_scope")?;
        let prompt = Prompt::parse(p.prompt).ok_or(INVALID)?;
        let max_age = match p.max_age {
            Some(text) => Some(text.parse().map_err(|_| INVALID)?),
            None => client.registration.default_max_age,
        };
        let claims = match p.claims {
            Some(text) => ClaimsParameter::parse(text, &client.scope).ok_or(INVALID)?,
            None => ClaimsParameter::default(),
        };
        if claims.acrs.is_some_and(|acrs| !acrs.iter().any(|acr| acr == ACR_PASSWORD)) {
            return Err("unmet_authentication_requirements");
        }
        let hinted = match p.id_token_hint {
            Some(token) => Some(self.read_hint(token).ok_or(INVALID)?.sub.to_string()),
            None => None,
        };
        if let (Some(hinted), Some(subject)) = (&hinted, &claims.subject)
            && hinted != subject
        {
            return Err(INVALID);
        }
        // An application that is to come back without the person is agreed to by the person, face to face
        // (OpenID Connect Core §11).
        let may_come_back = client.grant_types.contains(refresh::GRANT)
            && (client.profile != Profile::Oidc || prompt.must_consent);
        let is_possible = |permission: &str| {
            client.scope.contains(permission) && (permission != OFFLINE_ACCESS || may_come_back)
        };
        let now = self.0.environment.now();
        Ok(Pending {
            client: client.id.clone(),
            redirect_uri: p.redirect_uri.unwrap_or_default().to_owned(),
            state: p.state.map(ToOwned::to_owned),
            mode,
            nonce: p.nonce.map(ToOwned::to_owned),
            scope: scope.filtered(is_possible),
            claims: claims.requested,
            challenge,
            login_since: login_since(now, prompt.must_log_in, max_age),
            must_log_in: prompt.must_log_in,
            subject: hinted.or(claims.subject),
            must_consent: prompt.must_consent,
            login_hint: p.login_hint.map(ToOwned::to_owned),
            terms,
        })
    }

    /// Says no to the client. A pushed request is answered once, also so.
    async fn refuse(&self, pending: &Pending, error: &'static str) -> Result<Next> {
        if let Some(pushed) = &pending.terms.pushed {
            let mut tx = self.0.store.begin(self.0.environment.now()).await?;
            if !tx.use_pushed_request(pushed).await? {
                return Ok(Next::Client(answer(pending, Err("invalid_request_uri"))));
            }
            tx.commit().await?;
        }
        Ok(Next::Client(answer(pending, Err(error))))
    }

    pub(crate) async fn keep(&self, pending: &Pending, browser: &str) -> Result<InteractionId> {
        let interaction = Interaction {
            id: InteractionId::from_bits(self.0.environment.id_bits()?),
            browser_hash: fingerprint(browser),
            request: serde_json::to_string(pending).map_err(|_| Error::Broken)?,
            expires_at: self.0.environment.now().plus_secs(INTERACTION_SECS),
        };
        self.0.store.insert_interaction(&interaction).await?;
        Ok(interaction.id)
    }

    /// The pending request, if this browser started it.
    pub async fn show_interaction(&self, id: InteractionId, browser: &str) -> Result<Shown> {
        let now = self.0.environment.now();
        let found = self.0.store.find_interaction(id, now).await?.ok_or(Error::NotFound)?;
        if found.browser_hash != fingerprint(browser) {
            return Err(Error::NotFound);
        }
        let pending: Pending = serde_json::from_str(&found.request).map_err(|_| Error::Broken)?;
        let client = self.0.store.find_client(&pending.client).await?.filter(|c| c.is_enabled);
        Ok(Shown { id, pending, client: client.ok_or(Error::NotFound)? })
    }

    /// Goes on after a login: to consent, or with a code where the person agreed before. Somebody else
    /// than was asked for gets no code (OpenID Connect Core §3.1.2.2).
    pub async fn go_on(&self, shown: &Shown, session: &Session) -> Result<Next> {
        if !shown.pending.accepts(session) {
            let mut tx = self.0.store.begin(self.0.environment.now()).await?;
            if !tx.end_interaction(shown.id).await? {
                return Err(Error::NotFound);
            }
            tx.commit().await?;
            if shown.pending.terms.device.is_some() {
                return Err(Error::NotFound);
            }
            return self.refuse(&shown.pending, "login_required").await;
        }
        if self.has_consent(session, &shown.pending).await? {
            return Ok(Next::Client(self.answer(shown, session, true).await?));
        }
        Ok(Next::Consent(shown.id))
    }

    /// The person's answer on the consent page. A pending request is answered once.
    pub async fn answer(
        &self,
        shown: &Shown,
        session: &Session,
        is_allowed: bool,
    ) -> Result<Answer> {
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        if !tx.end_interaction(shown.id).await? {
            return Err(Error::NotFound);
        }
        if is_allowed {
            self.agree(&mut tx, &shown.pending, session).await?;
        }
        if let (false, Some(pushed)) = (is_allowed, &shown.pending.terms.pushed) {
            tx.use_pushed_request(pushed).await?;
        }
        tx.commit().await?;
        if !is_allowed {
            return Ok(answer(&shown.pending, Err("access_denied")));
        }
        self.issue_code(&shown.pending, session).await
    }

    /// Writes down what the person agreed to.
    pub(crate) async fn agree(
        &self,
        tx: &mut Tx,
        pending: &Pending,
        session: &Session,
    ) -> Result<()> {
        let (user, client) = (session.user, &pending.client);
        // What was agreed to before stays agreed to.
        let before = tx.find_consent(user, client).await?.unwrap_or_default();
        let agreed = pending.agreement();
        let agreed = agreed.iter().chain(before.iter()).collect();
        tx.insert_consent(user, client, &agreed).await?;
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        tx.audit(Entry {
            actor_user_id: Some(user),
            actor_tenant_id: Some(session.tenant),
            target_tenant_id: Some(session.tenant),
            client_id: Some(client.clone()),
            resource_type: Some("client".to_owned()),
            resource_id: Some(client.to_string()),
            details: Some(serde_json::json!({ "scope": agreed }).to_string()),
            ..Entry::new(id, tx.now(), "consent.give", "ok")
        });
        Ok(())
    }

    /// What this person already agreed to give this client covers what is asked now.
    async fn has_consent(&self, session: &Session, pending: &Pending) -> Result<bool> {
        if pending.must_consent {
            return Ok(false);
        }
        let given = self.0.store.find_consent(session.user, &pending.client).await?;
        Ok(given.is_some_and(|given| pending.agreement().is_subset(&given)))
    }

    async fn issue_code(&self, pending: &Pending, session: &Session) -> Result<Answer> {
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let now = tx.now();
        let current = tx.find_session(session.id).await?;
        if current.is_none_or(|session| !session.is_live(now) || !pending.accepts(&session)) {
            return Ok(answer(pending, Err("login_required")));
        }
        // The client may have been stopped, or lost this address, while the person thought about it.
        let client = tx.find_client(&pending.client).await?.filter(|client| client.is_enabled);
        if client.is_none_or(|client| !client.redirect_uris.contains(&pending.redirect_uri)) {
            return Err(Error::NotFound);
        }
        // A pushed request is used up here and not when a page shows it (FAPI 2.0 §5.3.2.2).
        if let Some(pushed) = &pending.terms.pushed
            && !tx.use_pushed_request(pushed).await?
        {
            return Ok(answer(pending, Err("invalid_request_uri")));
        }
        let code = self.0.environment.secret()?;
        let stored = Code {
            session: session.id,
            client: pending.client.clone(),
            grant_json: serde_json::to_string(pending).map_err(|_| Error::Broken)?,
            expires_at: now.plus_secs(CODE_SECS),
            used_at: None,
            jti: None,
        };
        tx.insert_code(&fingerprint(&code), &stored).await?;
        tx.commit().await?;
        Ok(answer(pending, Ok(code)))
    }

    /// An audit entry of something that a client or a person did or tried at an OAuth endpoint.
    pub async fn note(
        &self,
        action: &str,
        reason: &'static str,
        client: Option<ClientId>,
        via: &Via,
    ) -> Result<()> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let now: Ts = self.0.environment.now();
        let entry = Entry {
            reason: Some(reason.to_owned()),
            client_id: client,
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(id, now, action, "refused")
        };
        Ok(self.0.store.record(entry).await?)
    }
}

/// OAuth 2.1 §4.1.1 requires PKCE; OpenID Connect Core does not know it. A public client has nothing
/// else that binds the code to it.
fn is_pkce_optional(client: &Client) -> bool {
    let method = client.registration.token_endpoint_auth_method;
    client.profile == Profile::Oidc && method != AuthMethod::None
}

fn answer(pending: &Pending, outcome: Result<String, &'static str>) -> Answer {
    let alg = pending.terms.answer_alg;
    Answer {
        redirect_uri: pending.redirect_uri.clone(),
        state: pending.state.clone(),
        mode: pending.mode,
        signed: alg.map(|alg| Signed { client: pending.client.clone(), alg }),
        outcome,
    }
}
