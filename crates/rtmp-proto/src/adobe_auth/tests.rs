use super::*;
use crate::{RtmpUrl, StreamAddress};
use proptest::prelude::*;

fn challenge(user: &str, salt: &str, challenge: &str, opaque: Option<&str>) -> Challenge {
    Challenge {
        user: user.to_owned(),
        salt: salt.to_owned(),
        challenge: challenge.to_owned(),
        opaque: opaque.map(str::to_owned),
    }
}

/// Descriptions both ways.
#[test]
fn descriptions() {
    let table = [
        ("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] :", Rejection::NeedAuth),
        ("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed", Rejection::AuthFailed),
        ("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=nosuchuser", Rejection::NoSuchUser),
        (
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=u&salt=s&challenge=c&opaque=o",
            Rejection::Challenge(challenge("u", "s", "c", Some("o"))),
        ),
        (
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=u&salt=s==&challenge=c+/=",
            Rejection::Challenge(challenge("u", "s==", "c+/=", None)),
        ),
    ];
    for (description, rejection) in table {
        assert_eq!(rejection.to_string(), description);
        assert_eq!(Rejection::parse(description), Some(rejection), "{description}");
    }
}

/// What other servers write.
#[test]
fn foreign_descriptions() {
    let table = [
        ("[ code=403 .need auth; authmod=adobe ]", Some(Rejection::NeedAuth)),
        (
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=vgoAAA==",
            Some(Rejection::AuthFailed),
        ),
        (
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=nosuchuser&opaque=sTQAAA=",
            Some(Rejection::NoSuchUser),
        ),
        ("authmod=adobe ?reason=needauth&x&user", Some(Rejection::Challenge(challenge("", "", "", None)))),
        ("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=invalid_session_id&opaque=-", None),
        ("[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] :", None),
        ("authmod=adobe", None),
        ("", None),
    ];
    for (description, rejection) in table {
        assert_eq!(Rejection::parse(description), rejection, "{description}");
    }
}

/// Computed with Python's `hashlib` and `base64`:
/// `b = lambda s: b64encode(md5(s.encode()).digest()).decode(); b(b(user + salt + password) + nonce + client_challenge)`.
#[test]
fn golden_responses() {
    let fresh = Challenge::new("bjørn@example.com", std::array::from_fn(|i| i as u8));
    let table = [
        (
            challenge("myuser", "salt123", "server456challenge", None),
            "mypass",
            "deadbeef",
            "TTm4t+QTZks4GylaQ83TJw==",
        ),
        (
            challenge("myuser", "salt123", "server456challenge", Some("")),
            "mypass",
            "deadbeef",
            "TTm4t+QTZks4GylaQ83TJw==",
        ),
        (
            challenge("alice", "2pUS4Q==", "ignored", Some("YuABAA==")),
            "s3cret",
            "gcXhWA==",
            "+jTKTtwwRNifKZkJVRzCOg==",
        ),
        (fresh, "p&ss wörd", "01020304", "95DVGDB6qzumZmllGxCV5w=="),
    ];
    for (challenge, password, client_challenge, response) in table {
        assert_eq!(challenge.response(password, client_challenge), response);
        assert!(!challenge.clone().verify(password, client_challenge, "TTm4t+QTZks4GylaQ83TJx=="));
        assert!(!challenge.clone().verify(password, client_challenge, ""));
        assert!(challenge.verify(password, client_challenge, response));
    }
}

/// A server that knows Alice, and the time.
struct Server {
    authenticator: Authenticator,
    now: Duration,
    counter: u8,
}

impl Server {
    fn new() -> Self {
        Self { authenticator: Authenticator::new(), now: Duration::from_secs(1000), counter: 0 }
    }

    fn connect(&mut self, app: &str) -> Result<String, Rejection> {
        self.counter = self.counter.wrapping_add(1);
        let params = StreamAddress::resolve("", app, "").params;
        self.authenticator.check(&params, self.now, [self.counter; 24], |user| {
            (user == "alice").then(|| "s3cret".to_owned())
        })
    }

    /// The challenge for `user`.
    fn ask(&mut self, user: &str) -> Challenge {
        match self.connect(&format!("live?authmod=adobe&user={user}")) {
            Err(Rejection::Challenge(challenge)) => challenge,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn three_connects_log_in() {
    let mut server = Server::new();
    let url = RtmpUrl::parse("rtmp://host/live/key").unwrap();
    let mut login = Login::new("alice", "s3cret");
    let first = server.connect(&url.app).unwrap_err();
    assert_eq!(first, Rejection::NeedAuth);
    let query = login.answer(&first.to_string(), [1, 2, 3, 4]).unwrap();
    assert_eq!(query, "authmod=adobe&user=alice");
    let second = server.connect(&url.with_app_query(&query).app).unwrap_err();
    let query = login.answer(&second.to_string(), [1, 2, 3, 4]).unwrap();
    assert_eq!(server.connect(&url.with_app_query(&query).app), Ok("alice".to_owned()));
}

/// The query grows as librtmp (OBS) makes it grow: behind what was there.
#[test]
fn obs_logs_in() {
    let mut server = Server::new();
    let asked = server.ask("alice");
    let response = asked.response("s3cret", "gcXhWA==");
    let opaque = asked.opaque.unwrap();
    let app =
        format!("live?a=b?authmod=adobe&user=alice&challenge=gcXhWA==&response={response}&opaque={opaque}");
    assert_eq!(server.connect(&app), Ok("alice".to_owned()));
}

#[test]
fn wrong_answers_are_refused_alike() {
    for (user, password) in [("alice", "wrong"), ("alice", ""), ("mallory", "s3cret"), ("mallory", "")] {
        let mut server = Server::new();
        let asked = server.ask(user);
        let app = format!(
            "live?authmod=adobe&user={user}&challenge=c&response={}&opaque={}",
            asked.response(password, "c"),
            asked.challenge
        );
        assert_eq!(server.connect(&app), Err(Rejection::AuthFailed), "{user} {password}");
    }
}

#[test]
fn a_challenge_holds_once_for_its_user_and_not_for_long() {
    let mut server = Server::new();
    let asked = server.ask("alice");
    let response = asked.response("s3cret", "c");
    let app =
        format!("live?authmod=adobe&user=alice&challenge=c&response={response}&opaque={}", asked.challenge);
    let stolen = app.replace("alice", "bob");
    assert_eq!(server.connect(&stolen), Err(Rejection::AuthFailed), "another user's");
    assert_eq!(server.connect(&app), Ok("alice".to_owned()));
    assert_eq!(server.connect(&app), Err(Rejection::AuthFailed), "replayed");

    let asked = server.ask("alice");
    let response = asked.response("s3cret", "c");
    let app =
        format!("live?authmod=adobe&user=alice&challenge=c&response={response}&opaque={}", asked.challenge);
    server.now += LIFETIME + Duration::from_millis(1);
    assert_eq!(server.connect(&app), Err(Rejection::AuthFailed), "late");
    assert!(server.authenticator.pending.is_empty());
}

#[test]
fn a_client_may_leave_the_nonce_out() {
    let mut server = Server::new();
    server.ask("alice");
    let latest = server.ask("alice");
    server.ask("bob");
    let app =
        format!("live?authmod=adobe&user=alice&challenge=c&response={}", latest.response("s3cret", "c"));
    assert_eq!(server.connect(&app), Ok("alice".to_owned()));
}

#[test]
fn pending_challenges_are_bounded() {
    let mut server = Server::new();
    let first = server.ask("alice");
    for _ in 0..MAX_PENDING {
        server.ask("bob");
    }
    assert_eq!(server.authenticator.pending.len(), MAX_PENDING);
    let app = format!("live?authmod=adobe&user=alice&challenge=c&response={}", first.response("s3cret", "c"));
    assert_eq!(server.connect(&app), Err(Rejection::AuthFailed));
}

#[test]
fn names_that_cannot_travel_are_refused() {
    let mut server = Server::new();
    let longest = "u".repeat(MAX_USER);
    let description = Rejection::Challenge(server.ask(&longest)).to_string();
    assert!(description.len() <= 255, "FFmpeg would cut {} bytes", description.len());
    for user in [&format!("{longest}u"), "", "a%26salt=x", "a%0d"] {
        assert_eq!(
            server.connect(&format!("live?authmod=adobe&user={user}")),
            Err(Rejection::AuthFailed),
            "{user}"
        );
    }
    assert_eq!(server.connect("live?authmod=llnw&user=alice"), Err(Rejection::NeedAuth));
    assert_eq!(server.connect("live?authmod=adobe"), Err(Rejection::NeedAuth));
}

#[test]
fn a_client_gives_up_in_time() {
    let need_auth = Rejection::NeedAuth.to_string();
    let asked = Rejection::Challenge(Challenge::new("u", [0; 24])).to_string();
    let failed = Rejection::AuthFailed.to_string();
    let unknown = Rejection::NoSuchUser.to_string();
    let table: &[(&[&str], Result<(), LoginError>)] = &[
        (&[&need_auth, &asked], Ok(())),
        (&[&asked], Ok(())),
        (&[&need_auth, &need_auth], Err(LoginError::Repeated)),
        (&[&need_auth, &asked, &asked], Err(LoginError::Repeated)),
        (&[&need_auth, &asked, &need_auth], Err(LoginError::Repeated)),
        (&[&need_auth, &asked, &failed], Err(LoginError::AuthFailed)),
        (&[&need_auth, &unknown], Err(LoginError::NoSuchUser)),
        (&["No such application."], Err(LoginError::NotAsked)),
    ];
    for (descriptions, end) in table {
        let mut login = Login::new("u", "p");
        let answers: Vec<_> = descriptions.iter().map(|text| login.answer(text, [0; 4]).map(drop)).collect();
        assert_eq!(answers.last(), Some(end), "{descriptions:?}");
        assert!(answers[..answers.len() - 1].iter().all(Result::is_ok));
    }
}

#[test]
fn debug_shows_no_password() {
    assert!(!format!("{:?}", Login::new("alice", "s3cret")).contains("s3cret"));
}

proptest! {
    #[test]
    fn any_user_and_password_log_in(user in "[^&\\p{C}]{1,18}", password in ".{0,20}", random in any::<[u8; 24]>()) {
        crate::fuzz::log_in(&user, &password, random);
    }

    #[test]
    fn any_description_is_taken(text in "(authmod=adobe|code=403|\\?reason=|needauth|&user=|&salt=|&opaque=|&|=|.){0,12}") {
        crate::fuzz::adobe_auth(text.as_bytes());
    }
}
