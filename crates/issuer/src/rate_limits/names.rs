//! What a partner calls a customer into which it was let: by id and by slug it is one, and has one budget. Nothing
//! is remembered of names that led nowhere, so nothing can be read off it.

use procura_token::TenantId;
use quick_cache::sync::Cache;

/// So many are remembered; those that nobody uses make room.
const MOST: usize = 10_000;

/// By partner and slug.
pub(super) struct Names(Cache<(TenantId, Box<str>), TenantId>);

impl Default for Names {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Names {
    /// Remembers where a name has led; whether that is news.
    pub fn learn(&self, home: TenantId, name: &str, tenant: TenantId) -> bool {
        let name = (home, name.into());
        let is_news = self.0.get(&name) != Some(tenant);
        if is_news {
            self.0.insert(name, tenant);
        }
        is_news
    }

    /// The id behind a name, or the name.
    pub fn id_of(&self, home: TenantId, name: &str) -> Box<str> {
        if name.parse::<TenantId>().is_ok() {
            return name.into();
        }
        self.0.get(&(home, name.into())).map_or(name.into(), |id| id.to_string().into())
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
        assert!(names.0.len() <= MOST);
    }
}
