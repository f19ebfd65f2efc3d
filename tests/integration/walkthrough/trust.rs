//! Trust leads one way, and ends when the tenant that trusts says so.

use procura_tests::{House, Isp, Person, claims};

use super::{BILLING, PAT, READ_BILLING, ROOT, TOM, dead, not_available, works};

const IVY: &str = "ivy@initech.test";
const TRUST: &str = "/auth/admin/tenants/initech/trust-tenant/northwind";

#[tokio::test]
async fn trust_leads_one_way_and_for_tenant_admins_only() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (tom, ivy) = (house.log_in(TOM).await, house.log_in(IVY).await);
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);

    let token = tom.switch("initech", READ_BILLING).await;
    let shown = claims(&token);
    assert_eq!(shown["tenant"], house.tenant("initech"));
    assert_eq!(shown["audit_actor_tenant"], house.tenant("northwind"));
    assert_eq!(shown["act"]["sub"], house.user(TOM));
    works(&isp.get(&token, BILLING).await);

    for tenant in ["northwind", house.tenant("northwind")] {
        let back = ivy.exchange(tenant, READ_BILLING).await;
        not_available(&back);
        assert_eq!(root.reason_of(back.request_id()).await, "no_relationship");
    }
    let other_role = pat.exchange("initech", READ_BILLING).await;
    not_available(&other_role);
    assert_eq!(root.reason_of(other_role.request_id()).await, "role_not_covered");
    // Nor is it transitive: what Northwind manages is not Initech's to enter, nor the other way.
    not_available(&ivy.exchange("acme-corp", READ_BILLING).await);
    not_available(&tom.exchange("acme-corp", READ_BILLING).await);
    not_available(&tom.exchange("umbrella", READ_BILLING).await);
}

#[tokio::test]
async fn trust_taken_back_is_gone_everywhere_and_put_again_revives_nothing() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (tom, ivy) = (house.log_in(TOM).await, house.log_in(IVY).await);
    let token = tom.switch("initech", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    assert!(is_listed(&house, &tom, &ivy).await);

    for _ in 0..2 {
        ivy.delete(&format!("{TRUST}?confirm=applied")).await.expect(204);
        dead(&isp, &token).await;
        not_available(&tom.exchange("initech", READ_BILLING).await);
        assert!(!is_listed(&house, &tom, &ivy).await);
    }
    let made = ivy.put_bare(TRUST).await;
    let id = made.expect(201).string("id");
    assert_eq!((made.string("kind"), made.string("state")), ("trust".into(), "active".into()));
    assert_eq!(made.string("partner_id"), house.tenant("northwind"));
    assert_eq!(made.string("customer_id"), house.tenant("initech"));
    assert_eq!(ivy.put_bare(TRUST).await.expect(200).string("id"), id, "the same, once more");
    let fresh = tom.switch("initech", READ_BILLING).await;
    works(&isp.get(&fresh, BILLING).await);
    dead(&isp, &token).await;
    assert!(!house.is_alive(&token).await);
    assert!(is_listed(&house, &tom, &ivy).await);
    // Ids do as well as slugs.
    let (customer, partner) = (house.tenant("initech"), house.tenant("northwind"));
    let path = format!("/auth/admin/tenants/{customer}/trust-tenant/{partner}");
    assert_eq!(ivy.put_bare(&path).await.expect(200).string("id"), id);
    ivy.delete(&format!("{path}?confirm=applied")).await.expect(204);
    dead(&isp, &fresh).await;
}

#[tokio::test]
async fn nobody_makes_another_tenant_trust_anybody() {
    let house = House::start();
    let (tom, ivy) = (house.log_in(TOM).await, house.log_in(IVY).await);
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let (initech, umbrella) = (house.tenant("initech"), house.tenant("umbrella"));
    let northwind = house.tenant("northwind");
    let trust = |a: &str, b: &str| format!("/auth/admin/tenants/{a}/trust-tenant/{b}");

    ivy.put_bare(&trust(initech, initech)).await.problem(400, "invalid_request");
    ivy.put_bare(&trust("initech", "initech")).await.problem(400, "invalid_request");
    // A foreign tenant: there is no such thing, whether there is or not.
    for path in [trust(umbrella, initech), trust("umbrella", "initech"), trust("nobody", "initech")]
    {
        ivy.put_bare(&path).await.problem(404, "not_found");
        ivy.delete(&path).await.problem(404, "not_found");
    }
    // The trusted side cannot trust itself into another tenant, nor keep the trust alive.
    tom.put_bare(TRUST).await.problem(404, "not_found");
    tom.put_bare(&trust("acme-corp", "northwind")).await.problem(404, "not_found");
    // Somebody of the tenant without the role may know, and may not.
    pat.put_bare(&trust("northwind", "acme-corp")).await.problem(403, "forbidden");
    // A delegated token is nobody here, not even with everything that a trust can give.
    let token = tom.switch("initech", "").await;
    let answer = house.api(&token, reqwest::Method::PUT, &trust(initech, umbrella), None).await;
    answer.problem(401, "unauthenticated");
    // The operator can do what the tenant can.
    root.put_bare(&trust("umbrella", "northwind")).await.expect(201);
    root.delete(&trust(umbrella, northwind)).await.expect(204);
}

/// Both sides see the link, or neither does as an active one.
async fn is_listed(house: &House, tom: &Person, ivy: &Person) -> bool {
    let look = async |person: &Person, path: &str, other: &str| {
        let links = person.get(path).await.expect(200).json();
        let links = links.as_array().expect("a list").clone();
        links.iter().any(|link| {
            link["tenant_id"] == house.tenant(other)
                && link["kind"] == "trust"
                && link["is_active"] == true
        })
    };
    let out = look(tom, "/auth/admin/tenants/northwind/manages-tenants", "initech").await;
    let into = look(ivy, "/auth/admin/tenants/initech/managed-by-tenants", "northwind").await;
    let customers = tom.get("/api/v1/partner/customers").await.expect(200).json();
    let customers = customers.as_array().unwrap().iter();
    let mut trusts = customers.filter(|customer| customer["kind"] == "trust");
    let is_customer = trusts.any(|c| c["id"] == house.tenant("initech") && c["is_active"] == true);
    assert_eq!((out, is_customer), (into, into), "the lists contradict each other");
    into
}
