//! One request and its answer, byte by byte, over a connection of its own: what somebody who compares
//! answers can see.

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer with all its bytes.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// Status line, headers in the order in which they came, and body; without the headers that differ by
    /// themselves: `Date`, `X-Request-Id`, and `RateLimit`, which counts whatever is asked.
    pub shown: String,
    /// The value of `X-Request-Id`.
    pub request_id: String,
}

pub(crate) async fn post_token(
    issuer: &str,
    (id, secret): (&str, &str),
    form: &[(&str, &str)],
) -> RawAnswer {
    let host = issuer.strip_prefix("http://").expect("plain http");
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let basic = STANDARD.encode(format!("{id}:{secret}"));
    let request = format!(
        "POST /oauth2/token HTTP/1.1\r\nhost: {host}\r\nauthorization: Basic {basic}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the server answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let is_own = |line: &&str, name: &str| line.to_ascii_lowercase().starts_with(name);
    let mut request_ids = head.lines().filter(|line| is_own(line, "x-request-id: "));
    let request_id = request_ids.next().and_then(|line| line.split_once(": ")).expect("an id").1;
    let differ = ["x-request-id: ", "date: ", "ratelimit: "];
    let kept = head.lines().filter(|line| !differ.iter().any(|name| is_own(line, name)));
    let shown = format!("{}\n\n{body}", kept.collect::<Vec<_>>().join("\n"));
    RawAnswer { shown, request_id: request_id.to_owned() }
}
