//! The store, as sentences: every test runs on SQLite and on Postgres, on real databases.

mod asked;
mod asked_again;
mod carried;
mod closed;
mod contract;
mod corners;
mod counted;
mod leases;
mod notices;
mod once;
mod opening;
mod policies;
mod refreshed;
mod reviewed;
mod schema;
mod self_registered;
mod statements;
mod told;
mod walls;
mod world;

use procura_store::{Location, Store};
use procura_tests::{Postgres, Scratch};

/// An empty database, gone at the end.
pub struct Empty {
    location: Location,
    _folder: Scratch,
}

impl Empty {
    fn sqlite() -> Self {
        let folder = Scratch::new();
        Self { location: Location::File(folder.path().join("procura.db")), _folder: folder }
    }

    fn postgres() -> Self {
        let url = Postgres::shared().database();
        Self { location: Location::Postgres(url), _folder: Scratch::new() }
    }

    /// Opens it, as often as a test likes.
    async fn open(&self) -> Store {
        Store::open(self.location.clone()).await.unwrap()
    }

    /// The URL, where it is Postgres.
    fn url(&self) -> &str {
        match &self.location {
            Location::Postgres(url) => url,
            _ => panic!("no Postgres"),
        }
    }
}

/// Tells each story on both databases.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($empty:ident: &Empty) $story:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            async fn story($empty: &Empty) $story

            #[tokio::test]
            async fn on_sqlite() {
                story(&Empty::sqlite()).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                story(&Empty::postgres()).await;
            }
        }
    )*};
}
use on_both;
