//! What happens to relationships because time passes, with a moved clock.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod world;

use procura_domain::{
    Access, Relationship, RelationshipKind, RelationshipRole, RelationshipState, TenantStatus,
    Terms,
    relationship::{Approval, Conditions, Origin},
};
use procura_issuer::Issuer;
use procura_store::{agreements::Proposal, audit::Filter, tenants::Tenant};
use procura_token::{RelationshipId, TenantId, Ts};

use world::{DAY, START, World};

const PARTNER: TenantId = TenantId::from_bits(1);
const CUSTOMER: TenantId = TenantId::from_bits(2);
const EDGE: RelationshipId = RelationshipId::from_bits(3);

fn edge(
    state: RelationshipState,
    ends_at: Option<Ts>,
    renews_for_days: Option<u32>,
) -> Relationship {
    Relationship {
        id: EDGE,
        partner: PARTNER,
        customer: CUSTOMER,
        kind: RelationshipKind::Manages,
        origin: Origin::Requested,
        role: RelationshipRole::MspFull,
        custom_permissions: None,
        state,
        suspended_by: None,
        starts_at: None,
        ends_at,
        renews_for_days,
        access: Access::On,
        approval: Approval::Standing,
        conditions: Conditions::default(),
        version: 1,
    }
}

/// A node on whose database there is this relationship, made now.
async fn node_with(world: &World, edge: &Relationship) -> Issuer {
    let issuer = world.node().await;
    let mut tx = issuer.store().begin(START).await.unwrap();
    for id in [PARTNER, CUSTOMER] {
        let tenant = Tenant {
            id,
            slug: id.to_string(),
            name: id.to_string(),
            status: TenantStatus::Active,
            plan: "standard".into(),
            partner_access: Access::On,
            partner_code: id.to_string(),
            created_at: START,
        };
        tx.insert_tenant(&tenant).await.unwrap();
    }
    tx.insert_relationship(edge, None).await.unwrap();
    tx.commit().await.unwrap();
    issuer
}

async fn now(issuer: &Issuer) -> Relationship {
    issuer.store().find_any_relationship(EDGE).await.unwrap().unwrap()
}

/// What the calendar did, oldest first, and that each version has its entry.
async fn done(issuer: &Issuer) -> Vec<String> {
    let log = issuer.store().list_audit(&Filter::default()).await.unwrap();
    let entries = log.iter().rev().map(|listed| &listed.chained.entry);
    let actions: Vec<_> = entries
        .filter(|entry| entry.relationship_id == Some(EDGE))
        .map(|entry| entry.action.clone())
        .collect();
    for version in issuer.store().list_versions(CUSTOMER, EDGE, (0, i64::MAX)).await.unwrap() {
        assert!(actions.contains(&version.action) && version.side.is_none());
    }
    actions
}

#[tokio::test]
async fn a_request_that_nobody_answers_expires_after_thirty_days_and_not_before() {
    let world = World::new();
    let issuer = node_with(&world, &edge(RelationshipState::Requested, None, None)).await;
    world.pass(30 * DAY - 1);
    issuer.turn_calendar().await.unwrap();
    assert_eq!(now(&issuer).await.state, RelationshipState::Requested);
    world.pass(1);
    for _ in 0..2 {
        issuer.turn_calendar().await.unwrap();
    }
    let edge = now(&issuer).await;
    assert_eq!((edge.state, edge.version), (RelationshipState::Expired, 2));
    assert_eq!(done(&issuer).await, ["relationship.expire"]);
}

#[tokio::test]
async fn what_renews_itself_goes_on_a_day_before_its_end_again_and_again() {
    let world = World::new();
    let ends_at = START.plus_secs(10 * DAY);
    let edge = edge(RelationshipState::Active, Some(ends_at), Some(30));
    let (here, there) = (node_with(&world, &edge).await, world.node().await);
    world.pass(9 * DAY - 1);
    here.turn_calendar().await.unwrap();
    assert_eq!(now(&here).await.ends_at, Some(ends_at), "not a second early");
    world.pass(1);
    for issuer in [&here, &there] {
        issuer.turn_calendar().await.unwrap();
    }
    assert_eq!(now(&here).await.ends_at, Some(ends_at.plus_secs(30 * DAY)), "by one node alone");
    world.pass(30 * DAY);
    there.turn_calendar().await.unwrap();
    assert_eq!(now(&here).await.ends_at, Some(ends_at.plus_secs(60 * DAY)));
    assert_eq!(done(&here).await, ["relationship.renew", "relationship.renew"]);
}

#[tokio::test]
async fn nothing_that_was_stopped_or_is_over_renews_itself() {
    let ends_at = Some(START.plus_secs(DAY));
    for (state, renews, wait) in [
        (RelationshipState::Suspended, Some(30), DAY / 2),
        (RelationshipState::Ended, Some(30), DAY / 2),
        (RelationshipState::Active, None, DAY / 2),
        (RelationshipState::Active, Some(30), DAY),
    ] {
        let world = World::new();
        let issuer = node_with(&world, &edge(state, ends_at, renews)).await;
        world.pass(wait);
        issuer.turn_calendar().await.unwrap();
        assert_eq!(now(&issuer).await.ends_at, ends_at, "{state}");
    }
}

#[tokio::test]
async fn a_wish_that_nobody_answers_is_refused() {
    let world = World::new();
    let edge = edge(RelationshipState::Active, None, None);
    let issuer = node_with(&world, &edge).await;
    let mut tx = issuer.store().begin(START).await.unwrap();
    let proposal = Proposal {
        relationship: EDGE,
        terms: Terms::of(&edge),
        reason: None,
        user: None,
        proposed_at: START,
        expires_at: START.plus_secs(DAY),
    };
    tx.put_proposal(&proposal).await.unwrap();
    tx.commit().await.unwrap();
    let open = async |at| issuer.store().find_proposal(CUSTOMER, EDGE, at).await.unwrap().is_some();
    assert!(open(START.plus_secs(DAY - 1)).await);
    assert!(!open(START.plus_secs(DAY)).await, "also while the calendar has not been turned");
    world.pass(DAY);
    issuer.turn_calendar().await.unwrap();
    assert_eq!(done(&issuer).await, ["relationship.proposal_expire"]);
    let noted = Relationship { version: 2, ..edge };
    assert_eq!(now(&issuer).await, noted, "nothing but that has changed");
}
