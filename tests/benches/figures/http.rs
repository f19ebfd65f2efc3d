//! A small HTTP/1.1 client over one kept-alive connection: requests are bytes made beforehand, answers
//! are read as far as a measurement needs them. A general client costs more per request than what is
//! measured here.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::Failure;

/// No single answer takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    head: String,
    body: Vec<u8>,
}

/// A kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The bytes of a request.
#[must_use]
pub fn request(line: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    text.extend(["\r\n", body]);
    text.into_bytes()
}

/// A form in its encoding.
#[must_use]
pub fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The header of a form.
pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

impl Connection {
    /// Connects.
    pub async fn open(to: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads the whole answer, but looks at nothing except its status.
    pub async fn status(&mut self, request: &[u8]) -> Result<u16, Failure> {
        Ok(self.exchange(request).await?.0)
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        let (status, body_at) = timeout(PATIENCE, self.exchange(request))
            .await
            .map_err(|_| Failure::new("no answer in time"))??;
        let head = String::from_utf8_lossy(&self.buffer[..body_at]).into_owned();
        Ok(Answer { status, head, body: self.buffer[body_at..].to_vec() })
    }

    /// Leaves the answer in the buffer: its status, and where its body starts.
    async fn exchange(&mut self, request: &[u8]) -> Result<(u16, usize), Failure> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut end = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Failure::new("the server closed the connection"));
            }
            if end.is_none() {
                end = self.frame()?;
            }
            if let Some((status, body_at, end)) = end
                && self.buffer.len() >= end
            {
                return Ok((status, body_at));
            }
        }
    }

    /// Status, start and end of the body, once the whole head is here.
    fn frame(&self) -> Result<Option<(u16, usize, usize)>, Failure> {
        let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = &self.buffer[..at];
        let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        let status = digits.and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| Failure::new("not an HTTP answer"))?;
        let length = head.split(|byte| *byte == b'\n').find_map(|line| {
            let (name, value) = line.split_at_checked(15)?;
            let is_it = name.eq_ignore_ascii_case(b"content-length:");
            let value = std::str::from_utf8(value).ok().filter(|_| is_it)?;
            value.trim().parse::<usize>().ok()
        });
        let length = length.ok_or_else(|| Failure::new("an answer without its length"))?;
        Ok(Some((status, at + 4, at + 4 + length)))
    }
}

impl Answer {
    /// The answer, if it has this status.
    pub fn expect(self, status: u16) -> Result<Self, Failure> {
        if self.status == status {
            return Ok(self);
        }
        Err(Failure::new(&format!("{} instead of {status}: {}", self.status, self.text())))
    }

    /// The body.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| Failure::new(&error.to_string()))
    }

    /// The values of a header.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
    }

    /// Where it redirects to.
    pub fn location(&self) -> Result<&str, Failure> {
        self.headers("location").next().ok_or_else(|| {
            Failure::new(&format!("{} instead of a redirect: {}", self.status, self.text()))
        })
    }
}
