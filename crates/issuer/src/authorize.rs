//! The authorization request: from a browser that arrives, over login and consent, to a code.

use procura_store::{
    audit::Entry,
    codes::{Code, Interaction},
    sessions::Session,
};
use procura_token::{AuditId, ClientId, InteractionId, Scope, Ts};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Issuer, Result, Via,
    environment::fingerprint,
    grants::authorization::{Asked, Checked, check},
    jarm::Signed,
    pushed::{Terms, Way},
};

/// A person has this long for login and consent.
const INTERACTION_SECS: i64 = 10 * 60;
/// RFC 6749 §4.1.2 recommends at most ten minutes; nobody needs more than this.
const CODE_SECS: i64 = 60;
/// Longer parameters are refused before anything is stored.
const MAX_PARAMETER: usize = 2048;

/// The parameters of the request, as they came; none came twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters<'a> {
    /// `client_id`.
    pub client_id: Option<&'a str>,
    /// `redirect_uri`.
    pub redirect_uri: Option<&'a str>,
    /// `response_type`.
    pub response_type: Option<&'a str>,
    /// `scope`.
    pub scope: Option<&'a str>,
    /// `state`.
    pub state: Option<&'a str>,
    /// `nonce` (OpenID Connect Core §3.1.2.1).
    pub nonce: Option<&'a str>,
    /// `code_challenge` (RFC 7636 §4.3).
    pub code_challenge: Option<&'a str>,
    /// `code_challenge_method`.
    pub code_challenge_method: Option<&'a str>,
    /// `prompt` (OpenID Connect Core §3.1.2.1).
    pub prompt: Option<&'a str>,
    /// `dpop_jkt` (RFC 9449 §10).
    pub dpop_jkt: Option<&'a str>,
    /// `response_mode`; of its values only those of JARM are looked at.
    pub response_mode: Option<&'a str>,
    /// How the request came.
    pub way: Way<'a>,
    /// Whether the client has signed it.
    pub is_signed: bool,
}

impl Parameters<'_> {
    fn is_oversized(&self) -> bool {
        [
            self.client_id,
            self.redirect_uri,
            self.response_type,
            self.scope,
            self.state,
            self.nonce,
            self.code_challenge,
            self.code_challenge_method,
            self.prompt,
            self.dpop_jkt,
            self.response_mode,
        ]
        .into_iter()
        .flatten()
        .any(|text| text.len() > MAX_PARAMETER)
    }
}

/// A request that was checked and waits for the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Who asks.
    pub client: ClientId,
    /// Where the answer goes; registered, byte by byte.
    pub redirect_uri: String,
    /// Echoed.
    pub state: Option<String>,
    /// Echoed in the ID token.
    pub nonce: Option<String>,
    /// What is asked for and possible for this client.
    pub scope: Scope,
    /// The PKCE challenge.
    pub challenge: String,
    /// When it was asked.
    pub asked_at: Ts,
    /// `prompt=login`: an existing session is not enough.
    pub must_log_in: bool,
    /// `prompt=consent`: a remembered consent is not enough.
    pub must_consent: bool,
    /// What is agreed on beyond plain OAuth.
    #[serde(flatten)]
    pub terms: Terms,
}

impl Pending {
    /// Whether this login may answer the request: with `prompt=login` only one that came after it.
    #[must_use]
    pub fn accepts(&self, session: &Session) -> bool {
        !self.must_log_in || session.auth_time >= self.asked_at
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
    /// The code, or an error code.
    pub outcome: Result<String, &'static str>,
    /// Where it is to be signed.
    pub signed: Option<Signed>,
}

/// A pending request as its pages show it.
#[derive(Debug)]
pub struct Shown {
    /// Its id.
    pub id: InteractionId,
    /// What was asked.
    pub pending: Pending,
    /// The client's name.
    pub client_name: String,
}

impl Issuer {
    /// Takes in an authorization request from a browser. `NotFound` and `Invalid` are for a page: the
    /// client or its redirect URI is not bound, and nothing may be redirected.
    pub async fn begin_authorization(
        &self,
        parameters: Parameters<'_>,
        browser: &str,
        session: Option<&Session>,
    ) -> Result<Next> {
        let pending = match self.check_authorization(parameters).await? {
            Ok(pending) => pending,
            Err(answer) => return Ok(Next::Client(answer)),
        };
        let is_silent = parameters.prompt == Some("none");
        let session = session.filter(|_| !pending.must_log_in);
        let is_agreed = match session {
            Some(session) => self.has_consent(session, &pending).await?,
            None => false,
        };
        match (session, is_agreed) {
            (Some(session), true) => Ok(Next::Client(self.issue_code(&pending, session).await?)),
            _ if is_silent => {
                let error = if session.is_some() { "consent_required" } else { "login_required" };
                Ok(Next::Client(answer(&pending, Err(error))))
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
        p: Parameters<'_>,
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
        };
        let checked = check(&asked, &client.redirect_uris);
        // The machine has bound it by now, or said `Page`.
        let redirect_uri = p.redirect_uri.unwrap_or_default().to_owned();
        let state = p.state.map(ToOwned::to_owned);
        let refuse = |code| {
            Ok(Err(Answer {
                signed: Signed::of(&client, p.response_mode),
                redirect_uri: redirect_uri.clone(),
                state: state.clone(),
                outcome: Err(code),
            }))
        };
        let challenge = match checked {
            Checked::Good { challenge } => challenge,
            Checked::Redirect(code) => return refuse(code),
            Checked::Page => return Err(Error::Invalid("redirect_uri")),
        };
        let terms = match Terms::of(&client, &p) {
            Ok(terms) => terms,
            Err(code) => return refuse(code),
        };
        if !client.grant_types.contains("authorization_code") {
            return refuse("unauthorized_client");
        }
        let Ok(scope) = p.scope.unwrap_or_default().parse::<Scope>() else {
            return refuse("invalid_scope");
        };
        let prompts: Vec<_> = p.prompt.unwrap_or_default().split(' ').collect();
        if prompts.contains(&"none") && prompts.len() > 1 {
            return refuse("invalid_request");
        }
        Ok(Ok(Pending {
            client: client_id,
            redirect_uri,
            state,
            nonce: p.nonce.map(ToOwned::to_owned),
            scope: scope.filtered(|permission| client.scope.contains(permission)),
            challenge,
            asked_at: self.0.environment.now(),
            must_log_in: prompts.contains(&"login"),
            must_consent: prompts.contains(&"consent"),
            terms,
        }))
    }

    async fn keep(&self, pending: &Pending, browser: &str) -> Result<InteractionId> {
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
        let client_name = client.ok_or(Error::NotFound)?.name;
        Ok(Shown { id, pending, client_name })
    }

    /// Goes on after a login: to consent, or with a code where the person agreed before.
    pub async fn go_on(&self, shown: &Shown, session: &Session) -> Result<Next> {
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
        if let (false, Some(pushed)) = (is_allowed, &shown.pending.terms.pushed) {
            tx.use_pushed_request(pushed).await?;
        }
        if is_allowed {
            tx.insert_consent(session.user, &shown.pending.client, &shown.pending.scope).await?;
        }
        tx.commit().await?;
        if !is_allowed {
            return Ok(answer(&shown.pending, Err("access_denied")));
        }
        self.issue_code(&shown.pending, session).await
    }

    /// What this person already agreed to give this client covers what is asked now.
    async fn has_consent(&self, session: &Session, pending: &Pending) -> Result<bool> {
        if pending.must_consent {
            return Ok(false);
        }
        let given = self.0.store.find_consent(session.user, &pending.client).await?;
        Ok(given.is_some_and(|given| pending.scope.is_subset(&given)))
    }

    async fn issue_code(&self, pending: &Pending, session: &Session) -> Result<Answer> {
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let now = tx.now();
        let current = tx.find_session(session.id).await?;
        if current.is_none_or(|session| !session.is_live(now) || !pending.accepts(&session)) {
            return Ok(answer(pending, Err("login_required")));
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

fn answer(pending: &Pending, outcome: Result<String, &'static str>) -> Answer {
    let alg = pending.terms.answer_alg;
    let signed = alg.map(|alg| Signed { client: pending.client.clone(), alg });
    let (redirect_uri, state) = (pending.redirect_uri.clone(), pending.state.clone());
    Answer { redirect_uri, state, outcome, signed }
}
