//! The demo: a small world of partners and customers in every state, for trying things out and for
//! the tests. Never on a listener that others can reach.

use std::collections::BTreeMap;

use procura_domain::{
    Access, Permissions, Profile, Registration, Relationship, RelationshipKind, RelationshipRole,
    RelationshipState, StandardClaims, TenantStatus, UserRole, relationship::Origin,
};
use procura_store::{
    Tx,
    audit::Entry,
    clients::{Client, ClientSecret, ResourceServer},
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{AuditId, ClientId, RelationshipId, TenantId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Issuer, Result, agreements::changes, client_credentials, clients::secret_hash, exchange, redeem,
};

/// Everything that somebody needs to try the demo; written to `demo.json`, readable by its owner only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Demo {
    /// The issuer.
    pub issuer: String,
    /// The one password of everybody.
    pub password: String,
    /// Clients by name.
    pub clients: BTreeMap<String, DemoClient>,
    /// Tenant ids by slug.
    pub tenants: BTreeMap<String, TenantId>,
    /// User ids by e-mail address.
    pub users: BTreeMap<String, UserId>,
    /// Relationship ids by `partner>customer`.
    pub relationships: BTreeMap<String, RelationshipId>,
    /// Partner codes by slug.
    pub partner_codes: BTreeMap<String, String>,
    /// Endpoints by name.
    pub urls: BTreeMap<String, String>,
}

/// A client of the demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoClient {
    /// Its id.
    pub client_id: ClientId,
    /// Its secret; absent for a public client.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_secret: Option<String>,
    /// Where its codes go.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub redirect_uri: Option<String>,
    /// `aud` of the tokens that it takes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub audience: Option<String>,
}

/// What the portal may ask for at login.
pub const PORTAL_SCOPE: &str = "openid profile email partner.tenants.list \
                                partner.tenants.switch_context tenant.admin operator.admin";
const REDIRECT_URI: &str = "http://127.0.0.1:8400/callback";

const TENANTS: &[(&str, &str, Access)] = &[
    ("operator", "Procura Operations", Access::Off),
    ("northwind", "Northwind MSP", Access::On),
    ("acme-corp", "Acme Corp", Access::On),
    ("fabrikam", "Fabrikam", Access::Restricted),
    ("contoso", "Contoso", Access::Off),
    ("globex", "Globex", Access::On),
    ("initech", "Initech", Access::On),
    ("umbrella", "Umbrella", Access::On),
];

const USERS: &[(&str, &str, &str, UserRole)] = &[
    ("root@procura.test", "Root", "operator", UserRole::SuperAdmin),
    ("pat@northwind.test", "Pat Partner", "northwind", UserRole::PartnerAdmin),
    ("sam@northwind.test", "Sam Support", "northwind", UserRole::PartnerSupport),
    ("aud@northwind.test", "Aud Auditor", "northwind", UserRole::PartnerAuditor),
    ("tom@northwind.test", "Tom Trusted", "northwind", UserRole::TenantAdmin),
    ("ada@acme.test", "Ada Admin", "acme-corp", UserRole::TenantAdmin),
    ("fay@fabrikam.test", "Fay Fabrikam", "fabrikam", UserRole::TenantAdmin),
    ("cora@contoso.test", "Cora Contoso", "contoso", UserRole::TenantAdmin),
    ("gil@globex.test", "Gil Globex", "globex", UserRole::TenantAdmin),
    ("ivy@initech.test", "Ivy Initech", "initech", UserRole::TenantAdmin),
    ("uma@umbrella.test", "Uma Umbrella", "umbrella", UserRole::TenantAdmin),
];

const EDGES: &[(&str, &str, RelationshipKind, RelationshipState)] = &[
    ("northwind", "acme-corp", RelationshipKind::Manages, RelationshipState::Active),
    ("northwind", "fabrikam", RelationshipKind::Manages, RelationshipState::Active),
    ("northwind", "contoso", RelationshipKind::Manages, RelationshipState::Active),
    ("northwind", "globex", RelationshipKind::Manages, RelationshipState::Requested),
    ("northwind", "initech", RelationshipKind::Trust, RelationshipState::Active),
];

/// Permissions that the sample resource server understands.
const ISP_PERMISSIONS: &str = "partner.billing.* partner.support.* partner.reports.* \
                               tenant.users.list pii.unmask";

impl Issuer {
    /// Seeds the demo into an empty database; `audience` is the sample resource server's.
    pub async fn seed_demo(&self, audience: &str) -> Result<Demo> {
        let password = self.0.environment.secret()?.split_at(20).0.to_owned();
        let mut demo = Demo {
            issuer: self.0.settings.issuer.clone(),
            password: password.clone(),
            clients: BTreeMap::new(),
            tenants: BTreeMap::new(),
            users: BTreeMap::new(),
            relationships: BTreeMap::new(),
            partner_codes: BTreeMap::new(),
            urls: BTreeMap::new(),
        };
        // One hash for all: it is one password, and start-up must not take a second.
        let hash = self.0.passwords.hash(&password).await?;
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        self.seed_tenants(&mut tx, &mut demo).await?;
        self.seed_users(&mut tx, &mut demo, &hash).await?;
        self.seed_edges(&mut tx, &mut demo).await?;
        self.seed_clients(&mut tx, &mut demo, audience).await?;
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        tx.audit(Entry::new(id, self.0.environment.now(), "demo.seed", "ok"));
        tx.commit().await?;
        for path in ["/.well-known/openid-configuration", "/oauth2/authorize", "/oauth2/token"] {
            let name = path.rsplit('/').next().unwrap_or_default().replace('-', "_");
            demo.urls.insert(name, format!("{}{path}", demo.issuer));
        }
        Ok(demo)
    }

    async fn seed_tenants(&self, tx: &mut Tx, demo: &mut Demo) -> Result<()> {
        for (slug, name, access) in TENANTS {
            let tenant = Tenant {
                id: TenantId::from_bits(self.0.environment.id_bits()?),
                slug: (*slug).to_owned(),
                name: (*name).to_owned(),
                status: TenantStatus::Active,
                plan: "standard".to_owned(),
                partner_access: *access,
                partner_code: self.0.environment.secret()?,
                created_at: tx.now(),
            };
            tx.insert_tenant(&tenant).await?;
            demo.tenants.insert(tenant.slug.clone(), tenant.id);
            demo.partner_codes.insert(tenant.slug, tenant.partner_code);
        }
        Ok(())
    }

    async fn seed_users(&self, tx: &mut Tx, demo: &mut Demo, hash: &str) -> Result<()> {
        for (email, name, slug, role) in USERS {
            let user = User {
                id: UserId::from_bits(self.0.environment.id_bits()?),
                tenant: demo.tenant(slug)?,
                email: (*email).to_owned(),
                name: (*name).to_owned(),
                roles: vec![*role],
                status: UserStatus::Active,
                password_hash: Some(hash.to_owned()),
                ends_at: None,
                claims: StandardClaims::default(),
                created_at: tx.now(),
                changed_at: tx.now(),
            };
            tx.insert_user(&user).await?;
            demo.users.insert(user.email, user.id);
        }
        Ok(())
    }

    async fn seed_edges(&self, tx: &mut Tx, demo: &mut Demo) -> Result<()> {
        for (partner, customer, kind, state) in EDGES {
            let edge = self.new_edge(demo.tenant(partner)?, demo.tenant(customer)?, *kind)?;
            let edge = match kind {
                RelationshipKind::Trust => edge,
                RelationshipKind::Manages => Relationship {
                    role: RelationshipRole::MspFull,
                    origin: Origin::Requested,
                    state: *state,
                    ..edge
                },
            };
            tx.insert_relationship(&edge, None).await?;
            let changes = changes(None, &edge);
            self.keep_version(tx, "demo.seed", (&edge, changes, None), None).await?;
            demo.relationships.insert(format!("{partner}>{customer}"), edge.id);
        }
        Ok(())
    }

    async fn seed_clients(&self, tx: &mut Tx, demo: &mut Demo, audience: &str) -> Result<()> {
        let isp = self.demo_client(demo, "Sample ISP", &[])?;
        let portal = self.demo_client(
            demo,
            "Partner Portal",
            &[redeem::GRANT, exchange::GRANT, client_credentials::GRANT],
        )?;
        let portal = (
            Client {
                redirect_uris: vec![REDIRECT_URI.to_owned()],
                scope: PORTAL_SCOPE.parse().map_err(|_| crate::Error::Broken)?,
                permissions: Permissions::everything(),
                audiences: vec![audience.to_owned()],
                default_audience: Some(audience.to_owned()),
                ..portal.0
            },
            portal.1,
        );
        tx.insert_client(&isp.0).await?;
        tx.insert_client(&portal.0).await?;
        tx.insert_resource_server(&ResourceServer {
            audience: audience.to_owned(),
            client: isp.0.id.clone(),
            accepts_delegated: true,
            permissions: ISP_PERMISSIONS.parse().map_err(|_| crate::Error::Broken)?,
            version: 1,
        })
        .await?;
        demo.clients.insert(
            "isp".to_owned(),
            DemoClient {
                client_id: isp.0.id,
                client_secret: Some(isp.1),
                redirect_uri: None,
                audience: Some(audience.to_owned()),
            },
        );
        demo.clients.insert(
            "portal".to_owned(),
            DemoClient {
                client_id: portal.0.id,
                client_secret: Some(portal.1),
                redirect_uri: Some(REDIRECT_URI.to_owned()),
                audience: None,
            },
        );
        Ok(())
    }

    /// A confidential client that may do nothing yet, and its secret.
    fn demo_client(&self, demo: &Demo, name: &str, grants: &[&str]) -> Result<(Client, String)> {
        let id = format!("{}{:032x}", ClientId::PREFIX, self.0.environment.id_bits()?);
        let id: ClientId = id.parse().map_err(|_| crate::Error::Broken)?;
        let secret = self.0.environment.secret()?;
        let client = Client {
            secrets: vec![ClientSecret {
                hash: secret_hash(&self.0.secrets, &id, &secret),
                created_at: self.0.environment.now(),
                expires_at: None,
            }],
            id,
            tenant: demo.tenant("northwind")?,
            name: name.to_owned(),
            is_enabled: true,
            is_stopped_by_operator: false,
            version: 1,
            redirect_uris: Vec::new(),
            grant_types: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            scope: procura_token::Scope::default(),
            permissions: Permissions::default(),
            audiences: Vec::new(),
            default_audience: None,
            exchange_for: Vec::new(),
            profile: Profile::Oauth21,
            registration: Registration::default(),
            created_at: self.0.environment.now(),
        };
        Ok((client, secret))
    }
}

impl Demo {
    fn tenant(&self, slug: &str) -> Result<TenantId> {
        self.tenants.get(slug).copied().ok_or(crate::Error::Broken)
    }
}
