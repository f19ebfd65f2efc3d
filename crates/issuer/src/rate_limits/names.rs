//! What a partner calls a customer into which it was let: by id and by slug it is one, and has one budget. Nothing
//! is remembered of names that led nowhere, so nothing can be read off it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use procura_token::TenantId;

/// So many are remembered; then all are learned anew.
const MOST: usize = 10_000;

/// By partner and slug.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<(TenantId, Box<str>), TenantId>>);

impl Names {
    /// Remembers where a name has led; whether that is news.
    pub fn learn(&self, home: TenantId, name: &str, tenant: TenantId) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert((home, name.into()), tenant) != Some(tenant)
    }

    /// The id behind a name, or the name.
    pub fn id_of(&self, home: TenantId, name: &str) -> Box<str> {
        if name.parse::<TenantId>().is_ok() {
            return name.into();
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name: Box<str> = name.into();
        known.get(&(home, name.clone())).map_or(name, |id| id.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_led_somewhere_is_the_id_for_whoever_went_there() {
        let (names, home, other) =
            (Names::default(), TenantId::from_bits(1), TenantId::from_bits(2));
        let tenant = TenantId::from_bits(3);
        assert_eq!(&*names.id_of(home, "acme"), "acme");
        assert!(names.learn(home, "acme", tenant) && !names.learn(home, "acme", tenant));
        assert_eq!(*names.id_of(home, "acme"), *tenant.to_string());
        assert_eq!(*names.id_of(home, &tenant.to_string()), *tenant.to_string());
        assert_eq!(&*names.id_of(other, "acme"), "acme", "nobody learns from another");
        for n in 0..MOST {
            names.learn(home, &n.to_string(), tenant);
        }
        assert!(names.0.lock().unwrap().len() <= MOST);
    }
}
