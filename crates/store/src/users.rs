//! People with a login. Each belongs to one tenant.

use procura_domain::{StandardClaims, UserRole, words::UnknownWord};
use procura_token::{TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::{Columns, joined, json},
    sql::{Row, query},
};

/// Where a person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// May log in.
    Active,
    /// May not.
    Disabled,
    /// Has not accepted the invitation.
    Invited,
}

impl UserStatus {
    /// The word in SQL and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Invited => "invited",
        }
    }
}

impl std::str::FromStr for UserStatus {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            "invited" => Ok(Self::Invited),
            _ => Err(UnknownWord),
        }
    }
}

/// A person.
#[derive(Clone)]
pub struct User {
    /// The id; `sub` in home tokens.
    pub id: UserId,
    /// The own tenant.
    pub tenant: TenantId,
    /// The login name: normalised, unique in the deployment.
    pub email: String,
    /// What people call this person.
    pub name: String,
    /// Roles in the own tenant.
    pub roles: Vec<UserRole>,
    /// Where the person stands.
    pub status: UserStatus,
    /// A PHC string; absent until the invitation is accepted.
    pub password_hash: Option<String>,
    /// When access ends by itself.
    pub ends_at: Option<Ts>,
    /// What the person lets be known.
    pub claims: StandardClaims,
    /// Since when.
    pub created_at: Ts,
    /// When name or claims last changed.
    pub changed_at: Ts,
}

pub(crate) fn user(row: &Row) -> Result<User> {
    Ok(User {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        roles: row.words("roles")?,
        status: row.parsed("status")?,
        password_hash: row.opt_text("password_hash")?,
        ends_at: row.opt_ts("ends_at")?,
        claims: row.json("claims")?,
        created_at: row.ts("created_at")?,
        changed_at: row.opt_ts("changed_at")?.map_or_else(|| row.ts("created_at"), Ok)?,
    })
}

impl Store {
    /// The person with this login name.
    pub async fn find_user_by_email(&self, email: &str) -> Result<Option<User>> {
        const FIND: &str = "SELECT * FROM users WHERE email = $1";
        let row = query(FIND).bind(email).fetch_optional(&self.readers).await?;
        row.as_ref().map(user).transpose()
    }

    /// A person of this tenant.
    pub async fn find_user(&self, tenant: TenantId, id: UserId) -> Result<Option<User>> {
        const FIND: &str = "SELECT * FROM users WHERE tenant_id = $1 AND id = $2";
        let row = query(FIND)
            .bind(tenant.to_string())
            .bind(id.to_string())
            .fetch_optional(&mut self.within(tenant).await?)
            .await?;
        row.as_ref().map(user).transpose()
    }

    /// All people of a tenant.
    pub async fn list_users(&self, tenant: TenantId) -> Result<Vec<User>> {
        const LIST: &str = "SELECT * FROM users WHERE tenant_id = $1 ORDER BY id";
        let rows =
            query(LIST).bind(tenant.to_string()).fetch_all(&mut self.within(tenant).await?).await?;
        rows.iter().map(user).collect()
    }
}

impl Store {
    /// Whether somebody besides this person administers the tenant.
    pub async fn has_another_admin(
        &self,
        tenant: TenantId,
        (besides, now): (UserId, Ts),
    ) -> Result<bool> {
        const FIND: &str = "SELECT id FROM users WHERE tenant_id = $1 AND id <> $2 \
                            AND status = 'active' AND (ends_at IS NULL OR ends_at > $3) \
                            AND ' ' || roles || ' ' LIKE '% tenant-admin %' LIMIT 1";
        let find = query(FIND).bind(tenant.to_string()).bind(besides.to_string()).bind(now.0);
        Ok(find.fetch_optional(&mut self.within(tenant).await?).await?.is_some())
    }
}

impl Tx {
    /// Adds a person. A taken e-mail address is a conflict.
    pub async fn insert_user(&mut self, user: &User) -> Result<()> {
        const INSERT: &str = "INSERT INTO users (id, tenant_id, email, name, roles, status, \
                              password_hash, ends_at, claims, created_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        query(INSERT)
            .bind(user.id.to_string())
            .bind(user.tenant.to_string())
            .bind(&user.email)
            .bind(&user.name)
            .bind(joined(&user.roles))
            .bind(user.status.as_str())
            .bind(&user.password_hash)
            .bind(user.ends_at.map(|at| at.0))
            .bind(json(&user.claims)?)
            .bind(user.created_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// A person of this tenant, as the person is in this transaction.
    pub async fn find_user(&mut self, tenant: TenantId, id: UserId) -> Result<Option<User>> {
        const FIND: &str = "SELECT * FROM users WHERE tenant_id = $1 AND id = $2";
        let row = query(FIND)
            .bind(tenant.to_string())
            .bind(id.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(user).transpose()
    }

    /// A person of whichever tenant: only for one-time values that name a person and nothing else.
    pub async fn find_user_anywhere(&mut self, id: UserId) -> Result<Option<User>> {
        const FIND: &str = "SELECT * FROM users WHERE id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(user).transpose()
    }

    /// The person with this login name, as the person is in this transaction.
    pub async fn find_user_by_email(&mut self, email: &str) -> Result<Option<User>> {
        const FIND: &str = "SELECT * FROM users WHERE email = $1";
        let row = query(FIND).bind(email).fetch_optional(self.connection()).await?;
        row.as_ref().map(user).transpose()
    }

    /// Writes what a person is called, is in the tenant, and lets be known; and when, where others may see
    /// the difference.
    pub async fn update_user(&mut self, user: &User) -> Result<()> {
        const UPDATE: &str = "UPDATE users SET name = $3, roles = $4, claims = $5, \
                              changed_at = CASE WHEN name = $3 AND claims = $5 THEN changed_at \
                              ELSE $6 END WHERE tenant_id = $1 AND id = $2";
        let now = self.now();
        query(UPDATE)
            .bind(user.tenant.to_string())
            .bind(user.id.to_string())
            .bind(&user.name)
            .bind(joined(&user.roles))
            .bind(json(&user.claims)?)
            .bind(now.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Lets a person in or shuts the person out.
    pub async fn update_user_status(
        &mut self,
        tenant: TenantId,
        id: UserId,
        status: UserStatus,
    ) -> Result<()> {
        const UPDATE: &str = "UPDATE users SET status = $3 WHERE tenant_id = $1 AND id = $2";
        query(UPDATE)
            .bind(tenant.to_string())
            .bind(id.to_string())
            .bind(status.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Sets the password and lets the invited person in.
    pub async fn update_password(
        &mut self,
        tenant: TenantId,
        id: UserId,
        hash: &str,
    ) -> Result<()> {
        const UPDATE: &str = "UPDATE users SET password_hash = $3, status = 'active' \
                              WHERE tenant_id = $1 AND id = $2 AND status <> 'disabled'";
        query(UPDATE)
            .bind(tenant.to_string())
            .bind(id.to_string())
            .bind(hash)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The active people of the tenant who administer it.
    pub async fn list_admins(&mut self, tenant: TenantId) -> Result<Vec<User>> {
        const LIST: &str = "SELECT * FROM users WHERE tenant_id = $1 \
                            AND status = 'active' AND (ends_at IS NULL OR ends_at > $2) \
                            AND ' ' || roles || ' ' LIKE '% tenant-admin %' ORDER BY id";
        let now = self.now();
        let list = query(LIST).bind(tenant.to_string()).bind(now.0);
        list.fetch_all(self.connection()).await?.iter().map(user).collect()
    }

    /// Whether another operator can log in, who has no other way than a password.
    pub async fn has_another_operator(&mut self, id: UserId) -> Result<bool> {
        const FIND: &str = "SELECT u.id FROM users u JOIN tenants t ON t.id = u.tenant_id \
                            WHERE u.id <> $1 AND u.status = 'active' AND t.status = 'active' \
                            AND u.password_hash IS NOT NULL \
                            AND (u.ends_at IS NULL OR u.ends_at > $2) \
                            AND ' ' || u.roles || ' ' LIKE '% super-admin %' LIMIT 1";
        let now = self.now();
        let find = query(FIND).bind(id.to_string()).bind(now.0);
        Ok(find.fetch_optional(self.connection()).await?.is_some())
    }
}
