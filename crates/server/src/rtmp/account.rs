//! What became of connections, counted for the metrics.

use flumen_hub::{CloseReason, SubscribeEnd};
use flumen_rtmp::Error;
use flumen_rtmp::proto;

use super::connection::Ending;
use crate::metrics::Metrics;

/// Counts the end of a connection that came as far as its first wish.
pub(super) fn count_end(metrics: &Metrics, protocol: &'static str, outcome: &Result<Ending, Error>) {
    if let Err(Error::Protocol(error)) = outcome {
        metrics.protocol_error(protocol, kind(error));
    }
    metrics.closed(protocol, reason(outcome));
}

/// Counts a connection that ended before it was understood.
pub(super) fn count_handshake_failure(metrics: &Metrics, protocol: &'static str, error: &Error) {
    let reason = match error {
        Error::Timeout(_) => "timeout",
        Error::Protocol(_) => "protocol",
        Error::Io(_) | Error::Closed(_) => "connection",
        _ => "tls",
    };
    metrics.handshake_failed(protocol, reason);
}

fn reason(outcome: &Result<Ending, Error>) -> &'static str {
    match outcome {
        Ok(Ending::Closed) => "closed",
        Ok(Ending::Refused) => "refused",
        Ok(Ending::Shutdown) => "shutdown",
        Ok(Ending::Kicked) => "kicked",
        Ok(Ending::Unpublished(reason)) => match reason {
            CloseReason::Superseded => "superseded",
            CloseReason::Stopped => "stopped",
            CloseReason::Kicked => "kicked",
            CloseReason::Idle => "idle",
            CloseReason::Shutdown => "shutdown",
        },
        Ok(Ending::Unplayed(SubscribeEnd::TooSlow)) => "too_slow",
        Ok(Ending::Unplayed(SubscribeEnd::Unpublished(_))) => "stream_ended",
        Ok(Ending::Unplayed(SubscribeEnd::Shutdown)) => "shutdown",
        Err(Error::Protocol(_)) => "protocol",
        Err(Error::Timeout(_)) => "timeout",
        Err(_) => "lost",
    }
}

fn kind(error: &proto::Error) -> &'static str {
    match error {
        proto::Error::PeerMisbehaved(_) => "misbehaved",
        proto::Error::Unsupported(_) => "unsupported",
        proto::Error::LimitExceeded(_) => "limit",
        _ => "other",
    }
}
