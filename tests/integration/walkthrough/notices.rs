//! Admins hear by mail what they should know: that a relationship ends, and that somebody waits to be let in.

use std::fs;

use procura_tests::{House, HouseOptions, eventually};
use procura_token::Ts;
use serde_json::json;

use super::{ADA, PAT, READ_BILLING, ROOT};

/// The mails with this subject, sorted.
fn mails(house: &House, subject: &str) -> Vec<String> {
    let files = fs::read_dir(house.data().join("mail")).into_iter().flatten();
    let files = files.map(|file| file.expect("a file").path());
    let mails = files.filter(|path| path.extension().is_some_and(|end| end == "eml"));
    let mut mails: Vec<_> = mails
        .filter_map(|path| fs::read_to_string(path).ok())
        .filter(|text| text.contains(&format!("\nSubject: {subject}\n\n")))
        .collect();
    mails.sort();
    mails
}

#[tokio::test]
async fn admins_hear_of_an_end_that_comes_and_of_whoever_waits_once() {
    let options = HouseOptions { is_restarted: true, ..HouseOptions::default() };
    let mut house = House::start_with(options);
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship("northwind>acme-corp");
    ada.patch(&edge, &json!({ "approval": "each_time" })).await.expect(200);
    let asked = pat.exchange("acme-corp", READ_BILLING).await;
    asked.oauth_error(400, "authorization_pending");
    // Some hours after the request lapses.
    let listed = ada.get("/api/tenants/access-requests").await.expect(200).json();
    let lapses = Ts::parse_rfc3339(listed[0]["lapses_at"].as_str().expect("a time"));
    let soon = lapses.expect("a time").plus_secs(36_000);
    ada.patch(&edge, &json!({ "ends_at": soon.rfc3339() })).await.expect(200);

    // Each node looks at its start, and each minute.
    for _ in 0..2 {
        house.stop();
        house.start_again();
        let (ends, waits) = eventually("the mails", async || {
            let found = (
                mails(&house, "A relationship ends soon"),
                mails(&house, "Somebody waits to be let in"),
            );
            (found.0.len() >= 2 && !found.1.is_empty()).then_some(found)
        })
        .await;
        assert_eq!((ends.len(), waits.len()), (2, 1), "{ends:?} {waits:?}");
        assert!(ends[0].starts_with(&format!("To: {ADA}\n")) && ends[0].contains("Northwind MSP"));
        assert!(ends[1].starts_with(&format!("To: {PAT}\n")) && ends[1].contains("Acme Corp"));
        assert!(ends.iter().all(|mail| mail.contains(&soon.rfc3339())), "{ends:?}");
        assert!(waits[0].starts_with(&format!("To: {ADA}\n")), "{waits:?}");
    }
    let root = house.log_in(ROOT).await;
    for (person, action) in [
        (&ada, "relationship.notice"),
        (&ada, "access_request.notice"),
        (&root, "relationship.notice"),
    ] {
        let found =
            person.get(&format!("/api/audit-logs?action={action}")).await.expect(200).json();
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
        assert_eq!(found[0]["target_tenant_id"], house.tenant("acme-corp"));
        assert!(found[0]["actor_user_id"].is_null(), "nobody did it");
    }
}
