//! Traces: a collector gets one span for each request, and nobody's data.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use procura_tests::eventually;

use super::{PAT, get, house_with, http, send};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

type Received = Arc<Mutex<Vec<u8>>>;

/// A collector: its address, and all bytes that it got.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let take = async |State(received): State<Received>, headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        received.lock().unwrap().extend_from_slice(&body);
    };
    let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, received)
}

fn has(received: &Received, bytes: &[u8]) -> bool {
    received.lock().unwrap().windows(bytes.len()).any(|part| part == bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_spans_in_the_callers_trace_that_name_nobody() {
    let (url, received) = collector().await;
    let house = house_with(&[("PROCURA__TELEMETRY__OTLP_ENDPOINT", &url)]);
    let traced = http().get(format!("{}/nowhere/canary", house.issuer()));
    let traced = traced.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let traced = send(traced).await;
    traced.expect(404);
    // A caller that traces nothing is not traced.
    let untraced = http().get(format!("{}/livez", house.issuer()));
    let untraced =
        untraced.header("traceparent", "00-00000000000000000000000000000abc-00f067aa0ba902b7-00");
    send(untraced).await.expect(200);
    let pat = house.log_in(PAT).await;
    let refused = pat.exchange("contoso", "").await;
    let last = refused.request_id().to_owned();
    eventually("the last span comes", async || has(&received, last.as_bytes()).then_some(())).await;
    let trace: Vec<u8> =
        (0..16).map(|i| u8::from_str_radix(&TRACE[2 * i..2 * i + 2], 16).unwrap()).collect();
    assert!(has(&received, &trace), "the caller's trace goes on");
    for word in ["POST /oauth2/token", "http.route", "http.response.status_code", "procura"] {
        assert!(has(&received, word.as_bytes()), "no {word}");
    }
    assert!(has(&received, traced.request_id().as_bytes()));
    assert!(!has(&received, b"/livez"));
    let demo = house.demo();
    let secrets = [demo.password.as_str(), &pat.home, "canary", PAT, house.tenant("contoso")];
    for secret in secrets {
        assert!(!has(&received, secret.as_bytes()), "{secret} was sent");
    }
}

#[tokio::test]
async fn without_a_collector_or_with_one_that_is_gone_requests_are_served() {
    let nowhere = "http://127.0.0.1:9";
    let mut house = house_with(&[("PROCURA__TELEMETRY__OTLP_ENDPOINT", nowhere)]);
    get(&house, super::HEALTH).await.expect(200);
    assert!(house.stop().status.success());
    let house = house_with(&[]);
    let request = http().get(format!("{}{}", house.issuer(), super::HEALTH));
    let request = request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    send(request).await.expect(200);
}
