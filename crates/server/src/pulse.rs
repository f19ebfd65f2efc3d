//! The pulse of one connection: since when a request's head is awaited, and when bytes last went out.
//! From it the listener knows whom it waits for in vain. It costs a clock read for a request and for a
//! write, and nothing else: hyper's own timer would be made anew for every request, and would take an
//! idle connection for one that is slow with its head.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// What is known of a connection. Touched by its own task alone, so nothing here is ever contended.
pub struct Pulse {
    origin: Instant,
    /// Since when a head is awaited, in microseconds after `origin`; 0 where none is.
    head_since: AtomicU64,
    /// When bytes last went out, in the same measure.
    wrote_at: AtomicU64,
    requests: AtomicU32,
    is_http2: AtomicBool,
}

impl Pulse {
    /// Of a connection that was just accepted: its first request is awaited from now on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
            head_since: AtomicU64::new(1),
            wrote_at: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            is_http2: AtomicBool::new(false),
        }
    }

    /// When to look again; `None` where the peer has been waited for long enough: for the rest of a
    /// head, or with nothing sent to it at all. What answers has its own time limit.
    #[must_use]
    pub fn next_look(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let after = |micros: u64| self.origin + Duration::from_micros(micros);
        let now = Instant::now();
        let idle_end = after(self.wrote_at.load(Relaxed)) + idle;
        let head_end = match self.head_since.load(Relaxed) {
            0 => now + head,
            since => after(since) + head,
        };
        let end = head_end.min(idle_end);
        (end > now).then_some(end)
    }

    /// A request has come whole; it is under way until the guard is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.head_since.store(0, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        UnderWay(Arc::clone(self))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    fn read(&self, bytes: &[u8], is_first: bool) {
        if is_first && bytes.starts_with(b"PRI") {
            self.is_http2.store(true, Relaxed);
        }
        // In HTTP/2 frames of all kinds come at any time; there only the first request is timed.
        let is_head = self.requests.load(Relaxed) == 0 && !self.is_http2.load(Relaxed);
        if is_head && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.micros(), Relaxed);
        }
    }
}

/// A request that is being answered.
pub struct UnderWay(Arc<Pulse>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// A stream that keeps its pulse, as it is after TLS.
pub struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
    is_first: bool,
}

impl<S> Watched<S> {
    /// Puts them together.
    #[must_use]
    pub const fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse, is_first: true }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.pulse.wrote_at.store(self.pulse.micros(), Relaxed);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.pulse.read(bytes, self.is_first);
            self.is_first = false;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(75);

    async fn pass(secs: u64) {
        tokio::time::advance(Duration::from_secs(secs)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_must_come_whole_within_its_time() {
        let pulse = Arc::new(Pulse::new());
        pass(4).await;
        pulse.read(b"GET ", true);
        assert!(pulse.next_look(HEAD, IDLE).is_some());
        pass(2).await;
        assert!(pulse.next_look(HEAD, IDLE).is_none(), "a byte now and then buys no time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_between_requests_is_idle_and_not_slow() {
        let pulse = Arc::new(Pulse::new());
        drop(pulse.begin());
        pulse.wrote_at.store(pulse.micros(), Relaxed);
        pass(74).await;
        assert!(pulse.next_look(HEAD, IDLE).is_some());
        pass(2).await;
        assert!(pulse.next_look(HEAD, IDLE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_being_answered_is_not_awaited() {
        let pulse = Arc::new(Pulse::new());
        let under_way = pulse.begin();
        pulse.read(b"a body", true);
        pass(9).await;
        assert!(pulse.next_look(HEAD, IDLE).is_some());
        drop(under_way);
        pulse.read(b"GET ", false);
        pass(5).await;
        assert!(pulse.next_look(HEAD, IDLE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http2_are_no_heads() {
        let pulse = Arc::new(Pulse::new());
        pulse.read(b"PRI * HTTP/2.0", true);
        drop(pulse.begin());
        pulse.read(b"a window update", false);
        pass(6).await;
        assert!(pulse.next_look(HEAD, IDLE).is_some());
    }
}
