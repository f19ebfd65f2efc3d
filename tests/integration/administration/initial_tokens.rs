//! Initial access tokens: who lets software register itself, by API and command line.

use procura_tests::House;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, PAT, ROOT, TOM, entry};

const PATH: &str = "/api/initial-access-tokens";

#[tokio::test]
async fn an_admin_makes_sees_and_ends_those_of_the_own_tenant() {
    let house = House::start();
    let (root, tom, ada) =
        (house.log_in(ROOT).await, house.log_in(TOM).await, house.log_in(ADA).await);
    let body = json!({ "name": "Pipelines", "uses": 5, "expires_in_secs": 3600 });
    let made = tom.post(PATH, &body).await;
    let (id, token) = (made.expect(201).string("id"), made.string("token"));
    assert_eq!(made.string("tenant_id"), house.tenant("northwind"));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let noted = entry(&house, &root, "client.initial_token_add").await;
    assert_eq!((&noted["resource_id"], &noted["details"]["uses"]), (&json!(id), &json!(5)));
    let listed = tom.get(PATH).await;
    let own = listed.expect(200).json()[0].clone();
    assert_eq!(
        (&own["id"], &own["is_live"], &own["uses_left"]),
        (&json!(id), &json!(true), &json!(5))
    );
    assert!(!listed.text.contains(&token) && !noted.to_string().contains(&token));
    assert!(!house.stderr().contains(&token));

    // Another tenant's admin is told of nothing.
    assert_eq!(ada.get(PATH).await.expect(200).json(), json!([]));
    let one = format!("{PATH}/{id}");
    ada.delete(&one).await.problem(404, "not_found");
    let foreign = format!("{PATH}?tenant_id={}", house.tenant("northwind"));
    ada.get(&foreign).await.problem(404, "not_found");
    let other = json!({ "name": "x", "tenant_id": house.tenant("northwind") });
    ada.post(PATH, &other).await.problem(404, "not_found");
    // The operator sees all, and makes them for others.
    root.post(PATH, &json!({ "name": "x", "tenant_id": "acme-corp" })).await.expect(201);
    assert_eq!(ada.get(PATH).await.json().as_array().map(Vec::len), Some(1));
    assert_eq!(root.get(PATH).await.json().as_array().map(Vec::len), Some(2));

    tom.delete(&one).await.expect(204);
    assert_eq!(tom.get(PATH).await.json()[0]["is_live"], false);
    assert_eq!(entry(&house, &root, "client.initial_token_end").await["resource_id"], json!(id));
}

#[tokio::test]
async fn a_partner_has_no_say_and_what_is_asked_has_bounds() {
    let house = House::start();
    let (pat, tom) = (house.log_in(PAT).await, house.log_in(TOM).await);
    let good = json!({ "name": "x" });
    for (method, path) in [
        (Method::GET, PATH.to_owned()),
        (Method::POST, PATH.to_owned()),
        (Method::DELETE, format!("{PATH}/itk_00000000000000000000000000000001")),
    ] {
        let body = (method == Method::POST).then_some(&good);
        let go = async |token: &str| house.api(token, method.clone(), &path, body).await;
        go("nonsense").await.problem(401, "unauthenticated");
        go(&pat.home).await.problem(403, "forbidden");
    }
    for (bad, about) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a\u{7}" }), "name"),
        (json!({ "name": "x", "uses": 0 }), "uses"),
        (json!({ "name": "x", "uses": 10_001 }), "uses"),
        (json!({ "name": "x", "expires_in_secs": 59 }), "expires_in_secs"),
        (json!({ "name": "x", "expires_in_secs": 366 * 86_400 + 1 }), "expires_in_secs"),
        (json!({ "name": "x", "token": "of my choice" }), "body"),
        (json!({}), "body"),
    ] {
        let refused = tom.post(PATH, &bad).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{bad}");
    }
    tom.delete(&format!("{PATH}/itk_00000000000000000000000000000001")).await.expect(404);
    let made = tom.post(PATH, &good).await.expect(201).json();
    assert_eq!(made["uses_left"], 1);
}

#[tokio::test]
async fn the_operator_makes_one_on_the_command_line() {
    let house = House::start();
    let made = house.command(&[
        "initial-token",
        "add",
        "--tenant",
        "northwind",
        "--name",
        "CI",
        "--uses",
        "2",
        "--json",
    ]);
    assert!(made.status.success(), "{made:?}");
    assert!(made.stderr.contains("registration.enabled is false"), "{made:?}");
    let made: Value = serde_json::from_str(&made.stdout).expect("JSON");
    assert_eq!(made["uses_left"], 2);
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let listed = house.command(&["initial-token", "list"]);
    assert!(listed.stdout.contains(id) && !listed.stdout.contains(token), "{listed:?}");
    assert!(house.command(&["initial-token", "end", id]).status.success());
    let listed = house.command(&["initial-token", "list", "--tenant", "northwind"]);
    assert!(listed.stdout.contains("over"), "{listed:?}");
    let unknown = house.command(&["initial-token", "end", "itk_1"]);
    assert!(!unknown.status.success() && unknown.stderr.contains("no such thing"), "{unknown:?}");
}
