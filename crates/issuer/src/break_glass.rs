//! Breaking the glass: a customer shuts its partners out with a code on paper when nobody can log in. It
//! only takes away; what it leaves off is the customer's own admin's to turn on again.

use std::collections::BTreeSet;

use procura_domain::{
    Access, Caller, Permit, Relationship, RelationshipKind, RelationshipState,
    relationship::{Phase, Side, Step},
};
use procura_store::{Tx, agreements::Version, audit::Entry, break_glass::BreakGlassCode};
use procura_token::{AuditId, Key, TenantId, crypto};
use serde_json::{Map, json};

use crate::{
    Error, Issuer, Result, Via,
    agreements::{action, changes},
    environment::fingerprint,
    hand::{Hand, Subject},
    relationships::about,
    revoke::{Confirm, Revoked},
};

/// A set has so many, numbered from 1.
const CODES: usize = 8;
/// Crockford's: none is mistaken for another. Each stands for five bits.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// So many behind the number: 100 bits.
const LETTERS: usize = 20;
/// Longer texts are no code.
const MAX_TYPED: usize = 64;
const ACTION: &str = "break_glass.use";

/// What stands on the paper, and whom it is to shut out.
#[derive(Clone, Copy)]
pub struct Blow<'a> {
    /// The customer: id or short name.
    pub tenant: &'a str,
    /// The code.
    pub code: &'a str,
    /// One partner: id or short name; `None`: all.
    pub partner: Option<&'a str>,
}

/// Who is shut out now.
pub struct ShutOut {
    /// The customer.
    pub tenant: TenantId,
    /// The one partner; `None`: all.
    pub partner: Option<TenantId>,
    /// Relationships that were suspended for it; none where all partners are out by the tenant's switch.
    pub suspended: usize,
    /// What that killed.
    pub revoked: Revoked,
}

/// 16 of a code's 100 bits, kept beside its slow hash: of wrong codes nearly all end here.
fn hint(letters: &str) -> String {
    fingerprint(letters).chars().take(4).collect()
}

/// What was done so far, before the commit.
struct Cut {
    partner: Option<TenantId>,
    suspended: usize,
    ended: u64,
}

impl Issuer {
    /// Makes a set of codes, which voids the one before. They are shown this once.
    pub async fn make_break_glass_codes(
        &self,
        hand: Hand<'_>,
        customer: TenantId,
    ) -> Result<Vec<String>> {
        let tenant = permit(hand.caller(), customer)?.tenant();
        let (mut codes, mut hashes) = (Vec::new(), Vec::new());
        for number in 1..=CODES {
            let letters = new_letters()?;
            let slow = self.0.passwords.hash(&letters).await?;
            hashes.push(format!("{}{slow}", hint(&letters)));
            codes.push(written(number, &letters));
        }
        let mut tx = self.begin_by(hand).await?;
        tx.find_tenant(tenant).await?.ok_or(Error::NotFound)?;
        tx.put_break_glass_codes(tenant, &hashes).await?;
        let id = tenant.to_string();
        let subject = Subject { tenant, kind: "tenant", id: &id };
        let details = Map::from_iter([("codes".to_owned(), json!(CODES))]);
        tx.audit(self.entry_by(hand, "break_glass.codes", subject, details)?);
        tx.commit().await?;
        Ok(codes)
    }

    /// Which codes of the newest set are left; nobody calls on the command line.
    pub async fn list_break_glass_codes(
        &self,
        caller: Option<&Caller>,
        customer: TenantId,
    ) -> Result<Vec<BreakGlassCode>> {
        let tenant = permit(caller, customer)?.tenant();
        Ok(self.0.store.list_break_glass_codes(tenant).await?)
    }

    /// Shuts out all partners of a customer, or one, with a code that is used up by it. `Forbidden` for
    /// whatever is wrong with tenant or code; it costs the same whether the tenant exists or not: next to nothing,
    /// or strangers would fill the queue that a good code stands in. `NotFound`
    /// where the code is good and the tenant has no such partner: the code is still good then.
    pub async fn break_glass(&self, blow: Blow<'_>, via: &Via) -> Result<ShutOut> {
        let typed = read(blow.code);
        let number = typed.as_ref().map_or(0, |(number, _)| *number);
        let found = self.0.store.find_break_glass_code(blow.tenant, number).await?;
        let tenant = found.as_ref().map(|(tenant, _)| *tenant);
        let hash = found.and_then(|(_, hash)| hash);
        let letters = typed.map(|(_, letters)| letters).unwrap_or_default();
        let slow = hash.as_deref().and_then(|kept| kept.strip_prefix(hint(&letters).as_str()));
        let is_good = match slow {
            Some(slow) => self.0.passwords.is_match(Some(slow), &letters).await?,
            None => false,
        };
        let (Some(tenant), Some(hash), true) = (tenant, hash, is_good) else {
            self.note_miss(tenant, "break_glass_code_wrong", via).await?;
            return Err(Error::Forbidden);
        };
        let mut tx = self.0.store.begin_urgent(self.0.environment.now()).await?;
        // Somebody else may have used it meanwhile, or a new set has taken its place.
        if !tx.use_break_glass_code(tenant, number, &hash).await? {
            drop(tx);
            self.note_miss(Some(tenant), "break_glass_code_wrong", via).await?;
            return Err(Error::Forbidden);
        }
        let Some(cut) = self.shut_out(&mut tx, (tenant, blow.partner), Some(via)).await? else {
            drop(tx);
            // Whoever has a good code hears what was wrong, however many strangers had none.
            let _ = self.note_miss(Some(tenant), "partner_unknown", via).await;
            return Err(Error::NotFound);
        };
        let entry = self.glass_entry(ACTION, tenant, Some(via))?;
        tx.audit(Entry {
            resource_type: Some("break_glass_code".to_owned()),
            resource_id: Some(number.to_string()),
            details: Some(details(&cut).to_string()),
            ..entry
        });
        self.commit_cut(tx, tenant, cut, Confirm::Applied).await
    }

    /// The same by the operator's own hand at the machine, which needs no code.
    pub async fn break_glass_at_the_machine(
        &self,
        tenant: TenantId,
        partner: Option<&str>,
    ) -> Result<ShutOut> {
        let hand = Hand::CommandLine;
        let mut tx = self.begin_by(hand).await?;
        let cut = self.shut_out(&mut tx, (tenant, partner), None).await?.ok_or(Error::NotFound)?;
        let id = tenant.to_string();
        let subject = Subject { tenant, kind: "tenant", id: &id };
        let details = details(&cut).as_object().cloned().unwrap_or_default();
        tx.audit(self.entry_by(hand, ACTION, subject, details)?);
        self.commit_cut(tx, tenant, cut, hand.confirm()).await
    }

    async fn commit_cut(
        &self,
        tx: Tx,
        tenant: TenantId,
        cut: Cut,
        confirm: Confirm,
    ) -> Result<ShutOut> {
        let Cut { partner, suspended, ended } = cut;
        let revoked = self.commit_revocation(tx, ended, confirm).await?;
        Ok(ShutOut { tenant, partner, suspended, revoked })
    }

    /// The failure of a stranger. The customer sees what was tried on it.
    async fn note_miss(
        &self,
        tenant: Option<TenantId>,
        reason: &'static str,
        via: &Via,
    ) -> Result<()> {
        self.admit_failure(via)?;
        let entry = Entry {
            reason: Some(reason.to_owned()),
            target_tenant_id: tenant,
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(self.audit_id()?, self.0.environment.now(), ACTION, "refused")
        };
        Ok(self.0.store.record(entry).await?)
    }

    /// Turns off what is the customer's own to turn on, and ends what runs; `None` where there is no such
    /// partner.
    async fn shut_out(
        &self,
        tx: &mut Tx,
        (tenant, partner): (TenantId, Option<&str>),
        via: Option<&Via>,
    ) -> Result<Option<Cut>> {
        let Some(partner) = partner else {
            tx.update_partner_access(tenant, Access::Off).await?.ok_or(Error::NotFound)?;
            let ended = tx.end_delegations_in(tenant).await?;
            for partner in tx.list_partners(tenant).await?.into_iter().collect::<BTreeSet<_>>() {
                tx.revoke(&Key::Pair(partner, tenant), ACTION);
            }
            return Ok(Some(Cut { partner: None, suspended: 0, ended }));
        };
        let partner = match partner.parse() {
            Ok(id) => id,
            Err(_) => match tx.find_tenant_by_slug(partner).await? {
                Some(found) => found.id,
                None => return Ok(None),
            },
        };
        let (mut cut, mut is_partner) =
            (Cut { partner: Some(partner), suspended: 0, ended: 0 }, false);
        for kind in [RelationshipKind::Manages, RelationshipKind::Trust] {
            let Some(edge) = tx.find_edge(partner, tenant, kind).await? else { continue };
            // A request lets nobody in; only the customer's admin can say yes to it.
            if !matches!(edge.state, RelationshipState::Active | RelationshipState::Suspended) {
                continue;
            }
            is_partner = true;
            cut.ended += tx.end_delegations_under(edge.id).await?;
            if let Some(after) = stopped(&edge, tx.now()) {
                self.stop(tx, &edge, after, via).await?;
                cut.suspended += 1;
            }
        }
        tx.revoke(&Key::Pair(partner, tenant), ACTION);
        Ok(is_partner.then_some(cut))
    }

    async fn stop(
        &self,
        tx: &mut Tx,
        before: &Relationship,
        after: Relationship,
        via: Option<&Via>,
    ) -> Result<()> {
        let after = tx.update_relationship(&after).await?;
        let changes = changes(Some(before), &after);
        let action = action(Step::Suspend);
        let entry = self.glass_entry(action, after.customer, via)?;
        tx.audit(about(&after, (Some(&changes), None), entry));
        let version = Version {
            relationship: after.id,
            version: after.version,
            at: tx.now(),
            action: action.to_owned(),
            side: Some(Side::Customer),
            user: None,
            changes,
            reason: None,
        };
        Ok(tx.insert_version(&version).await?)
    }

    /// Nobody who is known did it.
    fn glass_entry(&self, action: &str, customer: TenantId, via: Option<&Via>) -> Result<Entry> {
        Ok(Entry {
            target_tenant_id: Some(customer),
            ip: via.and_then(|via| via.ip.clone()),
            request_id: via.map(|via| via.request_id.clone()),
            ..Entry::new(self.audit_id()?, self.0.environment.now(), action, "ok")
        })
    }

    fn audit_id(&self) -> Result<AuditId> {
        Ok(AuditId::from_bits(self.0.environment.id_bits()?))
    }
}

/// The relationship stopped on the customer's side, so that nobody else lets it go on; `None` where it is.
fn stopped(edge: &Relationship, now: procura_token::Ts) -> Option<Relationship> {
    let is_stopped = edge.suspended_by == Some(Side::Customer);
    if edge.phase(now) == Phase::Expired
        || (is_stopped && edge.state == RelationshipState::Suspended)
    {
        return None;
    }
    match Step::Suspend.apply(edge, Side::Customer, now) {
        Ok(state) => {
            Some(Relationship { state, suspended_by: Some(Side::Customer), ..edge.clone() })
        }
        // The operator has suspended it, and may let it go on: then the customer's switch is off.
        Err(_) if edge.access == Access::Off => None,
        Err(_) => Some(Relationship { access: Access::Off, ..edge.clone() }),
    }
}

fn details(cut: &Cut) -> serde_json::Value {
    json!({
        "partner_id": cut.partner,
        "relationships_suspended": cut.suspended,
        "delegations_ended": cut.ended,
    })
}

/// May this caller make codes for the customer? Nobody calls on the command line.
pub(crate) fn permit(caller: Option<&Caller>, customer: TenantId) -> Result<Permit> {
    let permit = match caller {
        Some(caller) => caller.switch_access()?,
        None => Permit::at_the_machine(customer),
    };
    if permit.tenant() == customer { Ok(permit) } else { Err(Error::NotFound) }
}

fn new_letters() -> Result<String> {
    let mut random = [0; LETTERS];
    crypto::fill_random(&mut random)?;
    let letters = random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    Ok(letters.copied().map(char::from).collect())
}

/// As it is printed: the number, and the letters in fives.
fn written(number: usize, letters: &str) -> String {
    let mut text = number.to_string();
    for (at, letter) in letters.chars().enumerate() {
        if at % 5 == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

/// The number and the letters that somebody meant: dashes, blanks and small letters make no difference, nor do
/// letters that look like figures. `None` where it can be no code.
fn read(typed: &str) -> Option<(i64, String)> {
    if typed.len() > MAX_TYPED {
        return None;
    }
    let is_between = |c: &char| c.is_whitespace() || matches!(c, '-' | '_' | '.');
    let mut signs =
        typed.chars().filter(|c| !is_between(c)).map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        });
    let number = signs.next()?.to_digit(10)?;
    let letters: String = signs.collect();
    let is_code = letters.len() == LETTERS && letters.bytes().all(|b| ALPHABET.contains(&b));
    is_code.then(|| (i64::from(number), letters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_was_typed() {
        let code = written(3, "0123456789ABCDEFGHJK");
        assert_eq!(code, "3-01234-56789-ABCDE-FGHJK");
        let meant = Some((3, "0123456789ABCDEFGHJK".to_owned()));
        for typed in [&code, "3 o1234 56789 abcde fghjk", "3OI23456789ABCDEFGHJK"] {
            assert_eq!(read(typed), meant, "{typed}");
        }
        for bad in
            ["", "3", "X-01234-56789-ABCDE-FGHJK", "3-01234-56789-ABCDE-FGHJ", &"3".repeat(99)]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        let (one, two) = (new_letters().unwrap(), new_letters().unwrap());
        assert_ne!(one, two);
        assert_eq!(read(&written(8, &one)), Some((8, one)));
    }
}
