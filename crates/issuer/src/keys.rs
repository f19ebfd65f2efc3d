//! Keys: the master key and what stands under it, and the ring of signing keys.
//!
//! The master key seals; it derives nothing that leaves traces in the database, except where a
//! database is older than that. So another master key can take its place.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_store::{
    Store, Tx,
    keys::{KeyState, KeysVersion, StoredKey},
};
use procura_token::{
    Algorithm, Jwks, KeyId, KeySet, ProviderId,
    crypto::{MacKey, SealKey, fill_random, unhex},
    signing::SigningKey,
};
use zeroize::{Zeroize, Zeroizing};

use crate::{Environment, Error, Issuer, Result, idempotency::Claim};

/// The name of the random secret from which all keyed hashes are derived.
const ROOT: &str = "root";

/// The 32 bytes that seal everything else. Never printed, wiped when dropped.
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads 64 hex digits; `None` where the text is anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        unhex(text.trim()).map(Self)
    }

    fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        derived(&self.0, label)
    }

    fn seal_key(&self) -> Result<SealKey> {
        Ok(SealKey::new(&self.derive("signing-keys"))?)
    }

    /// Proves that a backup was made under this master key.
    #[must_use]
    pub fn backup_mac(&self) -> MacKey {
        MacKey::new(self.derive("backups").as_slice())
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Why the keys of a database cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// They were sealed under another one.
    #[error("this master key is not the one of this database")]
    WrongMasterKey,
    /// Storage or randomness failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// What is sealed under the master key, opened.
pub struct Secrets {
    seal: SealKey,
    clients: MacKey,
    principals: MacKey,
    forms: MacKey,
    nonces: MacKey,
    user_codes: MacKey,
    registrations: MacKey,
}

impl Secrets {
    /// Opens the secrets of this database. One that has none yet gets its own.
    pub async fn open(
        store: &Store,
        master: &MasterKey,
        environment: &Environment,
    ) -> Result<Self, OpenError> {
        let seal = master.seal_key()?;
        let found = store.find_secret(ROOT).await.map_err(Error::from)?;
        let sealed = match found {
            Some(sealed) => sealed,
            None => first_root(store, master, environment).await?,
        };
        let root = open_root(&seal, &sealed).map_err(|_| OpenError::WrongMasterKey)?;
        let derive = |label| MacKey::new(derived(&root, label).as_slice());
        Ok(Self {
            seal,
            clients: derive("client-secrets"),
            principals: derive("delegated-principals"),
            forms: derive("forms"),
            nonces: derive("dpop-nonces"),
            user_codes: derive("device-user-codes"),
            registrations: derive("registration-tokens"),
        })
    }

    /// For the keyed hash of client secrets.
    pub(crate) const fn clients(&self) -> &MacKey {
        &self.clients
    }

    /// For the keyed hash of the tokens by which software registers and looks after itself.
    pub(crate) const fn registrations(&self) -> &MacKey {
        &self.registrations
    }

    /// For the stable `sub` of (customer, person).
    pub(crate) const fn principals(&self) -> &MacKey {
        &self.principals
    }

    /// For the tokens in forms.
    pub(crate) const fn forms(&self) -> &MacKey {
        &self.forms
    }

    /// For the nonces that proofs of possession carry.
    pub(crate) const fn nonces(&self) -> &MacKey {
        &self.nonces
    }

    /// For the keyed hash of codes that people type off a device.
    pub(crate) const fn user_codes(&self) -> &MacKey {
        &self.user_codes
    }

    pub(crate) fn seal_pair(&self, kid: KeyId, pkcs8: &[u8]) -> Result<Vec<u8>> {
        Ok(self.seal.seal(kid.to_string().as_bytes(), pkcs8)?)
    }

    /// Seals our secret at an identity provider; in base64.
    pub(crate) fn seal_for(&self, id: ProviderId, secret: &str) -> Result<String> {
        Ok(B64.encode(self.seal.seal(id.to_string().as_bytes(), secret.as_bytes())?))
    }

    /// Our secret at an identity provider.
    pub(crate) fn open_for(&self, id: ProviderId, sealed: &str) -> Result<Zeroizing<String>> {
        let opened = open_secret(&self.seal, id, sealed)?;
        let text = std::str::from_utf8(&opened).map_err(|_| Error::Broken)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Seals the answer to a request that was made under a key of its caller.
    pub(crate) fn seal_answer(&self, claim: &Claim, answer: &str) -> Result<String> {
        Ok(B64.encode(self.seal.seal(&context(claim), answer.as_bytes())?))
    }

    /// Opens it again.
    pub(crate) fn open_answer(&self, claim: &Claim, sealed: &str) -> Result<String> {
        let sealed = B64.decode(sealed).map_err(|_| Error::Broken)?;
        let opened = self.seal.open(&context(claim), &sealed)?;
        String::from_utf8(opened).map_err(|_| Error::Broken)
    }

    fn open_pair(&self, key: &StoredKey) -> Result<SigningKey> {
        let pkcs8 = open_pkcs8(&self.seal, key)?;
        Ok(SigningKey::load(key.kid, key.alg, &pkcs8)?)
    }
}

fn derived(key: &[u8; 32], label: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(MacKey::new(key).tag(&[b"procura/1/", label.as_bytes()]))
}

/// An answer is one person's, to one request, under one key.
fn context(claim: &Claim) -> Vec<u8> {
    format!("answer {} {} {}", claim.user, claim.key_hash, claim.request_hash).into_bytes()
}

fn open_root(seal: &SealKey, sealed: &str) -> Result<Zeroizing<[u8; 32]>> {
    let sealed = B64.decode(sealed).map_err(|_| Error::Broken)?;
    let opened = Zeroizing::new(seal.open(ROOT.as_bytes(), &sealed)?);
    let root: [u8; 32] = opened.as_slice().try_into().map_err(|_| Error::Broken)?;
    Ok(Zeroizing::new(root))
}

fn open_pkcs8(seal: &SealKey, key: &StoredKey) -> Result<Zeroizing<Vec<u8>>> {
    Ok(Zeroizing::new(seal.open(key.kid.to_string().as_bytes(), &key.sealed)?))
}

fn open_secret(seal: &SealKey, id: ProviderId, sealed: &str) -> Result<Zeroizing<Vec<u8>>> {
    let sealed = B64.decode(sealed).map_err(|_| Error::Broken)?;
    Ok(Zeroizing::new(seal.open(id.to_string().as_bytes(), &sealed)?))
}

/// Makes the root secret; where another node was first, takes that one.
async fn first_root(
    store: &Store,
    master: &MasterKey,
    environment: &Environment,
) -> Result<String, OpenError> {
    let seal = master.seal_key()?;
    let mut root = Zeroizing::new([0; 32]);
    if store.is_empty().await.map_err(Error::from)? {
        fill_random(root.as_mut_slice()).map_err(Error::from)?;
    } else {
        // A database from before there was a root: its hashes were derived from the master key.
        let keys = store.list_keys().await.map_err(Error::from)?;
        if keys.iter().any(|key| !key.sealed.is_empty() && open_pkcs8(&seal, key).is_err()) {
            return Err(OpenError::WrongMasterKey);
        }
        *root = master.0;
    }
    let sealed = B64.encode(seal.seal(ROOT.as_bytes(), root.as_slice()).map_err(Error::from)?);
    let mut tx = store.begin(environment.now()).await.map_err(Error::from)?;
    if let Some(first) = tx.find_secret(ROOT).await.map_err(Error::from)? {
        return Ok(first);
    }
    tx.put_secret(ROOT, &sealed).await.map_err(Error::from)?;
    tx.commit().await.map_err(Error::from)?;
    Ok(sealed)
}

/// Seals everything in this database anew; answers how many keys. Nothing of it changes but the seal.
pub(crate) async fn reseal(tx: &mut Tx, old: &Secrets, new: &MasterKey) -> Result<usize> {
    let new = new.seal_key()?;
    let sealed = tx.find_secret(ROOT).await?.ok_or(Error::Broken)?;
    let root = open_root(&old.seal, &sealed)?;
    tx.put_secret(ROOT, &B64.encode(new.seal(ROOT.as_bytes(), root.as_slice())?)).await?;
    let mut count = 0;
    for key in tx.list_keys().await?.iter().filter(|key| !key.sealed.is_empty()) {
        let pkcs8 = open_pkcs8(&old.seal, key)?;
        let sealed = new.seal(key.kid.to_string().as_bytes(), &pkcs8)?;
        tx.update_key_seal(key.kid, &sealed).await?;
        count += 1;
    }
    for provider in tx.list_sealed_providers().await? {
        let secret = open_secret(&old.seal, provider.id, &provider.sealed)?;
        let sealed = new.seal(provider.id.to_string().as_bytes(), &secret)?;
        tx.update_provider_seal(provider.id, &B64.encode(sealed)).await?;
    }
    Ok(count)
}

/// This process's copy of the keys: those that sign, and all public halves.
pub struct KeyRing(ArcSwap<Ring>);

struct Ring {
    version: KeysVersion,
    access: SigningKey,
    identity: SigningKey,
    public: Jwks,
    verify: Arc<KeySet>,
}

/// Access tokens are signed with ES256. ID tokens with RS256, which every OpenID client expects
/// where nothing else was agreed (OpenID Connect Core §15.1).
pub(crate) const WANTED: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];

/// What a client can register for its ID tokens and other answers to it.
pub const SIGNED_BY: &[Algorithm] = &[Algorithm::Rs256, Algorithm::Es256];

/// The keys as of one transaction, or newer ones. There is no other way to sign, so a node whose copy
/// is old never signs with a key that was taken away.
pub(crate) struct Signers(Arc<Ring>);

impl Signers {
    /// Signs what a client registered an algorithm for, with the key of that algorithm; `Broken` where
    /// there is none.
    pub(crate) fn by(
        &self,
        alg: Algorithm,
        typ: &str,
        claims: &impl serde::Serialize,
    ) -> Result<String> {
        match alg {
            Algorithm::Rs256 => self.identity(typ, claims),
            Algorithm::Es256 => self.access(typ, claims),
            Algorithm::Ps256 | Algorithm::EdDsa => Err(Error::Broken),
        }
    }

    pub(crate) fn access(&self, typ: &str, claims: &impl serde::Serialize) -> Result<String> {
        Ok(self.0.access.sign(typ, claims)?)
    }

    pub(crate) fn identity(&self, typ: &str, claims: &impl serde::Serialize) -> Result<String> {
        Ok(self.0.identity.sign(typ, claims)?)
    }
}

impl KeyRing {
    /// The copy of now; there must be an active key of each kind.
    pub(crate) async fn open(store: &Store, secrets: &Secrets) -> Result<Self> {
        let (version, stored) = store.read_keys().await?;
        Ok(Self(ArcSwap::from_pointee(Ring::new(version, &stored, secrets)?)))
    }

    /// What `/oauth2/jwks` publishes.
    #[must_use]
    pub fn public(&self) -> Jwks {
        self.0.load().public.clone()
    }

    /// The version of what [`KeyRing::public`] answers.
    #[must_use]
    pub fn version(&self) -> KeysVersion {
        self.0.load().version
    }

    /// The same keys, ready to verify with.
    #[must_use]
    pub fn verifying(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.load().verify)
    }

    /// Takes a newer copy; never goes back to an older one.
    fn take(&self, ring: Ring) {
        let ring = Arc::new(ring);
        self.0.rcu(|now| Arc::clone(if ring.version > now.version { &ring } else { now }));
    }
}

impl Issuer {
    /// Brings this process's copy of the keys up to what was last read of the head row. Costs nothing
    /// where nothing changed.
    pub async fn follow_keys(&self) -> Result<()> {
        self.signers(self.0.store.keys_version()).await.map(drop)
    }

    /// The keys as of this version at least.
    pub(crate) async fn signers(&self, version: KeysVersion) -> Result<Signers> {
        if self.0.keys.version() < version {
            let (version, stored) = self.0.store.read_keys().await?;
            self.take_keys(version, &stored)?;
        }
        self.signers_since(version)
    }

    /// The keys as of this transaction at least.
    pub(crate) async fn signers_in(&self, tx: &mut Tx) -> Result<Signers> {
        if self.0.keys.version() < tx.keys_version() {
            let stored = tx.list_keys().await?;
            self.take_keys(tx.keys_version(), &stored)?;
        }
        self.signers_since(tx.keys_version())
    }

    pub(crate) fn signers_since(&self, version: KeysVersion) -> Result<Signers> {
        let ring = self.0.keys.0.load_full();
        if ring.version < version { Err(Error::Busy) } else { Ok(Signers(ring)) }
    }

    fn take_keys(&self, version: KeysVersion, stored: &[StoredKey]) -> Result<()> {
        let ring = Ring::new(version, stored, &self.0.secrets).map_err(|error| {
            // Closed rather than wrong: the old copy may hold a key that was stolen.
            tracing::error!(%error, "the keys changed and cannot be opened (another master key?)");
            Error::Busy
        })?;
        self.0.keys.take(ring);
        Ok(())
    }
}

impl Ring {
    fn new(version: KeysVersion, stored: &[StoredKey], secrets: &Secrets) -> Result<Self> {
        let load = |alg: Algorithm| {
            let active = stored.iter().find(|key| key.alg == alg && key.state == KeyState::Active);
            secrets.open_pair(active.ok_or(Error::Broken)?)
        };
        let published = stored.iter().filter(|key| key.state != KeyState::Gone);
        let public = Jwks { keys: published.map(|key| key.public.clone()).collect() };
        let verify = KeySet::new(&public).map_err(|_| Error::Broken)?;
        Ok(Self {
            version,
            access: load(Algorithm::Es256)?,
            identity: load(Algorithm::Rs256)?,
            public,
            verify: Arc::new(verify),
        })
    }
}
