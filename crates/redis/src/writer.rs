//! Writing the copy: a few scripts, each of which does all of a step or, where somebody else was
//! faster, nothing.

use redis::{cmd, from_redis_value};

use crate::{
    Failed, Id, Place, Published,
    connection::{ANSWER_WITHIN, Connection},
};

/// The greatest id that the stream has ever had, which is also what Redis compares a new one with. A
/// deleted last entry does not lower it.
const LAST: &str = "
local function last(key)
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
local kind = redis.call('TYPE', KEYS[1]).ok
";

const LOOK: &str = "
if kind == 'none' then return {'0-0', 0} end
if kind ~= 'stream' then return {kind, 0} end
return {last(KEYS[1]), redis.call('XLEN', KEYS[1])}
";

/// Appends only where the stream still ends where the writer has seen it end: else another writer was
/// there, and has added the same.
const APPEND: &str = "
if kind == 'none' then
  if ARGV[1] ~= '0-0' then return 0 end
elseif kind ~= 'stream' or last(KEYS[1]) ~= ARGV[1] then
  return 0
end
for i = 2, #KEYS do
  local a = (i - 2) * 6 + 2
  local s, x = ARGV[a + 2], ARGV[a + 4]
  redis.call('XADD', KEYS[1], s .. '-0', 'k', ARGV[a], 'h', ARGV[a + 1], 's', s, 'p', ARGV[a + 3],
    'x', x, 'j', ARGV[a + 5])
  local known = redis.pcall('GET', KEYS[i])
  known = type(known) == 'string' and tonumber(known) or 0
  if tonumber(s) > known then redis.call('SET', KEYS[i], s, 'EXAT', x) end
end
return 1
";

/// Drops the stream only where it still is what the writer has found fault with.
const DROP: &str = "
if kind == 'stream' and last(KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
";

/// What a look at the stream shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The greatest id that it has ever had; `None` where something else stands under its key. An
    /// absent stream is one that has had none.
    pub last: Option<Id>,
    /// How many entries there are.
    pub entries: u64,
}

/// A connection that writes.
pub struct Writer {
    connection: Connection,
    place: Place,
}

impl Writer {
    /// Connects.
    pub async fn open(place: &Place) -> Result<Self, Failed> {
        Ok(Self { connection: Connection::open(place).await?, place: place.clone() })
    }

    /// Where the stream ends, and how long it is.
    pub async fn look(&mut self) -> Result<Held, Failed> {
        let (last, entries): (String, u64) = self.run(LOOK, &[], &[]).await?;
        Ok(Held { last: last.parse().ok(), entries })
    }

    /// Appends entries, in order, and sets their keys, where the stream still ends at `last`. Answers
    /// whether it did.
    pub async fn append(&mut self, last: Id, entries: &[Published]) -> Result<bool, Failed> {
        let keys: Vec<_> = entries.iter().map(|entry| self.place.revoked(entry.key)).collect();
        let mut arguments = vec![last.to_string()];
        for entry in entries {
            arguments.extend([
                entry.kind.clone(),
                entry.key.to_string(),
                entry.seq.0.to_string(),
                entry.prev.0.to_string(),
                entry.forget_at.to_string(),
                entry.signed.clone(),
            ]);
        }
        Ok(self.run::<u64>(APPEND, &keys, &arguments).await? == 1)
    }

    /// Drops the stream, where it still ends at `last`, or where it is none at all.
    pub async fn drop_stream(&mut self, last: Option<Id>) -> Result<(), Failed> {
        let last = last.map(|id| id.to_string()).unwrap_or_default();
        self.run::<u64>(DROP, &[], &[last]).await.map(|_| ())
    }

    /// Drops the entries before this id.
    pub async fn trim(&mut self, first: Id) -> Result<(), Failed> {
        let mut command = cmd("XTRIM");
        command.arg(self.place.stream()).arg("MINID").arg("=").arg(first.to_string());
        self.connection.ask(&command, ANSWER_WITHIN).await.map(|_| ())
    }

    async fn run<T: redis::FromRedisValue>(
        &mut self,
        script: &str,
        keys: &[String],
        arguments: &[String],
    ) -> Result<T, Failed> {
        let mut command = cmd("EVAL");
        command.arg(format!("{LAST}{script}")).arg(keys.len() + 1).arg(self.place.stream());
        command.arg(keys).arg(arguments);
        let answer = self.connection.ask(&command, ANSWER_WITHIN).await?;
        from_redis_value(answer).map_err(|_| Failed::Unusable)
    }
}
