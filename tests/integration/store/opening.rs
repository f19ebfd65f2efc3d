//! Many that open one new file at the same instant.

use futures_util::future::join_all;
use procura_store::{Location, Store};
use procura_tests::Scratch;
use procura_token::Ts;

#[tokio::test]
async fn all_who_open_a_new_file_at_once_find_one_whole_schema() {
    let folder = Scratch::new();
    let open = |_| Store::open(Location::File(folder.path().join("procura.db")));
    let stores: Vec<_> =
        join_all((0..8).map(open)).await.into_iter().map(|store| store.unwrap()).collect();
    for store in &stores {
        assert!(store.is_empty().await.unwrap());
        store.begin(Ts::from_secs(1)).await.unwrap().commit().await.unwrap();
    }
    for store in stores {
        store.close().await;
    }
}
