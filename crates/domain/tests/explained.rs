//! An explanation says what the decision said, and where it was said.

#![expect(clippy::unwrap_used, reason = "a test stops at the first failure")]

#[path = "laws/world.rs"]
#[allow(dead_code, reason = "the laws use all of it")]
mod world;

use procura_domain::{
    Access, ByKey, Explanation, KeyBounds, Permissions, Refusal, RelationshipKind,
    explain::{CUSTOMERS_SIDE, Line, NOT_AVAILABLE, PARTNERS_SIDE, Standing, Step},
    hours::Hours,
    quota::Counted,
    refusal::Class,
    relationship::{Approval, Side},
};
use proptest::prelude::*;

use world::{KEY, World, world};

fn explain(side: Side, w: &World) -> Explanation {
    Explanation::of(side, &w.facts, &w.wish, (w.limits, w.now))
}

/// The same world, but for how the person is logged in.
fn logged_in(w: &World, other: &World) -> World {
    let mut w = w.clone();
    w.facts.subject.is_revoked = other.facts.subject.is_revoked;
    w.facts.subject.session_ends_at = other.facts.subject.session_ends_at;
    w.wish.acr.clone_from(&other.wish.acr);
    w.wish.auth_time = other.wish.auth_time;
    w.wish.idp.clone_from(&other.wish.idp);
    w.wish.key.clone_from(&other.wish.key);
    w
}

/// The same world, and a login as every edge demands it, of somebody who stays or has gone.
fn well_logged_in(w: &World) -> World {
    let mut w = w.clone();
    w.facts.subject.is_revoked = false;
    w.facts.subject.session_ends_at = Some(w.now.plus_secs(86_400));
    w.facts.subject.ends_at = w.facts.subject.ends_at.filter(|end| w.now >= *end);
    w.wish.acr = Some("urn:procura:acr:phr".into());
    w.wish.auth_time = Some(w.now);
    w.wish.idp = Some("corp".into());
    w.wish.key = None;
    for edge in &mut w.facts.relationships {
        let conditions = &mut edge.conditions;
        conditions.trusted_idps = conditions.trusted_idps.as_ref().map(|_| vec!["corp".into()]);
        conditions.min_acr = conditions.min_acr.as_ref().map(|_| "urn:procura:acr:phr".into());
    }
    w
}

fn failed(lines: &[Line]) -> Option<&Line> {
    lines.iter().find(|line| line.standing == Standing::Failed)
}

/// Spoils what this step looks at, on every edge, and nothing that an earlier one does.
fn spoil(w: &mut World, step: Step) {
    let open = ByKey {
        id: KEY,
        bounds: KeyBounds { permissions: Permissions::everything(), tenants: None, networks: None },
    };
    if step == Step::Automation {
        // Who comes by a key came by no provider.
        let idp = w.wish.idp.as_deref().filter(|_| w.wish.key.is_none());
        for edge in &mut w.facts.relationships {
            if edge.conditions.trust(idp) {
                edge.conditions.trusted_idps = None;
            }
        }
    }
    let facts = &mut w.facts;
    match step {
        Step::ApiKey => w.wish.key.get_or_insert(open).bounds.networks = Some(Vec::new()),
        Step::Automation => drop(w.wish.key.get_or_insert(open).clone()),
        Step::Client => facts.client.is_usable = false,
        Step::Login => facts.subject.session_ends_at = None,
        Step::Person => facts.subject.is_active = false,
        Step::HomeTenant => facts.subject.home = procura_domain::TenantStatus::Deleted,
        Step::Switching => w.wish.may_switch = false,
        Step::Audience => facts.audience = None,
        Step::Tenant => facts.target = None,
        Step::Relationship => facts.relationships.clear(),
        Step::Role => facts.subject.roles.clear(),
        Step::Scope => w.wish.scope = Some("".parse().unwrap()),
        Step::Time => w.limits.ttl_secs = 0,
        Step::Purpose => w.wish.purpose = None,
        Step::Quota => facts.customer_tokens = Counted { used: 1, limit: Some(1) },
        Step::Approval => facts.access_requests.clear(),
        _ => {}
    }
    for edge in &mut facts.relationships {
        let conditions = &mut edge.conditions;
        match step {
            Step::Access => edge.access = Access::Off,
            Step::Assignment => conditions.assigned_to = Some(Vec::new()),
            Step::IdentityProvider => conditions.trusted_idps = Some(Vec::new()),
            Step::Automation => conditions.allow_automation = false,
            Step::LoginStrength => conditions.min_acr = Some("urn:example:nobody".into()),
            Step::Network => conditions.networks = Some(Vec::new()),
            Step::Hours => {
                conditions.hours = Some(Hours { utc_offset_minutes: 0, windows: Vec::new() });
            }
            Step::Purpose => conditions.require_purpose = true,
            Step::Approval => edge.approval = Approval::EachTime,
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_operator_is_told_the_decision_and_its_first_failing_step(w in world()) {
        let (decided, told) = (w.decide(), explain(Side::Operator, &w));
        prop_assert_eq!(&told.verdict, &decided);
        let lines = told.lines();
        prop_assert_eq!(lines.len(), Step::ALL.len());
        let line = failed(&lines);
        prop_assert_eq!(line.and_then(|l| l.failure).map(|f| f.0), decided.as_ref().err().map(|r| r.as_str()));
        prop_assert_eq!(line.map(|l| l.step), decided.err().map(|r| r.step().as_str()));
        let order: Vec<_> = lines.iter().map(|l| l.standing).collect();
        prop_assert!(order.is_sorted(), "passed, then one that failed, then nothing: {order:?}");
        prop_assert!(order.iter().filter(|s| **s == Standing::Failed).count() <= 1);
    }

    #[test]
    fn whatever_is_spoilt_fails_at_its_own_step_and_what_comes_before_stays(w in world(), step in prop::sample::select(Step::ALL)) {
        let mut w = w;
        if step == Step::Automation {
            // A key that was none before enters by no trust.
            w.facts.relationships.retain(|edge| edge.kind == RelationshipKind::Manages);
        }
        let first = w.decide().err().map(Refusal::step);
        let mut worse = w.clone();
        spoil(&mut worse, step);
        let expected = first.map_or(step, |first| first.min(step));
        let told = explain(Side::Operator, &worse);
        prop_assert_eq!(failed(&told.lines()).map(|line| line.step), Some(expected.as_str()));
    }

    #[test]
    fn the_partner_sees_the_same_lines_whatever_the_customers_reason_is(w in world()) {
        let told = explain(Side::Partner, &w);
        prop_assert_eq!(&told.verdict, &w.decide());
        let lines = told.lines();
        let Err(refusal) = told.verdict else {
            prop_assert!(lines.iter().all(|l| l.standing == Standing::Passed));
            return Ok(());
        };
        if refusal.class() == Class::Target {
            let mut unknown = w.clone();
            unknown.facts.relationships.clear();
            unknown.facts.target = None;
            prop_assert_eq!(&lines, &explain(Side::Partner, &unknown).lines());
            prop_assert_eq!(told.relationship(), None);
            let line = failed(&lines).unwrap();
            prop_assert_eq!((line.step, line.failure.unwrap().0), (CUSTOMERS_SIDE, NOT_AVAILABLE));
        } else {
            prop_assert_eq!(failed(&lines).map(|l| l.step), Some(refusal.step().as_str()));
        }
    }

    #[test]
    fn the_customer_does_not_see_what_is_with_the_partners_people(w in world()) {
        let told = explain(Side::Customer, &w);
        let lines = told.lines();
        let Err(refusal) = told.verdict else {
            prop_assert!(lines.iter().all(|l| l.standing == Standing::Passed));
            return Ok(());
        };
        let line = failed(&lines).unwrap();
        let is_theirs = matches!(refusal.class(), Class::Client | Class::Subject)
            || refusal == Refusal::RoleNotCovered;
        prop_assert_eq!(line.step == PARTNERS_SIDE, is_theirs);
        if is_theirs {
            prop_assert_eq!(line.failure.unwrap().0, PARTNERS_SIDE);
        }
    }

    #[test]
    fn the_customer_learns_nothing_of_a_login(w in world(), other in world()) {
        let told = explain(Side::Customer, &w);
        prop_assert_eq!(&told, &explain(Side::Customer, &logged_in(&w, &other)));
        let steps: Vec<_> = told.lines().iter().map(|line| line.step).collect();
        for hidden in [Step::Login, Step::IdentityProvider, Step::Automation, Step::LoginStrength] {
            prop_assert!(!steps.contains(&hidden.as_str()));
        }
    }

    #[test]
    fn the_customer_is_told_the_decision_as_it_would_be_after_a_login_as_it_demands(w in world()) {
        let (told, decided) = (explain(Side::Customer, &w).verdict, well_logged_in(&w).decide());
        prop_assert_eq!(told.as_ref().err(), decided.as_ref().err());
        prop_assert_eq!(told.as_ref().map(|m| &m.scope).ok(), decided.as_ref().map(|m| &m.scope).ok());
        // A yes to a key is that key's, of which nothing is told.
        prop_assert!(told.is_ok() || w.wish.key.is_some() || w.decide().is_err(), "what is given is not told to be refused");
    }
}

#[test]
fn every_refusal_has_its_step_in_the_order_of_the_decision_and_every_step_a_refusal() {
    let steps: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.step()).collect();
    assert!(steps.is_sorted());
    assert!(Step::ALL.iter().all(|step| steps.contains(step)));
}
