//! RFC 8414, OpenID Connect Discovery, RFC 7517: what everybody may know.

use procura_tests::House;

use super::{at, http, send};

/// The document for `https://issuer.example`; reviewed by a person.
const DOCUMENT: &str = include_str!("../../goldens/discovery.json");

#[tokio::test]
async fn the_metadata_document_is_the_reviewed_one_at_both_places() {
    let house = House::start();
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let answer = send(http().get(at(&house, path))).await;
        assert_eq!(answer.expect(200).header("content-type"), Some("application/json"));
        let text = answer.text.replace(house.issuer(), "https://issuer.example");
        let (is, wanted): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&text).unwrap(), serde_json::from_str(DOCUMENT).unwrap());
        assert_eq!(is, wanted);
    }
}

#[tokio::test]
async fn every_endpoint_of_the_document_exists() {
    let house = House::start();
    let document = send(http().get(at(&house, "/.well-known/openid-configuration"))).await.json();
    let endpoints = document
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.ends_with("_endpoint") || name.ends_with("_uri"));
    for (name, url) in endpoints {
        let answer = send(http().get(url.as_str().unwrap())).await;
        assert_ne!(answer.status, 404, "{name}");
    }
}

#[tokio::test]
async fn the_published_keys_are_public_and_rsa_is_among_them() {
    let house = House::start();
    let jwks = send(http().get(at(&house, "/oauth2/jwks"))).await.json();
    let keys = jwks["keys"].as_array().unwrap();
    let algorithms: Vec<_> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert!(algorithms.contains(&"ES256") && algorithms.contains(&"RS256"), "{algorithms:?}");
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
}
