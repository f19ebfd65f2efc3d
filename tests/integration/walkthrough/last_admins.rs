//! Two admins of a tenant shut each other out at the same time: one of them stays.

use std::fs;

use procura_tests::{Answer, House, Person, Scratch};
use serde_json::{Value, json};

use super::ADA;

const ABE: &str = "abe@acme.test";
const ROUNDS: usize = 4;

/// A second admin for Ada's tenant.
fn add_abe(house: &House) {
    let (folder, password) = (Scratch::new(), &house.demo().password);
    let file = folder.path().join("users.json");
    let abe = json!({ "email": ABE, "tenant": "acme-corp", "roles": ["tenant-admin"], "password": password });
    fs::write(&file, json!({ "users": [abe] }).to_string()).expect("a file");
    let done = house.command(&["import", file.to_str().expect("a plain path")]);
    assert!(done.status.success(), "{done:?}");
}

async fn people(person: &Person) -> Vec<Value> {
    let listed = person.get("/api/tenants/users").await.expect(200).json();
    listed.as_array().expect("people").clone()
}

/// Whoever comes second is no admin any more, or hears that nobody else would be left.
fn comes_too_late(answer: &Answer) {
    match answer.status {
        401 => assert_eq!(answer.problem(401, "unauthenticated"), None),
        _ => assert_eq!(answer.problem(409, "wrong_state").as_deref(), Some("last_tenant_admin")),
    }
}

/// At two nodes, or twice at one.
pub async fn one_of_two_stays(one: &House, two: &House) {
    add_abe(one);
    for _ in 0..ROUNDS {
        let (ada, abe) = (one.log_in(ADA).await, one.log_in(ABE).await.at(two));
        let all = people(&ada).await;
        let path = |email: &str| {
            let found = all.iter().find(|user| user["email"] == email).expect("a person");
            format!("/api/tenants/users/{}", found["id"].as_str().expect("an id"))
        };
        let (disable_abe, disable_ada) =
            (format!("{}/disable", path(ABE)), format!("{}/disable", path(ADA)));
        let (by_ada, by_abe) = tokio::join!(ada.step(&disable_abe), abe.step(&disable_ada));
        let (stays, gone) = if by_ada.status == 200 {
            comes_too_late(&by_abe);
            (&ada, ABE)
        } else {
            comes_too_late(&by_ada);
            by_abe.expect(200);
            (&abe, ADA)
        };
        let active = people(stays).await.into_iter();
        let active = active.filter(|user| {
            user["status"] == "active" && user["roles"].to_string().contains("tenant-admin")
        });
        assert_eq!(active.count(), 1);
        stays.step(&format!("{}/enable", path(gone))).await.expect(200);
    }
}

#[tokio::test]
async fn of_two_admins_who_shut_each_other_out_at_once_one_stays() {
    let house = House::start();
    one_of_two_stays(&house, &house).await;
}
