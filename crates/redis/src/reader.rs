//! Reading the stream: everything after a position, and then whatever comes.

use std::time::Duration;

use procura_token::Seq;
use redis::{
    cmd, from_redis_value,
    streams::{StreamRangeReply, StreamReadReply},
};

use crate::{Failed, Id, Place, connection::Connection};

/// A reader hears after this also that there is no news.
const WAIT: Duration = Duration::from_millis(500);
/// What should be there already is there within this.
const MOMENT: Duration = Duration::from_millis(50);
/// Longer than that, it was not the wait that took so long.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// As many entries are read at once.
const BATCH: usize = 256;

/// One entry as it was found. Nothing about it is known to be true.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: Id,
    /// What claims to be the signed statement.
    pub signed: Option<String>,
}

/// A connection of its own that waits for entries.
pub struct Reader {
    connection: Connection,
    stream: String,
}

impl Reader {
    /// Connects.
    pub async fn open(place: &Place) -> Result<Self, Failed> {
        Ok(Self { connection: Connection::open(place).await?, stream: place.stream() })
    }

    /// The entries after a position, oldest first; waits half a second for the first of them, and is
    /// empty where none came.
    pub async fn read_after(&mut self, seq: Seq) -> Result<Vec<Message>, Failed> {
        self.read(seq, WAIT).await
    }

    /// The same, but waits a moment only: for what must be there already.
    pub async fn read_soon(&mut self, seq: Seq) -> Result<Vec<Message>, Failed> {
        self.read(seq, MOMENT).await
    }

    /// The id of the last entry that is there; `None` where there is none.
    pub async fn last(&mut self) -> Result<Option<Id>, Failed> {
        let mut command = cmd("XREVRANGE");
        command.arg(&self.stream).arg("+").arg("-").arg("COUNT").arg(1);
        let answer = self.connection.ask(&command, ANSWER_WITHIN).await?;
        let found: StreamRangeReply = from_redis_value(answer).map_err(|_| Failed::Unusable)?;
        found.ids.first().map(|entry| entry.id.parse()).transpose()
    }

    async fn read(&mut self, seq: Seq, wait: Duration) -> Result<Vec<Message>, Failed> {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(BATCH).arg("BLOCK").arg(wait.as_millis().to_string());
        command.arg("STREAMS").arg(&self.stream).arg(Id::of(seq).to_string());
        let answer = self.connection.ask(&command, ANSWER_WITHIN).await?;
        let found: Option<StreamReadReply> =
            from_redis_value(answer).map_err(|_| Failed::Unusable)?;
        let entries = found.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        entries.map(|entry| Ok(Message { id: entry.id.parse()?, signed: entry.get("j") })).collect()
    }
}
