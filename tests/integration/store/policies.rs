//! Logins that lack what policies demand are found by SQL: it says the same as the rules themselves.

use std::collections::BTreeSet;

use procura_domain::{LoginRules, UserRole, acr::ACRS, login_policy::Standing};
use procura_store::{sessions::Session, users::User};
use procura_token::{SessionId, Ts, UserId};

use super::{
    Empty, on_both,
    world::{CUSTOMER, NOW, PARTNER, tenant, user},
};

const HOUR: i64 = 3600;

/// A login of each kind that can be told apart.
fn logins(user: UserId, first: u128) -> Vec<Session> {
    let mut all = Vec::new();
    for acr in ACRS.into_iter().chain(["", "unknown"]) {
        for idp in ["local", "a/b", "a/bc"] {
            for age in [0, HOUR - 1, HOUR, 2 * HOUR] {
                for left in [-1, 1, 3 * HOUR] {
                    let number = first + u128::try_from(all.len()).unwrap();
                    all.push(Session {
                        id: SessionId::from_bits(number),
                        user,
                        tenant: CUSTOMER,
                        auth_time: NOW.plus_secs(-age),
                        acr: acr.to_owned(),
                        amr: Vec::new(),
                        idp: idp.to_owned(),
                        expires_at: NOW.plus_secs(left),
                        ended_at: None,
                    });
                }
            }
        }
    }
    all
}

fn rules() -> Vec<LoginRules> {
    let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let mut all = Vec::new();
    for min_acr in [None, ACRS[1].parse().ok(), ACRS[2].parse().ok()] {
        for session_max_secs in [None, Some(HOUR)] {
            for identity_providers in [None, list(&[]), list(&["local"]), list(&["a/b", "x"])] {
                let password_min_length = None;
                all.push(LoginRules {
                    min_acr,
                    session_max_secs,
                    identity_providers,
                    password_min_length,
                });
            }
        }
    }
    all
}

on_both! {
    async fn a_login_ends_where_the_rules_say_that_it_lacks_something(empty: &Empty) {
        let store = empty.open().await;
        let people = [
            (1, Standing::Member, vec![UserRole::Member, UserRole::SupportAgent]),
            (2, Standing::Admin, vec![UserRole::Member, UserRole::TenantAdmin]),
            (3, Standing::Operator, vec![UserRole::TenantAdmin, UserRole::SuperAdmin]),
        ];
        let mut tx = store.begin(NOW).await.unwrap();
        tx.insert_tenant(&tenant(PARTNER)).await.unwrap();
        tx.insert_tenant(&tenant(CUSTOMER)).await.unwrap();
        let mut sessions = Vec::new();
        for (number, standing, roles) in &people {
            let id = UserId::from_bits(*number);
            tx.insert_user(&User { roles: roles.clone(), ..user(id, CUSTOMER) }).await.unwrap();
            for session in logins(id, number * 1000) {
                tx.insert_session(&session, &session.id.to_string()).await.unwrap();
                sessions.push((*standing, session));
            }
        }
        tx.commit().await.unwrap();
        for rules in rules() {
            for standing in Standing::ALL {
                // Never committed: each begins with all of them.
                let mut tx = store.begin(NOW).await.unwrap();
                let (ended, _) =
                    tx.end_sessions_against(CUSTOMER, *standing, &rules).await.unwrap();
                let is_over = |session: &Session| {
                    let too_old = |secs| NOW >= session.auth_time.plus_secs(secs);
                    rules.session_max_secs.is_some_and(too_old)
                        || rules.unmet_by(&session.acr, &session.idp).is_some()
                };
                let of_them = sessions.iter().filter(|(one, _)| one == standing);
                let running = of_them.map(|(_, session)| session).filter(|s| s.is_live(NOW));
                let (over, go_on): (Vec<_>, Vec<_>) = running.partition(|s| is_over(s));
                let over: BTreeSet<_> = over.into_iter().map(|session| session.id).collect();
                assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), over, "{rules:?}");
                for session in go_on.into_iter().step_by(5) {
                    let longest = |secs| session.auth_time.plus_secs(secs);
                    let end = rules.session_max_secs.map_or(session.expires_at, longest);
                    let now = tx.find_session(session.id).await.unwrap().unwrap();
                    assert_eq!(now.ended_at, None::<Ts>);
                    assert_eq!(now.expires_at, end.min(session.expires_at));
                }
            }
        }
    }
}
