//! A crowd: partners, their customers, everybody's people and the relationships between them, as many
//! as are asked for, made up the same way each time.
//!
//! The rows are what the server itself would have written over two years: ids that sort by time, names
//! and codes that are unique, each row with every column.

use procura_token::{RelationshipId, TenantId, Ts, UserId, crypto::sha256};

/// How many of everything.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Northwind and others.
    pub partners: u32,
    /// Each with one person who administers it.
    pub customers: u32,
    /// Each customer has so many partners.
    pub edges_of_customer: u32,
}

impl Size {
    /// A thousand relationships, all of them northwind's.
    pub const THOUSAND: Self = Self { partners: 1, customers: 1_000, edges_of_customer: 1 };
    /// A million, of which northwind has a thousand.
    pub const MILLION: Self = Self { partners: 1_000, customers: 250_000, edges_of_customer: 4 };

    /// How many relationships that makes.
    #[must_use]
    pub const fn edges(self) -> u32 {
        self.customers * self.edges_of_customer
    }
}

/// One column of one row.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number or a time.
    Int(i64),
    /// Nothing.
    Null,
}

/// A table, its columns, and its rows in the order in which they were made.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns of a row.
    pub columns: &'static [&'static str],
    /// The rows.
    pub rows: Box<dyn Iterator<Item = Vec<Cell>> + Send>,
}

const TENANT: &[&str] =
    &["id", "slug", "name", "status", "plan", "partner_access", "partner_code", "created_at"];
const USER: &[&str] = &[
    "id",
    "tenant_id",
    "email",
    "name",
    "roles",
    "status",
    "password_hash",
    "ends_at",
    "created_at",
];
const RELATIONSHIP: &[&str] = &[
    "id",
    "partner_id",
    "customer_id",
    "kind",
    "origin",
    "access_role",
    "custom_permissions",
    "state",
    "suspended_by",
    "starts_at",
    "ends_at",
    "access",
    "approval",
    "conditions",
    "reason",
    "version",
    "is_current",
    "created_at",
    "changed_at",
];
/// Nothing demanded, as the server writes it.
const NO_CONDITIONS: &str = "{\"min_acr\":null,\"max_age_secs\":null,\"trusted_idps\":[],\
                             \"assigned_to\":[],\"require_purpose\":false}";
const TWO_YEARS_MICROS: i64 = 2 * 365 * 86_400 * 1_000_000;

/// The crowd around one partner that exists.
#[derive(Clone, Copy)]
pub struct Crowd {
    /// How many.
    pub size: Size,
    /// The partner that is there already.
    pub northwind: TenantId,
    /// The end of the two years.
    pub now: Ts,
}

impl Crowd {
    /// Everything that has to be inserted, in this order.
    #[must_use]
    pub fn tables(self) -> [Table; 3] {
        let Size { partners, customers, edges_of_customer } = self.size;
        // Northwind and its people are there.
        let newcomers = (1..partners).map(Who::Partner).chain((0..customers).map(Who::Customer));
        let edges = (0..customers).flat_map(move |c| (0..edges_of_customer).map(move |e| (c, e)));
        [
            Table {
                name: "tenants",
                columns: TENANT,
                rows: Box::new(newcomers.clone().map(move |who| self.tenant(who))),
            },
            Table {
                name: "users",
                columns: USER,
                rows: Box::new(newcomers.map(move |who| self.user(who))),
            },
            Table {
                name: "relationships",
                columns: RELATIONSHIP,
                rows: Box::new(edges.map(move |(c, e)| self.edge(c, e))),
            },
        ]
    }

    /// The customers that northwind may enter.
    pub fn of_northwind(self) -> impl Iterator<Item = TenantId> {
        let Size { customers, edges_of_customer, .. } = self.size;
        (0..customers)
            .filter(move |c| (0..edges_of_customer).any(|e| self.partner_of(*c, e) == 0))
            .map(move |c| self.id(Who::Customer(c)))
    }

    fn partner_of(self, customer: u32, edge: u32) -> u32 {
        (customer * self.size.edges_of_customer + edge) % self.size.partners
    }

    fn id(self, who: Who) -> TenantId {
        match who {
            Who::Partner(0) => self.northwind,
            _ => TenantId::from_bits(self.bits("tenant", who)),
        }
    }

    fn tenant(self, who: Who) -> Vec<Cell> {
        let (name, number) = who.name();
        vec![
            text(&self.id(who)),
            text(&format!("{name}-{number}")),
            text(&format!("{name} {number}")),
            text("active"),
            text("standard"),
            text("on"),
            text(&format!("{:032x}{number:011}", self.bits("code", who))),
            Cell::Int(self.made_at(who)),
        ]
    }

    fn user(self, who: Who) -> Vec<Cell> {
        let (name, number) = who.name();
        let role = match who {
            Who::Partner(_) => "partner-admin",
            Who::Customer(_) => "tenant-admin",
        };
        vec![
            text(&UserId::from_bits(self.bits("user", who))),
            text(&self.id(who)),
            text(&format!("admin@{name}-{number}.test")),
            text(&format!("Admin of {name} {number}")),
            text(&role),
            text("active"),
            Cell::Null,
            Cell::Null,
            Cell::Int(self.made_at(who)),
        ]
    }

    fn edge(self, customer: u32, edge: u32) -> Vec<Cell> {
        let (who, partner) = (Who::Customer(customer), self.partner_of(customer, edge));
        let bits = self.bits(["first", "second", "third", "more"][edge.min(3) as usize], who);
        vec![
            text(&RelationshipId::from_bits(bits)),
            text(&self.id(Who::Partner(partner))),
            text(&self.id(who)),
            text("manages"),
            text("requested"),
            text("msp_full"),
            Cell::Null,
            text("active"),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            text("on"),
            text("standing"),
            text(&NO_CONDITIONS),
            Cell::Null,
            Cell::Int(1),
            Cell::Int(1),
            Cell::Int(self.made_at(who)),
            Cell::Int(self.made_at(who)),
        ]
    }

    /// When a row was made: partners first, then customers, evenly over two years.
    fn made_at(self, who: Who) -> i64 {
        let Size { partners, customers, .. } = self.size;
        let place = match who {
            Who::Partner(number) => number,
            Who::Customer(number) => partners + number,
        };
        let gap = TWO_YEARS_MICROS / i64::from(partners + customers);
        self.now.0 - TWO_YEARS_MICROS + gap * i64::from(place)
    }

    /// The bits of an id: a `UUIDv7` of that instant, its random part from a hash.
    fn bits(self, what: &str, who: Who) -> u128 {
        let (name, number) = who.name();
        let hash = sha256(&[what.as_bytes(), name.as_bytes(), &number.to_be_bytes()]);
        let random = hash.iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte));
        let tail = random & ((1 << 80) - 1);
        let versioned = (tail & !(0xf << 76) & !(0b11 << 62)) | (0x7 << 76) | (0b10 << 62);
        let millis = u128::try_from(self.made_at(who) / 1_000).unwrap_or_default();
        (millis << 80) | versioned
    }
}

/// Somebody of the crowd.
#[derive(Clone, Copy)]
enum Who {
    /// The first one is northwind.
    Partner(u32),
    Customer(u32),
}

impl Who {
    const fn name(self) -> (&'static str, u32) {
        match self {
            Self::Partner(number) => ("partner", number),
            Self::Customer(number) => ("customer", number),
        }
    }
}

fn text<T: ToString + ?Sized>(value: &T) -> Cell {
    Cell::Text(value.to_string())
}
