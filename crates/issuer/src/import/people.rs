//! Tenants, their people, and who manages or trusts whom.

use std::collections::BTreeMap;

use procura_domain::{
    Access, Quota, Relationship, RelationshipKind, RelationshipRole, RelationshipState,
    TenantStatus, Terms,
    relationship::{Approval, Origin},
};
use procura_store::{
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{Key, TenantId, Ts, UserId};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    agreements::changes,
    environment::fingerprint,
    hand::{Subject, difference},
    import::{
        Fault, Run, at, fault, is_text, place,
        seed::{RelationshipSeed, Seed, TenantSeed, UserSeed},
    },
    invitations::{INVITATION_SECS, Invitation},
    login::{new_address, normalise_email},
    passwords::{Hasher, MAX_BYTES, MIN_CHARS},
};

/// Hashes of new people's passwords, by login name.
pub(super) type Passwords = BTreeMap<String, String>;

impl Issuer {
    /// Only of people who are not there yet: what somebody set since is theirs.
    pub(super) async fn hash_passwords(&self, seed: &Seed) -> Result<Passwords, Fault> {
        let mut hashes = Passwords::new();
        for (index, user) in seed.users.iter().enumerate() {
            let place = place("users", index, &user.email);
            let email = login_name(&place, user)?;
            if self.0.store.find_user_by_email(&email).await?.is_some() {
                continue;
            }
            if hashes.contains_key(&email) {
                return fault(format!("{place}.email"), "stands in the file twice");
            }
            let member = |name: &str| format!("{place}.{name}");
            match (&user.password, &user.password_hash) {
                (Some(password), None) => {
                    let Some(password) = password.text() else { return Err(Error::Broken.into()) };
                    let is_long = password.chars().count() >= MIN_CHARS;
                    if !is_long || password.len() > MAX_BYTES {
                        return fault(member("password"), "must have 12 to 256 characters");
                    }
                    hashes.insert(email, self.0.passwords.hash(password).await?);
                }
                (None, Some(hash)) => {
                    let hash = hash.text().filter(|hash| Hasher::is_usable_hash(hash));
                    let Some(hash) = hash else {
                        let why = "must be an argon2id PHC string of at most 64 MiB";
                        return fault(member("password_hash"), why);
                    };
                    hashes.insert(email, hash.to_owned());
                }
                _ => {}
            }
        }
        Ok(hashes)
    }
}

fn login_name(place: &str, user: &UserSeed) -> Result<String, Fault> {
    match normalise_email(&user.email) {
        Some(email) => Ok(email),
        None => fault(format!("{place}.email"), "is no e-mail address"),
    }
}

impl Run<'_> {
    pub(super) async fn tenants(&mut self, seed: &Seed) -> Result<(), Fault> {
        for (index, tenant) in seed.tenants.iter().enumerate() {
            let place = place("tenants", index, &tenant.slug);
            let is_slug = (1..=60).contains(&tenant.slug.len())
                && tenant
                    .slug
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !tenant.slug.starts_with('-')
                && !tenant.slug.ends_with('-');
            if !is_slug {
                let why = "must have 1 to 60 of a-z, 0-9 and -, and no - at an end";
                return fault(format!("{place}.slug"), why);
            }
            if !is_text(&tenant.name, 120) {
                return fault(format!("{place}.name"), "must have 1 to 120 characters");
            }
            if !is_text(&tenant.plan, 40) {
                return fault(format!("{place}.plan"), "must have 1 to 40 characters");
            }
            match self.tx.find_tenant_by_slug(&tenant.slug).await? {
                None => self.new_tenant(&place, tenant).await?,
                Some(before) => self.changed_tenant(before, tenant).await?,
            }
        }
        Ok(())
    }

    async fn new_tenant(&mut self, place: &str, seed: &TenantSeed) -> Result<(), Fault> {
        let code = match seed.partner_code.as_ref().and_then(|code| code.text()) {
            Some(code) if code.len() >= 16 && is_text(code, 200) => code.to_owned(),
            Some(_) => {
                let why = "must have 16 to 200 characters: who knows it can ask";
                return fault(format!("{place}.partner_code"), why);
            }
            None => self.issuer.0.environment.secret()?,
        };
        let tenant = Tenant {
            id: TenantId::from_bits(self.issuer.0.environment.id_bits()?),
            slug: seed.slug.clone(),
            name: seed.name.clone(),
            status: TenantStatus::Active,
            plan: seed.plan.clone(),
            partner_access: seed.partner_access.unwrap_or(Access::On),
            partner_code: code,
            created_at: self.tx.now(),
        };
        let taken = |error| match error {
            procura_store::Error::Conflict => {
                let place = format!("{place}.partner_code");
                Fault::Seed { place, why: "is another tenant's".to_owned() }
            }
            other => other.into(),
        };
        self.tx.insert_tenant(&tenant).await.map_err(taken)?;
        let id = tenant.id.to_string();
        let about = Subject { tenant: tenant.id, kind: "tenant", id: &id };
        Ok(self.note(about, "created", &tenant.slug, Map::new())?)
    }

    async fn changed_tenant(&mut self, before: Tenant, seed: &TenantSeed) -> Result<(), Fault> {
        if seed.partner_access.is_some_and(|access| access != before.partner_access) {
            let line = format!("partner_access of tenant {}: it is the tenant's own", before.slug);
            self.did.left.push(line);
        }
        let shown = |name: &str, plan: &str| json!({ "name": name, "plan": plan });
        let details =
            difference(&shown(&before.name, &before.plan), &shown(&seed.name, &seed.plan));
        if details.is_empty() {
            return Ok(());
        }
        self.tx.update_tenant(before.id, &seed.name, &seed.plan).await?;
        let id = before.id.to_string();
        let about = Subject { tenant: before.id, kind: "tenant", id: &id };
        Ok(self.note(about, "changed", &before.slug, details)?)
    }

    pub(super) async fn users(&mut self, seed: &Seed, passwords: &Passwords) -> Result<(), Fault> {
        for (index, user) in seed.users.iter().enumerate() {
            let place = place("users", index, &user.email);
            let email = login_name(&place, user)?;
            let tenant = self.tenant(&place, "tenant", &user.tenant).await?;
            let name = user.name.clone().unwrap_or_else(|| email.clone());
            if !is_text(&name, 120) {
                return fault(format!("{place}.name"), "must have 1 to 120 characters");
            }
            let mut roles = user.roles.clone();
            roles.sort_unstable();
            roles.dedup();
            let ways = [user.password.is_some(), user.password_hash.is_some(), user.invite];
            if ways.iter().filter(|is_given| **is_given).count() != 1 {
                let why = "needs one of password, password_hash and invite = true";
                return fault(&place, why);
            }
            let wanted = User {
                id: UserId::from_bits(self.issuer.0.environment.id_bits()?),
                tenant,
                name,
                roles,
                status: if user.invite { UserStatus::Invited } else { UserStatus::Active },
                password_hash: passwords.get(&email).cloned(),
                ends_at: None,
                claims: user.claims.clone(),
                created_at: self.tx.now(),
                changed_at: self.tx.now(),
                email,
            };
            match self.tx.find_user_by_email(&wanted.email).await? {
                None if new_address(&wanted.email).is_none() => {
                    return fault(format!("{place}.email"), "is no plain e-mail address");
                }
                None => self.new_user(wanted).await?,
                Some(before) if before.tenant != tenant => {
                    let why = "a person of another tenant has this login name";
                    return fault(format!("{place}.email"), why);
                }
                Some(before) => self.changed_user(&place, before, wanted).await?,
            }
        }
        Ok(())
    }

    async fn new_user(&mut self, user: User) -> Result<(), Fault> {
        if user.status == UserStatus::Active && user.password_hash.is_none() {
            // Somebody took the person away between the look and the transaction.
            return Err(Error::Busy.into());
        }
        self.tx.insert_user(&user).await?;
        self.added.insert((user.tenant, Quota::Users));
        if user.status == UserStatus::Invited {
            let token = self.issuer.0.environment.secret()?;
            let expires_at = self.tx.now().plus_secs(INVITATION_SECS);
            self.tx.insert_invitation(&fingerprint(&token), user.id, expires_at).await?;
            let tenant = self.tx.find_tenant(user.tenant).await?.ok_or(Error::Broken)?;
            let mail = Invitation { admin: &user, tenant: &tenant, token: &token };
            self.mails.push(self.issuer.draft_invitation(mail).await?);
        }
        let id = user.id.to_string();
        let about = Subject { tenant: user.tenant, kind: "user", id: &id };
        let details = difference(&Value::Object(Map::new()), &json!({ "roles": user.roles }));
        Ok(self.note(about, "created", &user.email, details)?)
    }

    async fn changed_user(&mut self, place: &str, before: User, wanted: User) -> Result<(), Fault> {
        let mut roles = before.roles.clone();
        roles.sort_unstable();
        // What the person lets be known is told as changed, not repeated: the log is kept for long.
        let shown = |user: &User, roles: &[procura_domain::UserRole]| json!({ "name": user.name, "roles": roles });
        let mut details = difference(&shown(&before, &roles), &shown(&wanted, &wanted.roles));
        if before.claims != wanted.claims {
            details.insert("claims".to_owned(), json!("changed"));
        }
        if details.is_empty() {
            return Ok(());
        }
        if roles != wanted.roles {
            self.reshape(place, (&before, &wanted.roles)).await?;
        }
        let is_narrower = roles.iter().any(|role| !wanted.roles.contains(role));
        let user = User { id: before.id, ..wanted };
        self.tx.update_user(&user).await?;
        if is_narrower {
            self.tx.end_delegations_of(user.id).await?;
            self.tx.revoke(&Key::Actor(user.id), "import.user");
        }
        let id = user.id.to_string();
        let about = Subject { tenant: user.tenant, kind: "user", id: &id };
        Ok(self.note(about, "changed", &user.email, details)?)
    }

    /// Relationships are made, never changed: once there they belong to their two ends, and one that
    /// an end has stopped or ended does not come back by a restart.
    pub(super) async fn relationships(&mut self, seed: &Seed) -> Result<(), Fault> {
        for (index, edge) in seed.relationships.iter().enumerate() {
            let name = format!("{} > {}", edge.partner, edge.customer);
            let place = place("relationships", index, &name);
            let partner = self.tenant(&place, "partner", &edge.partner).await?;
            let customer = self.tenant(&place, "customer", &edge.customer).await?;
            if partner == customer {
                return fault(format!("{place}.customer"), "must be another tenant");
            }
            let wanted = self.edge(&place, edge, (partner, customer))?;
            match self.tx.find_edge(partner, customer, edge.kind).await? {
                None => {
                    let terms = Terms::of(&wanted);
                    let now = self.tx.now();
                    if let Some(member) = terms.excess().or_else(|| terms.fault(now)) {
                        return fault(format!("{place}.{member}"), "is not valid");
                    }
                    self.tx
                        .insert_relationship(&wanted, None)
                        .await
                        .map_err(Error::from)
                        .map_err(at(&place))?;
                    if edge.kind == RelationshipKind::Manages {
                        self.added.insert((partner, Quota::Customers));
                    }
                    let version = (&wanted, changes(None, &wanted), None);
                    self.issuer
                        .keep_version(&mut self.tx, "import.relationship", version, None)
                        .await?;
                    let id = wanted.id.to_string();
                    let about = Subject { tenant: customer, kind: "relationship", id: &id };
                    self.note(about, "created", &name, Map::new())?;
                }
                Some(there) if differs(&there, &wanted) => {
                    let why = "it belongs to its two ends";
                    self.did.left.push(format!("relationship {name}: {why}"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn edge(
        &self,
        place: &str,
        seed: &RelationshipSeed,
        (partner, customer): (TenantId, TenantId),
    ) -> Result<Relationship, Fault> {
        let time =
            |member: &str, text: &Option<String>| match text.as_deref().map(Ts::parse_rfc3339) {
                None => Ok(None),
                Some(Some(at)) => Ok(Some(at)),
                Some(None) => fault(format!("{place}.{member}"), "must be an RFC 3339 time"),
            };
        let (starts_at, ends_at) =
            (time("starts_at", &seed.starts_at)?, time("ends_at", &seed.ends_at)?);
        if let (Some(start), Some(end)) = (starts_at, ends_at)
            && end <= start
        {
            return fault(format!("{place}.ends_at"), "must come after starts_at");
        }
        let base = self.issuer.new_edge(partner, customer, seed.kind)?;
        Ok(Relationship {
            origin: Origin::Granted,
            role: seed.role.unwrap_or(base.role),
            custom_permissions: seed.permissions.clone(),
            approval: seed.approval.unwrap_or(Approval::Standing),
            starts_at,
            ends_at,
            ..base
        })
    }
}

fn differs(there: &Relationship, wanted: &Relationship) -> bool {
    let terms = |r: &Relationship| -> (RelationshipRole, _, _, _, _) {
        (r.role, r.custom_permissions.clone(), r.approval, r.starts_at, r.ends_at)
    };
    there.state != RelationshipState::Active
        || there.access != Access::On
        || terms(there) != terms(wanted)
}
