//! Logging in by an identity provider of one's own tenant: out to it and back (OpenID Connect Core §3.1,
//! with PKCE and RFC 9207). Whatever comes back is worth nothing until it fits what went out, in the
//! browser that left.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_domain::identity_provider::known_amr;
use procura_store::{
    Tx,
    audit::Entry,
    identity_providers::{IdentityLink, Provider, UpstreamLogin},
    patience,
    sessions::Session,
    users::User,
};
use procura_token::{IdToken, ProviderId, Ts, crypto::sha256, id_token};
use serde_json::Value;
use url::Url;

use crate::{
    Error, Issuer, Result, Via,
    authorize::{Pending, Shown},
    environment::fingerprint,
    hand::Subject,
    identity_providers::{linked, subject},
    login::{
        How, LoggedIn, OPERATOR_BY_UPSTREAM, is_active, is_operator_from_elsewhere, may_log_in,
        normalise_email,
    },
    login_rules::{Demand, Lack},
    upstream_calls::Asked,
};

/// Nobody waits longer for all that a provider is asked when a browser comes back: what the request needs
/// of the database must still fit into its patience.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A person has this long at the provider.
const AWAY_SECS: i64 = 10 * 60;
/// Longer codes and names are none.
const MAX_CODE_BYTES: usize = 4096;

/// Why nobody was logged in: what a page can say of it. The audit log knows more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLoggedIn {
    /// There is no such provider, or not any more.
    NoProvider,
    /// It does not answer, or not in time.
    Unreachable,
    /// It said no, or the person did.
    Declined,
    /// What came back is not what was asked for.
    NotGenuine,
    /// The person is known there and not here, or may not log in so.
    NotAdmitted,
    /// The login there is older than the application allows.
    NotFresh,
    /// The login there is weaker, or another one, than the person's tenant demands.
    NotEnough,
}

/// A refusal: for the page, and for the audit log.
pub(crate) type Refused = (NotLoggedIn, &'static str);

/// Where the browser goes.
#[derive(Debug)]
pub struct Away {
    /// What people call the provider.
    pub title: String,
    /// With everything that it has to know.
    pub url: Url,
}

/// What a browser brings back (RFC 6749 §4.1.2, RFC 9207 §2).
#[derive(Clone, Copy, Debug, Default)]
pub struct Brought<'a> {
    /// What it left with.
    pub state: Option<&'a str>,
    /// The provider's yes.
    pub code: Option<&'a str>,
    /// Or its no.
    pub error: Option<&'a str>,
    /// Who says so.
    pub iss: Option<&'a str>,
}

/// A browser that is back.
pub struct Back {
    /// For which request.
    pub shown: Shown,
    /// With a login, or without.
    pub outcome: Result<LoggedIn, NotLoggedIn>,
}

impl Issuer {
    /// The providers that a login page offers: those of the tenant that owns the client. `None` where
    /// there are none at all, and nothing needs to be offered.
    pub async fn offered_providers(&self, shown: &Shown) -> Result<Option<Vec<Provider>>> {
        if !self.0.store.has_providers().await? {
            return Ok(None);
        }
        let providers = self.0.store.list_providers(shown.client.tenant).await?;
        Ok(Some(providers.into_iter().filter(|p| p.settings.is_enabled).collect()))
    }

    /// The providers that somebody can mean: by an e-mail address, whose domain leads to one, by the short
    /// name of an organisation, or by the whole name of a provider. Who exists in a tenant is not looked at.
    pub async fn meant_providers(&self, typed: &str) -> Result<Vec<Provider>> {
        let typed = typed.trim().to_ascii_lowercase();
        let store = &self.0.store;
        let found = if let Some((_, domain)) = typed.rsplit_once('@') {
            store.find_provider_by_domain(domain).await?.into_iter().collect()
        } else if typed.contains('/') {
            store.find_provider_by_idp(&typed).await?.into_iter().collect()
        } else {
            match store.find_tenant_by_slug(&typed).await? {
                Some(tenant) => store.list_providers(tenant.id).await?,
                None => Vec::new(),
            }
        };
        Ok(found.into_iter().filter(|p| p.settings.is_enabled).collect())
    }

    /// Lets a browser leave for a provider.
    pub async fn leave_for_provider(
        &self,
        (shown, browser): (&Shown, &str),
        idp: &str,
        hint: Option<&str>,
        via: &Via,
    ) -> Result<Result<Away, NotLoggedIn>> {
        // Whoever leaves again and again costs a row each time, and the provider a call when coming back.
        self.admit_arrival(via)?;
        let found = self.0.store.find_provider_by_idp(idp).await?;
        let Some(provider) = found.filter(|provider| provider.settings.is_enabled) else {
            return Ok(Err(NotLoggedIn::NoProvider));
        };
        let metadata = match self.upstream_metadata(&provider).await {
            Ok(metadata) => metadata,
            Err(refused) => {
                return Ok(Err(self.note_upstream(&provider, None, refused, via).await?));
            }
        };
        let now = self.0.environment.now();
        let state = self.0.environment.secret()?;
        let login = UpstreamLogin {
            state_hash: fingerprint(&state),
            interaction: shown.id,
            provider: provider.id,
            browser_hash: fingerprint(browser),
            expires_at: now.plus_secs(AWAY_SECS),
        };
        self.0.store.insert_upstream_login(&login).await?;
        let mut url = metadata.authorization_endpoint.clone();
        self.ask_for_login(&mut url, (&provider, &shown.pending), (&state, hint));
        Ok(Ok(Away { title: provider.settings.title, url }))
    }

    fn ask_for_login(
        &self,
        url: &mut Url,
        (provider, pending): (&Provider, &Pending),
        (state, hint): (&str, Option<&str>),
    ) {
        let settings = &provider.settings;
        let challenge = B64.encode(sha256(&[self.derived("verifier", state).as_bytes()]));
        let mut pairs = url.query_pairs_mut();
        pairs
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", &self.upstream_redirect_uri(provider.id))
            .append_pair("scope", &settings.scope.to_string())
            .append_pair("state", state)
            .append_pair("nonce", &self.derived("nonce", state))
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(since) = pending.login_since {
            let age = self.0.environment.now().secs().saturating_sub(since.secs()).max(0);
            pairs.append_pair("max_age", &age.to_string());
        }
        if pending.must_log_in {
            pairs.append_pair("prompt", "login");
        }
        for (name, value) in [("login_hint", hint), ("acr_values", settings.acr_values.as_deref())]
        {
            if let Some(value) = value {
                pairs.append_pair(name, value);
            }
        }
    }

    /// The redirect URI that has to be registered at a provider. Each has its own, so that no provider's
    /// answer can be taken for another's (RFC 9700 §4.4.2.2).
    #[must_use]
    pub fn upstream_redirect_uri(&self, id: ProviderId) -> String {
        format!("{}/login/callback/{id}", self.0.settings.issuer)
    }

    /// What goes out with a `state` follows from it, under a key of ours: nothing of it has to be kept.
    fn derived(&self, what: &str, state: &str) -> String {
        let parts: [&[u8]; 4] = [b"upstream ", what.as_bytes(), &[0], state.as_bytes()];
        B64.encode(self.0.secrets.forms().tag(&parts))
    }

    /// Takes a browser back from a provider. `NotFound` where it is not one that left for there, or was
    /// taken back already: nothing was asked, and nothing changed.
    pub async fn come_back(
        &self,
        (id, brought): (ProviderId, Brought<'_>),
        browser: &str,
        before: Option<&Session>,
        via: &Via,
    ) -> Result<Back> {
        let state = brought.state.filter(|state| state.len() == 43).ok_or(Error::NotFound)?;
        let now = self.0.environment.now();
        let (state_hash, browser_hash) = (fingerprint(state), fingerprint(browser));
        let left = self.0.store.take_upstream_login(&state_hash, &browser_hash, (id, now)).await?;
        let interaction = left.ok_or(Error::NotFound)?;
        let shown = self.show_interaction(interaction, browser).await?;
        let found = self.0.store.find_provider(id).await?.ok_or(Error::NotFound)?;
        let outcome = match self.hear_out(&found, (state, brought)).await? {
            Ok(token) => self.let_in((&found, &token), &shown.pending, before, via).await?,
            Err((why, reason)) => Err((None, (why, reason.into()))),
        };
        let outcome = match outcome {
            Ok(logged_in) => Ok(logged_in),
            Err((user, refused)) => {
                Err(self.note_upstream(&found, user.as_ref(), refused, via).await?)
            }
        };
        Ok(Back { shown, outcome })
    }

    /// What the provider says about the login, verified.
    async fn hear_out(
        &self,
        provider: &Provider,
        (state, brought): (&str, Brought<'_>),
    ) -> Result<Result<IdToken, Refused>> {
        if !provider.settings.is_enabled {
            return Ok(Err((NotLoggedIn::NoProvider, "identity_provider_off")));
        }
        let verifier = self.derived("verifier", state);
        let asked = Asked { verifier: &verifier, nonce: &self.derived("nonce", state) };
        let asking = self.ask_upstream(provider, brought, asked);
        let heard = patience::wait(ANSWER_WITHIN, asking).await;
        heard.unwrap_or(Ok(Err((NotLoggedIn::Unreachable, "upstream_slow"))))
    }

    async fn ask_upstream(
        &self,
        provider: &Provider,
        brought: Brought<'_>,
        asked: Asked<'_>,
    ) -> Result<Result<IdToken, Refused>> {
        let metadata = match self.upstream_metadata(provider).await {
            Ok(metadata) => metadata,
            Err(refused) => return Ok(Err(refused)),
        };
        let is_named = match brought.iss {
            Some(iss) => iss == provider.issuer,
            None => !metadata.names_itself,
        };
        if !is_named {
            return Ok(Err((NotLoggedIn::NotGenuine, "upstream_issuer_wrong")));
        }
        if brought.error.is_some() {
            return Ok(Err((NotLoggedIn::Declined, "upstream_declined")));
        }
        let is_code = |code: &&str| {
            (1..=MAX_CODE_BYTES).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_graphic())
        };
        let Some(code) = brought.code.filter(is_code) else {
            return Ok(Err((NotLoggedIn::NotGenuine, "upstream_code_missing")));
        };
        let token = match self.redeem_upstream(provider, &metadata, (code, asked.verifier)).await? {
            Ok(token) => token,
            Err(refused) => return Ok(Err(refused)),
        };
        let keys = match self.upstream_keys(provider, &metadata, &token).await {
            Ok(keys) => keys,
            Err(refused) => return Ok(Err(refused)),
        };
        let expected = id_token::Expected {
            issuer: &provider.issuer,
            client_id: &provider.settings.client_id,
            nonce: asked.nonce,
            now: self.0.environment.now(),
        };
        let verified = IdToken::verify(&token, &keys, expected);
        Ok(verified.map_err(|reason| (NotLoggedIn::NotGenuine, reason)))
    }

    /// Logs the person in, if it is one of the provider's tenant, all in one transaction.
    async fn let_in(
        &self,
        (provider, token): (&Provider, &IdToken),
        pending: &Pending,
        before: Option<&Session>,
        via: &Via,
    ) -> Result<Result<LoggedIn, (Option<User>, (NotLoggedIn, Lack))>> {
        let refuse = |user, why, reason: &'static str| Ok(Err((user, (why, reason.into()))));
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let now = tx.now();
        // Between the answer and this transaction it may have been switched off, or changed.
        let current = tx.find_provider(provider.id).await?;
        if current.is_none_or(|current| current.version != provider.version) {
            return refuse(None, NotLoggedIn::NoProvider, "identity_provider_changed");
        }
        let (user, is_new) = match person(&mut tx, provider, token).await? {
            Ok(found) => found,
            Err(reason) => return refuse(None, NotLoggedIn::NotAdmitted, reason),
        };
        if !may_log_in(&user, now) || !is_active(&mut tx, user.tenant).await? {
            return refuse(Some(user), NotLoggedIn::NotAdmitted, "user_inactive");
        }
        if is_operator_from_elsewhere(&user, &provider.idp) {
            return refuse(Some(user), NotLoggedIn::NotAdmitted, OPERATOR_BY_UPSTREAM);
        }
        // A provider that does not say when has said nothing: no demand for a fresh login is met.
        let auth_time = token.auth_time.unwrap_or(Ts::from_secs(0)).min(now);
        if pending.login_since.is_some_and(|since| auth_time < since) {
            return refuse(Some(user), NotLoggedIn::NotFresh, "upstream_login_too_old");
        }
        let acr = provider.settings.acr_of(token.acr.as_deref(), &token.amr).to_owned();
        let demand = Demand::of(&mut tx, &user).await?;
        if let Some(lack) = demand.lack(&acr, &provider.idp) {
            return Ok(Err((Some(user), (NotLoggedIn::NotEnough, lack))));
        }
        if is_new {
            self.link_by_email(&mut tx, (provider, token), &user, via).await?;
        }
        let how = How {
            life_secs: demand.life_secs(self.0.settings.session_ttl_secs),
            auth_time,
            acr,
            amr: known_amr(&token.amr),
            idp: provider.idp.clone(),
        };
        let logged_in = self.put_session(&mut tx, &user, before.map(|s| s.id), how).await?;
        let entry = self.login_entry(Some(&user), "ok", None, via)?;
        tx.audit(about(entry, subject(provider)));
        tx.commit().await?;
        self.0.meters.login("ok");
        Ok(Ok(logged_in))
    }

    async fn link_by_email(
        &self,
        tx: &mut Tx,
        (provider, token): (&Provider, &IdToken),
        user: &User,
        via: &Via,
    ) -> Result<()> {
        let link = IdentityLink {
            provider: provider.id,
            subject: token.subject.clone(),
            user: user.id,
            tenant: provider.tenant,
            created_at: tx.now(),
        };
        tx.insert_identity_link(&link).await?;
        let mut details = linked(&link);
        details.insert("by".to_owned(), "email".into());
        let mut entry = about(self.login_entry(Some(user), "ok", None, via)?, subject(provider));
        "identity_link.add".clone_into(&mut entry.action);
        entry.details = Some(Value::Object(details).to_string());
        tx.audit(entry);
        Ok(())
    }

    /// Puts a login that failed into the audit log, for the provider's tenant to see; answers what a page
    /// may say of it.
    async fn note_upstream(
        &self,
        provider: &Provider,
        user: Option<&User>,
        (why, lack): (NotLoggedIn, impl Into<Lack>),
        via: &Via,
    ) -> Result<NotLoggedIn> {
        let lack = lack.into();
        self.0.meters.login(lack.reason);
        self.admit_failure(via)?;
        let entry = self.login_entry(user, "refused", Some(lack.reason), via)?;
        let entry = lack.named_in(entry);
        let entry = Entry { target_tenant_id: Some(provider.tenant), ..entry };
        self.0.store.record(about(entry, subject(provider))).await?;
        Ok(why)
    }
}

fn about(entry: Entry, subject: Subject<'_>) -> Entry {
    Entry {
        resource_type: Some(subject.kind.to_owned()),
        resource_id: Some(subject.id.to_owned()),
        ..entry
    }
}

/// The person of the provider's tenant who this is, and whether that has to be remembered; or a word for
/// the audit log. People of other tenants are never looked for.
async fn person(
    tx: &mut Tx,
    provider: &Provider,
    token: &IdToken,
) -> Result<Result<(User, bool), &'static str>> {
    if let Some(link) = tx.find_identity_link(provider.id, &token.subject).await? {
        let user = tx.find_user(provider.tenant, link.user).await?;
        return Ok(user.map(|user| (user, false)).ok_or("user_unknown"));
    }
    if !provider.settings.links_by_email {
        return Ok(Err("identity_not_linked"));
    }
    let email = token.verified_email.as_deref().and_then(normalise_email);
    let Some(email) = email.filter(|email| provider.settings.has_address(email)) else {
        return Ok(Err("email_not_vouched_for"));
    };
    let user = tx.find_user_by_email(&email).await?;
    let Some(user) = user.filter(|user| user.tenant == provider.tenant) else {
        return Ok(Err("user_unknown"));
    };
    if tx.find_identity_link_of(provider.id, user.id).await?.is_some() {
        return Ok(Err("user_linked_to_another"));
    }
    Ok(Ok((user, true)))
}
