//! Notices to admins before a relationship ends, with a moved clock.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod world;

use procura_domain::{
    Access, Relationship, RelationshipKind, RelationshipRole, RelationshipState, StandardClaims,
    TenantStatus, UserRole,
    relationship::{Approval, Conditions, Origin},
};
use procura_issuer::Issuer;
use procura_store::{
    audit::Filter,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{RelationshipId, TenantId, Ts, UserId};

use world::{DAY, START, World};

const PARTNER: TenantId = TenantId::from_bits(1);
const CUSTOMER: TenantId = TenantId::from_bits(2);

fn edge(ends_at: Option<Ts>, renews_for_days: Option<u32>) -> Relationship {
    Relationship {
        id: RelationshipId::from_bits(3),
        partner: PARTNER,
        customer: CUSTOMER,
        kind: RelationshipKind::Manages,
        origin: Origin::Requested,
        role: RelationshipRole::MspFull,
        custom_permissions: None,
        state: RelationshipState::Active,
        suspended_by: None,
        starts_at: None,
        ends_at,
        renews_for_days,
        access: Access::On,
        approval: Approval::Standing,
        conditions: Conditions::default(),
        version: 1,
    }
}

async fn node_with(world: &World, edge: &Relationship) -> Issuer {
    let issuer = world.node().await;
    let mut tx = issuer.store().begin(START).await.unwrap();
    let people = [
        (PARTNER, "pat@partner.test", UserRole::PartnerAdmin, UserStatus::Active),
        (CUSTOMER, "ada@customer.test", UserRole::TenantAdmin, UserStatus::Active),
        (CUSTOMER, "gone@customer.test", UserRole::TenantAdmin, UserStatus::Disabled),
        (CUSTOMER, "member@customer.test", UserRole::Member, UserStatus::Active),
    ];
    for id in [PARTNER, CUSTOMER] {
        tx.insert_tenant(&Tenant {
            id,
            slug: id.to_string(),
            name: "A\nBcc: somebody@else.test".into(),
            status: TenantStatus::Active,
            plan: "standard".into(),
            partner_access: Access::On,
            partner_code: id.to_string(),
            created_at: START,
        })
        .await
        .unwrap();
    }
    for (number, (tenant, email, role, status)) in (10..).zip(people) {
        tx.insert_user(&User {
            id: UserId::from_bits(number),
            tenant,
            name: email.into(),
            email: email.into(),
            roles: vec![role],
            status,
            password_hash: None,
            ends_at: None,
            claims: StandardClaims::default(),
            created_at: START,
            changed_at: START,
        })
        .await
        .unwrap();
    }
    tx.insert_relationship(edge, None).await.unwrap();
    tx.commit().await.unwrap();
    issuer
}

/// The mails that were put out, and then taken away.
fn mails(world: &World) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(world.folder.join("mail")) else { return Vec::new() };
    let mut mails: Vec<_> = folder
        .map(|file| {
            let path = file.unwrap().path();
            assert_eq!(path.extension().unwrap(), "eml", "nothing is left half done");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            text
        })
        .collect();
    mails.sort();
    mails
}

#[tokio::test]
async fn admins_of_both_sides_hear_30_7_and_1_days_before_the_end_once_each() {
    let world = World::new();
    let one = node_with(&world, &edge(Some(START.plus_secs(40 * DAY)), None)).await;
    let other = world.node().await;
    let mut told = Vec::new();
    for day in 0..=41 {
        // Both at once, in one folder; and once more.
        let (here, there) = tokio::join!(one.send_notices(), other.send_notices());
        here.and(there).unwrap();
        one.send_notices().await.unwrap();
        let mails = mails(&world);
        if !mails.is_empty() {
            assert_eq!(mails.len(), 2, "{mails:?}");
            assert!(
                mails[0].starts_with("To: ada@customer.test\nSubject: A relationship ends soon\n")
            );
            assert!(mails[1].starts_with("To: pat@partner.test\n"));
            assert!(mails.iter().all(|mail| !mail.contains("\nBcc:")), "a name is no header");
            told.push(day);
        }
        world.pass(DAY);
    }
    assert_eq!(told, [10, 33, 39]);
    let log = one.store().list_audit(&Filter::default()).await.unwrap();
    let actions: Vec<_> =
        log.iter().filter(|listed| listed.chained.entry.action == "relationship.notice").collect();
    assert_eq!(actions.len(), 3);
    assert!(actions.iter().all(|l| l.chained.entry.target_tenant_id == Some(CUSTOMER)));
}

#[tokio::test]
async fn whoever_goes_on_is_told_nothing_and_another_end_is_told_anew() {
    let world = World::new();
    let (soon, later) = (START.plus_secs(60), START.plus_secs(DAY - 60));
    let node = node_with(&world, &edge(Some(soon), Some(30))).await;
    node.send_notices().await.unwrap();
    assert!(mails(&world).is_empty(), "it renews itself");
    // Whoever moves it about within a day fills nobody's letter box.
    let moved = [(Some(soon), 2), (Some(soon.plus_secs(9)), 0), (Some(later), 2), (None, 0)];
    for (ends_at, expected) in moved {
        let mut tx = node.store().begin(START).await.unwrap();
        let now = tx.find_relationship(RelationshipId::from_bits(3)).await.unwrap().unwrap();
        let changed = Relationship { ends_at, renews_for_days: None, ..now };
        tx.update_relationship(&changed).await.unwrap();
        tx.commit().await.unwrap();
        node.send_notices().await.unwrap();
        assert_eq!(mails(&world).len(), expected, "for the last day alone");
    }
}

#[tokio::test]
async fn whoever_died_between_the_commit_and_the_mail_puts_it_out_later() {
    let world = World::new();
    let node = node_with(&world, &edge(Some(START.plus_secs(DAY / 2)), None)).await;
    node.send_notices().await.unwrap();
    // As if nothing had been put out, and as if another try had not come to its commit.
    let folder = world.folder.join("mail");
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let attempt = name.split('-').nth(1).unwrap();
        let other = "0".repeat(64);
        std::fs::copy(&path, folder.join(format!("notice-{other}-0.{other}.draft"))).unwrap();
        std::fs::rename(&path, folder.join(format!("{name}.{attempt}.draft"))).unwrap();
    }
    node.tend_mail().await.unwrap();
    assert_eq!(mails(&world).len(), 2);
}

#[tokio::test]
async fn a_folder_that_takes_no_mail_delays_a_notice_and_loses_none() {
    let world = World::new();
    let node = node_with(&world, &edge(Some(START.plus_secs(DAY / 2)), None)).await;
    // A file stands where the folder is to be.
    std::fs::write(world.folder.join("mail"), "").unwrap();
    assert!(node.send_notices().await.is_err());
    std::fs::remove_file(world.folder.join("mail")).unwrap();
    node.send_notices().await.unwrap();
    assert_eq!(mails(&world).len(), 2);
}
