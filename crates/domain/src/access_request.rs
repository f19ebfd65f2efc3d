//! Where the customer approves each time: what a person of the partner asks to do, and what the customer
//! made of it.

use procura_token::{
    AccessRequestId, ApiKeyId, ClientId, Purpose, RelationshipId, Scope, TenantId, Ts, UserId,
};

use crate::{permission, words::words};

/// A person's wish to act in a customer's tenant for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    /// Its id.
    pub id: AccessRequestId,
    /// Under which relationship.
    pub relationship: RelationshipId,
    /// Whose person asks.
    pub partner: TenantId,
    /// Who answers.
    pub customer: TenantId,
    /// The person.
    pub user: UserId,
    /// By which key of the person's; `None` where the person was logged in. An answer is for that, and for
    /// nothing else.
    pub key: Option<ApiKeyId>,
    /// Through which client.
    pub client: ClientId,
    /// At which resource server.
    pub audience: String,
    /// All that can come of it.
    pub scope: Scope,
    /// Why. An answer is for this purpose, and for no other.
    pub purpose: Option<Purpose>,
    /// Since when.
    pub asked_at: Ts,
    /// Unanswered until then, it is refused.
    pub lapses_at: Ts,
    /// What the customer said.
    pub answer: Option<Answer>,
}

/// What the customer said to an access request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Ts,
    /// The person; `None`: the operator's own hand.
    pub by: Option<UserId>,
    /// What was given; `None`: no.
    pub given: Option<Given>,
}

/// What the customer gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Never more than was asked for.
    pub scope: Scope,
    /// As long as it can be used.
    pub until: Ts,
    /// When the customer took it back before that.
    pub ended_at: Option<Ts>,
}

words! {
    /// Where a request stands at an instant.
    pub enum RequestState {
        /// The customer has not answered.
        Waiting = "waiting",
        /// The customer said yes, and the time that it gave is not over.
        Approved = "approved",
        /// The customer said no.
        Declined = "declined",
        /// The customer said nothing in time, which is a no.
        Unanswered = "unanswered",
        /// It was approved, and the time that the customer gave is over.
        Over = "over",
        /// It was approved and taken back.
        Ended = "ended",
    }
}

/// What the customer makes of the yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalTerms {
    /// For how many minutes; at most [`ApprovalTerms::MAX_MINUTES`].
    pub minutes: i64,
    /// Only these, where it gives less than was asked for.
    pub scope: Option<Scope>,
    /// Nothing that changes anything.
    pub is_read_only: bool,
}

impl ApprovalTerms {
    /// Where the customer names no time.
    pub const MINUTES: i64 = 60;
    /// Half a day: whoever needs longer needs another relationship, or asks again tomorrow.
    pub const MAX_MINUTES: i64 = 720;
}

impl AccessRequest {
    /// The customer has so long to answer, in seconds.
    pub const WAITS_SECS: i64 = 900;
    /// After a no, nobody is asked the same again for so long, in seconds: a program that goes on polling
    /// wears nobody down.
    pub const QUIET_SECS: i64 = 300;
    /// A request is listed for so long after everything about it is over, in seconds; what came of it stays
    /// in the audit log.
    pub const KEPT_SECS: i64 = 90 * 86_400;
    /// A person may have asked so often within [`AccessRequest::COUNTED_SECS`] for the same place, whatever
    /// for. More is not put before the customer.
    pub const MAX_COUNTED: usize = 10;
    /// See [`AccessRequest::MAX_COUNTED`]; in seconds.
    pub const COUNTED_SECS: i64 = 3600;
    /// So long after it was asked nothing hangs on a request any more, in seconds: not a yes to the last
    /// minute of the last hour that there can be, nor the quiet after its end.
    pub const MATTERS_SECS: i64 =
        Self::WAITS_SECS + ApprovalTerms::MAX_MINUTES * 60 + Self::QUIET_SECS;

    /// Where it stands.
    #[must_use]
    pub fn state(&self, now: Ts) -> RequestState {
        match &self.answer {
            None if now < self.lapses_at => RequestState::Waiting,
            None => RequestState::Unanswered,
            Some(Answer { given: None, .. }) => RequestState::Declined,
            Some(Answer { given: Some(given), .. }) => match given.ended_at {
                Some(_) => RequestState::Ended,
                None if now < given.until => RequestState::Approved,
                None => RequestState::Over,
            },
        }
    }

    /// What can be used of it now, and until when.
    #[must_use]
    pub fn running(&self, now: Ts) -> Option<&Given> {
        let given = self.answer.as_ref()?.given.as_ref()?;
        (self.state(now) == RequestState::Approved).then_some(given)
    }

    /// Whether it was refused or taken back so lately that the same is not put before the customer again.
    #[must_use]
    pub fn is_refused_lately(&self, now: Ts) -> bool {
        let refused_at = match &self.answer {
            None => Some(self.lapses_at),
            Some(Answer { at, given: None, .. }) => Some(*at),
            Some(Answer { given: Some(given), .. }) => given.ended_at,
        };
        self.state(now) != RequestState::Waiting
            && refused_at.is_some_and(|at| now < at.plus_secs(Self::QUIET_SECS))
    }

    /// What the customer gives by saying yes now; the member that is wrong, by its name in the API, where it
    /// asks for what nobody asked for, or for nothing.
    pub fn give(&self, terms: &ApprovalTerms, now: Ts) -> Result<Given, &'static str> {
        if !(1..=ApprovalTerms::MAX_MINUTES).contains(&terms.minutes) {
            return Err("minutes");
        }
        if terms.scope.as_ref().is_some_and(|scope| !scope.is_subset(&self.scope)) {
            return Err("scope");
        }
        let scope = terms.scope.as_ref().unwrap_or(&self.scope);
        let scope = scope.filtered(|p| !terms.is_read_only || permission::is_read_only(p));
        if scope.is_empty() {
            return Err(if terms.is_read_only { "read_only" } else { "scope" });
        }
        let until = now.plus_secs(terms.minutes.saturating_mul(60));
        Ok(Given { scope, until, ended_at: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Ts = Ts::from_secs(1_000);

    fn request() -> AccessRequest {
        AccessRequest {
            id: AccessRequestId::from_bits(1),
            relationship: RelationshipId::from_bits(1),
            partner: TenantId::from_bits(1),
            customer: TenantId::from_bits(2),
            user: UserId::from_bits(1),
            key: None,
            client: "cli_portal".parse().unwrap(),
            audience: "https://api.example".into(),
            scope: "partner.billing.read partner.support.tickets.create".parse().unwrap(),
            purpose: None,
            asked_at: NOW,
            lapses_at: NOW.plus_secs(AccessRequest::WAITS_SECS),
            answer: None,
        }
    }

    fn answered(given: Option<Given>) -> AccessRequest {
        AccessRequest { answer: Some(Answer { at: NOW, by: None, given }), ..request() }
    }

    fn yes() -> ApprovalTerms {
        ApprovalTerms { minutes: 10, scope: None, is_read_only: false }
    }

    #[test]
    fn nobody_gives_more_than_was_asked_for_and_less_is_possible() {
        let give = |terms: &ApprovalTerms| request().give(terms, NOW);
        let all = give(&yes()).unwrap();
        assert_eq!((all.scope, all.until), (request().scope, NOW.plus_secs(600)));
        let read_only = give(&ApprovalTerms { is_read_only: true, ..yes() }).unwrap();
        assert_eq!(read_only.scope.to_string(), "partner.billing.read");
        let scope = |text: &str| ApprovalTerms { scope: Some(text.parse().unwrap()), ..yes() };
        let one = give(&scope("partner.support.tickets.create")).unwrap();
        assert_eq!(one.scope.to_string(), "partner.support.tickets.create");
        assert_eq!(give(&scope("tenant.settings.write")), Err("scope"));
        assert_eq!(give(&scope("partner.billing.read tenant.settings.write")), Err("scope"));
        let nothing =
            ApprovalTerms { is_read_only: true, ..scope("partner.support.tickets.create") };
        assert_eq!(give(&nothing), Err("read_only"));
        for minutes in [0, -1, ApprovalTerms::MAX_MINUTES + 1, i64::MAX] {
            assert_eq!(give(&ApprovalTerms { minutes, ..yes() }), Err("minutes"), "{minutes}");
        }
    }

    #[test]
    fn a_request_goes_through_its_states_as_time_passes() {
        let given = request().give(&yes(), NOW).unwrap();
        let ended = Given { ended_at: Some(NOW), ..given.clone() };
        let approved = answered(Some(given));
        let lapse = request().lapses_at;
        for (request, at, state, is_running, is_refused) in [
            (request(), lapse.plus_secs(-1), RequestState::Waiting, false, false),
            (request(), lapse, RequestState::Unanswered, false, true),
            (request(), lapse.plus_secs(299), RequestState::Unanswered, false, true),
            (request(), lapse.plus_secs(300), RequestState::Unanswered, false, false),
            (answered(None), NOW.plus_secs(299), RequestState::Declined, false, true),
            (answered(None), NOW.plus_secs(300), RequestState::Declined, false, false),
            (approved.clone(), NOW.plus_secs(599), RequestState::Approved, true, false),
            (approved, NOW.plus_secs(600), RequestState::Over, false, false),
            (answered(Some(ended.clone())), NOW.plus_secs(299), RequestState::Ended, false, true),
            (answered(Some(ended)), NOW.plus_secs(300), RequestState::Ended, false, false),
        ] {
            assert_eq!(request.state(at), state, "{at:?}");
            assert_eq!(request.running(at).is_some(), is_running, "{at:?}");
            assert_eq!(request.is_refused_lately(at), is_refused, "{at:?}");
        }
    }
}
