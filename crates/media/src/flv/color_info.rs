//! What the metadata of a video track says about colour (E-RTMP v2, "Metadata Frame").

use flumen_amf0::{Object, Value, decode_all};

use crate::Colour;

/// The colours in `colorInfo`, from the payload of a [`SideConfig`](crate::FrameKind::SideConfig) of video. `None` if
/// it tells none, or takes back what was told. Of the range it says nothing: it is taken for limited.
pub fn color_info(message: &[u8]) -> Option<Colour> {
    let values = decode_all(message).ok()?;
    let at = values.iter().position(|value| value.as_str() == Some("colorInfo"))?;
    let info = values.get(at + 1)?.clone().into_amf0();
    let config = properties(&info)?.get("colorConfig").and_then(properties)?;
    let code_point = |name| {
        let number = config.get(name).and_then(Value::as_number)?;
        (0.0..=255.0).contains(&number).then_some(number as u8)
    };
    let colour = Colour {
        primaries: code_point("colorPrimaries").unwrap_or(Colour::UNSPECIFIED),
        transfer: code_point("transferCharacteristics").unwrap_or(Colour::UNSPECIFIED),
        matrix: code_point("matrixCoefficients").unwrap_or(Colour::UNSPECIFIED),
        full_range: false,
    };
    colour.is_specified().then_some(colour)
}

fn properties(value: &Value) -> Option<&Object> {
    match value {
        Value::Object(properties) | Value::EcmaArray(properties) => Some(properties),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use flumen_amf0::encode_all;

    use super::*;

    fn message(info: Value) -> Vec<u8> {
        encode_all(&[Value::from("colorInfo"), info])
    }

    #[test]
    fn colours_are_told() {
        let config = Object::from([("bitDepth", 10.0), ("colorPrimaries", 9.0), ("matrixCoefficients", 9.0)]);
        let info = Object::new().with("colorConfig", config.clone().with("transferCharacteristics", 16.0));
        let hdr = Colour { primaries: 9, transfer: 16, matrix: 9, full_range: false };
        assert_eq!(color_info(&message(info.into())), Some(hdr));
        let odd = Object::new().with("colorConfig", config.with("transferCharacteristics", -1.0));
        assert_eq!(color_info(&message(odd.into())), Some(Colour { transfer: 2, ..hdr }));
    }

    #[test]
    fn what_tells_nothing_is_none() {
        let nothing = Object::new().with("colorConfig", Object::from([("bitDepth", 8.0)]));
        for message in [
            message(Value::Undefined),
            message(Object::new().into()),
            message(nothing.into()),
            encode_all(&[Value::from("colorInfo")]),
            Vec::new(),
            vec![0xFF],
        ] {
            assert_eq!(color_info(&message), None, "{message:02X?}");
        }
    }
}
