//! A list is not taken for an object by position: an empty one would be every member at its default.

use procura_tests::{Answer, House};
use reqwest::Method;
use serde_json::json;

use super::{ADA, PAT, ROOT};

#[tokio::test]
async fn a_list_where_an_object_belongs_changes_nothing() {
    let house = House::start();
    let (root, pat) = (house.log_in(ROOT).await, house.log_in(PAT).await);
    let quotas = format!("/api/admin/tenants/{}/quotas", house.tenant("northwind"));
    root.put(&quotas, &json!({ "users": 50 })).await.expect(200);
    let portal = format!("/api/clients/{}", house.demo().clients["portal"].client_id);
    let secrets = format!("{portal}/secrets");
    let edge = house.relationship("northwind>acme-corp");
    let shown = async || {
        let quotas = "/api/tenants/quotas?tenantId=northwind";
        let incidents = "/api/audit-logs?action=incident.declare";
        let mut shown = Vec::new();
        for path in [quotas, &portal, &edge, incidents] {
            shown.push(root.get(path).await.expect(200).json());
        }
        shown
    };
    let before = shown().await;
    for (method, path) in [
        (Method::PUT, &quotas),
        (Method::POST, &secrets),
        (Method::POST, &"/api/incidents".to_owned()),
        (Method::PATCH, &edge),
    ] {
        for list in [json!([]), json!([null]), json!([{}]), json!([1, 2])] {
            let refused = house.api(&root.home, method.clone(), path, Some(&list)).await;
            let about = refused.problem(400, "invalid_request");
            assert_eq!(about.as_deref(), Some("body"), "{path} {list}");
        }
    }
    let policy = json!([["Name", {}, false]]);
    pat.post("/api/policies", &policy).await.problem(400, "invalid_request");
    assert_eq!(shown().await, before);

    // An object is one, whatever space is in front of it.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = async |text: &'static str| {
        let request = http.put(format!("{}{quotas}", house.url())).bearer_auth(&root.home);
        let request = request.header("content-type", "application/json").body(text);
        Answer::of(request.send().await.expect("the server answers")).await
    };
    let spaced = put(" \r\n\t{\"users\": 60}").await.expect(200).json();
    assert_eq!(spaced["quotas"]["users"]["limit"], 60);
    let about = put(" [").await.problem(400, "invalid_request");
    assert_eq!(about.as_deref(), Some("body"));
    root.post(&secrets, &json!({})).await.expect(201);
}

#[tokio::test]
async fn a_list_inside_a_patch_takes_no_objects_place() {
    let house = House::start();
    let (ada, root) = (house.log_in(ADA).await, house.log_in(ROOT).await);
    let edge = house.relationship("northwind>acme-corp");
    let strict = json!({ "conditions": { "require_purpose": true } });
    ada.patch(&edge, &strict).await.expect(200);
    let portal = format!("/api/clients/{}", house.demo().clients["portal"].client_id);
    let before =
        (ada.get(&edge).await.expect(200).json(), root.get(&portal).await.expect(200).json());
    for (person, path, member) in [(&ada, &edge, "conditions"), (&root, &portal, "registration")] {
        for list in [json!([]), json!([null]), json!(["urn:procura:acr:mfa"])] {
            let refused = person.patch(path, &json!({ member: list })).await;
            let about = refused.problem(400, "invalid_request");
            assert_eq!(about.as_deref(), Some(member), "{list}");
        }
    }
    let after =
        (ada.get(&edge).await.expect(200).json(), root.get(&portal).await.expect(200).json());
    assert_eq!(after, before);
    // An empty object names nothing, and changes nothing.
    ada.patch(&edge, &json!({ "conditions": {} })).await.expect(200);
    assert_eq!(ada.get(&edge).await.expect(200).json()["conditions"]["require_purpose"], true);
}
