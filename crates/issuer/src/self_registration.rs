//! Software that registers itself (RFC 7591) and looks after its registration (RFC 7592), within the
//! operator's policy. It is never more than an application that people log in to and agree to; where
//! people have given it more, it changes itself no more.

use std::time::Duration;

use procura_domain::{
    ClientSettings, Fault, Quota, TenantStatus,
    self_registration::{Policy, is_within},
};
use procura_store::{
    Tx,
    clients::{Client, ClientSecret},
    patience,
    self_registration::SelfRegistered,
};
use procura_token::{ClientId, InitialTokenId, TenantId, Ts, crypto};
use serde_json::{Map, Value};

use crate::{Error, Issuer, Result, Via, client_keys::key_set, clients::secret_hash, hand::Hand};

/// Whoever registers waits no longer for a document that is fetched meanwhile: what the request needs of the
/// database must still fit into its patience.
const WAIT: Duration = Duration::from_secs(2);

/// How software may register itself here.
#[derive(Clone, Debug)]
pub struct Rules {
    /// As what.
    pub policy: Policy,
    /// The tenant, by id or slug, that owns what comes without an initial access token; `None`: nothing
    /// comes without.
    pub open_for: Option<String>,
    /// So many in a minute from one address.
    pub per_minute: u32,
    /// So many there are at most.
    pub max_clients: i64,
    /// Nobody having agreed to it for so long, a client goes. In seconds.
    pub unused_secs: i64,
}

/// Proof that somebody may register: a good initial access token, or a door that is open.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    tenant: TenantId,
    token: Option<InitialTokenId>,
}

/// A client that registered or changed itself, with what is shown this once.
pub struct Itself {
    /// The client as it is now.
    pub client: Client,
    /// Its new secret, where it got one.
    pub secret: Option<String>,
    /// The token by which it looks after itself from now on.
    pub token: String,
}

impl Issuer {
    /// Whether software may register, by the initial access token that it shows. One that is no good is
    /// `Unauthenticated`, also where none would be needed.
    pub async fn admit_software(&self, token: Option<&str>) -> Result<Admission> {
        let rules = self.rules()?;
        let Some(token) = token else {
            let name = rules.open_for.as_deref().ok_or(Error::Unauthenticated)?;
            let store = &self.0.store;
            let tenant = match name.parse() {
                Ok(id) => store.find_tenant(id).await?,
                Err(_) => store.find_tenant_by_slug(name).await?,
            };
            let tenant = tenant.filter(|tenant| tenant.status == TenantStatus::Active);
            let Some(tenant) = tenant else {
                tracing::error!("registration.tenant names no tenant that is active");
                return Err(Error::Unauthenticated);
            };
            return Ok(Admission { tenant: tenant.id, token: None });
        };
        let found = self.0.store.find_initial_token(&self.initial_token_hash(token)).await?;
        let now = self.0.environment.now();
        let good = found.filter(|token| token.is_live(now)).ok_or(Error::Unauthenticated)?;
        Ok(Admission { tenant: good.tenant, token: Some(good.id) })
    }

    /// Registers what software says it is (RFC 7591 §3.1).
    pub async fn register_itself(
        &self,
        admission: Admission,
        metadata: &Map<String, Value>,
        via: &Via,
    ) -> Result<Itself> {
        let rules = self.rules()?;
        self.admit_registration(via)?;
        let settings = self.settings_of(metadata).await?;
        let (id, token) = (self.new_client_id()?, self.0.environment.secret()?);
        let is_by_secret = settings.registration.token_endpoint_auth_method.is_by_secret();
        let secret = if is_by_secret { Some(self.0.environment.secret()?) } else { None };
        let hand = Hand::Itself { via, initial_token: admission.token };
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let tenant = tx.find_tenant(admission.tenant).await?;
        tenant.filter(is_active).ok_or(Error::Unauthenticated)?;
        // In the transaction that registers: used up once, at whichever node.
        if let Some(token) = admission.token
            && !tx.use_initial_token(token).await?
        {
            return Err(Error::Unauthenticated);
        }
        if tx.count_self_registered().await? >= rules.max_clients {
            tracing::warn!(
                "as many clients registered themselves as registration.max_clients says"
            );
            return Err(Error::Busy);
        }
        let made = (id, settings, &secret);
        let client = self.insert_client(&mut tx, hand, admission.tenant, made).await?;
        self.keep_quota(&mut tx, admission.tenant, Quota::Clients).await?;
        let known = SelfRegistered {
            client: client.id.clone(),
            token_hash: self.registration_token_hash(&client.id, &token),
            initial_token: admission.token,
            kept_until: tx.now().plus_secs(rules.unused_secs),
        };
        tx.insert_self_registered(&known).await?;
        tx.commit().await?;
        Ok(Itself { client, secret, token })
    }

    /// The client that this registration token is of (RFC 7592 §2.1). Whatever is wrong, whether there is
    /// such a client, whether people registered it or it was stopped: `Unauthenticated`.
    pub async fn find_itself(&self, id: &ClientId, token: &str) -> Result<Client> {
        self.rules()?;
        let known = self.0.store.find_self_registered(id).await?;
        self.is_own(id, token, known.as_ref())?;
        let client = self.0.store.find_client(id).await?.filter(|client| client.is_enabled);
        let client = client.ok_or(Error::Unauthenticated)?;
        let tenant = self.0.store.find_tenant(client.tenant).await?;
        tenant.filter(is_active).ok_or(Error::Unauthenticated)?;
        Ok(client)
    }

    /// Registers anew what a client says it is (RFC 7592 §2.2): what it leaves out is as if it had never
    /// said it. It gets another registration token; the one that it showed is worthless.
    pub async fn update_itself(
        &self,
        id: &ClientId,
        token: &str,
        metadata: &Map<String, Value>,
        via: &Via,
    ) -> Result<Itself> {
        if metadata.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
            return Err(unfit("client_id", "must be that of the client"));
        }
        for member in OURS {
            if metadata.contains_key(member) {
                return Err(unfit(member, "is not for the client to say"));
            }
        }
        // Before anything is fetched or locked for a stranger.
        self.find_itself(id, token).await?;
        // It counts like a registration: where the door is open anybody has such a token, and each change is
        // in the audit log for good.
        self.admit_registration(via)?;
        let settings = self.settings_of(metadata).await?;
        let (new_token, new_secret) = (self.0.environment.secret()?, self.0.environment.secret()?);
        let hand = Hand::Itself { via, initial_token: None };
        let mut tx = self.begin_by(hand).await?;
        let before = self.itself_in(&mut tx, id, token).await?;
        self.keeps_secret(&before, metadata.get("client_secret"), tx.now())?;
        tx.replace_registration_token(id, &self.registration_token_hash(id, &new_token)).await?;
        let is_by_secret = settings.registration.token_endpoint_auth_method.is_by_secret();
        let has_secret = before.secrets.iter().any(|secret| secret.is_live(tx.now()));
        let (_, ended) = self.write_client(&mut tx, hand, before, settings).await?;
        let secret = (is_by_secret && !has_secret).then_some(new_secret);
        if let Some(secret) = &secret {
            let hash = secret_hash(&self.0.secrets, id, secret);
            let secret = ClientSecret { hash, created_at: tx.now(), expires_at: None };
            tx.insert_client_secret(id, &secret).await?;
        }
        self.commit_change(tx, ended, hand).await?;
        self.forget_client(id);
        let client = self.0.store.find_client(id).await?.ok_or(Error::Unauthenticated)?;
        Ok(Itself { client, secret, token: new_token })
    }

    /// Takes a client away that wants to go (RFC 7592 §2.3), with all that it holds and its tokens.
    pub async fn delete_itself(&self, id: &ClientId, token: &str, via: &Via) -> Result<()> {
        // Before anything is locked for a stranger.
        self.find_itself(id, token).await?;
        let hand = Hand::Itself { via, initial_token: None };
        let mut tx = self.begin_by(hand).await?;
        let client = self.itself_in(&mut tx, id, token).await?;
        let ended = self.erase_client(&mut tx, hand, &client).await?;
        self.commit_revocation(tx, ended, hand.confirm()).await?;
        self.forget_client(id);
        Ok(())
    }

    /// Takes away what registered itself and nobody has agreed to for so long. Called once a minute.
    pub async fn tend_self_registered(&self) -> Result<()> {
        let now = self.0.environment.now();
        let Some(rules) = &self.0.settings.self_registration else { return Ok(()) };
        if !self.0.store.is_self_registered_due(now).await? {
            return Ok(());
        }
        let mut tx = self.begin_by(Hand::Upkeep).await?;
        let mut gone = Vec::new();
        for due in tx.list_self_registered_due().await? {
            let client = tx.find_client(&due.client).await?.ok_or(Error::Broken)?;
            // What people have made more of is theirs.
            let is_kept = due.is_used
                || !is_within(&client.settings())
                || tx.find_resource_server(&client.id).await?.is_some();
            if is_kept {
                tx.keep_self_registered(&client.id, now.plus_secs(rules.unused_secs)).await?;
            } else {
                self.erase_client(&mut tx, Hand::Upkeep, &client).await?;
                gone.push(client.id);
            }
        }
        tx.commit().await?;
        for id in &gone {
            self.forget_client(id);
        }
        Ok(())
    }

    /// Whether nobody but the software itself says what it is.
    pub async fn has_registered_itself(&self, id: &ClientId) -> Result<bool> {
        Ok(self.0.store.find_self_registered(id).await?.is_some())
    }

    fn rules(&self) -> Result<&Rules> {
        self.0.settings.self_registration.as_ref().ok_or(Error::NotFound)
    }

    /// What the policy makes of the metadata, with its URLs looked at, and the one document read that has
    /// to agree.
    async fn settings_of(&self, metadata: &Map<String, Value>) -> Result<ClientSettings> {
        let settings = self.rules()?.policy.settings(metadata)?;
        let registration = &settings.registration;
        for (member, url) in [
            ("jwks_uri", &registration.jwks_uri),
            ("backchannel_logout_uri", &registration.backchannel_logout_uri),
            ("sector_identifier_uri", &registration.sector_identifier_uri),
        ] {
            let is_good = url.as_ref().is_none_or(|url| self.check_url(member, url).is_ok());
            if !is_good {
                return Err(unfit(member, "is no URL that can be called from here"));
            }
        }
        if registration.jwks.as_ref().is_some_and(|jwks| key_set(jwks).is_none()) {
            return Err(unfit("jwks", "has a key that cannot be read"));
        }
        if let Some(url) = &registration.sector_identifier_uri {
            const WHY: &str = "must lead to a JSON array with all redirect URIs";
            let checking = self.check_sector(url, &settings.redirect_uris);
            let checked = patience::wait(WAIT, checking).await.and_then(Result::ok);
            checked.ok_or(unfit("sector_identifier_uri", WHY))?;
        }
        Ok(settings)
    }

    /// The client as it is in this transaction, if the token is its own and it is still what software can
    /// have given itself: else whoever holds the token would have what people gave the client since.
    async fn itself_in(&self, tx: &mut Tx, id: &ClientId, token: &str) -> Result<Client> {
        self.rules()?;
        let known = tx.find_self_registered(id).await?;
        self.is_own(id, token, known.as_ref())?;
        let client = tx.find_client(id).await?.filter(|client| client.is_enabled);
        let client = client.ok_or(Error::Unauthenticated)?;
        let tenant = tx.find_tenant(client.tenant).await?;
        tenant.filter(is_active).ok_or(Error::Unauthenticated)?;
        if !is_within(&client.settings()) || tx.find_resource_server(id).await?.is_some() {
            return Err(Error::Forbidden);
        }
        Ok(client)
    }

    fn is_own(&self, id: &ClientId, token: &str, known: Option<&SelfRegistered>) -> Result<()> {
        let given = self.registration_token_hash(id, token);
        let fits = |known: &SelfRegistered| {
            crypto::is_equal(given.as_bytes(), known.token_hash.as_bytes())
        };
        if known.is_some_and(fits) { Ok(()) } else { Err(Error::Unauthenticated) }
    }

    /// A client does not choose its secret: what it says must be what it has (RFC 7592 §2.2).
    fn keeps_secret(&self, client: &Client, said: Option<&Value>, now: Ts) -> Result<()> {
        let Some(said) = said.filter(|said| !said.is_null()) else { return Ok(()) };
        let given = said.as_str().map(|secret| secret_hash(&self.0.secrets, &client.id, secret));
        let fits = |given: &String| {
            let mut live = client.secrets.iter().filter(|secret| secret.is_live(now));
            live.any(|secret| crypto::is_equal(given.as_bytes(), secret.hash.as_bytes()))
        };
        if given.as_ref().is_some_and(fits) {
            Ok(())
        } else {
            Err(unfit("client_secret", "must be that of the client"))
        }
    }

    /// The keyed hash of a registration access token, bound to its client.
    fn registration_token_hash(&self, id: &ClientId, token: &str) -> String {
        let key = self.0.secrets.registrations();
        crypto::hex(&key.tag(&[id.as_str().as_bytes(), &[0], token.as_bytes()]))
    }
}

/// Members that only we say (RFC 7592 §2.2).
const OURS: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

const fn unfit(member: &'static str, why: &'static str) -> Error {
    Error::Unfit(Fault { member, why })
}

fn is_active(tenant: &procura_store::tenants::Tenant) -> bool {
    tenant.status == TenantStatus::Active
}
