//! Everything that a backup carries, table by table, in one form for both databases: a row is a JSON
//! object of texts and whole numbers.

use serde_json::{Map, Value};

use procura_domain::Access;
use procura_token::{Seq, Ts};

use crate::{
    Error, Result, Store, Tx,
    audit::{ChainHash, Entry, entry_of},
    keys::KeysVersion,
    row::Columns,
    sql::{Place, Transaction, query},
};

/// A table as a backup carries it.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The carried columns; a whole number has `#` behind its name.
    columns: &'static str,
    /// How many of the first columns are its key, and give its order.
    key_columns: usize,
    /// A column that a backup must not carry; a restored row has it empty.
    erased: Option<&'static str>,
}

const fn table(name: &'static str, columns: &'static str) -> Table {
    Table { name, columns, key_columns: 1, erased: None }
}

/// All tables that a backup carries, each after those that it refers to.
pub const TABLES: &[Table] = &[
    table("tenants", "id slug name status plan partner_access partner_code created_at#"),
    table(
        "users",
        "id tenant_id email name roles status password_hash ends_at# claims created_at# changed_at#",
    ),
    table(
        "sessions",
        "id user_id tenant_id cookie_hash auth_time# acr amr idp expires_at# ended_at# is_login# \
         started_at#",
    ),
    table(
        "clients",
        "id tenant_id name status version# is_stopped_by_operator# redirect_uris grant_types scope \
         permissions audiences default_audience exchange_for profile registration created_at#",
    ),
    table("resource_servers", "audience client_id accepts_delegated# permissions version#"),
    table(
        "relationships",
        "id partner_id customer_id kind origin access_role custom_permissions state suspended_by \
         starts_at# ends_at# renews_for_days# access approval conditions reason version# is_current# created_at# \
         changed_at#",
    ),
    table(
        "delegations",
        "id session_id relationship_id client_id user_id actor_tenant_id tenant_id started_at# \
         ends_at# ended_at#",
    ),
    Table { key_columns: 2, ..table("consents", "user_id client_id scope given_at#") },
    table("invitations", "token_hash user_id expires_at# used_at#"),
    // Without the private halves: a restored deployment makes new keys.
    Table {
        erased: Some("sealed"),
        ..table("signing_keys", "kid alg state public_jwk created_at# changed_at# ends_at#")
    },
    table("sealed_secrets", "name sealed created_at#"),
    table("revocations", "seq# prev# kind key_hash cause at# expires_at#"),
    table(
        "audit",
        "seq# id at# action result reason actor_user_id actor_tenant_id target_tenant_id \
         relationship_id delegation_id jti client_id ip request_id resource_type resource_id purpose \
         details prev_hash hash",
    ),
    table("audit_checkpoints", "seq# statement"),
    Table {
        key_columns: 2,
        ..table("client_secrets", "client_id secret_hash created_at# expires_at#")
    },
    Table {
        key_columns: 2,
        ..table(
            "relationship_versions",
            "relationship_id version# at# action side user_id changes reason",
        )
    },
    table(
        "relationship_proposals",
        "relationship_id terms reason user_id proposed_at# expires_at#",
    ),
    table(
        "access_requests",
        "id relationship_id partner_id customer_id user_id client_id audience scope purpose_code purpose_ref \
         asked_at# lapses_at# answered_at# answered_by given_scope given_until# ended_at# api_key_id",
    ),
    table(
        "identity_providers",
        "id tenant_id name idp issuer settings sealed version# created_at# removed_at#",
    ),
    table("identity_domains", "domain provider_id tenant_id"),
    Table {
        key_columns: 2,
        ..table("identity_links", "provider_id subject user_id tenant_id created_at#")
    },
    table("self_registered_clients", "client_id token_hash initial_token_id kept_until#"),
    // Those that were used up since are good again: they only take away, and a customer without paper has nothing.
    Table {
        key_columns: 2,
        ..table("break_glass_codes", "tenant_id number# code_hash created_at# used_at#")
    },
    table("relationship_reviews", "relationship_id due_at#"),
    table(
        "login_policies",
        "id tenant_id name rules for_new_customers# version# created_at# changed_at#",
    ),
    Table {
        key_columns: 2,
        ..table(
            "applied_policies",
            "tenant_id policy_id owner_id name rules version# origin applied_at# applied_by kept_at# kept_by",
        )
    },
    table(
        "quotas",
        "tenant_id users# customers# clients# delegated_tokens_per_day# delegated_tokens_received_per_day# \
         inherited inherited_from version#",
    ),
    Table { key_columns: 3, ..table("token_counts", "day# customer_id partner_id tokens#") },
];

/// What a backup leaves out: what lives for minutes, or would be worth nothing after a restore, which ends
/// every login. The head row stands in the manifest.
pub const LEFT_OUT: &[&str] = &[
    // Each ends with its session, and those that were ended since would be good again.
    "api_keys",
    "interactions",
    "authorization_codes",
    "delegation_sources",
    "device_codes",
    "head",
    "home_tokens",
    // Whoever asks again after a restore asks another deployment.
    "idempotency_keys",
    // Those that were used up since would be good again.
    "initial_access_tokens",
    "logout_notices",
    "pushed_requests",
    "refresh_families",
    "refresh_tokens",
    // Read from the audit log again.
    "relationship_uses",
    "session_clients",
    "upstream_logins",
    "used_values",
    "uses_read",
    "verifiers",
];

/// One row.
pub type Record = Map<String, Value>;

/// The head row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The end of the revocation log.
    pub revocation_seq: Seq,
    /// The end of the audit log.
    pub audit_seq: i64,
    /// Its hash.
    pub audit_hash: ChainHash,
    /// The version of the signing keys.
    pub keys_version: KeysVersion,
}

#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    is_int: bool,
}

impl Table {
    fn columns(&self) -> impl Iterator<Item = Column> {
        self.columns.split(' ').map(|word| {
            let name = word.trim_end_matches('#');
            Column { name, is_int: name.len() < word.len() }
        })
    }

    /// The names of all its columns, carried or not.
    pub fn column_names(&self) -> impl Iterator<Item = &'static str> {
        self.columns().map(|column| column.name).chain(self.erased)
    }

    /// Whether a row has exactly the columns that it must have.
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        let is_good = |column: Column| match record.get(column.name) {
            Some(Value::Null) => true,
            Some(Value::String(_)) => !column.is_int,
            Some(Value::Number(number)) => column.is_int && number.is_i64(),
            _ => false,
        };
        record.len() == self.columns().count() && self.columns().all(is_good)
    }

    fn select(&self) -> String {
        let names = |count: usize| {
            self.columns().take(count).map(|column| column.name).collect::<Vec<_>>().join(", ")
        };
        let (all, key) = (names(usize::MAX), names(self.key_columns));
        let places = (1..=self.key_columns).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let limit = self.key_columns.saturating_add(1);
        let name = self.name;
        format!("SELECT {all} FROM {name} WHERE ({key}) > ({places}) ORDER BY {key} LIMIT ${limit}")
    }

    fn insert(&self) -> String {
        let names: Vec<_> = self.column_names().collect();
        let places: Vec<_> = (1..=names.len()).map(|n| format!("${n}")).collect();
        let (name, names, places) = (self.name, names.join(", "), places.join(", "));
        format!("INSERT INTO {name} ({names}) VALUES ({places})")
    }

    /// All statements of this table, so that a test can prepare them.
    #[must_use]
    pub fn statements(&self) -> [String; 2] {
        [self.select(), self.insert()]
    }
}

/// An audit entry of a backup, with its position.
pub fn audit_entry(record: &Record) -> Result<(i64, Entry)> {
    let seq = record.get("seq").and_then(Value::as_i64).ok_or(Error::Corrupt)?;
    Ok((seq, entry_of(record)?))
}

impl Columns for Record {
    fn str(&self, column: &str) -> Result<&str> {
        self.opt_str(column)?.ok_or(Error::Corrupt)
    }

    fn opt_str(&self, column: &str) -> Result<Option<&str>> {
        match self.get(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            _ => Err(Error::Corrupt),
        }
    }

    fn text(&self, column: &str) -> Result<String> {
        self.str(column).map(ToOwned::to_owned)
    }

    fn opt_text(&self, column: &str) -> Result<Option<String>> {
        Ok(self.opt_str(column)?.map(ToOwned::to_owned))
    }

    fn int(&self, column: &str) -> Result<i64> {
        self.opt_int(column)?.ok_or(Error::Corrupt)
    }

    fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        match self.get(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => number.as_i64().map(Some).ok_or(Error::Corrupt),
            _ => Err(Error::Corrupt),
        }
    }

    /// A backup carries no bytes.
    fn bytes(&self, _: &str) -> Result<Vec<u8>> {
        Err(Error::Corrupt)
    }
}

/// One instant of the whole database, to be read at leisure.
pub struct Reading(Transaction);

impl Store {
    /// Begins to read everything as it is now. Writers are not held up.
    pub async fn read_all(&self) -> Result<Reading> {
        Ok(Reading(self.readers.read().await?))
    }

    /// The number of the last migration.
    pub async fn schema(&self) -> Result<i64> {
        schema(&self.readers).await
    }
}

async fn schema<'a>(place: impl Into<Place<'a>>) -> Result<i64> {
    const SCHEMA: &str = "SELECT max(version) AS version FROM _sqlx_migrations";
    query(SCHEMA).fetch_one(place).await?.int("version")
}

async fn head(open: &mut Transaction) -> Result<Head> {
    const HEAD: &str = "SELECT * FROM head WHERE id = 1";
    let row = query(HEAD).fetch_one(open).await?;
    Ok(Head {
        revocation_seq: Seq(row.int("revocation_seq")?),
        audit_seq: row.int("audit_seq")?,
        audit_hash: row.parsed("audit_hash")?,
        keys_version: KeysVersion(row.int("keys_version")?),
    })
}

impl Reading {
    /// The head row, and the number of the last migration.
    pub async fn head(&mut self) -> Result<(Head, i64)> {
        Ok((head(&mut self.0).await?, schema(&mut self.0).await?))
    }

    /// The next rows of a table in the order of its key, after the last one that was read.
    pub async fn next(
        &mut self,
        table: &Table,
        after: Option<&Record>,
        limit: i64,
    ) -> Result<Vec<Record>> {
        let mut statement = query(table.select());
        for column in table.columns().take(table.key_columns) {
            statement = match (column.is_int, after) {
                (true, None) => statement.bind(i64::MIN),
                (true, Some(last)) => statement.bind(last.int(column.name)?),
                (false, None) => statement.bind(String::new()),
                (false, Some(last)) => statement.bind(last.text(column.name)?),
            };
        }
        let rows = statement.bind(limit).fetch_all(&mut self.0).await?;
        rows.iter()
            .map(|row| {
                table
                    .columns()
                    .map(|column| {
                        let value = if column.is_int {
                            row.opt_int(column.name)?.map(Value::from)
                        } else {
                            row.opt_text(column.name)?.map(Value::from)
                        };
                        Ok((column.name.to_owned(), value.unwrap_or_default()))
                    })
                    .collect()
            })
            .collect()
    }
}

/// What a new generation took away, and what somebody has to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Login sessions that were running.
    pub sessions: u64,
    /// Delegations that were running.
    pub delegations: u64,
    /// Invitations that were open.
    pub invitations: u64,
    /// Customers whose switch was turned.
    pub switched: u64,
}

/// Relationships that let somebody in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// How many.
    pub count: i64,
    /// The ones that changed last, as `partner > customer: role, access`.
    pub some: Vec<String>,
}

impl Tx {
    /// What lets somebody in, for a person to look at.
    pub async fn relationships_in_force(&mut self) -> Result<InForce> {
        const COUNT: &str =
            "SELECT count(*) AS n FROM relationships WHERE is_current = 1 AND state = 'active'";
        const SOME: &str = "SELECT p.slug AS partner, c.slug AS customer, r.access_role, r.kind, \
            r.access FROM relationships r JOIN tenants p ON p.id = r.partner_id \
            JOIN tenants c ON c.id = r.customer_id WHERE r.is_current = 1 AND r.state = 'active' \
            ORDER BY r.changed_at DESC, r.id LIMIT 20";
        let count = query(COUNT).fetch_one(self.connection()).await?.int("n")?;
        let rows = query(SOME).fetch_all(self.connection()).await?;
        let some = rows.iter().map(|row| {
            let (partner, customer) = (row.str("partner")?, row.str("customer")?);
            let (role, kind) = (row.str("access_role")?, row.str("kind")?);
            let access = row.str("access")?;
            Ok(format!("{partner} > {customer}: {kind}, {role}, access {access}"))
        });
        Ok(InForce { count, some: some.collect::<Result<_>>()? })
    }

    /// Whether nothing was ever written to this database.
    pub async fn is_untouched(&mut self) -> Result<bool> {
        for table in TABLES {
            let any = format!("SELECT count(*) AS n FROM (SELECT 1 FROM {} LIMIT 1) t", table.name);
            let row = query(any).fetch_one(self.connection()).await?;
            if row.int("n")? > 0 {
                return Ok(false);
            }
        }
        let head = head(self.connection()).await?;
        Ok(head.revocation_seq == Seq(0) && head.audit_seq == 0)
    }

    /// Puts a row of a backup back.
    pub async fn insert_record(&mut self, table: &Table, record: &Record) -> Result<()> {
        let mut statement = query(table.insert());
        for column in table.columns() {
            statement = if column.is_int {
                statement.bind(record.opt_int(column.name)?)
            } else {
                statement.bind(record.opt_text(column.name)?)
            };
        }
        if table.erased.is_some() {
            statement = statement.bind(&Vec::new());
        }
        statement.execute(self.connection()).await?;
        Ok(())
    }

    /// Both logs go on where the backup ended; the commit moves the head from there.
    pub fn continue_from(&mut self, head: &Head) {
        self.set_head(head);
    }

    /// Ends everything that runs, and voids what can be used once: what was used after the backup is
    /// not known any more. With `access`, no customer's switch is further open than that.
    pub async fn start_generation(&mut self, access: Option<Access>) -> Result<Ended> {
        const SESSIONS: &str = "UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL";
        const DELEGATIONS: &str = "UPDATE delegations SET ended_at = $1 WHERE ended_at IS NULL";
        const INVITATIONS: &str = "UPDATE invitations SET used_at = $1 WHERE used_at IS NULL";
        const OFF: &str = "UPDATE tenants SET partner_access = 'off' WHERE partner_access <> 'off'";
        const RESTRICTED: &str =
            "UPDATE tenants SET partner_access = 'restricted' WHERE partner_access = 'on'";
        let now = self.now();
        let sessions = self.end_at(SESSIONS, now).await?;
        let delegations = self.end_at(DELEGATIONS, now).await?;
        let invitations = self.end_at(INVITATIONS, now).await?;
        let switch = match access {
            None | Some(Access::On) => None,
            Some(Access::Restricted) => Some(RESTRICTED),
            Some(Access::Off) => Some(OFF),
        };
        let switched = match switch {
            Some(switch) => query(switch).execute(self.connection()).await?,
            None => 0,
        };
        Ok(Ended { sessions, delegations, invitations, switched })
    }

    async fn end_at(&mut self, statement: &'static str, now: Ts) -> Result<u64> {
        query(statement).bind(now.0).execute(self.connection()).await
    }
}
