//! Budgets that nodes share: how full each is stands in Redis, and one script takes from all that are asked
//! for at once.

use procura_token::KeyHash;
use redis::{cmd, from_redis_value};

use crate::{
    Failed, Place,
    connection::{ANSWER_WITHIN, Connection},
};

/// The generic cell rate algorithm. A budget is one instant: when it would be full again. Of what is drawn
/// together all is taken or nothing. Redis' own clock counts: those of the nodes differ. What stands there
/// beyond a whole burst was written by nobody of us, and locks nobody out for longer than that.
const DRAW: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local answers, k, a = {}, 1, 1
while a <= #ARGV do
  local count = tonumber(ARGV[a])
  local fits, levels = true, {}
  for i = 1, count do
    local interval, most = tonumber(ARGV[a + 2 * i - 1]), tonumber(ARGV[a + 2 * i])
    local full = redis.pcall('GET', KEYS[k + i - 1])
    full = type(full) == 'string' and tonumber(full) or 0
    if full > now + most then
      full = now + most
      redis.call('SET', KEYS[k + i - 1], string.format('%.0f', full), 'PX',
        string.format('%.0f', math.ceil(most / 1000) + 1))
    end
    local level = interval
    if full > now then level = math.min(full - now, most) + interval end
    if level > most then fits = false end
    levels[i] = level
  end
  for i = 1, count do
    if fits then
      redis.call('SET', KEYS[k + i - 1], string.format('%.0f', now + levels[i]), 'PX',
        string.format('%.0f', math.ceil(levels[i] / 1000) + 1))
    end
    answers[#answers + 1] = levels[i]
  end
  k, a = k + count, a + 1 + 2 * count
end
return answers
";

/// How fast a budget fills up, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds until one more is there; at least one.
    pub interval_micros: u64,
    /// As many at once; at least one.
    pub burst: u32,
}

impl Rate {
    /// What an empty budget needs to be full, in microseconds.
    #[must_use]
    pub fn most_micros(self) -> u64 {
        self.interval_micros.saturating_mul(u64::from(self.burst))
    }
}

/// One is asked of this budget.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Whose budget, in a form that names nobody.
    pub key: KeyHash,
    /// How it fills up.
    pub rate: Rate,
}

/// How far a budget is from full after one more was asked of it, in microseconds: beyond
/// [`Rate::most_micros`] it was not given.
pub type Level = u64;

/// A connection that draws.
pub struct Budgets {
    connection: Connection,
    place: Place,
}

impl Budgets {
    /// Connects.
    pub async fn open(place: &Place) -> Result<Self, Failed> {
        Ok(Self { connection: Connection::open(place).await?, place: place.clone() })
    }

    /// Draws for each demand from all of its budgets or, where one of them has not enough, from none.
    /// Answers the levels in the order in which they were asked for.
    pub async fn draw(&mut self, demands: &[&[Draw]]) -> Result<Vec<Level>, Failed> {
        let mut arguments: Vec<u64> = Vec::new();
        let mut keys: Vec<String> = Vec::new();
        for demand in demands {
            arguments.push(u64::try_from(demand.len()).unwrap_or_default());
            for draw in *demand {
                keys.push(self.place.budget(draw.key));
                arguments.extend([draw.rate.interval_micros, draw.rate.most_micros()]);
            }
        }
        let mut command = cmd("EVAL");
        command.arg(DRAW).arg(keys.len()).arg(&keys).arg(&arguments);
        let answer = self.connection.ask(&command, ANSWER_WITHIN).await?;
        let levels: Vec<Level> = from_redis_value(answer).map_err(|_| Failed::Unusable)?;
        if levels.len() == keys.len() { Ok(levels) } else { Err(Failed::Unusable) }
    }
}
