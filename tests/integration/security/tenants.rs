//! Who may enter whose tenant, and who sees what of whom: every pair, every route (S1, S4, S12 to S14, S16, S20, S78).

use std::collections::BTreeSet;

use procura_tests::{House, Person, claims};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, PAT, READ_BILLING, ROOT, SAM, TOM, credentials, patient_house};

/// Everybody who administers a tenant, and which one.
const ADMINS: &[(&str, &str)] = &[
    (TOM, "northwind"),
    (ADA, "acme-corp"),
    ("fay@fabrikam.test", "fabrikam"),
    ("cora@contoso.test", "contoso"),
    ("gil@globex.test", "globex"),
    ("ivy@initech.test", "initech"),
    ("uma@umbrella.test", "umbrella"),
];

/// Who trusts whom: a chain, a pair that trusts both ways, and one that everybody might use.
const TRUSTS: &[(&str, &str)] = &[
    ("initech", "northwind"),
    ("globex", "initech"),
    ("umbrella", "globex"),
    ("fabrikam", "umbrella"),
    ("umbrella", "fabrikam"),
    ("acme-corp", "globex"),
];

#[tokio::test]
async fn of_all_ordered_pairs_of_tenants_only_those_that_trust_are_entered() {
    let house = patient_house();
    let root = house.log_in(ROOT).await;
    for (trusting, trusted) in TRUSTS {
        let path = format!("/auth/admin/tenants/{trusting}/trust-tenant/{trusted}");
        assert!(matches!(root.put_bare(&path).await.status, 200 | 201), "{path}");
    }
    let mut entered = BTreeSet::new();
    for (email, own) in ADMINS {
        let admin = house.log_in(email).await;
        for target in ADMINS.iter().map(|(_, slug)| *slug).chain(["operator", "nowhere"]) {
            let answer = admin.exchange(target, READ_BILLING).await;
            let entry = root.entry_of(answer.request_id()).await;
            if answer.status == 200 {
                let token = claims(&answer.string("access_token"));
                assert_eq!(token["tenant"], house.tenant(target));
                assert_eq!(token["audit_actor_tenant"], house.tenant(own));
                assert_eq!(token["act"]["sub"], house.user(email));
                assert_eq!(entry["result"], "ok");
                entered.insert((target, *own));
            } else {
                answer.oauth_error(400, "invalid_target");
                assert_eq!(entry["result"], "refused", "{entry}");
            }
        }
    }
    let trusted: BTreeSet<_> = TRUSTS.iter().copied().collect();
    // Contoso has switched partners off, and nobody has asked it for trust.
    assert_eq!(entered, trusted);
}

/// What Ada could try on somebody else's things: the route, and what is in the way. `REL`, `USR` and `CLI` are
/// things of others.
pub const FOREIGN: &[(&str, &str)] = &[
    ("GET", "/api/v1/partner/relationships/REL"),
    ("PATCH", "/api/v1/partner/relationships/REL"),
    ("DELETE", "/api/v1/partner/relationships/REL"),
    ("GET", "/api/v1/partner/relationships/REL/history"),
    ("POST", "/api/v1/partner/relationships/REL/approve"),
    ("POST", "/api/v1/partner/relationships/REL/decline"),
    ("POST", "/api/v1/partner/relationships/REL/withdraw"),
    ("POST", "/api/v1/partner/relationships/REL/suspend"),
    ("POST", "/api/v1/partner/relationships/REL/resume"),
    ("POST", "/api/v1/partner/relationships/REL/extend"),
    ("PUT", "/api/v1/partner/relationships/REL/assigned-people"),
    ("POST", "/api/tenants/users/USR/disable"),
    ("POST", "/api/tenants/users/USR/enable"),
    ("GET", "/api/clients/CLI"),
    ("PATCH", "/api/clients/CLI"),
    ("DELETE", "/api/clients/CLI"),
    ("POST", "/api/clients/CLI/secrets"),
    ("POST", "/api/clients/CLI/disable"),
    ("POST", "/api/clients/CLI/enable"),
    ("GET", "/api/clients?tenant_id=TEN"),
    ("GET", "/auth/admin/tenants/TEN/manages-tenants"),
    ("GET", "/auth/admin/tenants/TEN/managed-by-tenants"),
    ("PUT", "/auth/admin/tenants/TEN/trust-tenant/acme-corp"),
    ("DELETE", "/auth/admin/tenants/TEN/trust-tenant/northwind"),
    ("GET", "/api/audit-logs?tenantId=TEN"),
    ("GET", "/api/resource-servers"),
    ("GET", "/api/resource-servers/CLI"),
    ("PATCH", "/api/resource-servers/CLI"),
    ("DELETE", "/api/resource-servers/CLI"),
];

/// A body with which the route would do something, for whoever may.
pub fn body(method: &str, path: &str) -> Option<Value> {
    let body = match path {
        _ if method == "PATCH" && path.contains("clients") => json!({"name": "taken over"}),
        _ if method == "PATCH" && path.contains("resource") => json!({"accepts_delegated": false}),
        _ if method == "PATCH" => json!({"access_role": "msp_support"}),
        _ if path.ends_with("extend") => json!({"ends_at": "2090-01-01T00:00:00Z"}),
        _ if path.ends_with("assigned-people") => json!({"user_ids": []}),
        _ => return None,
    };
    Some(body)
}

/// What others see of their own, to compare.
async fn state(root: &Person, globex: &Person) -> Vec<String> {
    let mut all = Vec::new();
    for path in ["/api/clients", "/api/resource-servers"] {
        all.push(root.get(path).await.expect(200).text.clone());
    }
    for path in [
        "/api/tenants/users",
        "/api/tenants/partner-access",
        "/auth/admin/tenants/globex/managed-by-tenants",
        "/auth/admin/tenants/globex/manages-tenants",
    ] {
        all.push(globex.get(path).await.expect(200).text.clone());
    }
    all
}

#[tokio::test]
async fn nobody_reads_or_changes_what_is_another_tenants() {
    let house = patient_house();
    let (root, ada) = (house.log_in(ROOT).await, house.log_in(ADA).await);
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let gil = house.log_in("gil@globex.test").await;
    let edge = house.demo().relationships["northwind>globex"].clone();
    let before = state(&root, &gil).await;
    for (method, route) in FOREIGN {
        for client in ["portal", "isp"] {
            let path = route
                .replace("REL", &edge)
                .replace("USR", house.user("gil@globex.test"))
                .replace("CLI", credentials(&house, client).0)
                .replace("TEN", "globex");
            // Another tenant's admin, and people of the partner without the role for it.
            let body = body(method, &path);
            for (who, is_side) in [(&ada, false), (&sam, true)] {
                let verb: Method = method.parse().unwrap();
                let answer = house.api(&who.home, verb, &path, body.as_ref()).await;
                assert!(matches!(answer.status, 403 | 404), "{method} {path}: {}", answer.text);
                let code = answer.string("code");
                assert!(
                    is_side || answer.status == 404 || path.contains("resource-servers"),
                    "{path}: {code}"
                );
                assert!(
                    !answer.text.contains("Globex") && !answer.text.contains("gil@"),
                    "{}",
                    answer.text
                );
            }
        }
    }
    assert_eq!(state(&root, &gil).await, before, "nothing of it had an effect");
    // Their own people are served.
    let path = format!("/api/v1/partner/relationships/{edge}");
    pat.get(&path).await.expect(200);
    gil.step(&format!("{path}/approve")).await.expect(200);
    assert_ne!(state(&root, &gil).await, before);
}

#[tokio::test]
async fn what_is_named_beside_the_own_thing_must_be_the_own_too() {
    let house = patient_house();
    let (pat, tom) = (house.log_in(PAT).await, house.log_in(TOM).await);
    let edge = house.relationship("northwind>acme-corp");
    let assign = format!("{edge}/assigned-people");
    for foreign in [house.user(ADA), house.user(ROOT), "usr_0123456789abcdef0123456789abcdef"] {
        let mixed = json!({"user_ids": [house.user(SAM), foreign]});
        let answer = pat.put(&assign, &mixed).await;
        assert!(matches!(answer.status, 400 | 404), "{}", answer.text);
    }
    assert!(pat.get(&edge).await.expect(200).json()["assigned_to"].is_null(), "nothing of it");
    pat.put(&assign, &json!({"user_ids": [house.user(SAM)]})).await.expect(200);
    // A client of one's own for another tenant.
    let machine = json!({"name": "A machine", "tenant_id": "acme-corp", "grant_types": [],
        "redirect_uris": []});
    tom.post("/api/clients", &machine).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_cursor_is_a_place_in_ones_own_list_and_nothing_else() {
    let house = patient_house();
    let (root, ada) = (house.log_in(ROOT).await, house.log_in(ADA).await);
    house.log_in("gil@globex.test").await;
    for forged in [
        "1%20OR%201=1",
        "1;DROP%20TABLE%20audit",
        "1'--",
        "-1",
        "9223372036854775808",
        "1e9",
        "0x10",
        "1,2",
        "%E2%80%8B1",
        "null",
        "true",
        "[]",
        "1%00",
    ] {
        for name in ["cursor", "limit"] {
            let answer = ada.get(&format!("/api/audit-logs?{name}={forged}")).await;
            answer.problem(400, "invalid_request");
        }
    }
    for meta in ["%25", "'%20OR%20'1'='1", "login'--", "_", "*"] {
        for name in ["action", "resourceType"] {
            let listed = ada.get(&format!("/api/audit-logs?{name}={meta}")).await;
            assert!(listed.status == 400 || listed.text == "[]", "{name}={meta}: {}", listed.text);
        }
    }
    // Another tenant's place leads on in the own list alone.
    let all = root.get("/api/audit-logs?limit=1000").await.expect(200).json();
    let own = house.tenant("acme-corp");
    for entry in all.as_array().unwrap() {
        let seq = &entry["seq"];
        let listed = ada.get(&format!("/api/audit-logs?limit=5&cursor={seq}")).await;
        for seen in listed.expect(200).json().as_array().unwrap() {
            let is_own = seen["target_tenant_id"] == own || seen["actor_tenant_id"] == own;
            assert!(is_own, "{seen}");
        }
    }
}

#[tokio::test]
async fn a_leaked_token_is_nobody_elses_to_ask_about_or_to_end() {
    let house: House = patient_house();
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let (id, secret) = credentials(&house, "isp");
    for leaked in [&token, &pat.home] {
        let form = [("token", leaked.as_str())];
        let request = super::http().post(super::at(&house, "/oauth2/revoke"));
        let answer = super::send(request.basic_auth(id, Some(secret)).form(&form)).await;
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text);
    }
    for name in ["jti", "sid", "dlg"] {
        let leaked = claims(&token)[name].as_str().unwrap().to_owned();
        house.revoke(&leaked).await.expect(200);
        assert!(!house.is_alive(&leaked).await);
    }
    assert!(house.is_alive(&token).await && super::is_good_at_home(&house, &pat.home).await);
    house.revoke(&token).await.expect(200);
    assert!(!house.is_alive(&token).await, "its own client ends it");
}
