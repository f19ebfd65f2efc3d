//! A partner sets a customer up in one request; the customer's admin comes in by an invitation.

use std::{fs, os::unix::fs::PermissionsExt};

use procura_tests::{Answer, House, Isp, Visitor, form};
use serde_json::json;

use super::{BILLING, PAT, READ_BILLING, SAM, not_available, works};

const TENANTS: &str = "/api/partners/tenants";
const EMAIL: &str = "zoe@zenith.test";
const PASSWORD: &str = "four unrelated words";

#[tokio::test]
async fn a_partner_sets_a_customer_up_and_its_admin_takes_over() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let new = json!({ "name": "Zenith Ltd", "admin_email": EMAIL, "access_role": "msp_full" });
    let made = pat.post(TENANTS, &new).await;
    made.expect(201);
    assert_eq!(
        (made.string("slug"), made.string("status")),
        ("zenith-ltd".into(), "active".into())
    );
    assert_eq!(made.json()["admin"]["status"], "invited");
    // The invitation is not in the partner's hands.
    let link = mailed_link(&house, made.json()["admin"]["id"].as_str().unwrap());
    let secret = link.split("token=").nth(1).unwrap().to_owned();
    assert!(!made.text.contains(&secret));
    let log = pat.get("/api/audit-logs").await.text;
    assert!(!log.contains(&secret) && log.contains("tenant.provision"));
    // Tenant and relationship came in one go.
    let token = pat.switch("zenith-ltd", READ_BILLING).await;
    isp.get(&token, BILLING).await.expect(200);
    let (page, _) = house.visitor().try_log_in(EMAIL, PASSWORD).await;
    assert_eq!(page.status, 401, "nobody logs in before the password is set");

    let visitor = house.visitor();
    let second = form(&visitor.visit(&link).await.expect(200).text, "invitation-form");
    assert_eq!(accept(&visitor, &link, "too short").await.status, 400);
    let done = accept(&visitor, &link, PASSWORD).await;
    assert!(done.expect(200).text.contains("Your password is set"), "{}", done.text);
    // It works once; whoever opens it again, or one that never was, is told so at once.
    for link in [link.clone(), format!("{link}x")] {
        let over = house.visitor().visit(&link).await;
        assert!(over.expect(400).text.contains("no longer good"), "{}", over.text);
    }
    let again = visitor.submit(&second.with("password", "another good password")).await;
    assert_eq!(again.status, 400, "nor by a form from before");
    let (page, _) = house.visitor().try_log_in(EMAIL, "another good password").await;
    assert_eq!(page.status, 401);

    let zoe = house.visitor().log_in(EMAIL, PASSWORD).await;
    let links = zoe.get("/auth/admin/tenants/zenith-ltd/managed-by-tenants").await;
    let links = links.expect(200).json();
    assert_eq!(links[0]["tenant_id"], house.tenant("northwind"));
    assert_eq!(
        (&links[0]["origin"], &links[0]["access_role"]),
        (&json!("provisioned"), &json!("msp_full"))
    );
    // And the customer has the last word from the first day.
    let off =
        zoe.put("/api/tenants/partner-access?confirm=applied", &json!({ "mode": "off" })).await;
    off.expect(200);
    isp.get(&token, BILLING).await.expect(401);
    not_available(&pat.exchange("zenith-ltd", READ_BILLING).await);
}

#[tokio::test]
async fn only_partner_admins_set_customers_up_and_names_may_repeat() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let new = |email: &str| json!({ "name": "Acme Corp", "admin_email": email });
    sam.post(TENANTS, &new("a@x.test")).await.problem(403, "forbidden");
    let made = pat.post(TENANTS, &new("a@x.test")).await;
    let slug = made.expect(201).string("slug");
    assert!(slug.starts_with("acme-corp-"), "{slug}");
    // What nobody asked for is not given: support, and no billing.
    pat.exchange(&slug, READ_BILLING).await.oauth_error(400, "invalid_scope");
    let token = pat.switch(&slug, "partner.support.tickets.list").await;
    works(&isp.get(&token, super::TICKETS).await);
    // A person is one person: the address is taken, the rest is not half done.
    assert_eq!(pat.post(TENANTS, &new("a@x.test")).await.status, 409);
    let bad = [
        json!({ "name": "", "admin_email": "b@x.test" }),
        json!({ "name": "x", "admin_email": "not an address" }),
        json!({ "name": "x", "admin_email": "b@x.test", "more": 1 }),
        json!({ "name": "x" }),
    ];
    for body in bad {
        assert_eq!(pat.post(TENANTS, &body).await.status, 400, "{body}");
    }
    let listed = pat.get(TENANTS).await.expect(200).json();
    let acmes = listed.as_array().unwrap().iter().filter(|c| c["name"] == "Acme Corp").count();
    assert_eq!(acmes, 2);
}

/// The link in the mail, which only the server's own account can read.
fn mailed_link(house: &House, admin: &str) -> String {
    let file = house.data().join("mail").join(format!("invitation-{admin}.eml"));
    let mode = fs::metadata(&file).expect("a mail").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mail = fs::read_to_string(&file).unwrap();
    assert!(mail.contains(&format!("To: {EMAIL}\n")), "{mail}");
    let link = mail.lines().find(|line| line.starts_with("http")).expect("a link");
    assert!(link.starts_with(&format!("{}/invitation?token=", house.issuer())), "{link}");
    link.to_owned()
}

/// Opens the link and sets a password, as its page asks for it.
async fn accept(visitor: &Visitor, link: &str, password: &str) -> Answer {
    let page = visitor.visit(link).await;
    let form = form(&page.expect(200).text, "invitation-form").with("password", password);
    visitor.submit(&form).await
}
