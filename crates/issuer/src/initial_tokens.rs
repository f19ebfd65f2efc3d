//! Initial access tokens (RFC 7591 §1.2): an admin lets software register itself for the admin's tenant,
//! so many times and not for ever. Shown once, kept as keyed hashes.

use procura_domain::{Caller, UserRole};
use procura_store::self_registration::InitialToken;
use procura_token::{InitialTokenId, TenantId, crypto};
use serde_json::{Map, json};

use crate::{
    Error, Issuer, Result,
    hand::{Hand, Subject, permit_clients},
    registration::details,
};

/// How long one lives unless somebody says otherwise. In seconds.
pub const LIFE_SECS: i64 = 7 * 86_400;
/// The longest life. In seconds.
pub const MAX_LIFE_SECS: i64 = 366 * 86_400;
/// The most that one can be used.
pub const MAX_USES: i64 = 10_000;

/// What a new one is to be.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The tenant that will own what is registered.
    pub tenant: TenantId,
    /// What it is for.
    pub name: String,
    /// How often it can be used.
    pub uses: i64,
    /// How long it lives, in seconds.
    pub life_secs: i64,
}

impl Offer {
    fn check(&self) -> Result<()> {
        let length = self.name.chars().count();
        if !(1..=120).contains(&length) || self.name.chars().any(char::is_control) {
            return Err(Error::Invalid("name"));
        }
        if !(1..=MAX_USES).contains(&self.uses) {
            return Err(Error::Invalid("uses"));
        }
        if !(60..=MAX_LIFE_SECS).contains(&self.life_secs) {
            return Err(Error::Invalid("expires_in_secs"));
        }
        Ok(())
    }
}

impl Issuer {
    /// Makes one; answers it, and what is to be shown once.
    pub async fn make_initial_token(
        &self,
        hand: Hand<'_>,
        offer: Offer,
    ) -> Result<(InitialToken, String)> {
        hand.permit_clients(offer.tenant)?;
        offer.check()?;
        let secret = self.0.environment.secret()?;
        let mut tx = self.begin_by(hand).await?;
        tx.find_tenant(offer.tenant).await?.ok_or(Error::NotFound)?;
        let token = InitialToken {
            id: InitialTokenId::from_bits(self.0.environment.id_bits()?),
            tenant: offer.tenant,
            name: offer.name,
            uses_left: offer.uses,
            created_by: hand.caller().map(|caller| caller.user),
            created_at: tx.now(),
            expires_at: tx.now().plus_secs(offer.life_secs),
            ended_at: None,
        };
        tx.insert_initial_token(&token, &self.initial_token_hash(&secret)).await?;
        let how = json!({ "name": token.name, "uses": token.uses_left,
            "expires_at": token.expires_at.rfc3339() });
        let id = token.id.to_string();
        let about = Subject { tenant: token.tenant, kind: "initial_token", id: &id };
        tx.audit(self.entry_by(hand, "client.initial_token_add", about, details(how))?);
        tx.commit().await?;
        Ok((token, secret))
    }

    /// Those of a tenant, or all; without a caller, whichever are asked for. What is over is listed for a
    /// month more.
    pub async fn list_initial_tokens(
        &self,
        caller: Option<&Caller>,
        tenant: Option<TenantId>,
    ) -> Result<Vec<InitialToken>> {
        let is_of_one = caller.is_some_and(|caller| !caller.is(UserRole::SuperAdmin));
        let tenant = match caller {
            Some(caller) if is_of_one => Some(tenant.unwrap_or(caller.tenant)),
            _ => tenant,
        };
        match tenant {
            Some(tenant) => {
                permit_clients(caller, tenant)?;
                Ok(self.0.store.list_initial_tokens(tenant).await?)
            }
            None => Ok(self.0.store.list_all_initial_tokens().await?),
        }
    }

    /// Ends one. What was registered with it stays.
    pub async fn end_initial_token(&self, hand: Hand<'_>, id: InitialTokenId) -> Result<()> {
        let mut tx = self.begin_by(hand).await?;
        let found = tx.find_initial_token(id).await?.ok_or(Error::NotFound);
        let permitted = found.and_then(|token| hand.permit_clients(token.tenant).map(|_| token));
        if permitted.is_err() {
            // Whoever may administer nothing is told the same, whether it exists or not.
            let own = hand.caller().map(|caller| caller.tenant);
            own.map(|own| hand.permit_clients(own)).transpose()?;
        }
        let token = permitted?;
        tx.end_initial_token(id).await?;
        let id = id.to_string();
        let about = Subject { tenant: token.tenant, kind: "initial_token", id: &id };
        tx.audit(self.entry_by(hand, "client.initial_token_end", about, Map::new())?);
        tx.commit().await?;
        Ok(())
    }

    pub(crate) fn initial_token_hash(&self, secret: &str) -> String {
        let key = self.0.secrets.registrations();
        crypto::hex(&key.tag(&[b"initial", &[0], secret.as_bytes()]))
    }
}
