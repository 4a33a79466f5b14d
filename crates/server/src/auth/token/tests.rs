use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn key(text: &str) -> StreamKey {
    text.parse().expect("a key")
}

/// A token with these header and claims, signed as HS256 whatever the header says.
fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(SECRET), Algorithm::HS256);
    format!("{message}.{}", signature.expect("a signature"))
}

fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = json!({"sub": "live/show", "act": "publish", "exp": 100, "jti": "a", "once": false});
    change(&mut claims);
    claims
}

#[test]
fn what_a_scope_covers() {
    for (scope, inside, outside) in [
        ("live/show", &["live/show"][..], &["live/show2", "live/sho", "live/show/x", "other/show"][..]),
        ("show", &["live/show"], &["x/show"]),
        ("live/*", &["live/a", "live/a/b"], &["livex/a", "x/live/a"]),
        ("live/show*", &["live/show", "live/show2"], &["live/sho"]),
        ("*", &["live/a", "x/y/z"], &[]),
        ("sho*", &["live/show"], &["show/a"]),
    ] {
        let scope: Scope = scope.parse().expect("a scope");
        assert!(inside.iter().all(|text| scope.covers(&key(text))), "{scope}");
        assert!(!outside.iter().any(|text| scope.covers(&key(text))), "{scope}");
    }
    for bad in ["", "live/", "/show", "live/../x", "live/a b", "li*ve/a", "live/**", "api/x", "a//*"] {
        assert!(bad.parse::<Scope>().is_err(), "{bad}");
    }
}

#[test]
fn a_token_is_good_to_the_second() {
    let claims =
        Claims { nbf: 90, ..read(&signed(&json!({"alg": "HS256"}), &claims(|_| ())), SECRET).unwrap() };
    for (second, expected) in [
        (89, Err(Denied::TooEarly)),
        (90, Ok(())),
        (99, Ok(())),
        (100, Err(Denied::Expired)),
        (101, Err(Denied::Expired)),
        (0, Err(Denied::TooEarly)),
    ] {
        assert_eq!(claims.check_time(at(second)), expected, "{second}");
    }
    assert_eq!(claims.check_time(UNIX_EPOCH - Duration::from_secs(5)), Err(Denied::TooEarly));
}

#[test]
fn a_token_is_for_one_action_on_its_streams() {
    let claims = read(&signed(&json!({"alg": "HS256"}), &claims(|_| ())), SECRET).unwrap();
    let check = |action, stream| claims.check(action, &key(stream), at(0));
    assert_eq!(check(Action::Publish, "live/show"), Ok(()));
    assert_eq!(check(Action::Play, "live/show"), Err(Denied::OtherAction { allowed: Action::Publish }));
    assert_eq!(check(Action::Publish, "live/other"), Err(Denied::OtherStream));
}

#[test]
fn what_is_no_token_of_ours() {
    let good = signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims(|_| ()));
    assert!(read(&good, SECRET).is_ok());
    assert_eq!(read(&good, b"another secret"), Err(Denied::Wrong));
    for header in [json!({"alg": "none"}), json!({"alg": "HS512"}), json!({"alg": "RS256"}), json!({})] {
        assert_eq!(read(&signed(&header, &claims(|_| ())), SECRET), Err(Denied::Wrong), "{header}");
    }
    for (what, claims) in [
        ("no stream", claims(|c| c["sub"] = Value::Null)),
        ("no action", claims(|c| c["act"] = Value::Null)),
        ("an action that we do not know", claims(|c| c["act"] = json!("admin"))),
        ("no end", claims(|c| c["exp"] = Value::Null)),
        ("an end that is no number", claims(|c| c["exp"] = json!("tomorrow"))),
        (
            "good for one time, and nothing to know it by",
            claims(|c| {
                c["once"] = json!(true);
                c["jti"] = json!("");
            }),
        ),
    ] {
        assert_eq!(read(&signed(&json!({"alg": "HS256"}), &claims), SECRET), Err(Denied::Wrong), "{what}");
    }
    let unsigned = good.rsplit_once('.').expect("three parts").0;
    for text in ["", ".", "..", "a.b.c", unsigned, &format!("{unsigned}."), &"x".repeat(MAX_LEN + 1)] {
        assert_eq!(read(text, SECRET), Err(Denied::Wrong), "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn tokens_of_others_may_say_less_and_more() {
    let plain =
        json!({"sub": "live/*", "act": "play", "exp": 100.75, "iat": 3, "aud": "viewers", "name": "ann"});
    let claims = read(&signed(&json!({"alg": "HS256"}), &plain), SECRET).expect("a token");
    assert_eq!((claims.exp, claims.once, claims.jti.as_str()), (100, false, ""));
    let endless = json!({"sub": "*", "act": "play", "exp": 1e300});
    let claims = read(&signed(&json!({"alg": "HS256"}), &endless), SECRET).expect("a token");
    assert_eq!(claims.exp, LAST_SECOND);
    assert!(humantime::format_rfc3339(claims.expires_at()).to_string().starts_with("9999-12-31"));
}

#[test]
fn no_two_tokens_have_the_same_name() {
    let new = || Claims::new("a".parse().expect("a scope"), Action::Play, at(0), Duration::ZERO, true);
    let (one, other) = (new().expect("random bytes"), new().expect("random bytes"));
    assert_ne!(one.jti, other.jti);
    assert_eq!(one.exp, 1);
}

proptest! {
    #[test]
    fn what_was_signed_is_read(
        sub in "[a-z]{1,8}/[a-z0-9._~-]{0,8}[a-z]\\*?",
        act in prop_oneof![Just(Action::Publish), Just(Action::Play)],
        exp in 1..LAST_SECOND,
        once: bool,
        secret in proptest::collection::vec(any::<u8>(), 1..80),
    ) {
        let sub: Scope = sub.parse().expect("a scope");
        let claims = Claims { sub, act, exp, nbf: 0, jti: "x".to_owned(), once };
        let token = claims.sign(&secret).expect("signed");
        prop_assert_eq!(read(&token, &secret), Ok(claims));
    }

    #[test]
    fn one_changed_byte_is_enough(position in 0..1000_usize, change in 1..=255_u8) {
        let claims = Claims { sub: "a".parse().unwrap(), act: Action::Play, exp: 9, nbf: 0, jti: "x".into(), once: true };
        let mut token = claims.sign(SECRET).expect("signed").into_bytes();
        let position = position % token.len();
        token[position] ^= change;
        if let Ok(token) = String::from_utf8(token) {
            prop_assert_eq!(read(&token, SECRET), Err(Denied::Wrong));
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        prop_assert_eq!(read(&text, SECRET), Err(Denied::Wrong));
    }
}
