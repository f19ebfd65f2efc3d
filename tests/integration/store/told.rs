//! What admins were told, and what they are to be told: marks that hold on all nodes.

use std::sync::Arc;

use procura_domain::{UserRole, access_request::Answer, relationship::Approval};
use procura_store::{Store, sessions::Session, told::mark_of_end};
use procura_token::Ts;

use super::{
    Empty, on_both,
    world::{self, CUSTOMER, EDGE, NOW, PARTNER, USER, client},
};

const EVERY: i64 = 600;
const DAY: i64 = 86_400;

/// Somebody asks for something for the nth time, so many seconds later.
async fn ask(store: &Store, n: u128, later: i64) {
    let mut exchange = world::exchange(n, &Arc::new(client("cli_portal")));
    exchange.entry.at = NOW.plus_secs(later);
    let purpose = procura_token::Purpose { code: format!("purpose-{n}"), r#ref: None };
    exchange.wish.purpose = Some(purpose);
    assert!(store.exchange(exchange).await.unwrap().outcome.is_err());
}

async fn is_waited_for(store: &Store, later: i64) -> bool {
    let listed = store.list_waited_for(NOW.plus_secs(later), EVERY).await.unwrap();
    assert!(listed.iter().all(|customer| *customer == CUSTOMER), "{listed:?}");
    !listed.is_empty()
}

/// Whether this one tells it.
async fn tell(store: &Store, later: i64) -> bool {
    let mut tx = store.begin(NOW.plus_secs(later)).await.unwrap();
    let is_new = tx.mark_waiting(CUSTOMER, EVERY).await.unwrap();
    tx.commit().await.unwrap();
    is_new
}

on_both! {
    async fn a_customer_hears_of_each_that_waits_and_at_most_once_in_ten_minutes(empty: &Empty) {
        let store = world::world(empty).await;
        let mut tx = store.begin(NOW).await.unwrap();
        let mut edge = tx.find_relationship(EDGE).await.unwrap().unwrap();
        edge.approval = Approval::EachTime;
        tx.update_relationship(&edge).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!is_waited_for(&store, 0).await, "nobody asked");
        ask(&store, 1, 0).await;
        assert!(is_waited_for(&store, 10).await);
        assert!(tell(&store, 10).await);
        assert!(!tell(&store, 11).await, "another node was faster");
        assert!(!is_waited_for(&store, 11).await);
        assert!(!is_waited_for(&store, 700).await, "once is enough for one that still waits");
        ask(&store, 2, 100).await;
        assert!(!is_waited_for(&store, 609).await, "not so soon");
        store.forget_used_values(NOW.plus_secs(610)).await.unwrap();
        assert!(is_waited_for(&store, 610).await);
        assert!(tell(&store, 610).await);
        assert!(!is_waited_for(&store, 999).await);
        // Whoever is answered, or was left without an answer, waits no more.
        ask(&store, 3, 1300).await;
        assert!(is_waited_for(&store, 1301).await);
        assert!(!is_waited_for(&store, 2200).await);
        let listed = store.list_access_requests(CUSTOMER, None, 1).await.unwrap();
        let mut tx = store.begin(NOW.plus_secs(1302)).await.unwrap();
        let answer = Answer { at: tx.now(), by: None, given: None };
        tx.answer_access_request(listed[0].request.id, &answer).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!is_waited_for(&store, 1303).await);
    }

    async fn an_end_is_told_once_and_what_goes_on_is_not(empty: &Empty) {
        let store = world::world(empty).await;
        let end = |ends_at: Option<Ts>, renews_for_days: Option<u32>| {
            let store = store.clone();
            async move {
                let mut tx = store.begin(NOW).await.unwrap();
                let edge = tx.find_relationship(EDGE).await.unwrap().unwrap();
                let edge = procura_domain::Relationship { ends_at, renews_for_days, ..edge };
                let edge = tx.update_relationship(&edge).await.unwrap();
                tx.commit().await.unwrap();
                edge
            }
        };
        let window = (NOW, NOW.plus_secs(DAY));
        let count = async || store.list_ending(window, 1).await.unwrap().len();
        end(None, None).await;
        assert_eq!(count().await, 0);
        end(Some(NOW.plus_secs(DAY)), Some(30)).await;
        assert_eq!(count().await, 0, "it renews itself");
        end(Some(NOW.plus_secs(DAY + 1)), None).await;
        assert_eq!(count().await, 0, "not yet");
        let soon = NOW.plus_secs(DAY);
        let edge = end(Some(soon), None).await;
        assert_eq!(count().await, 1);
        for is_first in [true, false] {
            let mut tx = store.begin(NOW).await.unwrap();
            let mark = mark_of_end(&edge, soon, 1);
            assert_eq!(tx.mark_told(&mark, soon).await.unwrap(), is_first);
            assert!(!store.is_told("abc").await.unwrap() || !is_first);
            if is_first {
                tx.let_out("abc", soon).await.unwrap();
            }
            tx.commit().await.unwrap();
            assert_eq!(count().await, 0);
        }
        assert!(store.is_told("abc").await.unwrap() && !store.is_told("abd").await.unwrap());
        assert_eq!(store.list_ending(window, 7).await.unwrap().len(), 1, "another notice");
        end(Some(NOW.plus_secs(DAY - 1)), None).await;
        assert_eq!(count().await, 0, "moved about within the day");
        end(Some(NOW.plus_secs(60)), None).await;
        assert_eq!(count().await, 1, "another end");
    }

    async fn only_active_people_with_the_role_are_told(empty: &Empty) {
        let store = world::world(empty).await;
        let told = async |role| {
            let admins = store.list_admins(PARTNER, role, NOW).await.unwrap();
            admins.iter().map(|admin| admin.id).collect::<Vec<_>>()
        };
        assert_eq!(told(UserRole::PartnerAdmin).await, [USER]);
        assert!(told(UserRole::TenantAdmin).await.is_empty());
        assert!(store.list_admins(CUSTOMER, UserRole::PartnerAdmin, NOW).await.unwrap().is_empty());
        let mut tx = store.begin(NOW).await.unwrap();
        tx.update_user_status(PARTNER, USER, procura_store::users::UserStatus::Disabled).await.unwrap();
        tx.commit().await.unwrap();
        assert!(told(UserRole::PartnerAdmin).await.is_empty());
    }

    async fn one_partner_with_a_long_list_keeps_no_others_admins_waiting(empty: &Empty) {
        let store = world::world(empty).await;
        let ends_at = Some(NOW.plus_secs(60));
        let mut tx = store.begin(NOW).await.unwrap();
        for n in 2..=70 {
            tx.insert_tenant(&world::tenant(world::customer(n))).await.unwrap();
            let edge = procura_domain::Relationship { ends_at, ..world::edge(n) };
            tx.insert_relationship(&edge, None).await.unwrap();
        }
        // Another partner's ends last of all.
        let other = procura_domain::Relationship {
            partner: world::customer(2),
            ends_at: Some(NOW.plus_secs(3600)),
            ..world::edge(71)
        };
        let other = procura_domain::Relationship { customer: CUSTOMER, ..other };
        tx.insert_relationship(&other, None).await.unwrap();
        tx.commit().await.unwrap();
        let listed = store.list_ending((NOW, NOW.plus_secs(DAY)), 1).await.unwrap();
        assert_eq!(listed.len(), 50, "as many at once");
        assert_eq!(listed[1].id, other.id, "and each partner has its turn");
        let first = listed.iter().filter(|edge| edge.partner == PARTNER).map(|edge| edge.id);
        assert_eq!(first.collect::<Vec<_>>(), (2..=50).map(|n| world::edge(n).id).collect::<Vec<_>>());
    }

    async fn one_partner_that_asks_everywhere_keeps_no_others_customer_waiting(empty: &Empty) {
        let store = world::world(empty).await;
        let (other, person) = (world::customer(900), procura_token::UserId::from_bits(900));
        let session = procura_token::SessionId::from_bits(900);
        let mut tx = store.begin(NOW).await.unwrap();
        tx.insert_tenant(&world::tenant(other)).await.unwrap();
        tx.insert_user(&world::user(person, other)).await.unwrap();
        let login = Session {
            id: session,
            user: person,
            tenant: other,
            auth_time: NOW,
            started_at: NOW,
            acr: "urn:procura:acr:pwd".into(),
            amr: vec!["pwd".into()],
            idp: "local".into(),
            expires_at: NOW.plus_secs(3600),
            ended_at: None,
        };
        tx.insert_session(&login, "another cookie").await.unwrap();
        for n in 2..=61 {
            tx.insert_tenant(&world::tenant(world::customer(n))).await.unwrap();
            let edge = procura_domain::Relationship { approval: Approval::EachTime, ..world::edge(n) };
            // The last customer is the other partner's, and comes last in any order of names.
            let partner = if n == 61 { other } else { PARTNER };
            let edge = procura_domain::Relationship { partner, ..edge };
            tx.insert_relationship(&edge, None).await.unwrap();
        }
        tx.commit().await.unwrap();
        for n in 2..=61 {
            let mut exchange = world::exchange(n, &Arc::new(client("cli_portal")));
            exchange.wish.target = Some(world::customer(n));
            exchange.entry.at = NOW.plus_secs(i64::try_from(n).unwrap());
            if n == 61 {
                (exchange.wish.user, exchange.wish.home, exchange.session) = (person, other, session);
                exchange.subject_keys = vec![procura_token::Key::Session(session).hash()];
            }
            assert!(store.exchange(exchange).await.unwrap().outcome.is_err());
        }
        let listed = store.list_waited_for(NOW.plus_secs(70), EVERY).await.unwrap();
        assert_eq!(listed.len(), 50, "as many at once");
        assert_eq!(listed[..2], [world::customer(2), world::customer(61)], "each partner has its turn");
    }
}
