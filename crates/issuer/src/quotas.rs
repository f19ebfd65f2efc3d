//! Quotas of tenants: shown with what is used of them, set by the operator, copied to whom a partner sets up,
//! and kept in the transaction of each verb that adds something. Those of the day are kept by the decision.

use procura_domain::{
    Caller, Quota, Quotas, Relationship,
    quota::{Counted, UtcDay},
    relationship::Side,
};
use procura_store::{
    Tx,
    audit::Entry,
    quotas::OwnQuotas,
    token_counts::{Days, Used},
};
use procura_token::{TenantId, Ts};
use serde_json::json;

use crate::{
    Call, Error, Issuer, Result,
    hand::{Hand, Subject, difference},
};

/// So many partners at most have their share shown.
const SHARES: i64 = 200;

/// Where a limit comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The deployment.
    Default,
    /// Copied from the partner that set the tenant up; its id, and its name now.
    Inherited(TenantId, Option<String>),
    /// The operator.
    Set,
}

impl Source {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Inherited(..) => "inherited",
            Self::Set => "set",
        }
    }
}

/// A tenant's quotas as they stand.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Whose.
    pub tenant: TenantId,
    /// Each one, how much of it is used, and where its limit comes from.
    pub lines: Vec<(Quota, Counted, Source)>,
    /// When those of the day begin anew.
    pub resets_at: Ts,
    /// Who was given what of today's tokens for the tenant; `None` where that is not the caller's to know.
    pub shares: Option<Vec<Used>>,
    /// Counts the changes.
    pub version: i64,
}

impl Issuer {
    /// What a tenant may have, and has. Without a caller any tenant's.
    pub async fn find_quotas(&self, caller: Option<&Caller>, tenant: TenantId) -> Result<Standing> {
        if let Some(caller) = caller {
            caller.read(tenant)?;
        }
        // Who manages a tenant is told to its admins and the operator.
        let shows_shares = caller.is_none_or(|caller| caller.administer(tenant).is_ok());
        let (store, now) = (&self.0.store, self.0.environment.now());
        store.find_tenant(tenant).await?.ok_or(Error::NotFound)?;
        let (own, day) = (store.find_quotas(tenant).await?, UtcDay::of(now));
        let from = match own.inherited_from {
            Some(partner) => {
                let found = store.find_tenant(partner).await?;
                Some((partner, found.map(|partner| partner.name)))
            }
            None => None,
        };
        let (given, received) = store.count_tokens(tenant, day).await?;
        let mut lines = Vec::new();
        for quota in Quota::ALL.iter().copied() {
            let used = match quota {
                Quota::DelegatedTokensPerDay => given,
                Quota::DelegatedTokensReceivedPerDay => received,
                _ => store.count_used(tenant, quota, now).await?,
            };
            let source = match (own.quotas.of(quota), &from) {
                (None, _) => Source::Default,
                (Some(_), Some((partner, name))) if own.inherited.contains(&quota) => {
                    Source::Inherited(*partner, name.clone())
                }
                _ => Source::Set,
            };
            lines.push((quota, Counted { used, limit: self.most_of(&own, quota) }, source));
        }
        let shares = if shows_shares {
            let today = Days { from: day, to: day, after: None, limit: SHARES };
            Some(store.list_used((Side::Customer, tenant), &today).await?)
        } else {
            None
        };
        Ok(Standing { tenant, lines, resets_at: day.ends_at(), shares, version: own.version })
    }

    /// Gives a tenant these quotas, and the deployment's defaults where there is no number. A number that
    /// was inherited and stays as it is stays inherited. `expected` is the version that the caller saw.
    pub async fn put_quotas(
        &self,
        hand: Hand<'_>,
        tenant: TenantId,
        quotas: Quotas,
        expected: Option<i64>,
    ) -> Result<Standing> {
        // At the machine there is no policy above.
        if let Some(caller) = hand.caller() {
            caller.operate()?;
        }
        if let Some(quota) = quotas.fault() {
            return Err(Error::Invalid(quota.as_str()));
        }
        let mut tx = self.begin_by(hand).await?;
        tx.find_tenant(tenant).await?.ok_or(Error::NotFound)?;
        let before = tx.find_quotas(tenant).await?;
        if expected.is_some_and(|expected| expected != before.version) {
            return Err(Error::Stale);
        }
        if quotas != before.quotas {
            let is_kept = |quota: &Quota| quotas.of(*quota) == before.quotas.of(*quota);
            let after = OwnQuotas {
                quotas,
                inherited: before.inherited.iter().copied().filter(is_kept).collect(),
                inherited_from: before.inherited_from,
                version: before.version + 1,
            };
            let entry = self.quota_entry((hand, "quota.set"), tenant, (&before, &after))?;
            tx.put_quotas(tenant, &after).await?;
            tx.audit(entry);
            tx.commit().await?;
        }
        self.find_quotas(hand.caller(), tenant).await
    }

    fn quota_entry(
        &self,
        (hand, action): (Hand<'_>, &str),
        tenant: TenantId,
        (before, after): (&OwnQuotas, &OwnQuotas),
    ) -> Result<Entry> {
        let mut details = difference(&json!(before.quotas), &json!(after.quotas));
        if before.inherited_from != after.inherited_from {
            details.insert("inherited_from".to_owned(), json!(after.inherited_from));
        }
        let id = tenant.to_string();
        let about = Subject { tenant, kind: "quotas", id: &id };
        self.entry_by(hand, action, about, details)
    }

    /// What a partner has of its own, and fits a customer, goes over to one that it sets up, as it is at that moment; and
    /// the partner keeps its own quota of customers, this one counted.
    pub(crate) async fn inherit_quotas(
        &self,
        tx: &mut Tx,
        call: &Call,
        edge: &Relationship,
    ) -> Result<()> {
        self.keep_quota(tx, edge.partner, Quota::Customers).await?;
        let partner = tx.find_quotas(edge.partner).await?;
        // What fits a customer. Of tokens received only a number: none at all would shut the partner itself out.
        let quotas = Quotas {
            users: partner.quotas.users,
            clients: partner.quotas.clients,
            delegated_tokens_received_per_day: partner
                .quotas
                .delegated_tokens_received_per_day
                .filter(|most| *most > 0),
            ..Quotas::default()
        };
        let inherited: Vec<_> = quotas.stated().collect();
        if inherited.is_empty() {
            return Ok(());
        }
        let after = OwnQuotas { quotas, inherited, inherited_from: Some(edge.partner), version: 1 };
        let by = (Hand::Person(call), "quota.inherit");
        let changed = (&OwnQuotas::default(), &after);
        let entry = self.quota_entry(by, edge.customer, changed)?;
        tx.put_quotas(edge.customer, &after).await?;
        tx.audit(entry);
        Ok(())
    }

    /// Whether a tenant may have one more; else `QuotaUsedUp`.
    pub(crate) async fn leave_room(
        &self,
        tx: &mut Tx,
        tenant: TenantId,
        quota: Quota,
    ) -> Result<()> {
        self.room_for(tx, (tenant, quota), 1).await
    }

    /// The same after something was added, in the transaction that added it.
    pub(crate) async fn keep_quota(
        &self,
        tx: &mut Tx,
        tenant: TenantId,
        quota: Quota,
    ) -> Result<()> {
        self.room_for(tx, (tenant, quota), 0).await
    }

    async fn room_for(
        &self,
        tx: &mut Tx,
        (tenant, quota): (TenantId, Quota),
        more: u64,
    ) -> Result<()> {
        let limit = self.most_of(&tx.find_quotas(tenant).await?, quota);
        // Nothing is counted for whoever has no limit.
        if limit.is_none() {
            return Ok(());
        }
        let counted = Counted { used: tx.count_used(tenant, quota).await?, limit };
        if counted.has_room_for(more) { Ok(()) } else { Err(Error::QuotaUsedUp(quota)) }
    }

    fn most_of(&self, own: &OwnQuotas, quota: Quota) -> Option<u64> {
        own.quotas.of(quota).or(self.0.settings.quotas.of(quota))
    }

    /// Delegated tokens day by day: what a customer's partners were given for it, or a partner's people in
    /// its customers' tenants. The operator may look at any tenant from either side.
    pub async fn list_used(
        &self,
        caller: &Caller,
        (side, tenant): (Side, TenantId),
        days: &Days,
    ) -> Result<Vec<Used>> {
        match side {
            Side::Partner if caller.tenant == tenant => caller.read(tenant)?,
            _ => {
                caller.administer(tenant)?;
            }
        }
        Ok(self.0.store.list_used((side, tenant), days).await?)
    }
}
