//! Keys: the master key and what is derived from it, and the ring of signing keys.

use std::sync::Arc;

use arc_swap::ArcSwap;
use procura_store::{Store, keys::StoredKey};
use procura_token::{
    Algorithm, Jwks, KeyId, KeySet,
    crypto::{MacKey, SealKey},
    signing::SigningKey,
};

use crate::{Environment, Error, Result};

/// Everything that is derived from the master key, each under a label of its own.
pub struct Secrets {
    seal: SealKey,
    clients: MacKey,
    principals: MacKey,
    forms: MacKey,
}

impl Secrets {
    /// Derives the secrets from the 32 bytes of the master key.
    pub fn derive(master: &[u8; 32]) -> Result<Self> {
        let root = MacKey::new(master);
        let derive = |label: &str| root.tag(&[b"procura/1/", label.as_bytes()]);
        Ok(Self {
            seal: SealKey::new(&derive("signing-keys"))?,
            clients: MacKey::new(&derive("client-secrets")),
            principals: MacKey::new(&derive("delegated-principals")),
            forms: MacKey::new(&derive("forms")),
        })
    }

    /// For the keyed hash of client secrets.
    pub(crate) const fn clients(&self) -> &MacKey {
        &self.clients
    }

    /// For the stable `sub` of (customer, person).
    pub(crate) const fn principals(&self) -> &MacKey {
        &self.principals
    }

    /// For the tokens in forms.
    pub(crate) const fn forms(&self) -> &MacKey {
        &self.forms
    }
}

/// The signing keys in use and all public halves.
pub struct KeyRing(ArcSwap<Ring>);

struct Ring {
    access: SigningKey,
    identity: SigningKey,
    public: Jwks,
    verify: Arc<KeySet>,
}

/// Access tokens are signed with ES256. ID tokens with RS256, which every OpenID client expects
/// where nothing else was agreed (OpenID Connect Core §15.1).
const WANTED: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];

impl KeyRing {
    pub(crate) async fn open(
        store: &Store,
        secrets: &Secrets,
        environment: &Environment,
    ) -> Result<Self> {
        let mut stored = store.list_keys().await?;
        let has =
            |keys: &[StoredKey], alg| keys.iter().any(|k| k.alg == alg && k.state == "active");
        let missing: Vec<_> = WANTED.into_iter().filter(|alg| !has(&stored, *alg)).collect();
        if !missing.is_empty() {
            let mut tx = store.begin(environment.now()).await?;
            for alg in missing {
                let key = generate(alg, secrets, environment).await?;
                tx.insert_key(&key).await?;
                stored.push(key);
            }
            tx.commit().await?;
        }
        Ok(Self(ArcSwap::from_pointee(Ring::new(&stored, secrets)?)))
    }

    pub(crate) fn sign_access(&self, typ: &str, claims: &impl serde::Serialize) -> Result<String> {
        Ok(self.0.load().access.sign(typ, claims)?)
    }

    pub(crate) fn sign_identity(
        &self,
        typ: &str,
        claims: &impl serde::Serialize,
    ) -> Result<String> {
        Ok(self.0.load().identity.sign(typ, claims)?)
    }

    /// What `/oauth2/jwks` publishes.
    #[must_use]
    pub fn public(&self) -> Jwks {
        self.0.load().public.clone()
    }

    /// The same keys, ready to verify with.
    #[must_use]
    pub fn verifying(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.load().verify)
    }
}

/// RSA keys take a while to find: not on the async threads.
async fn generate(
    alg: Algorithm,
    secrets: &Secrets,
    environment: &Environment,
) -> Result<StoredKey> {
    let pkcs8 = tokio::task::spawn_blocking(move || SigningKey::generate(alg))
        .await
        .map_err(|_| Error::Broken)??;
    let kid = KeyId::from_bits(environment.id_bits()?);
    Ok(StoredKey {
        kid,
        alg,
        state: "active".to_owned(),
        public: SigningKey::load(kid, alg, &pkcs8)?.public()?,
        sealed: secrets.seal.seal(kid.to_string().as_bytes(), &pkcs8)?,
        created_at: environment.now(),
    })
}

impl Ring {
    fn new(stored: &[StoredKey], secrets: &Secrets) -> Result<Self> {
        // The newest active key of an algorithm signs.
        let load = |alg: Algorithm| {
            let newest = stored.iter().rev().find(|key| key.alg == alg && key.state == "active");
            let key = newest.ok_or(Error::Broken)?;
            let pkcs8 = secrets.seal.open(key.kid.to_string().as_bytes(), &key.sealed)?;
            Ok::<_, Error>(SigningKey::load(key.kid, alg, &pkcs8)?)
        };
        let public = Jwks { keys: stored.iter().map(|key| key.public.clone()).collect() };
        let verify = KeySet::new(&public).map_err(|_| Error::Broken)?;
        Ok(Self {
            access: load(Algorithm::Es256)?,
            identity: load(Algorithm::Rs256)?,
            public,
            verify: Arc::new(verify),
        })
    }
}
