//! A partner sets a customer up in one request; the customer's admin comes in by an invitation.

use std::{fs, os::unix::fs::PermissionsExt};

use procura_tests::{Answer, House, Isp, Person, Visitor, eventually, form};
use serde_json::{Value, json};

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

#[tokio::test]
async fn a_customer_that_cannot_be_set_up_leaves_nothing_behind() {
    let house = House::on_a_file();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(super::ROOT).await);
    let read = async |person: &Person, path: &str| person.get(path).await.expect(200).json();
    let before = read(&pat, TENANTS).await;
    let taken = json!({ "name": "Halfway House", "admin_email": super::ADA });
    pat.post(TENANTS, &taken).await.problem(409, "conflict");

    // Nothing of it is in any table, nor said to anybody.
    let backup = house.data().join("backup");
    let kept = || {
        let made = house.command(&["backup", "create", "--to", backup.to_str().unwrap()]);
        assert!(made.status.success(), "{made:?}");
        let files =
            fs::read_dir(&backup).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        let all =
            files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<String>();
        fs::remove_dir_all(&backup).unwrap();
        all
    };
    let all = kept();
    assert!(all.contains("acme-corp") && !all.contains("halfway-house"), "a row is left");
    assert!(!all.contains("Halfway House") && !all.contains("tenant.provision"));
    assert_eq!(read(&pat, TENANTS).await, before);
    let listed = read(&root, "/api/audit-logs?action=tenant.provision").await;
    assert_eq!(listed, json!([]));
    let mails = fs::read_dir(house.data().join("mail")).into_iter().flatten();
    assert_eq!(mails.count(), 0, "nobody was written to");

    // The honest twin has the name that is still free, and the same look finds it.
    let good = json!({ "name": "Halfway House", "admin_email": EMAIL });
    assert_eq!(pat.post(TENANTS, &good).await.expect(201).string("slug"), "halfway-house");
    let all = kept();
    assert!(all.contains("halfway-house") && all.contains("tenant.provision"));
}

/// A customer that Pat has just set up: its slug, its first admin, and the link for that person.
async fn set_up(house: &House, pat: &Person) -> (String, String, String) {
    let new = json!({ "name": "Zenith Ltd", "admin_email": EMAIL, "access_role": "msp_full" });
    let made = pat.post(TENANTS, &new).await;
    let made = made.expect(201).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let admin = text(&made["admin"]["id"]);
    let link = mailed_link(house, &admin);
    (text(&made["slug"]), admin, link)
}

#[tokio::test]
async fn the_first_admin_says_what_becomes_of_the_partners_access() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let (slug, admin, link) = set_up(&house, &pat).await;
    let token = pat.switch(&slug, READ_BILLING).await;
    let visitor = house.visitor();
    let page = visitor.visit(&link).await;
    let asked = page.expect(200).text.clone();
    for words in ["Northwind", "msp_full", "partner.billing.read", "What shall become of it?"] {
        assert!(asked.contains(words), "{words}: {asked}");
    }
    // Nothing is chosen beforehand, and without an answer nobody becomes the admin.
    let blank = form(&asked, "invitation-form").with("password", PASSWORD);
    for choice in [None, Some("everything"), Some("")] {
        let sent = match choice {
            Some(choice) => blank.clone().press("partner_access", choice),
            None => blank.clone(),
        };
        let again = visitor.submit(&sent).await;
        assert!(again.expect(400).text.contains("Say what shall become"), "{choice:?}");
    }
    isp.get(&token, BILLING).await.expect(200);

    let done = visitor.submit(&blank.press("partner_access", "end")).await;
    assert!(done.expect(200).text.contains("Your password is set"));
    eventually("the resource server has heard of it", async || {
        (isp.get(&token, BILLING).await.status == 401).then_some(())
    })
    .await;
    not_available(&pat.exchange(&slug, READ_BILLING).await);
    let zoe = house.visitor().log_in(EMAIL, PASSWORD).await;
    let log = zoe.get("/api/audit-logs?action=relationship.end").await.expect(200).json();
    assert_eq!(log[0]["actor_user_id"], admin);
}

#[tokio::test]
async fn narrow_lets_the_partner_read_until_the_customer_says_more() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let (slug, _, link) = set_up(&house, &pat).await;
    let visitor = house.visitor();
    let page = visitor.visit(&link).await;
    let sent = form(&page.expect(200).text, "invitation-form")
        .with("password", "short")
        .press("partner_access", "narrow");
    // What was chosen is still there when only the password has to be taken again.
    let again = visitor.submit(&sent).await;
    let again = form(&again.expect(400).text, "invitation-form").with("password", PASSWORD);
    assert!(again.fields.contains(&("partner_access".to_owned(), "narrow".to_owned())));
    visitor.submit(&again).await.expect(200);
    pat.switch(&slug, READ_BILLING).await;
    let write = "partner.support.tickets.create";
    pat.exchange(&slug, write).await.oauth_error(400, "invalid_scope");

    let zoe = house.visitor().log_in(EMAIL, PASSWORD).await;
    let links = zoe.get(&format!("/auth/admin/tenants/{slug}/managed-by-tenants")).await;
    let edge = links.expect(200).json()[0].clone();
    assert_eq!(edge["access"], "restricted");
    let path =
        format!("/api/v1/partner/relationships/{}", edge["relationship_id"].as_str().unwrap());
    let history = zoe.get(&format!("{path}/history")).await.expect(200).json();
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["side"], &last["action"]),
        (&json!("customer"), &json!("relationship.access"))
    );
    zoe.patch(&path, &json!({ "access": "on" })).await.expect(200);
    pat.switch(&slug, write).await;
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
    visitor.submit(&form.press("partner_access", "keep")).await
}
