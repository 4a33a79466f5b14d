use super::*;
use proptest::prelude::*;

const AV01: FourCc = FourCc(*b"av01");
const OPUS: FourCc = FourCc(*b"Opus");
const NEW_ONE: FourCc = FourCc(*b"xyz9");

fn list(codecs: &[&str]) -> Value {
    Value::StrictArray(codecs.iter().map(|&codec| codec.into()).collect())
}

/// What a peer says of one codec, and what follows.
#[test]
fn support() {
    const D: u32 = 1;
    const F: u32 = 4;
    let map = |pairs: &[(&str, u32)]| Value::Object(pairs.iter().copied().collect());
    let table: &[(&str, Value, FourCc, CodecSupport, bool)] = &[
        ("fourCcList", list(&["av01", "hvc1"]), AV01, CodecSupport::DECODE, true),
        ("fourCcList", list(&["av01", "hvc1"]), OPUS, CodecSupport::ALL, false),
        ("fourCcList", list(&["av01"]), AV01, CodecSupport::NONE, false),
        ("fourCcList", list(&["*"]), NEW_ONE, CodecSupport::FORWARD, true),
        ("fourCcList", list(&["xyz9"]), NEW_ONE, CodecSupport::FORWARD, true),
        ("fourCcList", list(&["AV01"]), AV01, CodecSupport::DECODE, false),
        ("fourCcList", list(&["av1", "", "av01x"]), AV01, CodecSupport::ALL, false),
        (
            "fourCcList",
            Value::StrictArray(vec![1.into(), Value::Null, "av01".into()]),
            AV01,
            CodecSupport::DECODE,
            true,
        ),
        ("fourCcList", Value::EcmaArray([("0", "av01")].into()), AV01, CodecSupport::DECODE, true),
        ("fourCcList", "av01".into(), AV01, CodecSupport::DECODE, true),
        ("fourCcList", Value::Null, AV01, CodecSupport::ALL, false),
        ("videoFourCcInfoMap", map(&[("av01", D | F)]), AV01, CodecSupport::DECODE, true),
        ("videoFourCcInfoMap", map(&[("av01", D | F)]), AV01, CodecSupport::ENCODE, false),
        ("videoFourCcInfoMap", map(&[("av01", 0)]), AV01, CodecSupport::ALL, false),
        ("videoFourCcInfoMap", map(&[("*", F), ("av01", D)]), AV01, CodecSupport::FORWARD, true),
        ("videoFourCcInfoMap", map(&[("*", F), ("av01", D)]), AV01, CodecSupport::DECODE, true),
        ("videoFourCcInfoMap", map(&[("*", F), ("av01", D)]), NEW_ONE, CodecSupport::DECODE, false),
        ("videoFourCcInfoMap", Value::EcmaArray([("av01", 1)].into()), AV01, CodecSupport::DECODE, true),
        ("videoFourCcInfoMap", Value::Object([("av01", "1")].into()), AV01, CodecSupport::DECODE, false),
        ("videoFourCcInfoMap", Value::Object([("av01", -1.0)].into()), AV01, CodecSupport::DECODE, false),
        ("videoFourCcInfoMap", Value::Object([("av01", f64::NAN)].into()), AV01, CodecSupport::DECODE, false),
        ("videoFourCcInfoMap", list(&["av01"]), AV01, CodecSupport::DECODE, false),
        ("audioFourCcInfoMap", map(&[("Opus", D)]), OPUS, CodecSupport::DECODE, true),
        ("audioFourCcInfoMap", map(&[("Opus", D)]), AV01, CodecSupport::DECODE, false),
    ];
    for (property, value, codec, how, expected) in table {
        let said = Capabilities::from_object(&Object::new().with(*property, value.clone()));
        assert_eq!(said.supports(*codec, *how), *expected, "{property} = {value:?}: {codec} {how:?}");
    }
}

#[test]
fn extensions() {
    let table = [
        (0.0, [false; 4]),
        (1.0, [true, false, false, false]),
        (10.0, [false, true, false, true]),
        (1e20, [true; 4]),
    ];
    for (number, flags) in table {
        let said = Capabilities::from_object(&Object::new().with("capsEx", number));
        assert_eq!(
            [said.reconnect(), said.multitrack(), said.mod_ex(), said.timestamp_nano_offset()],
            flags,
            "{number}"
        );
    }
}

#[test]
fn legacy_peers_say_nothing() {
    let ffmpeg_5 = Object::new().with("app", "live").with("videoCodecs", 252.0).with("capabilities", 15.0);
    let said = Capabilities::from_object(&ffmpeg_5);
    assert_eq!(said, Capabilities::default());
    assert!(!said.is_enhanced());
    let mut object = Object::new();
    said.write_to(&mut object);
    assert!(object.is_empty());
}

#[test]
fn what_we_say() {
    let mut object = Object::new().with("capsEx", "what was there is replaced");
    Capabilities::forwarding().write_to(&mut object);
    assert_eq!(object.get("capsEx").and_then(Value::as_number), Some(15.0));
    let video = object.get("videoFourCcInfoMap").and_then(Value::as_object).unwrap();
    assert!(
        matches!(object.get("videoFourCcInfoMap"), Some(Value::Object(_))),
        "E-RTMP wants objects, not arrays"
    );
    assert_eq!(
        video.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        ["avc1", "hvc1", "vvc1", "av01", "vp08", "vp09"]
    );
    assert!(video.iter().all(|(_, mask)| mask.as_number() == Some(4.0)));
    let audio = object.get("audioFourCcInfoMap").and_then(Value::as_object).unwrap();
    assert_eq!(
        audio.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        ["mp4a", "Opus", "fLaC", "ac-3", "ec-3", ".mp3"]
    );
    assert_eq!(object.get("fourCcList").and_then(Value::as_array).map(<[_]>::len), Some(12));
}

#[test]
fn a_flood_of_codecs_is_cut() {
    let codes: Vec<String> = (0..10_000).map(|n| format!("{n:04}")).collect();
    let object = Object::new()
        .with("fourCcList", codes.iter().map(|code| code.as_str().into()).collect::<Vec<Value>>())
        .with("videoFourCcInfoMap", codes.iter().map(|code| (code.as_str(), 1)).collect::<Object>());
    let said = Capabilities::from_object(&object);
    assert_eq!((said.list.codecs.len(), said.video.codecs.len()), (MAX_CODECS, MAX_CODECS));
}

#[test]
fn reconnect_requests() {
    let current = "rtmp://old.example.com:1936/live";
    let table = [
        (None, None, current),
        (
            Some("rtmp://foo.mydomain.com:1935/realtimeapp"),
            Some("Updates."),
            "rtmp://foo.mydomain.com:1935/realtimeapp",
        ),
        (Some("//192.0.2.0/realtimeapp"), None, "rtmp://192.0.2.0/realtimeapp"),
        (Some("/realtimeapp"), None, "rtmp://old.example.com:1936/realtimeapp"),
    ];
    for (tc_url, description, target) in table {
        let request = ReconnectRequest {
            tc_url: tc_url.map(str::to_owned),
            description: description.map(str::to_owned),
        };
        let info = request.to_info();
        assert_eq!(info.get("level").and_then(Value::as_str), Some("status"));
        assert_eq!(info.get("tcUrl").is_some(), tc_url.is_some());
        assert_eq!(ReconnectRequest::from_info(&info), Some(request.clone()));
        assert_eq!(request.target(current), target);
    }
}

#[test]
fn other_statuses_are_no_reconnect_request() {
    for info in [
        Object::new(),
        Object::new().with("code", 1),
        Object::new().with("code", "NetConnection.Connect.Closed"),
    ] {
        assert_eq!(ReconnectRequest::from_info(&info), None);
    }
}

proptest! {
    #[test]
    fn what_is_said_is_understood(
        any in any::<bool>(),
        codecs in proptest::collection::vec("[a-zA-Z0-9.-]{4}", 0..8),
        masks in proptest::collection::vec(("[a-zA-Z0-9.-]{4}|[*]", any::<u32>()), 0..8),
        caps_ex in any::<u32>(),
    ) {
        let mut map = CodecMap::default();
        for (code, mask) in &masks {
            match FourCc::from_text(code) {
                Some(codec) => map.insert(codec, CodecSupport(*mask)),
                None => map.any = CodecSupport(*mask),
            }
        }
        let codecs = codecs.iter().filter_map(|code| FourCc::from_text(code)).collect();
        let said = Capabilities {
            list: CodecList { any, codecs },
            video: map.clone(),
            audio: map,
            caps_ex: CapsEx(caps_ex),
        };
        let mut object = Object::new();
        said.write_to(&mut object);
        prop_assert_eq!(Capabilities::from_object(&object), said);
    }

    #[test]
    fn any_values_are_bounded(pairs in proptest::collection::vec((hostile_key(), hostile_value()), 0..6)) {
        crate::fuzz::capabilities(&flumen_amf0::encode_all(&[Value::Object(pairs.into_iter().collect())]));
    }
}

fn hostile_key() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "fourCcList",
        "videoFourCcInfoMap",
        "audioFourCcInfoMap",
        "capsEx",
        "code",
        "tcUrl",
        "*",
        "av01",
    ])
    .prop_map(str::to_owned)
}

fn hostile_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<f64>().prop_map(Value::Number),
        "[*]|.{0,5}|//a|/b".prop_map(Value::String),
        Just(Value::from(ReconnectRequest::CODE)),
        Just(Value::Null),
    ];
    scalar.prop_recursive(2, 40, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::StrictArray),
            proptest::collection::vec((hostile_key(), inner), 0..8)
                .prop_map(|pairs| Value::EcmaArray(pairs.into_iter().collect())),
        ]
    })
}
