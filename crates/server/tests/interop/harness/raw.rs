//! A minimal RTMP client of the tests' own: exact control over timestamps, exact knowledge of when what arrived.
//!
//! It shares no code with the product, waits for no reply (like OBS, it sends its commands at once), and knows one message
//! stream.

use std::collections::HashMap;
use std::fs;
use std::io::{BufReader, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::transfer::LIMIT;

/// What FLV and RTMP call a tag or message of audio, video, data (metadata), a command, or Set Chunk Size.
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA: u8 = 18;
const COMMAND: u8 = 20;
const SET_CHUNK_SIZE: u8 = 1;

/// What `capsEx` of a connect command says of a client that takes several tracks (E-RTMP v2).
const MULTITRACK: f64 = 2.0;

/// The chunk size this client sends with.
const CHUNK_SIZE: u32 = 4096;

/// A timestamp field of this value says that an extended timestamp follows (RTMP §5.3.1.3).
const EXTENDED: u32 = 0xFF_FFFF;

/// A tag of an FLV file: what a publisher sends as one message.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) kind: u8,
    /// Milliseconds.
    pub(crate) timestamp: u32,
    pub(crate) body: Vec<u8>,
}

impl Tag {
    /// Whether it carries video.
    pub(crate) fn is_video(&self) -> bool {
        self.kind == VIDEO
    }

    /// Whether it carries audio.
    pub(crate) fn is_audio(&self) -> bool {
        self.kind == AUDIO
    }
}

/// An RTMP message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    /// Milliseconds.
    pub(crate) timestamp: u32,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection that publishes or plays.
pub(crate) struct RawClient {
    output: TcpStream,
    input: BufReader<TcpStream>,
    chunk_size: usize,
    chunk_streams: HashMap<u8, ChunkStream>,
}

/// What the decoder remembers of one chunk stream.
#[derive(Default)]
struct ChunkStream {
    message: Message,
    length: usize,
    delta: u32,
    extended: bool,
}

impl Message {
    /// True for a picture, not a sequence header, of H.264.
    pub(crate) fn is_picture(&self) -> bool {
        self.kind == VIDEO && self.payload.get(1) == Some(&1)
    }

    /// True for video that its header calls a key frame.
    pub(crate) fn is_key_frame(&self) -> bool {
        self.kind == VIDEO && self.payload.first().is_some_and(|first| first >> 4 == 1)
    }
}

impl RawClient {
    /// Connects and asks to publish `live/NAME`.
    pub(crate) fn publish(addr: &str, name: &str) -> Self {
        Self::open(addr, "publish", &[string(name), string("live")].concat())
    }

    /// Connects and asks to play `live/NAME`.
    pub(crate) fn play(addr: &str, name: &str) -> Self {
        Self::open(addr, "play", &string(name))
    }

    fn open(addr: &str, command: &str, arguments: &[u8]) -> Self {
        let output = TcpStream::connect(addr).expect("the server listens");
        output.set_nodelay(true).expect("a TCP option");
        output.set_read_timeout(Some(LIMIT)).expect("a TCP option");
        let input = BufReader::new(output.try_clone().expect("sockets can be cloned"));
        let mut client = Self { output, input, chunk_size: 128, chunk_streams: HashMap::new() };
        client.handshake().expect("the server shakes hands");
        let connect = object(&[
            ("app", string("live")),
            ("flashVer", string("FMLE/3.0")),
            ("tcUrl", string(&format!("rtmp://{addr}/live"))),
            ("capsEx", number(MULTITRACK)),
        ]);
        client.send(2, SET_CHUNK_SIZE, 0, 0, &CHUNK_SIZE.to_be_bytes());
        client.send(3, COMMAND, 0, 0, &[string("connect"), number(1.0), connect].concat());
        client.send(3, COMMAND, 0, 0, &[string("createStream"), number(2.0), vec![NULL]].concat());
        client.send(
            4,
            COMMAND,
            0,
            1,
            &[string(command), number(3.0), vec![NULL], arguments.to_vec()].concat(),
        );
        client
    }

    /// RTMP §5.2, the simple form: C1 of zeros, and S1 echoed.
    fn handshake(&mut self) -> Result<()> {
        self.output.write_all(&[&[3][..], &[0; 1536]].concat())?;
        let mut reply = [0; 1 + 2 * 1536];
        self.input.read_exact(&mut reply)?;
        self.output.write_all(&reply[1..=1536])
    }

    /// Sends tags in real time, `offset` milliseconds added to their timestamps. Returns when the last one has been sent.
    pub(crate) fn send_tags<'a>(&mut self, tags: impl IntoIterator<Item = &'a Tag>, offset: u32) {
        let start = Instant::now();
        for tag in tags {
            let due = start + Duration::from_millis(tag.timestamp.into());
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let chunk_stream = if tag.kind == AUDIO { 4 } else { 6 };
            let wrapper = if tag.kind == DATA { string("@setDataFrame") } else { Vec::new() };
            let payload = [&wrapper[..], &tag.body].concat();
            self.send(chunk_stream, tag.kind, tag.timestamp.wrapping_add(offset), 1, &payload);
        }
    }

    /// Sends one message, each chunk of it with a full or an empty header (RTMP §5.3.1.2, types 0 and 3).
    fn send(&mut self, chunk_stream: u8, kind: u8, timestamp: u32, stream: u32, payload: &[u8]) {
        let extended = if timestamp >= EXTENDED { timestamp.to_be_bytes().to_vec() } else { Vec::new() };
        let mut bytes = vec![chunk_stream];
        bytes.extend(&timestamp.min(EXTENDED).to_be_bytes()[1..]);
        bytes.extend(&(payload.len() as u32).to_be_bytes()[1..]);
        bytes.push(kind);
        bytes.extend(stream.to_le_bytes());
        for (number, chunk) in payload.chunks(CHUNK_SIZE as usize).enumerate() {
            if number > 0 {
                bytes.push(0xC0 | chunk_stream);
            }
            bytes.extend(&extended);
            bytes.extend(chunk);
        }
        self.output.write_all(&bytes).expect("the server reads");
    }

    /// The next message from the server; `None` at the end of the connection, or when nothing comes for too long.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        loop {
            let message = self.receive_chunk().ok()?;
            match message {
                Some(Message { kind: SET_CHUNK_SIZE, payload, .. }) => {
                    self.chunk_size = big_endian(&payload) as usize;
                }
                Some(message) => return Some(message),
                None => {}
            }
        }
    }

    /// Writes what it plays to an FLV file, until the publisher has gone.
    pub(crate) fn save(&mut self, file: &Path) {
        let mut tags = Vec::new();
        while let Some(message) = self.receive() {
            let Message { kind, timestamp, payload, .. } = message;
            if kind == COMMAND && payload.windows(15).any(|text| text == b"UnpublishNotify") {
                break;
            }
            if matches!(kind, AUDIO | VIDEO | DATA) {
                tags.push(Tag { kind, timestamp, body: payload });
            }
        }
        save_tags(&tags, file);
    }

    /// Reads one chunk; gives the message that it completes.
    fn receive_chunk(&mut self) -> Result<Option<Message>> {
        let [basic] = read(&mut self.input)?;
        assert!(basic & 0x3F >= 2, "servers use few chunk streams");
        let chunk = self.chunk_streams.entry(basic & 0x3F).or_default();
        let header = basic >> 6;
        chunk.read_header(header, &mut self.input)?;
        let start = chunk.message.payload.len();
        let end = chunk.length.min(start + self.chunk_size);
        chunk.message.payload.resize(end, 0);
        self.input.read_exact(&mut chunk.message.payload[start..])?;
        if end < chunk.length {
            return Ok(None);
        }
        let payload = std::mem::take(&mut chunk.message.payload);
        Ok(Some(Message { payload, ..chunk.message }))
    }
}

impl ChunkStream {
    fn read_header(&mut self, header: u8, input: &mut impl Read) -> Result<()> {
        let mut field = 0;
        if header <= 2 {
            field = big_endian(&read::<3>(input)?);
            self.extended = field == EXTENDED;
        }
        if header <= 1 {
            self.length = big_endian(&read::<3>(input)?) as usize;
            [self.message.kind] = read(input)?;
        }
        if header == 0 {
            self.message.stream = u32::from_le_bytes(read(input)?);
        }
        if self.extended {
            field = big_endian(&read::<4>(input)?);
        }
        match header {
            0 => (self.message.timestamp, self.delta) = (field, 0),
            1 | 2 => self.delta = field,
            _ => {}
        }
        // A chunk of type 3 in the middle of a message repeats, at its start it means one more step.
        if header != 0 && self.message.payload.is_empty() {
            self.message.timestamp = self.message.timestamp.wrapping_add(self.delta);
        }
        Ok(())
    }
}

/// The tags of an FLV file.
pub(crate) fn tags_of(file: &Path) -> Vec<Tag> {
    let bytes = fs::read(file).expect("the clip can be read");
    let mut rest = &bytes[9 + 4..];
    let mut tags = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(11) {
        let length = big_endian(&header[1..4]) as usize;
        let timestamp = u32::from(header[7]) << 24 | big_endian(&header[4..7]);
        tags.push(Tag { kind: header[0], timestamp, body: after[..length].to_vec() });
        rest = &after[length + 4..];
    }
    tags
}

/// Writes tags to an FLV file, whose header promises audio and video.
pub(crate) fn save_tags(tags: &[Tag], file: &Path) {
    let mut flv = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for Tag { kind, timestamp, body } in tags {
        let [high, time @ ..] = timestamp.to_be_bytes();
        let length = body.len() as u32;
        let header = [&[*kind], &length.to_be_bytes()[1..], &time, &[high, 0, 0, 0]].concat();
        flv.extend([&header, body, &(length + 11).to_be_bytes()[..]].concat());
    }
    fs::write(file, flv).expect("the file can be written");
}

fn read<const N: usize>(input: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// AMF0 §2.7, the null type.
const NULL: u8 = 5;

/// AMF0 §2.2, a number.
fn number(value: f64) -> Vec<u8> {
    [&[0][..], &value.to_be_bytes()].concat()
}

/// AMF0 §2.4, a string.
fn string(text: &str) -> Vec<u8> {
    [&[2][..], &name(text)].concat()
}

/// AMF0 §2.5, an object of encoded values.
fn object(properties: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs = properties.iter().flat_map(|(key, value)| [&name(key)[..], value].concat());
    [&[3][..], &pairs.collect::<Vec<_>>(), &[0, 0, 9]].concat()
}

/// A property's name: its length and its text.
fn name(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}
