//! What one connection may cost.

use std::time::Duration;

use crate::ChunkLimits;

/// Bounds on what a peer can make a session hold or do. Going over one is [`Error::LimitExceeded`](crate::Error).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bounds of the chunk layer: message size, unfinished messages, chunk streams.
    pub chunk: ChunkLimits,
    /// Message streams open at once. Players and publishers use one; 16 leaves room for multi-stream clients.
    pub message_streams: usize,
    /// Bytes of one command. Real ones have some hundred, names with their tokens a few thousand; answers repeat them.
    pub command_size: usize,
    /// Commands and user control events per second; a second's worth may come in one burst. A publisher sends about ten
    /// in its life, a player that scrubs through a recording a few dozen a second.
    pub commands_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chunk: ChunkLimits::default(),
            message_streams: 16,
            command_size: 64 << 10,
            commands_per_second: 100,
        }
    }
}

/// A token bucket whose clock is the caller's.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: u32,
    /// Millionths of a token: so many come in a microsecond as there are tokens in a second.
    tokens: u64,
    last: Duration,
}

/// One token.
const TOKEN: u64 = 1_000_000;

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, tokens: u64::from(per_second) * TOKEN, last: Duration::ZERO }
    }

    /// Takes a token; `false` if none is left.
    pub(crate) fn allow(&mut self, now: Duration) -> bool {
        let full = u64::from(self.per_second) * TOKEN;
        let elapsed = now.saturating_sub(self.last).as_micros().min(1_000_000) as u64;
        self.tokens = full.min(self.tokens + elapsed * u64::from(self.per_second));
        self.last = self.last.max(now);
        match self.tokens.checked_sub(TOKEN) {
            Some(rest) => {
                self.tokens = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let mut limit = RateLimit::new(10);
        let at = Duration::from_secs;
        assert_eq!((0..15).filter(|_| limit.allow(at(5))).count(), 10);
        assert_eq!((0..15).filter(|_| limit.allow(at(6))).count(), 10);
        assert_eq!((0..3).filter(|_| limit.allow(at(6) + Duration::from_millis(200))).count(), 2);
    }

    #[test]
    fn parts_of_a_millisecond_add_up() {
        let mut limit = RateLimit::new(10);
        let allowed = (0..20_000).filter(|i| limit.allow(Duration::from_micros(i * 100))).count();
        assert_eq!(allowed, 10 + 19);
    }
}
