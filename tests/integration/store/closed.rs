//! An incident closes all live relationships of a tenant in a few statements, however many they are, and
//! nothing else.

use std::sync::Arc;

use procura_domain::{Access, Relationship, RelationshipState, relationship::Side};
use procura_store::{Store, agreements::Version};
use procura_token::{RelationshipId, TenantId};
use serde_json::json;

use super::{
    Empty, on_both,
    world::{self, CUSTOMER, EDGE, NOW, PARTNER, client, customer, edge, exchange, tenant},
};

/// More than go into one statement.
const MANY: u128 = 300;
const OUT_OF: (Side, TenantId) = (Side::Partner, PARTNER);
const INTO: (Side, TenantId) = (Side::Customer, CUSTOMER);

/// The partner has customers in every state at every position, and the customer another partner.
async fn crowd(empty: &Empty) -> Store {
    let store = world::world(empty).await;
    let mut tx = store.begin(NOW).await.unwrap();
    for n in 2..=MANY {
        tx.insert_tenant(&tenant(customer(n))).await.unwrap();
        let at = usize::try_from(n).unwrap();
        let state = RelationshipState::ALL[at % RelationshipState::ALL.len()];
        let access = Access::ALL[at / RelationshipState::ALL.len() % Access::ALL.len()];
        let edge = Relationship { state, access, ..edge(n) };
        tx.insert_relationship(&edge, None).await.unwrap();
    }
    let other = Relationship { partner: customer(2), customer: CUSTOMER, ..edge(MANY + 1) };
    tx.insert_relationship(&other, None).await.unwrap();
    tx.commit().await.unwrap();
    store
}

async fn all(store: &Store) -> Vec<Relationship> {
    let mut tx = store.begin(NOW).await.unwrap();
    let mut edges = Vec::new();
    for n in 1..=MANY + 1 {
        edges.extend(tx.find_relationship(RelationshipId::from_bits(n)).await.unwrap());
    }
    edges
}

/// What should have become of an edge.
fn closed(edge: &Relationship, end: (Side, TenantId), access: Access) -> Relationship {
    let is_its = edge.partner == end.1 || edge.customer == end.1;
    // What waits for a first answer is declined, which is not done here.
    let is_agreed = edge.state.is_live() && edge.state != RelationshipState::Requested;
    if !is_its || !is_agreed || edge.access <= access {
        return edge.clone();
    }
    Relationship { access, version: edge.version + 1, ..edge.clone() }
}

on_both! {
    async fn what_is_live_is_brought_down_and_nothing_is_brought_up(empty: &Empty) {
        let store = crowd(empty).await;
        for (end, access) in [
            (OUT_OF, Access::On),
            (INTO, Access::Restricted),
            (OUT_OF, Access::Restricted),
            (OUT_OF, Access::Restricted),
            (OUT_OF, Access::Off),
            (OUT_OF, Access::Restricted),
            (INTO, Access::On),
        ] {
            let before = all(&store).await;
            let mut tx = store.begin(NOW.plus_secs(1)).await.unwrap();
            let listed = tx.list_live_edges(end).await.unwrap();
            let is_its = |edge: &&Relationship| {
                edge.state.is_live() && (edge.partner == end.1 || edge.customer == end.1)
            };
            assert_eq!(listed, before.iter().filter(is_its).cloned().collect::<Vec<_>>());
            let lowered = tx.lower_access(end, access).await.unwrap();
            tx.commit().await.unwrap();
            let expected: Vec<_> = before.iter().map(|edge| closed(edge, end, access)).collect();
            assert_eq!(all(&store).await, expected);
            let changed = expected.iter().zip(&before).filter(|(now, then)| now != then).count();
            assert_eq!(lowered, u64::try_from(changed).unwrap());
        }
    }

    async fn what_runs_is_ended_once_and_told_as_it_ran(empty: &Empty) {
        let store = crowd(empty).await;
        let client = Arc::new(client("cli_portal"));
        for (n, end) in [(1, OUT_OF), (2, INTO)] {
            let (_, id) = store.exchange(exchange(n, &client)).await.unwrap().outcome.unwrap();
            let mut tx = store.begin(NOW.plus_secs(1)).await.unwrap();
            for nobodys in [(Side::Partner, customer(2)), (Side::Customer, customer(3))] {
                assert!(tx.end_all_delegations(nobodys).await.unwrap().is_empty());
            }
            let ended = tx.end_all_delegations(end).await.unwrap();
            assert_eq!(ended.iter().map(|one| (one.id, one.relationship)).collect::<Vec<_>>(), [(id, EDGE)]);
            assert!(tx.end_all_delegations(end).await.unwrap().is_empty());
            tx.commit().await.unwrap();
        }
    }

    async fn many_versions_are_kept_at_once(empty: &Empty) {
        let store = crowd(empty).await;
        let changes = json!({ "access": { "from": "on", "to": "off" } });
        let versions: Vec<_> = (1..=MANY)
            .map(|n| Version {
                relationship: RelationshipId::from_bits(n),
                version: 2,
                at: NOW,
                action: "incident.declare".into(),
                side: Some(Side::Operator),
                user: None,
                changes: changes.clone(),
                reason: None,
            })
            .collect();
        let mut tx = store.begin(NOW).await.unwrap();
        tx.insert_versions(&versions).await.unwrap();
        tx.insert_versions(&[]).await.unwrap();
        tx.commit().await.unwrap();
        for n in [1, MANY] {
            let id = RelationshipId::from_bits(n);
            let kept = store.list_versions(customer(n), id, (0, 10)).await.unwrap();
            assert_eq!(kept.len(), 1);
            assert_eq!((kept[0].side, &kept[0].changes), (Some(Side::Operator), &changes));
        }
    }
}
