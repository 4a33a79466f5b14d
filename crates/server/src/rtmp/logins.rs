//! Logins with RTMP's own users and passwords (`authmod=adobe`), and what else can be judged at `connect` already.

use std::net::IpAddr;
use std::time::Duration;

use flumen_rtmp::proto::adobe_auth::{Authenticator, Challenge, Rejection};
use flumen_rtmp::proto::{ConnectRequest, StreamAddress};
use parking_lot::Mutex;

use crate::auth::{Auth, Denied, Shown};
use crate::config::{AuthMode, Settings};
use crate::gate::Refused;

/// Judges logins. One for all connections, because a client answers a challenge on a new one.
#[derive(Debug, Default)]
pub(super) struct Logins {
    authenticator: Mutex<Authenticator>,
}

impl Logins {
    /// Lets a client connect, unless it is certain by now that nothing it asks for later will be allowed. Gives the user's
    /// name if it proved to know a password.
    ///
    /// `uptime` counts from any moment, the same for all calls.
    pub(super) async fn admit(
        &self,
        auth: &Auth,
        settings: &Settings,
        request: &ConnectRequest,
        remote: IpAddr,
        uptime: Duration,
    ) -> Result<Option<String>, Refused> {
        let params = StreamAddress::resolve(&request.tc_url, &request.app, "").params;
        let shown = Shown::rtmp(params.clone(), None);
        if !must_log_in(settings, &shown) {
            return auth.check_early(&shown, remote).await.map(|()| None).map_err(refused);
        }
        if auth.is_locked_out(remote) {
            return Err(refused(Denied::TooManyAttempts));
        }
        let mut random = [0; Challenge::RANDOM_LEN];
        if getrandom::fill(&mut random).is_err() {
            return Err(Refused("the server cannot make a challenge now: try again later".to_owned()));
        }
        let password = |user: &str| settings.rtmp.users.get(user).map(|secret| secret.reveal().to_owned());
        let judged = self.authenticator.lock().check(&params, uptime, random, password);
        if judged == Err(Rejection::AuthFailed) {
            auth.note_wrong(remote);
        }
        judged.map(Some).map_err(|rejection| Refused(rejection.to_string()))
    }
}

fn refused(denied: Denied) -> Refused {
    Refused(denied.to_string())
}

/// Whether the login is asked for right here. Later it is too late: clients log in only when `connect` is refused.
fn must_log_in(settings: &Settings, shown: &Shown) -> bool {
    if settings.rtmp.users.is_empty() {
        return false;
    }
    if shown.param("authmod").is_some() {
        return true;
    }
    let auth = &settings.auth;
    let takes_tokens = [auth.publish, auth.play].iter().any(|mode| *mode != AuthMode::Open);
    // These are judged together with the stream.
    shown.plain_login().is_none() && !(takes_tokens && shown.token().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn who_must_log_in() {
        let must = |settings: &Settings, query| must_log_in(settings, &Shown::http(Some(query), None));
        let mut settings = Settings::default();
        assert!(!must(&settings, "authmod=adobe&user=ann"));
        settings.rtmp.users.insert("ann".to_owned(), Secret::new("hunter2"));
        for (query, open, token) in [
            ("", true, true),
            ("token=a", true, false),
            ("user=ann&pass=hunter2", false, false),
            ("authmod=adobe&user=ann", true, true),
            ("authmod=adobe&user=ann&token=a", true, true),
        ] {
            settings.auth.publish = AuthMode::Open;
            assert_eq!(must(&settings, query), open, "{query}");
            settings.auth.publish = AuthMode::Token;
            assert_eq!(must(&settings, query), token, "{query}");
        }
    }
}
