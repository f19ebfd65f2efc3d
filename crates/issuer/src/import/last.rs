//! Whom a file leaves to administer: it takes the role neither from the last who administers a tenant, nor from
//! the last operator.

use procura_domain::UserRole;
use procura_store::users::{User, UserStatus};

use crate::{
    import::{Fault, Run, fault},
    last_admin::{Administered, administered},
};

/// A tenant whose people have other roles after the run.
pub(super) struct Reshaped {
    /// Who administered it before.
    before: Administered,
    /// The entry of the file that takes most.
    place: String,
}

impl Run<'_> {
    /// Remembers what was so before this person gets other roles.
    pub(super) async fn reshape(
        &mut self,
        place: &str,
        (person, roles): (&User, &[UserRole]),
    ) -> Result<(), Fault> {
        let loses = |role| person.roles.contains(&role) && !roles.contains(&role);
        let place = format!("{place}.roles");
        if let Some(reshaped) = self.reshaped.get_mut(&person.tenant) {
            if loses(UserRole::TenantAdmin) {
                reshaped.place.clone_from(&place);
            }
        } else {
            let before = administered(&mut self.tx, person.tenant).await?;
            self.reshaped.insert(person.tenant, Reshaped { before, place: place.clone() });
        }
        // Who could not log in was no operator whom anybody could have turned to.
        let is_over = person.ends_at.is_some_and(|end| end <= self.tx.now());
        let could_log_in =
            person.status == UserStatus::Active && person.password_hash.is_some() && !is_over;
        if loses(UserRole::SuperAdmin) && could_log_in {
            self.unseated.push((place, person.id));
        }
        Ok(())
    }

    /// When everything is there: in no tenant is it worse than before, and an operator is left. A tenant that
    /// nobody administered may stay so.
    pub(super) async fn last_ones(&mut self) -> Result<(), Fault> {
        for (tenant, Reshaped { before, place }) in &self.reshaped {
            if administered(&mut self.tx, *tenant).await? < *before {
                return fault(place, "leaves nobody who can log in and administer the tenant");
            }
        }
        for (place, person) in &self.unseated {
            if !self.tx.has_another_operator(*person).await? {
                return fault(place, "leaves no operator who can log in");
            }
        }
        Ok(())
    }
}
