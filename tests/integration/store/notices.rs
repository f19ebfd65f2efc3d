//! Notices of logout: one node at a time has one, and no client with a long list keeps others waiting.
use procura_domain::Registration;
use procura_store::{Store, clients::Client, logout::Notice, sessions::Session};
use procura_token::{SessionId, Ts};

use super::{
    Empty, on_both,
    world::{self, NOW, PARTNER, USER, client},
};

/// Logins of which these clients were told, one after the other, and their end.
async fn end_logins(store: &Store, told: &[&str]) {
    let mut tx = store.begin(NOW).await.unwrap();
    for (n, id) in (100_u128..).zip(told) {
        let session = Session {
            id: SessionId::from_bits(n),
            user: USER,
            tenant: PARTNER,
            auth_time: NOW,
            started_at: NOW,
            acr: "urn:procura:acr:pwd".into(),
            amr: vec!["pwd".into()],
            idp: "local".into(),
            expires_at: NOW.plus_secs(3600),
            ended_at: None,
        };
        tx.insert_session(&session, &format!("cookie {n}")).await.unwrap();
        tx.insert_session_client(session.id, &id.parse().unwrap()).await.unwrap();
        assert!(tx.end_session(session.id).await.unwrap());
    }
    tx.commit().await.unwrap();
}

async fn world(empty: &Empty) -> Store {
    let store = world::world(empty).await;
    let mut tx = store.begin(NOW).await.unwrap();
    for id in ["cli_a", "cli_b"] {
        let backchannel_logout_uri = Some(format!("https://{id}.example/logout"));
        let registration = Registration { backchannel_logout_uri, ..Registration::default() };
        tx.insert_client(&Client { registration, ..client(id) }).await.unwrap();
    }
    tx.commit().await.unwrap();
    store
}

async fn due(store: &Store, now: Ts) -> Vec<Notice> {
    store.list_due_notices(now, 10, 2).await.unwrap()
}

async fn is_deleted(store: &Store, taken: &Notice) -> bool {
    let mut tx = store.begin(NOW).await.unwrap();
    let is_deleted = tx.delete_notice(taken).await.unwrap();
    tx.commit().await.unwrap();
    is_deleted
}

on_both! {
    async fn a_long_list_of_one_client_leaves_room_for_the_others(empty: &Empty) {
        let store = world(empty).await;
        end_logins(&store, &["cli_a", "cli_a", "cli_a", "cli_b", "cli_portal"]).await;
        let clients: Vec<_> = due(&store, NOW).await.into_iter().map(|n| n.client).collect();
        let clients: Vec<_> = clients.iter().map(procura_token::ClientId::as_str).collect();
        assert_eq!(clients, ["cli_a", "cli_a", "cli_b"], "cli_portal did not want to hear");
        assert_eq!(store.list_due_notices(NOW, 1, 2).await.unwrap().len(), 1);
        assert!(due(&store, NOW.plus_secs(-1)).await.is_empty());
    }
}

on_both! {
    async fn of_two_nodes_one_takes_a_notice_and_what_the_other_does_counts_nothing(empty: &Empty) {
        let (here, there) = (world(empty).await, empty.open().await);
        end_logins(&here, &["cli_a"]).await;
        let (read, until) = (due(&here, NOW).await.remove(0), NOW.plus_secs(60));
        let (one, other) =
            tokio::join!(here.take_notice(&read, until), there.take_notice(&read, until));
        let taken = [one.unwrap(), other.unwrap()].into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(taken.len(), 1, "one of them has it");
        assert!(due(&there, NOW).await.is_empty());
        // The node that has it dies, and another one takes it.
        let late = &taken[0];
        let again = due(&there, until).await.remove(0);
        let again = there.take_notice(&again, until.plus_secs(60)).await.unwrap().unwrap();
        assert_eq!((late.attempts, again.attempts), (1, 2));
        here.postpone_notice(late, NOW).await.unwrap();
        assert!(!is_deleted(&here, late).await);
        assert!(due(&here, until).await.is_empty(), "it is still the other's");
        there.postpone_notice(&again, until).await.unwrap();
        assert_eq!(due(&here, until).await.len(), 1);
        assert!(is_deleted(&there, &again).await && !is_deleted(&there, &again).await);
    }
}
