//! Commands: AMF-encoded calls and their answers (RTMP §7.1.1, §7.2).

use bytes::Bytes;
use flumen_amf0::{Object, Value};

use crate::{Error, MessageType, Misbehaviour};

/// A command message: a call, or the answer to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The procedure (`connect`, `publish`, …) or `_result`, `_error`, `onStatus`.
    pub name: String,
    /// Pairs an answer with its call; 0 asks for no answer.
    pub transaction: f64,
    /// The command object; `Null` for most commands.
    pub object: Value,
    /// What follows the command object.
    pub args: Vec<Value>,
}

impl Command {
    /// A call or answer with a null command object.
    pub fn new(name: &str, transaction: f64, args: impl IntoIterator<Item = Value>) -> Self {
        Self { name: name.to_owned(), transaction, object: Value::Null, args: args.into_iter().collect() }
    }

    /// An `onStatus` command with the information object `info` (RTMP §7.2.2).
    pub fn on_status(info: Object) -> Self {
        Self::new("onStatus", 0.0, [Value::Object(info)])
    }

    /// Decodes the payload of a command message of type 20 or 17.
    ///
    /// Missing parts are taken as absent: real clients leave out the transaction id of `onStatus`-like calls and the
    /// command object.
    ///
    /// # Errors
    /// [`Misbehaviour::MalformedCommand`] if the AMF is broken or does not begin with a name.
    pub fn decode(kind: MessageType, payload: &[u8]) -> Result<Self, Error> {
        let values = flumen_amf0::decode_all(amf0_part(kind, payload))
            .map_err(|_| Error::PeerMisbehaved(Misbehaviour::MalformedCommand("its AMF cannot be read")))?;
        // What a Flash client says in AMF3 means the same in AMF0.
        let mut values = values.into_iter().map(Value::into_amf0);
        let Some(name) = values.next().as_ref().and_then(Value::as_str).map(str::to_owned) else {
            return Err(Error::PeerMisbehaved(Misbehaviour::MalformedCommand(
                "it does not begin with a name",
            )));
        };
        let transaction = values.next().as_ref().and_then(Value::as_number).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, args: values.collect() })
    }

    /// The payload of a command message of type 20.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(128);
        flumen_amf0::encode(&Value::String(self.name.clone()), &mut bytes);
        flumen_amf0::encode(&Value::Number(self.transaction), &mut bytes);
        flumen_amf0::encode(&self.object, &mut bytes);
        for arg in &self.args {
            flumen_amf0::encode(arg, &mut bytes);
        }
        bytes.into()
    }

    /// Argument `index` as a string; absent, null and other types give `None`.
    pub fn str_arg(&self, index: usize) -> Option<&str> {
        self.args.get(index).and_then(Value::as_str)
    }

    /// Argument `index` as a number.
    pub fn number_arg(&self, index: usize) -> Option<f64> {
        self.args.get(index).and_then(Value::as_number)
    }

    /// Argument `index` as a boolean.
    pub fn bool_arg(&self, index: usize) -> Option<bool> {
        self.args.get(index).and_then(Value::as_bool)
    }

    /// The information object of an answer: its last object argument.
    pub fn info(&self) -> Option<&Object> {
        self.args.iter().rev().find_map(Value::as_object)
    }
}

/// The AMF0 values inside a command or data message.
///
/// Types 17 and 15 carry one format byte, 0, and then AMF0 in which single values may switch to AMF3
/// (E-RTMP v2, "Enabling AMF3 in RTMP"). A leading 0 byte cannot begin an AMF0 command, so its presence decides.
pub(crate) fn amf0_part(kind: MessageType, payload: &[u8]) -> &[u8] {
    match payload {
        [0, rest @ ..] if matches!(kind, MessageType::COMMAND_AMF3 | MessageType::DATA_AMF3) => rest,
        _ => payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_a_round_trip() {
        let command = Command {
            object: Value::Object([("app".to_owned(), Value::from("live"))].into_iter().collect()),
            ..Command::new("connect", 1.0, [Value::Null, Value::from(true), Value::from("x")])
        };
        assert_eq!(Command::decode(MessageType::COMMAND_AMF0, &command.encode()), Ok(command));
    }

    #[test]
    fn the_amf3_message_type_carries_amf0_behind_a_zero() {
        let command = Command::new("play", 4.0, [Value::from("demo")]);
        let mut payload = vec![0];
        payload.extend_from_slice(&command.encode());
        assert_eq!(Command::decode(MessageType::COMMAND_AMF3, &payload), Ok(command));
    }

    #[test]
    fn a_name_alone_is_a_command_and_a_number_alone_is_not() {
        let name_only = [2, 0, 4, b'p', b'l', b'a', b'y'];
        let command = Command::decode(MessageType::COMMAND_AMF0, &name_only).expect("a name is enough");
        assert_eq!((command.name.as_str(), command.transaction, command.args.len()), ("play", 0.0, 0));
        assert!(Command::decode(MessageType::COMMAND_AMF0, &[0; 9]).is_err());
    }
}
