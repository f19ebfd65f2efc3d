//! Logins that lack what policies demand are found by SQL: it says the same as the rules themselves.

use std::collections::BTreeSet;

use procura_domain::{
    KeyBounds, LoginRules, Registration, UserRole, acr::ACRS, login_policy::Standing,
};
use procura_store::{
    Store, api_keys::ApiKey, clients::Client, refresh::Family, sessions::Session, users::User,
};
use procura_token::{ApiKeyId, Key, Seq, SessionId, Ts, UserId};

use super::{
    Empty, on_both,
    world::{CUSTOMER, NOW, PARTNER, client, tenant, user},
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
                        // What a provider says of it, if anything.
                        auth_time: Ts::from_secs(0),
                        started_at: NOW.plus_secs(-age),
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
                    let too_old = |secs| NOW >= session.started_at.plus_secs(secs);
                    rules.session_max_secs.is_some_and(too_old)
                        || rules.unmet_by(&session.acr, &session.idp).is_some()
                };
                let of_them = sessions.iter().filter(|(one, _)| one == standing);
                let running = of_them.map(|(_, session)| session).filter(|s| s.is_live(NOW));
                let (over, go_on): (Vec<_>, Vec<_>) = running.partition(|s| is_over(s));
                let over: BTreeSet<_> = over.into_iter().map(|session| session.id).collect();
                assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), over, "{rules:?}");
                for session in go_on.into_iter().step_by(5) {
                    let longest = |secs| session.started_at.plus_secs(secs);
                    let end = rules.session_max_secs.map_or(session.expires_at, longest);
                    let now = tx.find_session(session.id).await.unwrap().unwrap();
                    assert_eq!(now.ended_at, None::<Ts>);
                    assert_eq!(now.expires_at, end.min(session.expires_at));
                }
            }
        }
    }
}

on_both! {
    async fn a_key_ends_where_the_login_that_made_it_would_and_never_for_its_age(empty: &Empty) {
        let store = empty.open().await;
        let id = UserId::from_bits(1);
        let mut tx = store.begin(NOW).await.unwrap();
        tx.insert_tenant(&tenant(PARTNER)).await.unwrap();
        tx.insert_tenant(&tenant(CUSTOMER)).await.unwrap();
        tx.insert_user(&user(id, CUSTOMER)).await.unwrap();
        tx.insert_client(&client("cli_app")).await.unwrap();
        let mut keys = Vec::new();
        for (number, maker) in (1..).zip(logins(id, 0).into_iter().step_by(12)) {
            let session = SessionId::from_bits(number);
            let key = ApiKey {
                id: ApiKeyId::from_bits(number),
                user: id,
                tenant: CUSTOMER,
                client: "cli_app".parse().unwrap(),
                made_through: None,
                name: "nightly".to_owned(),
                bounds: KeyBounds {
                    permissions: "partner.billing.read".parse().unwrap(),
                    tenants: None,
                    networks: None,
                },
                session,
                created_at: NOW.plus_secs(-2 * HOUR),
                expires_at: NOW.plus_secs(HOUR),
                ended_at: None,
                last_used_at: None,
            };
            tx.insert_api_key(&key, &format!("{number}"), &maker).await.unwrap();
            keys.push((session, maker));
        }
        tx.commit().await.unwrap();
        for rules in rules() {
            let mut tx = store.begin(NOW).await.unwrap();
            let (ended, _) =
                tx.end_sessions_against(CUSTOMER, Standing::Member, &rules).await.unwrap();
            let lacks = |maker: &Session| rules.unmet_by(&maker.acr, &maker.idp).is_some();
            let over = keys.iter().filter(|(_, maker)| lacks(maker)).map(|(session, _)| *session);
            assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), over.collect(), "{rules:?}");
        }
    }
}

/// So many logins by a password that have run out, each known to a client that wants to hear of the end; each
/// second one with refresh tokens that go on, the others with some that ended by themselves.
async fn run_out(store: &Store, many: u128) {
    let (id, app) = (UserId::from_bits(1), "cli_app".parse().unwrap());
    let mut tx = store.begin(NOW).await.unwrap();
    tx.insert_tenant(&tenant(PARTNER)).await.unwrap();
    tx.insert_tenant(&tenant(CUSTOMER)).await.unwrap();
    tx.insert_user(&user(id, CUSTOMER)).await.unwrap();
    let backchannel_logout_uri = Some("https://app.example/logout".to_owned());
    let registration = Registration { backchannel_logout_uri, ..Registration::default() };
    tx.insert_client(&Client { registration, ..client("cli_app") }).await.unwrap();
    let one = logins(id, 0).swap_remove(0);
    for n in 1..=many {
        let session = SessionId::from_bits(n);
        let name = session.to_string();
        tx.insert_session(&Session { id: session, ..one.clone() }, &name).await.unwrap();
        tx.insert_session_client(session, &app).await.unwrap();
        let family = Family {
            origin_hash: name.clone(),
            session,
            user: id,
            tenant: CUSTOMER,
            client: app.clone(),
            grant_json: "{}".to_owned(),
            ends_at: NOW.plus_secs(if n % 4 == 1 { 0 } else { HOUR }),
            idle_ends_at: NOW.plus_secs(if n % 4 == 3 { 0 } else { HOUR }),
            ended_at: None,
        };
        tx.insert_family(&family, &name).await.unwrap();
    }
    tx.commit().await.unwrap();
}

on_both! {
    async fn many_logins_end_at_once_and_none_from_which_nothing_goes_on(empty: &Empty) {
        const MANY: u128 = 600;
        let store = empty.open().await;
        run_out(&store, MANY).await;
        let strict = LoginRules { min_acr: ACRS[1].parse().ok(), ..LoginRules::default() };
        let mut tx = store.begin(NOW).await.unwrap();
        let (ended, _) =
            tx.end_sessions_against(CUSTOMER, Standing::Member, &strict).await.unwrap();
        let going_on = (1..=MANY).filter(|n| n % 2 == 0).map(SessionId::from_bits);
        assert_eq!(ended.iter().copied().collect::<BTreeSet<_>>(), going_on.collect());
        for session in &ended {
            tx.revoke(&Key::Session(*session), "policy.apply");
        }
        tx.commit().await.unwrap();
        let due = store.list_due_notices(NOW, 1000, 1000).await.unwrap();
        assert_eq!(due.len(), ended.len(), "each is told");
        let entries = store.revocations().after(Seq(0)).unwrap();
        assert_eq!(entries.len(), ended.len());
        let again = empty.open().await;
        assert_eq!(again.revocations().after(Seq(0)).unwrap(), entries, "and stands in the database");
    }
}
