//! What a file for an import can say. Tenants are named by their slugs, people by their e-mail
//! addresses, clients by their ids.

use std::{collections::BTreeSet, path::PathBuf};

use procura_domain::{
    Access, Permissions, Profile, ProviderSettings, Registration, RelationshipKind,
    RelationshipRole, StandardClaims, UserRole, relationship::Approval,
};
use procura_token::{ClientId, Scope};
use serde::Deserialize;

/// A whole file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Organisations.
    pub tenants: Vec<TenantSeed>,
    /// People.
    pub users: Vec<UserSeed>,
    /// Software that asks for tokens, and that takes them.
    pub clients: Vec<ClientSeed>,
    /// Services that take tokens.
    pub resource_servers: Vec<ServerSeed>,
    /// By which logins of their own people come in.
    pub identity_providers: Vec<ProviderSeed>,
    /// Who manages or trusts whom.
    pub relationships: Vec<RelationshipSeed>,
}

/// A value that need not stand in the file itself.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text, { file = \"…\" } or { env = \"…\" }")]
pub enum Private {
    /// It does.
    Stated(String),
    /// It stands elsewhere. Whoever reads the file puts the value in its place.
    Elsewhere(Place),
}

/// Where a value stands.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Place {
    /// In a file of its own; a newline at its end is not part of it.
    File(PathBuf),
    /// In the environment.
    Env(String),
}

impl Private {
    /// The value; `None` where it still stands elsewhere.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Stated(text) => Some(text),
            Self::Elsewhere(_) => None,
        }
    }
}

/// A tenant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSeed {
    /// Its short name: how the file names it.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Its plan.
    #[serde(default = "standard")]
    pub plan: String,
    /// Its switch for all partners, when it is made; later it is the tenant's own.
    #[serde(default)]
    pub partner_access: Option<Access>,
    /// What a partner needs to ask it for a relationship, when it is made.
    #[serde(default)]
    pub partner_code: Option<Private>,
}

fn standard() -> String {
    "standard".to_owned()
}

/// A person. One of `password`, `password_hash` and `invite` says how the first login works.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSeed {
    /// The login name.
    pub email: String,
    /// The own tenant.
    pub tenant: String,
    /// What people call this person; the e-mail address where nothing is said.
    #[serde(default)]
    pub name: Option<String>,
    /// Roles in the own tenant.
    #[serde(default)]
    pub roles: Vec<UserRole>,
    /// The password.
    #[serde(default)]
    pub password: Option<Private>,
    /// The argon2id hash of the password (PHC string).
    #[serde(default)]
    pub password_hash: Option<Private>,
    /// The person gets a mail and sets the own password.
    #[serde(default)]
    pub invite: bool,
    /// What the person lets be known.
    #[serde(default)]
    pub claims: StandardClaims,
}

/// A client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSeed {
    /// Its id. Without one it is made, and the client is known by its name in the tenant.
    #[serde(default)]
    pub id: Option<ClientId>,
    /// The tenant that owns it.
    pub tenant: String,
    /// What people see on the consent page.
    pub name: String,
    /// Its secret. Without one it is made, and shown once.
    #[serde(default)]
    pub secret: Option<Private>,
    /// The policy that holds for it.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Exact redirect URIs.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Grant types that it may use.
    #[serde(default)]
    pub grant_types: BTreeSet<String>,
    /// Scopes that it may ask for at login.
    #[serde(default)]
    pub scope: Scope,
    /// The most that it may ask for.
    #[serde(default)]
    pub permissions: Permissions,
    /// Resource servers that it may name.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The one that is meant when it names none.
    #[serde(default)]
    pub default_audience: Option<String>,
    /// Other clients whose tokens it may exchange.
    #[serde(default)]
    pub exchange_for: Vec<ClientId>,
    /// What else it is registered as (RFC 7591 names).
    #[serde(default)]
    pub registration: Registration,
}

/// A resource server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSeed {
    /// `aud` in its tokens.
    pub audience: String,
    /// As which client it authenticates here.
    pub client: ClientId,
    /// Whether it takes delegated tokens.
    #[serde(default)]
    pub accepts_delegated: bool,
    /// The permissions that it understands.
    #[serde(default)]
    pub permissions: Permissions,
}

/// An identity provider of a tenant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSeed {
    /// Whose people it logs in.
    pub tenant: String,
    /// How the tenant calls it.
    pub name: String,
    /// Its issuer.
    pub issuer: String,
    /// Our secret there.
    pub client_secret: Private,
    /// What else is said of it, by the names of the API.
    pub settings: ProviderSettings,
    /// Who there is who here; links that are not named stay.
    #[serde(default)]
    pub links: Vec<LinkSeed>,
}

/// Somebody of a provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSeed {
    /// `sub` there.
    pub subject: String,
    /// The e-mail address here.
    pub user: String,
}

/// A relationship, in force at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationshipSeed {
    /// The tenant that manages.
    pub partner: String,
    /// The tenant that is managed.
    pub customer: String,
    /// What the edge means.
    #[serde(default = "manages")]
    pub kind: RelationshipKind,
    /// What it hands over.
    #[serde(default)]
    pub role: Option<RelationshipRole>,
    /// Replaces the role's set.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// Whether each session must be approved.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// Not before; RFC 3339.
    #[serde(default)]
    pub starts_at: Option<String>,
    /// Not from then on; RFC 3339.
    #[serde(default)]
    pub ends_at: Option<String>,
}

fn manages() -> RelationshipKind {
    RelationshipKind::Manages
}
