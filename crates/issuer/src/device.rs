//! The device authorization grant (RFC 8628): a device without a browser shows a short code, a person types
//! it in at another screen, logs in and says yes or no there, and the device asks until it hears that.

use procura_domain::Profile;
use procura_store::{
    Tx,
    audit::Entry,
    clients::Client,
    device::{DeviceAnswer, DeviceCode},
    sessions::Session,
};
use procura_token::{AuditId, Scope, crypto};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Issuer, Result, Via,
    authorize::{Next, Pending, ResponseMode, Shown},
    dpop::{ProvenKey, admit_binding},
    environment::fingerprint,
    home::{Given, Login, take_back},
    identity::{can_sign_for, login_since},
    pushed::Terms,
    refresh,
    requested::{OFFLINE_ACCESS, Requested},
    resources::REFUSED,
};

/// The grant type's name.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The action in the audit log where a device asks to be let in.
pub const ACTION: &str = "device.begin";

/// Device and person have this long.
const LIFE_SECS: i64 = 10 * 60;
/// A device waits so long between two questions.
const INTERVAL_SECS: i64 = 5;
/// Letters that are not mistaken for each other, and make no words (RFC 8628 §6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// So many of them: 34 bits, which nobody guesses at the pace at which strangers may fail.
const LETTERS: usize = 8;
/// Longer texts are no code.
const MAX_TYPED: usize = 32;
/// Another device may show the same code just now.
const ATTEMPTS: usize = 3;

const TOKEN_ACTION: &str = "token.issue";
const REPLAYED: &str = "device_code_replayed";

/// What a device asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// `scope`.
    pub scope: Option<&'a str>,
    /// `resource` (RFC 8707); several with blanks between them.
    pub resource: Option<&'a str>,
}

/// What a device comes back with.
#[derive(Clone, Copy, Debug)]
pub struct Polling<'a> {
    /// The code that it asks us with.
    pub code: &'a str,
    /// One of the resources that were agreed on, where it says which (RFC 8707 §2.2).
    pub resource: Option<&'a str>,
    /// The key that it has proven to hold.
    pub key: Option<&'a ProvenKey>,
}

/// What a device is told.
pub struct Started {
    /// To ask us with; never shown to anybody.
    pub device_code: String,
    /// To show to the person, with a dash in its middle.
    pub user_code: String,
    /// Both are good for so many seconds.
    pub expires_in: i64,
    /// To wait between two questions, in seconds.
    pub interval: i64,
}

/// Why a device gets nothing yet, or never will (RFC 8628 §3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// Nobody has said anything.
    Pending,
    /// It has asked too soon, and has to wait longer from now on.
    TooFast,
    /// The person said no.
    Denied,
    /// Nobody said anything in time.
    Expired,
}

impl Unready {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Pending => "device_pending",
            Self::TooFast => "device_too_fast",
            Self::Denied => "device_denied",
            Self::Expired => "device_code_expired",
        }
    }
}

/// The device that a pending request is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The hash of the code that it asks us with.
    pub code_hash: String,
    /// What it shows, as the person has it before the eyes.
    pub user_code: String,
}

/// A code that gives nothing: the answer, the true reason, and whether it took something back.
struct Refused {
    error: Error,
    reason: &'static str,
    is_taking_back: bool,
}

impl Issuer {
    /// Lets a device wait for a person.
    pub async fn begin_device(
        &self,
        client: &Client,
        asked: Asked<'_>,
        via: &Via,
    ) -> Result<Started> {
        admit(client)?;
        // Nobody should log in for an ID token that we cannot sign.
        if !can_sign_for(client) {
            return Err(Error::GrantNotAllowed);
        }
        let scope: Scope = asked.scope.unwrap_or_default().parse().map_err(|_| Error::BadScope)?;
        let resources = self.named_resources(asked.resource, client).map_err(|_| REFUSED)?;
        if !self.are_resources_there(&resources).await? {
            return Err(REFUSED);
        }
        if !client.is_confidential() {
            // Everybody can say to be this client, and what is asked for is kept for a while.
            self.admit_arrival(via)?;
        }
        let grant_json = serde_json::to_string(&pending(client, &scope, resources))
            .map_err(|_| Error::Broken)?;
        let device_code = self.0.environment.secret()?;
        let mut device = DeviceCode {
            code_hash: fingerprint(&device_code),
            user_hash: String::new(),
            client: client.id.clone(),
            grant_json,
            interval_secs: INTERVAL_SECS,
            expires_at: self.0.environment.now().plus_secs(LIFE_SECS),
            answer: None,
            used_at: None,
        };
        for _ in 0..ATTEMPTS {
            let user_code = new_user_code()?;
            device.user_hash = self.user_hash(&user_code);
            match self.0.store.insert_device_code(&device).await {
                Ok(()) => {
                    let (expires_in, interval) = (LIFE_SECS, INTERVAL_SECS);
                    return Ok(Started { device_code, user_code, expires_in, interval });
                }
                Err(procura_store::Error::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Error::Busy)
    }

    /// Takes in what a person has typed off a device: from now on this browser answers for it. `NotFound`
    /// where no device waits with this code; so many such attempts of strangers are let through, and no more.
    pub async fn begin_device_login(
        &self,
        typed: &str,
        browser: &str,
        session: Option<&Session>,
        via: &Via,
    ) -> Result<Next> {
        let now = self.0.environment.now();
        let device = match normalise_user_code(typed) {
            Some(code) => {
                let found = self.0.store.find_waiting_device(&self.user_hash(&code), now).await?;
                found.map(|device| (device, code))
            }
            None => None,
        };
        let Some((device, user_code)) = device else {
            self.note_stranger("device.enter", "user_code_unknown", None, via).await?;
            return Err(Error::NotFound);
        };
        let client = self.0.store.find_client(&device.client).await?.ok_or(Error::NotFound)?;
        if !client.is_enabled || admit(&client).is_err() {
            return Err(Error::NotFound);
        }
        if session.is_none() {
            // What is kept of it until somebody logs in could be anybody's.
            self.admit_arrival(via)?;
        }
        let mut pending: Pending =
            serde_json::from_str(&device.grant_json).map_err(|_| Error::Broken)?;
        pending.login_since = login_since(now, false, client.registration.default_max_age);
        pending.terms.device = Some(Waiting { code_hash: device.code_hash, user_code });
        let id = self.keep(&pending, browser).await?;
        let is_in = session.is_some_and(|session| pending.accepts(session));
        Ok(if is_in { Next::Consent(id) } else { Next::LogIn(id) })
    }

    /// The person's answer on the consent page. `NotFound` where the device does not wait any more.
    pub async fn answer_device(
        &self,
        shown: &Shown,
        session: &Session,
        is_allowed: bool,
        via: &Via,
    ) -> Result<()> {
        let pending = &shown.pending;
        let device = pending.terms.device.as_ref().ok_or(Error::Broken)?;
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let now = tx.now();
        if !tx.end_interaction(shown.id).await? {
            return Err(Error::NotFound);
        }
        let current = tx.find_session(session.id).await?;
        if current.is_none_or(|session| !session.is_live(now) || !pending.accepts(&session)) {
            return Err(Error::NotFound);
        }
        // The client may have been stopped, or lost this grant, while the person thought about it.
        let client = tx.find_client(&pending.client).await?;
        if !client.is_some_and(|client| client.is_enabled && admit(&client).is_ok()) {
            return Err(Error::NotFound);
        }
        if !tx.answer_device(&device.code_hash, session.id, is_allowed).await? {
            return Err(Error::NotFound);
        }
        if is_allowed {
            self.agree(&mut tx, pending, session).await?;
        }
        let action = if is_allowed { "device.allow" } else { "device.deny" };
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        tx.audit(Entry {
            actor_user_id: Some(session.user),
            actor_tenant_id: Some(session.tenant),
            target_tenant_id: Some(session.tenant),
            client_id: Some(pending.client.clone()),
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(id, now, action, "ok")
        });
        tx.commit().await?;
        Ok(())
    }

    /// Redeems a device's code, once. Until the person has said something that is `Device`; it has no audit
    /// entry, because to wait is no refusal. A second attempt takes back what the first one gave.
    pub async fn redeem_device(
        &self,
        client: &Client,
        asked: Polling<'_>,
        via: &Via,
    ) -> Result<Given> {
        if let Err(error) = admit(client).and_then(|()| admit_binding(client, asked.key)) {
            return self.refuse_device(client, (error, error.code()), via).await;
        }
        let hash = fingerprint(asked.code);
        let found = self.0.store.find_device_code(&hash).await?;
        let refused = (Error::BadGrant, "device_code_unknown");
        let Some(found) = found else { return self.refuse_device(client, refused, via).await };
        if found.client != client.id {
            let refused = (Error::BadGrant, "device_code_of_another_client");
            return self.refuse_device(client, refused, via).await;
        }
        if found.answer.is_none() {
            let now = self.0.environment.now();
            if now >= found.expires_at {
                let expired = Unready::Expired;
                return self.refuse_device(client, (expired.into(), expired.code()), via).await;
            }
            if self.0.store.note_poll(&hash, now).await? {
                return Err(Unready::Pending.into());
            }
            if !client.is_confidential() {
                // Nobody who need not prove anything makes us write without end.
                self.admit_arrival(via)?;
            }
            self.0.store.slow_device(&hash, now).await?;
            return Err(Unready::TooFast.into());
        }
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        if !tx.is_current_client(client).await? {
            drop(tx);
            self.forget_client(&client.id);
            return self
                .refuse_device(client, (Error::Unauthenticated, "client_unusable"), via)
                .await;
        }
        match self.check_device(&mut tx, client, &hash, asked).await? {
            Ok(login) => {
                if !tx.redeem_device_code(&hash).await? {
                    return Err(Error::BadGrant);
                }
                let given = self.give_first(&mut tx, client, &login, via).await?;
                tx.commit().await?;
                self.count_given(&given);
                Ok(given)
            }
            Err(Refused { error, reason, is_taking_back }) => {
                // The next time there is nothing left to take.
                if !is_taking_back {
                    self.admit_failure_of(client, via)?;
                }
                tx.audit(self.issue_entry(client, "refused", Some(reason), via)?);
                tx.commit().await?;
                Err(error)
            }
        }
    }

    async fn check_device(
        &self,
        tx: &mut Tx,
        client: &Client,
        hash: &str,
        asked: Polling<'_>,
    ) -> Result<Result<Login, Refused>> {
        let refuse = |error, reason| Ok(Err(Refused { error, reason, is_taking_back: false }));
        let now = tx.now();
        let found = tx.find_device_code(hash).await?;
        let Some((device, answer)) = found.and_then(|d| d.answer.map(|answer| (d, answer))) else {
            return refuse(Error::BadGrant, "device_code_unknown");
        };
        let DeviceAnswer::Allowed(session) = answer else {
            return refuse(Unready::Denied.into(), Unready::Denied.code());
        };
        if device.used_at.is_some() {
            let of = (session, &device.client);
            let is_taking_back = take_back(tx, hash, of, REPLAYED).await?;
            let (error, reason) = (Error::BadGrant, REPLAYED);
            return Ok(Err(Refused { error, reason, is_taking_back }));
        }
        if now >= device.expires_at {
            return refuse(Unready::Expired.into(), Unready::Expired.code());
        }
        let mut pending: Pending =
            serde_json::from_str(&device.grant_json).map_err(|_| Error::Broken)?;
        pending.narrow_to(&client.scope);
        let session = tx.find_session(session).await?.filter(|session| session.is_live(now));
        let Some(session) = session else { return refuse(Error::BadGrant, "session_ended") };
        let user = match self.person_of(tx, &session).await? {
            Ok(user) => user,
            Err(reason) => return refuse(Error::BadGrant, reason),
        };
        let agreed = tx.find_consent(user.id, &client.id).await?;
        if agreed.is_none_or(|agreed| !pending.agreement().is_subset(&agreed)) {
            return refuse(Error::BadGrant, "consent_withdrawn");
        }
        let audience = match self.audience_of(tx, client, &pending, asked.resource).await {
            Ok(audience) => audience,
            Err(error @ Error::Refused(_)) => return refuse(error, error.code()),
            Err(other) => return Err(other),
        };
        let (origin_hash, key) = (hash.to_owned(), asked.key.cloned());
        Ok(Ok(Login { origin_hash, pending, session, user, audience, key }))
    }

    async fn refuse_device(
        &self,
        client: &Client,
        (error, reason): (Error, &'static str),
        via: &Via,
    ) -> Result<Given> {
        self.admit_failure_of(client, via)?;
        self.note(TOKEN_ACTION, reason, Some(client.id.clone()), via).await?;
        Err(error)
    }

    fn user_hash(&self, user_code: &str) -> String {
        crypto::hex(&self.0.secrets.user_codes().tag(&[user_code.as_bytes()]))
    }
}

/// FAPI 2.0 has no place for it: nothing ties the screen to the device.
fn admit(client: &Client) -> Result<()> {
    let may = client.grant_types.contains(GRANT) && client.profile != Profile::Fapi2;
    if may { Ok(()) } else { Err(Error::GrantNotAllowed) }
}

/// What the request comes to for this client. The person is always asked: only the person can tell whether
/// the code on the device is the same one.
fn pending(client: &Client, scope: &Scope, resources: Vec<String>) -> Pending {
    let may_come_back = client.grant_types.contains(refresh::GRANT);
    let is_possible = |permission: &str| {
        client.scope.contains(permission) && (permission != OFFLINE_ACCESS || may_come_back)
    };
    Pending {
        client: client.id.clone(),
        redirect_uri: String::new(),
        state: None,
        mode: ResponseMode::default(),
        nonce: None,
        scope: scope.filtered(is_possible),
        claims: Requested::default(),
        challenge: None,
        login_since: None,
        must_log_in: false,
        subject: None,
        must_consent: true,
        login_hint: None,
        terms: Terms { resources, ..Terms::default() },
    }
}

/// Each letter is as likely as any other: bytes that would favour some are passed over.
fn new_user_code() -> Result<String> {
    let mut letters = String::new();
    while letters.len() < LETTERS {
        let mut random = [0; 2 * LETTERS];
        crypto::fill_random(&mut random)?;
        let fair = random.iter().filter(|byte| **byte < 240).map(|byte| usize::from(byte % 20));
        let fair = fair.filter_map(|at| ALPHABET.get(at).copied().map(char::from));
        letters.extend(fair.take(LETTERS - letters.len()));
    }
    Ok(with_dash(&letters))
}

fn with_dash(letters: &str) -> String {
    let (front, back) = letters.split_at(LETTERS / 2);
    format!("{front}-{back}")
}

/// The code that somebody meant: dashes, blanks and small letters make no difference (RFC 8628 §6.1).
/// `None` where it can be none.
#[must_use]
pub fn normalise_user_code(typed: &str) -> Option<String> {
    if typed.len() > MAX_TYPED {
        return None;
    }
    let is_between = |c: char| c.is_whitespace() || matches!(c, '-' | '_' | '.' | '‐'..='―' | '−');
    let letters: String =
        typed.chars().filter(|c| !is_between(*c)).map(|c| c.to_ascii_uppercase()).collect();
    let is_code = letters.len() == LETTERS && letters.bytes().all(|b| ALPHABET.contains(&b));
    is_code.then(|| with_dash(&letters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W-D-J-B_M.J.H.T", "wdjb–mjht"] {
            assert_eq!(normalise_user_code(typed).as_deref(), Some("WDJB-MJHT"), "{typed}");
        }
        for bad in ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH1", "WDJB-MJH\u{df}"] {
            assert_eq!(normalise_user_code(bad), None, "{bad}");
        }
        assert_eq!(normalise_user_code(&format!("WDJB{}MJHT", "-".repeat(30))), None);
    }

    #[test]
    fn a_new_code_is_one_and_another_each_time() {
        let (one, two) = (new_user_code().unwrap(), new_user_code().unwrap());
        assert_ne!(one, two);
        for code in [one, two] {
            assert_eq!(normalise_user_code(&code).as_deref(), Some(code.as_str()));
        }
    }
}
