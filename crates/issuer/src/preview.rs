//! What a change would end, before anybody makes it. Nothing is written, not even that somebody looked.

use procura_domain::{
    Access, Caller, Relationship,
    relationship::{Side, Step, StepError},
    terms::takes_away,
};
use procura_store::running::Count;
use procura_token::RelationshipId;

use crate::{
    Error, Issuer, Result,
    agreements::{Plan, Wanted, end_of, plan},
};

/// What somebody thinks of doing to a relationship.
pub enum Idea {
    /// Change its terms, or the switch.
    Change(Wanted),
    /// Suspend or end it.
    Step(Step),
}

/// What would come of it.
pub struct Foreseen {
    /// The relationship as it is.
    pub relationship: Relationship,
    /// Whether the customer would be asked first: nothing ends then.
    pub is_proposal: bool,
    /// What would end.
    pub would_end: Count,
}

impl Issuer {
    /// What another position of the tenant's switch would end; with the position that it has.
    pub async fn preview_partner_access(
        &self,
        caller: &Caller,
        access: Access,
    ) -> Result<(Access, Count)> {
        let tenant = caller.switch_access()?.tenant();
        let found = self.0.store.find_tenant(tenant).await?.ok_or(Error::NotFound)?;
        let before = found.partner_access;
        if before == access {
            return Ok((before, Count::default()));
        }
        let now = self.0.environment.now();
        Ok((before, self.0.store.count_running_in(tenant, now).await?))
    }

    /// What a change of a relationship would end. Whatever the change itself would be refused for, this is too.
    pub async fn preview_relationship(
        &self,
        caller: &Caller,
        id: RelationshipId,
        idea: Idea,
    ) -> Result<Foreseen> {
        let before = self.find_relationship(caller, id).await?;
        let side = caller.step(&before)?.side();
        let now = self.0.environment.now();
        let after = match idea {
            Idea::Step(step) => Some(stepped(step, &before, side, now)?),
            Idea::Change(wanted) => match plan((&before, side), &wanted, now)? {
                Plan::Nothing => None,
                Plan::Propose(_) => {
                    let would_end = Count::default();
                    return Ok(Foreseen { relationship: before, is_proposal: true, would_end });
                }
                Plan::Change { after, .. } => Some(after),
            },
        };
        let would_end = match after {
            Some(after) if takes_away(&before, &after) => {
                let end = end_of(caller, &before);
                self.0.store.count_running_under(end, id, now).await?
            }
            _ => Count::default(),
        };
        Ok(Foreseen { relationship: before, is_proposal: false, would_end })
    }
}

fn stepped(
    step: Step,
    before: &Relationship,
    side: Side,
    now: procura_token::Ts,
) -> Result<Relationship> {
    if !matches!(step, Step::Suspend | Step::End) {
        return Err(Error::Invalid("step"));
    }
    let state = step.apply(before, side, now).map_err(|error| match error {
        StepError::NotYours => Error::Forbidden,
        StepError::WrongState => Error::WrongState(before.phase(now).as_str()),
    })?;
    Ok(Relationship { state, ..before.clone() })
}
