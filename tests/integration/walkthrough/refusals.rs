//! Tenants that Pat may not enter: one answer for all, one true reason each.

use std::collections::BTreeSet;

use procura_tests::{House, Person, claims, exchange_form};

use super::{PAT, READ_BILLING, ROOT, TOM};

const MADE_UP_ID: &str = "ten_0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn nobody_learns_why_a_tenant_cannot_be_entered_nor_whether_it_exists() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let reasons = [
        ("contoso", "partner_access_off"),
        ("globex", "relationship_requested"),
        ("umbrella", "no_relationship"),
        ("initech", "role_not_covered"),
        ("operator", "partner_access_off"),
        ("northwind", "tenant_is_home"),
    ];
    let mut asked: Vec<(&str, &str)> = vec![
        (MADE_UP_ID, "tenant_unknown"),
        ("no-such-tenant", "tenant_unknown"),
        ("ten_", "tenant_unknown"),
        ("TEN_0123456789ABCDEF0123456789ABCDEF", "tenant_unknown"),
        ("'or'1'='1", "tenant_unknown"),
    ];
    for (slug, reason) in reasons {
        // Without an edge, the operator's switch is never looked at.
        let reason = if slug == "operator" { "no_relationship" } else { reason };
        asked.push((slug, reason));
        asked.push((house.tenant(slug), reason));
    }

    let (mut all_shown, mut all_shapes) = (BTreeSet::new(), BTreeSet::new());
    for (tenant, reason) in &asked {
        let answer = house.token_raw(&exchange_form(&pat.home, tenant, READ_BILLING)).await;
        assert!(answer.shown.starts_with("HTTP/1.1 400 Bad Request\n"), "{}", answer.shown);
        assert!(answer.shown.contains("\"invalid_target\""), "{}", answer.shown);
        all_shown.insert(answer.shown);
        // The operator sees the true reason, the partner's own view neither that nor the target.
        assert_eq!(root.reason_of(&answer.request_id).await, *reason, "{tenant}");
        let seen = pat.entry_of(&answer.request_id).await;
        let is_home = *reason == "tenant_is_home";
        assert_eq!(seen["reason"], if is_home { *reason } else { "target_not_available" });
        assert!(is_home || seen["target_tenant_id"].is_null(), "{seen}");
        assert!(seen["relationship_id"].is_null(), "{seen}");
        if !is_home {
            // Not even by what is left empty.
            let filled = seen.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
            let mut shape: Vec<_> = filled.map(|(name, _)| name.clone()).collect();
            let details = seen["details"].as_object().unwrap();
            shape.extend(details.keys().map(|name| format!("details.{name}")));
            all_shapes.insert(shape);
        }
        assert_eq!(seen["details"]["requested_tenant"], *tenant, "what she typed herself");
    }
    assert_eq!(all_shown.len(), 1, "{all_shown:#?}");
    assert_eq!(all_shapes.len(), 1, "{all_shapes:#?}");
    assert_no_reason_shows(&pat).await;
}

/// Other ways to ask for the same tenants must not tell more.
#[tokio::test]
async fn a_purpose_a_scope_or_an_audience_makes_no_difference() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let more: [&[(&str, &str)]; 4] = [
        &[("purpose", "support")],
        &[("purpose", "support"), ("purpose_ref", "TCK-1")],
        &[("audience", "http://127.0.0.1:5100")],
        &[("resource", "http://127.0.0.1:5100")],
    ];
    for scope in ["", READ_BILLING, "pii.unmask", "tenant.relationships.write nonsense"] {
        for more in more {
            let mut all_shown = BTreeSet::new();
            for tenant in ["contoso", "globex", "umbrella", "initech", "northwind", MADE_UP_ID] {
                let mut form = exchange_form(&pat.home, tenant, scope);
                form.extend_from_slice(more);
                all_shown.insert(house.token_raw(&form).await.shown);
            }
            assert_eq!(all_shown.len(), 1, "{scope} {more:?}: {all_shown:#?}");
        }
    }
    // An audience that is nobody's is no target either.
    let unknown = pat.exchange_with("acme-corp", "", &[("audience", "https://x.test")]).await;
    let closed = pat.exchange("contoso", "").await;
    assert_eq!((unknown.status, &unknown.text), (closed.status, &closed.text));
}

#[tokio::test]
async fn the_lists_of_a_partner_tell_no_more_than_the_exchange() {
    let house = House::start();
    let (pat, tom) = (house.log_in(PAT).await, house.log_in(TOM).await);
    // Umbrella and the operator are strangers: they are in no list, and no path leads to them.
    for person in [&pat, &tom] {
        for path in ["/api/v1/partner/customers", "/api/partners/tenants"] {
            let text = person.get(path).await.expect(200).text.clone();
            for stranger in ["umbrella", "operator"] {
                assert!(!text.contains(house.tenant(stranger)), "{text}");
            }
        }
        let answers = ["umbrella", house.tenant("umbrella"), "no-such-tenant", MADE_UP_ID];
        for tenant in answers {
            let path = format!("/auth/admin/tenants/{tenant}/managed-by-tenants");
            person.get(&path).await.problem(404, "not_found");
        }
    }
    let unknown = "/api/v1/partner/relationships/rel_0123456789abcdef0123456789abcdef";
    pat.get(unknown).await.problem(404, "not_found");
    // A relationship of strangers does not exist for others.
    let fay = house.log_in("fay@fabrikam.test").await;
    fay.get(&house.relationship("northwind>acme-corp")).await.problem(404, "not_found");
    fay.delete(&house.relationship("northwind>acme-corp")).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_customer_sees_who_tried_the_door_that_it_had_closed() {
    let house = House::start();
    let (pat, cora) = (house.log_in(PAT).await, house.log_in("cora@contoso.test").await);
    let refused = pat.exchange("contoso", READ_BILLING).await;
    let activity = cora.get("/api/tenants/partner-activity").await.expect(200).json();
    let entry = &activity[0];
    assert_eq!(entry["request_id"], refused.request_id());
    assert_eq!(
        (&entry["result"], &entry["reason"]),
        (&"refused".into(), &"partner_access_off".into())
    );
    assert_eq!(entry["actor_name"], "Pat Partner");
    // A stranger's attempt at one tenant is no other tenant's business.
    let ada = house.log_in(super::ADA).await;
    let activity = ada.get("/api/tenants/partner-activity").await.expect(200).json();
    assert_eq!(activity.as_array().unwrap().len(), 0, "{activity}");
}

#[tokio::test]
async fn a_home_token_names_the_tenants_that_its_person_may_enter() {
    let house = House::start();
    let named = async |email: &str| {
        let mut ids: Vec<String> = serde_json::from_value(
            claims(&house.log_in(email).await.home)["managed_tenant_ids"].clone(),
        )
        .unwrap_or_default();
        ids.sort();
        ids
    };
    let ids = |slugs: &[&str]| {
        let mut ids: Vec<_> = slugs.iter().map(|slug| house.tenant(slug).to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(named(PAT).await, ids(&["acme-corp", "fabrikam"]));
    assert_eq!(named(TOM).await, ids(&["initech"]));
    assert_eq!(named("ivy@initech.test").await, ids(&[]));
}

/// None of the words that only the customer and the operator may read.
async fn assert_no_reason_shows(partner: &Person) {
    let log = partner.get("/api/audit-logs").await.expect(200).text.clone();
    for reason in
        ["partner_access_off", "relationship_requested", "no_relationship", "tenant_unknown"]
    {
        assert!(!log.contains(reason), "{reason} shows in {log}");
    }
}
