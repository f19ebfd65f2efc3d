//! The decision against a second oracle, over complete products of small domains: every case of
//! every product, the grant (edge, scope, both ends) as well as the exact refusal.
//!
//! `cargo test -p procura-domain --test oracle -- --nocapture` prints the numbers.

#![expect(clippy::unwrap_used, reason = "a worker that panicked has failed")]
#![expect(clippy::indexing_slicing, reason = "indices come from the same table")]

#[path = "oracle/catalogue.rs"]
mod catalogue;
#[path = "oracle/odometer.rs"]
mod odometer;
#[path = "oracle/products.rs"]
mod products;
#[path = "oracle/rules.rs"]
mod rules;
#[path = "oracle/world.rs"]
mod world;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use procura_domain::{Mandate, Refusal, RelationshipKind, decide};

use catalogue::Catalogue;
use odometer::Odometer;
use products::{PRODUCTS, Product};
use rules::{Grant, oracle};
use world::World;

#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, usize>,
    /// By what the oracle and the decision say: how often, and the first case.
    differences: BTreeMap<String, (usize, String)>,
}

impl Tally {
    fn compare(&mut self, rows: &Catalogue, world: &World) {
        let (facts, wish, limits, now) = world.put();
        let expected = oracle(rows, world);
        let actual = decide(&facts, &wish, limits, now);
        let is_same = match (&expected, &actual) {
            (Ok(grant), Ok(mandate)) => is_granted(grant, mandate),
            (Err(expected), Err(actual)) => expected == actual,
            _ => false,
        };
        let outcome = expected.map_or_else(Refusal::as_str, |_| "granted");
        *self.counts.entry(outcome).or_default() += 1;
        if !is_same {
            let other = actual.as_ref().map_or_else(|refusal| refusal.as_str(), |_| "granted");
            let difference = format!("oracle {outcome}, decision {other}");
            let names = expected.map(|g| (g, Catalogue::names(g.scope).collect::<Vec<_>>()));
            let first = || (0, format!("oracle {names:?}\ndecision {actual:?}\nof {world:?}"));
            self.differences.entry(difference).or_insert_with(first).0 += 1;
        }
    }

    fn add(&mut self, other: Self) {
        for (word, n) in other.counts {
            *self.counts.entry(word).or_default() += n;
        }
        for (difference, (n, first)) in other.differences {
            self.differences.entry(difference).or_insert((0, first)).0 += n;
        }
    }
}

fn is_granted(grant: &Grant, mandate: &Mandate) -> bool {
    let edge = if grant.kind == RelationshipKind::Manages { 1 } else { 2 };
    mandate.relationship.bits() == edge
        && mandate.tenant.bits() == 2
        && mandate.expires_at.0 == grant.token_end
        && mandate.delegation_ends_at.0 == grant.delegation_end
        && mandate.scope.iter().count() == grant.scope.count_ones() as usize
        && Catalogue::names(grant.scope).all(|name| mandate.scope.contains(name))
}

/// All cases of a product, on all cores.
fn run(product: Product, tally: &mut Tally) -> usize {
    let total = odometer::size(product);
    let next = AtomicUsize::new(0);
    let work = || {
        let rows = Catalogue::new();
        let mut tally = Tally::default();
        loop {
            let start = next.fetch_add(4096, Ordering::Relaxed);
            if start >= total {
                return tally;
            }
            for case in start..(start + 4096).min(total) {
                tally.compare(&rows, &product(&mut Odometer::at(case)));
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            tally.add(handle.join().unwrap());
        }
    });
    total
}

#[test]
fn the_decision_and_the_oracle_agree_in_every_case_of_every_product() {
    let mut tally = Tally::default();
    let mut cases = 0;
    for (name, product) in PRODUCTS {
        let started = Instant::now();
        let size = run(*product, &mut tally);
        cases += size;
        println!("{name:<12} {size:>9} cases in {:>5.1} s", started.elapsed().as_secs_f64());
    }
    let Tally { counts, differences } = tally;
    println!("{:<12} {cases:>9} cases", "all");
    for (word, n) in &counts {
        println!("  {word:<26} {n:>9}");
    }
    for (difference, (n, first)) in &differences {
        println!("{n} times {difference}, first:\n{first}\n");
    }
    assert!(differences.is_empty(), "{} kinds of difference", differences.len());
    // A product that lost a factor by accident would still agree.
    assert!(cases >= 1_000_000, "only {cases} cases");
    for refusal in Refusal::ALL {
        assert!(counts.contains_key(refusal.as_str()), "{refusal} never happened");
    }
    assert!(counts["granted"] >= 30_000, "too few grants to mean anything");
}

#[test]
fn every_permission_of_every_role_is_in_the_catalogue_and_the_other_way_round() {
    use procura_domain::{RelationshipRole, UserRole};
    let rows = Catalogue::new();
    for role in RelationshipRole::ALL.iter().filter(|r| **r != RelationshipRole::TenantAdmin) {
        let expected: Vec<_> = Catalogue::names(rows.role(*role)).collect();
        let expected: procura_domain::Permissions = expected.into_iter().collect();
        assert_eq!(role.permissions(), expected, "{role}");
    }
    assert_eq!(RelationshipRole::TenantAdmin.permissions().to_string(), "*");
    for kind in RelationshipKind::ALL {
        for role in UserRole::ALL {
            let reach = role.reach(*kind);
            let expected = rows.user(*kind, *role);
            assert_eq!(reach.is_some(), expected != 0, "{role} {kind}");
            let Some(reach) = reach else { continue };
            let is_held = |name: &str| reach.allows(name);
            assert_eq!(Catalogue::named_where(is_held), expected, "{role} {kind}");
        }
    }
}

#[test]
fn an_odometer_meets_every_combination_exactly_once() {
    let mut seen = std::collections::BTreeSet::new();
    let read = |odometer: &mut Odometer| {
        (odometer.pick(&[1, 2, 3]), odometer.pick(&[1, 2]), odometer.pick(&[1, 2, 3, 4, 5]))
    };
    for case in 0..30 {
        assert!(seen.insert(read(&mut Odometer::at(case))));
    }
    assert_eq!(seen.len(), 30);
}
