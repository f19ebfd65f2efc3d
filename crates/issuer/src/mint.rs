//! The choke point: the only file that signs an access token. Each kind takes what only its own
//! checked path can give.

use procura_domain::{Mandate, UserRole, permission::LIST_TENANTS};
use procura_store::{clients::Client, sessions::Session, users::User};
use procura_token::{
    AccessClaims, Act, DelegatedPrincipalId, DelegationId, Purpose, Scope, Seq, TenantDelegation,
    TenantId, Ts, UserId, jws::ACCESS_TOKEN_TYPE,
};
use serde_json::{Map, json};

use crate::{
    Issuer, Result,
    dpop::{ProvenKey, admit_binding},
    keys::Signers,
    subject_tokens::Subject,
};

/// More managed tenants than this are not listed in a home token but pointed to: a list is never cut.
pub const MANAGED_TENANTS_IN_TOKEN: usize = 64;

/// A signed access token and what the answer says about it.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub access_token: String,
    /// Its remaining life in seconds.
    pub expires_in: i64,
    /// Whether it is bound to a key (RFC 9449 §5), or a bearer token.
    pub is_bound: bool,
    /// What it permits.
    pub scope: Scope,
    /// Its id.
    pub jti: String,
}

/// What a redeemed login gives for a home token.
pub(crate) struct Home<'a> {
    pub signers: &'a Signers,
    pub client: &'a Client,
    /// Whom it is for, where that is not ourselves.
    pub audience: Option<&'a str>,
    pub user: &'a User,
    pub session: &'a Session,
    /// It lives no longer than what it comes from.
    pub ends_at: Ts,
    pub scope: Scope,
    pub managed: Vec<TenantId>,
    pub key: Option<&'a ProvenKey>,
    pub rvs: Seq,
    pub jti: String,
}

/// What a recorded decision gives for a delegated token.
pub(crate) struct Delegated<'a> {
    pub signers: &'a Signers,
    pub client: &'a Client,
    pub audience: &'a str,
    pub subject: &'a Subject,
    pub mandate: Mandate,
    pub delegation: DelegationId,
    pub purpose: Option<Purpose>,
    pub details: Vec<TenantDelegation>,
    pub key: Option<&'a ProvenKey>,
    pub rvs: Seq,
    pub jti: String,
}

/// What a checked request gives for a token of a client about itself.
pub(crate) struct Own<'a> {
    pub signers: &'a Signers,
    pub client: &'a Client,
    pub audience: &'a str,
    pub scope: Scope,
    pub key: Option<&'a ProvenKey>,
    pub rvs: Seq,
}

/// What every access token has.
struct Common<'a> {
    client: &'a Client,
    key: Option<&'a ProvenKey>,
    tenant: TenantId,
    rvs: Seq,
    jti: String,
    end: Ts,
}

impl Issuer {
    /// A fresh token id; sorts by time, so that the audit log's index stays small.
    pub(crate) fn new_jti(&self) -> Result<String> {
        Ok(format!("{:032x}", self.0.environment.id_bits()?))
    }

    pub(crate) fn mint_home(&self, home: Home<'_>, now: Ts) -> Result<Minted> {
        let settings = &self.0.settings;
        let ends = [Some(home.ends_at), home.user.ends_at];
        let end = ends.into_iter().flatten().fold(now.plus_secs(settings.home_ttl_secs), Ts::min);
        let user = home.user;
        // Who a partner's customers are is told to others only where that is what they are asked about.
        let is_listed = home.audience.is_none() || home.scope.contains(LIST_TENANTS);
        let is_overage = is_listed && home.managed.len() > MANAGED_TENANTS_IN_TOKEN;
        let manages =
            user.roles.iter().any(|role| role.is_partner_role()) || !home.managed.is_empty();
        let (client, key, rvs, jti) = (home.client, home.key, home.rvs, home.jti);
        admit_binding(client, key)?;
        let common = Common { client, key, tenant: user.tenant, rvs, jti, end };
        let source =
            || json!({"endpoint": format!("{}/api/v1/partner/customers", settings.issuer)});
        let claims = AccessClaims {
            sub: user.id.to_string(),
            aud: home.audience.unwrap_or(&settings.issuer).to_owned(),
            partner_id: manages.then_some(user.tenant),
            managed_tenant_count: is_overage
                .then(|| u64::try_from(home.managed.len()).unwrap_or_default()),
            claim_names: is_overage
                .then(|| Map::from_iter([("managed_tenant_ids".into(), json!("managed"))])),
            claim_sources: is_overage.then(|| Map::from_iter([("managed".into(), source())])),
            managed_tenant_ids: (manages && is_listed && !is_overage).then_some(home.managed),
            sid: Some(home.session.id),
            roles: words(&user.roles),
            auth_time: Some(home.session.auth_time.secs()),
            acr: Some(home.session.acr.clone()),
            amr: home.session.amr.clone(),
            idp: Some(home.session.idp.clone()),
            scope: home.scope,
            ..self.bare(common, now)
        };
        sign(home.signers, claims, now)
    }

    pub(crate) fn mint_delegated(&self, d: Delegated<'_>, now: Ts) -> Result<Minted> {
        admit_binding(d.client, d.key)?;
        let customer = d.mandate.tenant;
        let (home, actor) = (d.subject.home, d.subject.user);
        let end = d.mandate.expires_at;
        let common =
            Common { client: d.client, key: d.key, tenant: customer, rvs: d.rvs, jti: d.jti, end };
        let claims = AccessClaims {
            sub: self.principal(customer, actor).to_string(),
            aud: d.audience.to_owned(),
            audit_actor_tenant: Some(home),
            managed_tenant_ids: Some(vec![customer]),
            act: Some(Act {
                iss: self.0.settings.issuer.clone(),
                sub: actor,
                sub_profile: "user".to_owned(),
                tenant: home,
            }),
            sid: Some(d.subject.session),
            dlg: Some(d.delegation),
            rel: Some(d.mandate.relationship),
            roles: words(&d.mandate.roles),
            auth_time: d.subject.auth_time,
            acr: d.subject.acr.clone(),
            amr: d.subject.amr.clone(),
            purpose: d.purpose,
            authorization_details: d.details,
            scope: d.mandate.scope,
            ..self.bare(common, now)
        };
        sign(d.signers, claims, now)
    }

    pub(crate) fn mint_client(&self, own: Own<'_>, now: Ts) -> Result<Minted> {
        let Own { signers, client, audience, scope, key, rvs } = own;
        let end = now.plus_secs(self.0.settings.limits.ttl_secs);
        admit_binding(client, key)?;
        let jti = self.new_jti()?;
        let common = Common { client, key, tenant: client.tenant, rvs, jti, end };
        let claims = AccessClaims { aud: audience.to_owned(), scope, ..self.bare(common, now) };
        sign(signers, claims, now)
    }

    /// The stable subject of (customer, person): a resource server that ignores `act` and looks users
    /// up by `sub` finds nobody, instead of the partner's user with its roles at home.
    fn principal(&self, customer: TenantId, actor: UserId) -> DelegatedPrincipalId {
        let parts = [customer.bits().to_be_bytes(), actor.bits().to_be_bytes()];
        let tag = self.0.secrets.principals().tag(&[&parts[0], &parts[1]]);
        let mut bits = [0; 16];
        bits.copy_from_slice(tag.split_at(16).0);
        DelegatedPrincipalId::from_bits(u128::from_be_bytes(bits))
    }

    /// What every access token has; a token of the client about itself, until more is filled in.
    fn bare(&self, common: Common<'_>, now: Ts) -> AccessClaims {
        let Common { client, key, tenant, rvs, jti, end } = common;
        AccessClaims {
            iss: self.0.settings.issuer.clone(),
            sub: client.id.to_string(),
            aud: self.0.settings.issuer.clone(),
            client_id: client.id.clone(),
            iat: now.secs(),
            nbf: now.secs(),
            exp: end.secs(),
            jti,
            tenant,
            audit_actor_tenant: None,
            managed_tenant_ids: None,
            managed_tenant_count: None,
            claim_names: None,
            claim_sources: None,
            partner_id: None,
            act: None,
            sid: None,
            dlg: None,
            rel: None,
            scope: Scope::default(),
            roles: Vec::new(),
            auth_time: None,
            acr: None,
            amr: Vec::new(),
            idp: None,
            purpose: None,
            authorization_details: Vec::new(),
            cnf: ProvenKey::confirmation(key),
            rvs,
        }
    }
}

fn sign(signers: &Signers, claims: AccessClaims, now: Ts) -> Result<Minted> {
    // What we would refuse ourselves we do not sign.
    claims.kind().ok_or(crate::Error::Broken)?;
    Ok(Minted {
        access_token: signers.access(ACCESS_TOKEN_TYPE, &claims)?,
        expires_in: claims.exp.saturating_sub(now.secs()),
        is_bound: claims.cnf.is_some(),
        jti: claims.jti,
        scope: claims.scope,
    })
}

fn words(roles: &[UserRole]) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}
