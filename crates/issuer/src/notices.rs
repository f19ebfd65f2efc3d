//! Mail to admins before a relationship ends, and while somebody waits to be let in. What is told is marked
//! in SQL with its audit entry; the mails are written down before, and put out after.

use procura_domain::{Relationship, RelationshipKind, UserRole};
use procura_store::{audit::Entry, told::mark_of_end, users::User};
use procura_token::{AuditId, TenantId, Ts};
use serde_json::json;

use crate::{Error, Issuer, Result, environment::fingerprint, mail::Draft};

const DAY_SECS: i64 = 86_400;
/// So many days before the end, and after which of the others: who changes an end to tomorrow hears of
/// tomorrow alone.
const BEFORE: [(i64, i64); 3] = [(7, 30), (1, 7), (0, 1)];
/// A customer hears at most once in so many seconds that somebody waits.
const WAITING_EVERY_SECS: i64 = 600;

/// What is told, once.
struct Notice {
    once: Once,
    entry: Entry,
    mails: Vec<(User, String)>,
}

/// By what it is told once only.
enum Once {
    Ending { mark: String, until: Ts },
    Waiting(TenantId),
}

impl Issuer {
    /// Tells what is to be told and was not. Any node may, as often as it likes.
    pub async fn send_notices(&self) -> Result<()> {
        let now = self.0.environment.now();
        for (after, days) in BEFORE {
            let window = (now.plus_secs(after * DAY_SECS), now.plus_secs(days * DAY_SECS));
            for edge in self.0.store.list_ending(window, days).await? {
                let Some(ends_at) = edge.ends_at else { continue };
                let notice = self.ending(&edge, ends_at, days).await?;
                self.tell_once(notice).await?;
            }
        }
        for customer in self.0.store.list_waited_for(now, WAITING_EVERY_SECS).await? {
            let notice = self.waiting(customer).await?;
            self.tell_once(notice).await?;
        }
        Ok(())
    }

    async fn ending(&self, edge: &Relationship, ends_at: Ts, days: i64) -> Result<Notice> {
        let partner_role = match edge.kind {
            RelationshipKind::Manages => UserRole::PartnerAdmin,
            RelationshipKind::Trust => UserRole::TenantAdmin,
        };
        let sides = [
            (edge.partner, partner_role, edge.customer),
            (edge.customer, UserRole::TenantAdmin, edge.partner),
        ];
        let mut mails = Vec::new();
        for (tenant, role, other) in sides {
            let other = self.0.store.find_tenant(other).await?.map(|tenant| tenant.name);
            let text = format!(
                "Subject: A relationship ends soon\n\nThe relationship with {} ends at {}. It does \
                 not renew itself: extend it before, if it is to go on.\n\n{}\n{}\n",
                line(&other.unwrap_or_default()),
                ends_at.rfc3339(),
                edge.id,
                self.0.settings.issuer,
            );
            let now = self.0.environment.now();
            let admins = self.0.store.list_admins(tenant, role, now).await?;
            mails.extend(admins.into_iter().map(|admin| (admin, text.clone())));
        }
        let entry = self.notice_entry("relationship.notice", edge.customer)?;
        let details = json!({
            "days": days,
            "ends_at": ends_at.rfc3339(),
            "partner_id": edge.partner,
            "mails": mails.len(),
        });
        let until = ends_at.plus_secs(DAY_SECS);
        Ok(Notice {
            once: Once::Ending { mark: mark_of_end(edge, ends_at, days), until },
            entry: Entry {
                relationship_id: Some(edge.id),
                resource_type: Some("relationship".to_owned()),
                resource_id: Some(edge.id.to_string()),
                details: Some(details.to_string()),
                ..entry
            },
            mails,
        })
    }

    async fn waiting(&self, customer: TenantId) -> Result<Notice> {
        let now = self.0.environment.now();
        let admins = self.0.store.list_admins(customer, UserRole::TenantAdmin, now).await?;
        let text = format!(
            "Subject: Somebody waits to be let in\n\nPeople of a partner ask to work in your tenant. \
             Whoever is not answered within fifteen minutes is refused.\n\n\
             {}/api/tenants/access-requests\n",
            self.0.settings.issuer
        );
        let mails: Vec<_> = admins.into_iter().map(|admin| (admin, text.clone())).collect();
        let entry = self.notice_entry("access_request.notice", customer)?;
        let details = json!({ "mails": mails.len() }).to_string();
        let entry = Entry { details: Some(details), ..entry };
        Ok(Notice { once: Once::Waiting(customer), entry, mails })
    }

    /// Nobody did it.
    fn notice_entry(&self, action: &str, target: TenantId) -> Result<Entry> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let entry = Entry::new(id, self.0.environment.now(), action, "ok");
        Ok(Entry { target_tenant_id: Some(target), ..entry })
    }

    async fn tell_once(&self, notice: Notice) -> Result<()> {
        // Of this try alone: whoever else is at it, in the same folder, has names of its own.
        let attempt = fingerprint(&self.0.environment.secret()?);
        let mut drafts = Vec::new();
        for (number, (admin, text)) in notice.mails.iter().enumerate() {
            let name = format!("notice-{attempt}-{number}");
            let text = format!("To: {}\n{text}", admin.email);
            let folder = self.0.settings.mail_dir.clone();
            match Draft::write(folder, &name, &attempt, text).await {
                Ok(draft) => drafts.push(draft),
                Err(error) => {
                    tracing::error!(%error, "a notice could not be written down");
                    put_away(drafts).await;
                    return Err(Error::Busy);
                }
            }
        }
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let is_new = match &notice.once {
            Once::Ending { mark, until } => tx.mark_told(mark, *until).await?,
            Once::Waiting(customer) => tx.mark_waiting(*customer, WAITING_EVERY_SECS).await?,
        };
        if !is_new {
            put_away(drafts).await;
            return Ok(());
        }
        let until = tx.now().plus_secs(DAY_SECS);
        tx.let_out(&attempt, until).await?;
        tx.audit(notice.entry);
        // A commit that fails may have been done all the same: then the drafts are left where they are.
        tx.commit().await?;
        for draft in drafts {
            draft.put_out().await;
        }
        Ok(())
    }
}

async fn put_away(drafts: Vec<Draft>) {
    for draft in drafts {
        draft.put_away().await;
    }
}

/// A name on one line: what a tenant is called is never a header of a mail.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
