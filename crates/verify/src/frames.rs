//! The frames of the revocation feed: server-sent events (WHATWG HTML §9.2.6) and their JSON.
//! Pure: bytes in, frames out.

use procura_token::{KeyHash, Seq, revocation::is_absolute};
use serde::Deserialize;

use crate::view::Entry;

/// Longest line and longest event that are read; a longer one ends the connection.
pub const MAX_EVENT_BYTES: usize = 16 * 1024;

/// What the feed sent is not the feed's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of the revocation feed")]
pub struct BadFrame;

/// One event of the feed. Events of unknown names are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A revocation, and the head before it.
    Revocation(Entry, Seq),
    /// The head just read from the primary database.
    Heartbeat(Seq),
    /// The version of the issuer's public keys.
    Keys(i64),
    /// The server does not know our position.
    Reset,
}

/// One entry on the wire: `{"k","h","s","x"}`, in the stream with `"p"`. The kind `k` says only whether
/// the entry is absolute; the hash contains it too.
#[derive(Deserialize)]
struct WireEntry {
    k: String,
    h: KeyHash,
    s: Seq,
    x: i64,
    p: Option<Seq>,
}

impl From<WireEntry> for Entry {
    fn from(wire: WireEntry) -> Self {
        Self { key: wire.h, seq: wire.s, forget_at: wire.x, is_absolute: is_absolute(&wire.k) }
    }
}

#[derive(Deserialize)]
struct WireHead {
    head: Seq,
}

#[derive(Deserialize)]
struct WireKeys {
    version: i64,
}

#[derive(Deserialize)]
struct WireSnapshot {
    head: Seq,
    entries: Vec<WireEntry>,
}

/// Reads a snapshot: the head up to which it is complete, and its entries.
pub fn read_snapshot(json: &[u8]) -> Result<(Seq, Vec<Entry>), BadFrame> {
    let wire: WireSnapshot = serde_json::from_slice(json).map_err(|_| BadFrame)?;
    Ok((wire.head, wire.entries.into_iter().map(Entry::from).collect()))
}

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub struct Frames {
    line: Vec<u8>,
    event: Vec<u8>,
    data: Vec<u8>,
    has_ended_in_cr: bool,
}

impl Frames {
    /// Takes the next bytes and answers the frames that they complete.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Frame>, BadFrame> {
        let mut frames = Vec::new();
        for &byte in chunk {
            // CR, LF and CR LF each end one line.
            let is_second_half = byte == b'\n' && self.has_ended_in_cr;
            self.has_ended_in_cr = byte == b'\r';
            match byte {
                b'\n' if is_second_half => {}
                b'\n' | b'\r' => frames.extend(self.end_line()?),
                _ if self.line.len() < MAX_EVENT_BYTES => self.line.push(byte),
                _ => return Err(BadFrame),
            }
        }
        Ok(frames)
    }

    fn end_line(&mut self) -> Result<Option<Frame>, BadFrame> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.end_event();
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.event = value.to_vec(),
            b"data" => {
                if self.data.len() + value.len() > MAX_EVENT_BYTES {
                    return Err(BadFrame);
                }
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // Comments, `id` (it repeats `s`) and `retry` (the backoff is ours).
            _ => {}
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Result<Option<Frame>, BadFrame> {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        match event.as_slice() {
            b"rev" => {
                let wire: WireEntry = serde_json::from_slice(&data).map_err(|_| BadFrame)?;
                let previous = wire.p.ok_or(BadFrame)?;
                Ok(Some(Frame::Revocation(wire.into(), previous)))
            }
            b"hb" => {
                let wire: WireHead = serde_json::from_slice(&data).map_err(|_| BadFrame)?;
                Ok(Some(Frame::Heartbeat(wire.head)))
            }
            b"keys" => {
                let wire: WireKeys = serde_json::from_slice(&data).map_err(|_| BadFrame)?;
                Ok(Some(Frame::Keys(wire.version)))
            }
            b"reset" => Ok(Some(Frame::Reset)),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = ": hello\n\nretry: 50\nevent: rev\nid: 12\n\
        data: {\"k\":\"dlg\",\"h\":\"000102030405060708090a0b0c0d0e0f\",\"s\":12,\"p\":10,\"x\":99}\n\n\
        event: hb\ndata: {\"head\":12}\n\nevent: keys\ndata: {\"version\":3}\n\n\
        event: rev\ndata: {\"k\":\"kid\",\"h\":\"000102030405060708090a0b0c0d0e0f\",\"s\":13,\"p\":12,\"x\":99}\n\n\
        event: news\ndata: not json\n\nevent: reset\ndata:\n\n";

    fn expected() -> Vec<Frame> {
        let key = KeyHash([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let entry = Entry { key, seq: Seq(12), forget_at: 99, is_absolute: false };
        vec![
            Frame::Revocation(entry, Seq(10)),
            Frame::Heartbeat(Seq(12)),
            Frame::Keys(3),
            Frame::Revocation(Entry { seq: Seq(13), is_absolute: true, ..entry }, Seq(12)),
            Frame::Reset,
        ]
    }

    #[test]
    fn all_three_line_endings_end_a_line_once() {
        for ending in ["\n", "\r", "\r\n"] {
            let stream = STREAM.replace('\n', ending);
            assert_eq!(Frames::default().push(stream.as_bytes()), Ok(expected()), "{ending:?}");
        }
    }

    #[test]
    fn data_over_several_lines_is_one_document() {
        let frames = Frames::default().push(b"event:hb\ndata:{\"head\":\ndata:7}\n\n");
        assert_eq!(frames, Ok(vec![Frame::Heartbeat(Seq(7))]));
    }

    #[test]
    fn an_event_that_is_not_ended_is_no_event() {
        assert_eq!(Frames::default().push(b"event: hb\ndata: {\"head\":7}\n"), Ok(vec![]));
    }

    #[test]
    fn a_known_event_with_other_data_is_refused() {
        for bad in [
            "event: hb\ndata: {}\n\n",
            "event: hb\n\n",
            "event: keys\ndata: {}\n\n",
            "event: rev\ndata: {\"h\":\"00\",\"s\":1,\"p\":0,\"x\":1}\n\n",
            "event: rev\ndata: {\"k\":\"jti\",\"h\":\"000102030405060708090a0b0c0d0e0f\",\"s\":1,\"x\":1}\n\n",
            "event: rev\ndata: {\"h\":\"000102030405060708090a0b0c0d0e0f\",\"s\":1,\"p\":0,\"x\":1}\n\n",
        ] {
            assert_eq!(Frames::default().push(bad.as_bytes()), Err(BadFrame), "{bad}");
        }
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let line = vec![b'a'; MAX_EVENT_BYTES + 1];
        assert_eq!(Frames::default().push(&line), Err(BadFrame));
        let lines = "data: 0123456789\n".repeat(MAX_EVENT_BYTES / 10);
        assert_eq!(Frames::default().push(lines.as_bytes()), Err(BadFrame));
    }

    #[test]
    fn a_snapshot_has_a_head_and_entries() {
        let json = br#"{"head":12,"entries":[{"k":"all","h":"000102030405060708090a0b0c0d0e0f","s":12,"x":99}]}"#;
        let entries = read_snapshot(json).map(|(head, entries)| (head, entries.len()));
        assert_eq!(entries, Ok((Seq(12), 1)));
        assert_eq!(read_snapshot(b"{\"head\":1}"), Err(BadFrame));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_arrive(cuts in prop::collection::vec(1..40_usize, 1..60)) {
            let mut rest = STREAM.as_bytes();
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                got.extend(frames.push(head).map_err(|e| TestCaseError::fail(e.to_string()))?);
                rest = tail;
            }
            got.extend(frames.push(rest).map_err(|e| TestCaseError::fail(e.to_string()))?);
            prop_assert_eq!(got, expected());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Frames::default().push(&bytes);
            let _ = read_snapshot(&bytes);
        }
    }
}
