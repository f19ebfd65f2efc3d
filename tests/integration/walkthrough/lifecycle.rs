//! Relationships end, stop and go on: what one side stopped, only that side lets go on.

use procura_tests::{House, Isp, Person};

use super::{
    ADA, BILLING, PAT, READ_BILLING, ROOT, applied_everywhere, dead, not_available, works,
};

const EDGE: &str = "northwind>acme-corp";

#[tokio::test]
async fn what_the_customer_ended_is_over_for_good() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    let edge = house.relationship(EDGE);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);

    let ended = ada.delete(&format!("{edge}?confirm=applied")).await;
    applied_everywhere(&ended);
    assert_eq!(ended.json()["relationship"]["state"], "ended");
    dead(&isp, &token).await;
    let refused = pat.exchange("acme-corp", READ_BILLING).await;
    not_available(&refused);
    assert_eq!(root.reason_of(refused.request_id()).await, "relationship_ended");
    // No step leads back, for nobody, and each says where it stands.
    for person in [&pat, &ada, &root] {
        for step in ["resume", "suspend"] {
            let about = person.step(&format!("{edge}/{step}")).await.problem(409, "wrong_state");
            assert_eq!(about.as_deref(), Some("ended"));
        }
        assert_eq!(
            person.delete(&edge).await.problem(409, "wrong_state").as_deref(),
            Some("ended")
        );
    }
    dead(&isp, &token).await;
}

#[tokio::test]
async fn what_the_partner_suspended_only_the_partner_resumes() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    suspend_and_resume(&house, &isp, &pat, (&pat, "partner"), &[&ada, &root]).await;
}

#[tokio::test]
async fn what_the_customer_suspended_only_the_customer_resumes() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    suspend_and_resume(&house, &isp, &pat, (&ada, "customer"), &[&pat, &root]).await;
}

#[tokio::test]
async fn what_the_operator_suspended_only_the_operator_resumes() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    suspend_and_resume(&house, &isp, &pat, (&root, "operator"), &[&pat, &ada]).await;
}

async fn suspend_and_resume(
    house: &House,
    isp: &Isp,
    pat: &Person,
    (who, side): (&Person, &str),
    others: &[&Person],
) {
    let edge = house.relationship(EDGE);
    let root = house.log_in(ROOT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    let suspended = who.step(&format!("{edge}/suspend?confirm=applied")).await;
    applied_everywhere(&suspended);
    dead(isp, &token).await;
    let refused = pat.exchange("acme-corp", READ_BILLING).await;
    not_available(&refused);
    assert_eq!(root.reason_of(refused.request_id()).await, "relationship_suspended");
    // The customer and the operator see who it was; the partner, only whether it was the partner.
    let ada = house.log_in(ADA).await;
    assert_eq!(ada.get(&edge).await.string("suspended_by"), side);
    let seen = pat.get(&edge).await.json()["suspended_by"].clone();
    assert_eq!(seen.as_str(), (side == "partner").then_some("partner"));

    for other in others {
        other.step(&format!("{edge}/resume")).await.problem(403, "forbidden");
    }
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    let resumed = who.step(&format!("{edge}/resume")).await;
    assert_eq!(resumed.expect(200).string("state"), "active");
    assert_eq!(
        who.step(&format!("{edge}/resume")).await.problem(409, "wrong_state").as_deref(),
        Some("active")
    );
    let fresh = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&fresh, BILLING).await);
    dead(isp, &token).await;
}
